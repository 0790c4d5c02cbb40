"""What can be set for the homepage, weather and places; what cannot be is said, with where it is written."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from ingest.vocabulary.errors import ConfigurationError
from serving.configuration import Configuration, load_configuration

DAY_S = 86_400
EXPERIMENT = """
[homepage.experiments.{}]
arms.rules = 1
arms.default = 1
control = "rules"
layer = "{}"
"""


def loaded(folder: Path, text: str) -> Configuration:
    path = folder / "dangol.toml"
    path.write_text(text, encoding="utf-8")
    return load_configuration(path, required=True)


def test_every_setting_that_the_template_explains_can_be_set(tmp_path: Path) -> None:
    template = files("serving").joinpath("templates", "dangol.toml").read_text(encoding="utf-8")
    after = template[template.index("# [homepage]") :]
    settings = re.sub(r"^# (?=\[|[a-z_]+(\.[a-z]+)? = )", "", after, flags=re.MULTILINE)
    configuration = loaded(tmp_path, settings)
    for section in (configuration.weather, configuration.places):
        unset = [name for name in section.__struct_fields__ if getattr(section, name) in (None, ())]
        assert unset == [], "explained, and so taken from the template"
    assert set(configuration.homepage.learning.__struct_fields__) == set(
        re.findall(r"^(\w+) =", settings[settings.index("[homepage.learning]") :].split("\n[")[0], flags=re.MULTILINE)
    )
    rules = configuration.homepage_rules
    assert [rule.variant.name for rule in rules.page.rules] == ["rainy-day"]
    assert [(each.name, each.control) for each in rules.experiments] == [("rain", "rules")]
    assert rules.learning.half_life_s == 10 * DAY_S


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[homepage]\nvariant = 1", "variant"),
        ('[homepage.variants.x]\nwhen = { wether = "rain" }', "did you mean"),
        ('[homepage.variants.x]\nrows = [{ placement = "nowhere" }]', "no placement is called 'nowhere'"),
        ('[homepage.learning]\npolicy = "magic"', "homepage.learning.policy"),
        ("[homepage.learning]\nfloor = 1.5", "homepage.learning.floor"),
        ("[homepage.learning]\nperiod_hours = 1", "half-life must be"),
        ('[homepage.experiments.e]\narms = { a = 1, b = 1 }\ncontrol = "a"', "no variant: a, b"),
        ('[homepage.experiments.e]\narms = { rules = 1, default = 0 }\ncontrol = "rules"', "weight above 0"),
        ('[homepage.experiments.e]\narm = { rules = 1 }\ncontrol = "rules"', "'e'"),
        (f"{EXPERIMENT.format('e', 'a')}{EXPERIMENT.format('f', 'b')}", "one layer"),
        ('[weather]\nprovider = "oracle"', "weather.provider"),
        ("[weather]\nlatitude = 51.5", "go together"),
        ("[weather]\nlatitude = 510\nlongitude = 0", "weather.latitude"),
        ("[weather]\nnormals_c = [1.0, 2.0]", "12 temperatures"),
        ('[weather]\nurl = "file:///etc/passwd"', "weather.url"),
        ('[places]\ncountry = "England"', "places.country"),
        ('[places]\ntime_zone = "Mars/Olympus"', "Mars/Olympus"),
        ('[places]\ncountry_header = "X Country"', "places.country_header"),
        ('[places]\nlatitude_header = "X"', "go together"),
    ],
)
def test_a_setting_that_cannot_be_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(said)) as caught:
        loaded(tmp_path, text)
    assert "dangol.toml" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "[homepage.variants.x]\npriority = 2",
        "[homepage.variants.x]\nfrom = 2026-12-01T00:00:00+01:00\nwhen = { time = { from = 17:00:00 } }",
        '[homepage.learning]\npolicy = "thompson"',
        '[weather]\nprovider = "open-meteo"',
        '[places]\ncountry = "GB"',
    ],
)
def test_what_decides_a_homepage_is_part_of_the_configurations_id(tmp_path: Path, text: str) -> None:
    plain, changed = loaded(tmp_path, ""), loaded(tmp_path, text)
    assert changed.configuration_id != plain.configuration_id
    assert loaded(tmp_path, f"{text}\n[serving]\nthreads = 3").configuration_id == changed.configuration_id
