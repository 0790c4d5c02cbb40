"""`dangol evaluate policy`: other rules and weights for the homepage, judged on a log whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.service import dangol, told
from tests.support.shown_homepages import RAINY_SHARE, ranked_rows, shown_homepages, tell

RATES = {("rain", "wet"): 0.30, ("rain", "default"): 0.10, ("sunny", "wet"): 0.05, ("sunny", "default"): 0.20}
SHARES = {"wet": 0.5, "default": 0.5}
PRESENT = """
[homepage.learning]
policy = "thompson"
goal = "click"
window_days = 1
[homepage.variants.wet]
content = { headline = "Rain again?" }
[homepage.variants.default]
content = { headline = "Welcome" }
"""
BY_WEATHER = """
[homepage.variants.wet]
when = { weather = "rain" }
[homepage.variants.default]
content = {}
"""
MOSTLY_WET = """
[homepage.variants.wet]
content = {}
[homepage.experiments.mostly]
arms = { wet = 3, default = 1 }
control = "default"
"""
UNTRIED = '[homepage.variants.snow]\nwhen = { weather = "rain" }\n'


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop whose homepage was drawn 6,000 times; no test changes it."""
    folder = tmp_path_factory.mktemp("judged") / "data"
    dangol("init", folder, check=True)
    (folder / "dangol.toml").write_text(PRESENT, encoding="utf-8")
    tell(folder, shown_homepages(6_000, RATES, SHARES))
    return folder


def judged(folder: Path, configuration: str, *more: str) -> Any:
    other = folder.with_name("other.toml")
    other.write_text(configuration, encoding="utf-8")
    return told("evaluate", "policy", "--with", other, *more, data=folder)


def truth(shares: dict[str, dict[str, float]]) -> float:
    """What a policy earns that shows variants so often in each weather."""
    by_weather = {"rain": RAINY_SHARE, "sunny": 1 - RAINY_SHARE}
    return sum(
        by_weather[weather] * share * RATES[weather, variant]
        for weather, table in shares.items()
        for variant, share in table.items()
    )


def test_rules_that_fit_the_weather_are_worth_what_they_are_in_truth(shop: Path) -> None:
    found = judged(shop, BY_WEATHER)
    worth = truth({"rain": {"wet": 1.0}, "sunny": {"default": 1.0}})
    logged = truth({"rain": SHARES, "sunny": SHARES})
    assert (worth, logged) == (pytest.approx(0.25), pytest.approx(0.1625))
    for name in ("ips", "snips", "doubly_robust"):
        each = found["estimates"][name]
        assert each["low"] < worth < each["high"], name
        assert each["low"] > logged, name
    assert found["estimates"]["logged"]["value"] == pytest.approx(logged, abs=0.02)
    assert found["estimates"]["decisions"] == 6_000
    assert found["estimates"]["effective_size"] == pytest.approx(3_000, rel=0.1)
    assert found["people"] == 2_000
    assert found["arms"]["wet"]["target_share"] == pytest.approx(RAINY_SHARE, abs=0.03)


def test_weights_of_an_experiment_are_a_policy_too(shop: Path) -> None:
    found = judged(shop, MOSTLY_WET)
    table = {"wet": 0.75, "default": 0.25}
    each = found["estimates"]["snips"]
    assert each["low"] < truth({"rain": table, "sunny": table}) < each["high"]
    assert found["arms"]["wet"]["target_share"] == pytest.approx(0.75)


def test_what_was_never_drawn_is_refused_in_one_clear_line(shop: Path) -> None:
    other = shop.with_name("untried.toml")
    other.write_text(UNTRIED, encoding="utf-8")
    refused = dangol("evaluate", "policy", "--with", other, data=shop)
    assert refused.returncode == 1
    assert refused.stdout == ""
    (line,) = refused.stderr.splitlines()
    assert "could not be drawn in the situations of the log" in line


def test_a_policy_that_learns_has_no_fixed_worth(shop: Path) -> None:
    refused = dangol("evaluate", "policy", data=shop)
    assert refused.returncode == 1
    assert "has no probabilities before it has learned" in refused.stderr


def test_a_log_without_drawn_homepages_says_so(shop: Path, small_folder: Path) -> None:
    refused = dangol("evaluate", "policy", data=small_folder)
    assert refused.returncode == 1
    assert "no drawn decision" in refused.stderr
    assert dangol("evaluate", "policy", "--days", "90", "--with", "none.toml", data=shop).returncode == 1


def test_people_who_are_held_out_or_known_by_nothing_are_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    dangol("init", folder, check=True)
    (folder / "dangol.toml").write_text(PRESENT, encoding="utf-8")
    tell(folder, shown_homepages(600, RATES, SHARES))
    for number, fields in enumerate(({"held_out": True}, {"learner": None}, {"eligible": {"default": 1.0}})):
        tell(folder, (_numbered(each, number) for each in shown_homepages(50, RATES, SHARES, **fields)))
    found = judged(folder, BY_WEATHER)
    assert found["left_out"] == {"fixed": 50, "held_out": 50, "open": 0, "nobody": 50}
    assert found["estimates"]["decisions"] == 600
    assert found["fixed_otherwise"] > 0.2
    done = dangol("evaluate", "policy", "--with", folder.with_name("other.toml"), data=folder, check=True)
    assert "left out: 50 fixed, 50 held out, 50 nobody" in done.stdout


def _numbered(event: Any, number: int) -> Any:
    from msgspec.structs import replace

    return replace(event, event_id=f"{event.event_id}-{number}", request_id=f"{event.request_id}-{number}")


ARMS = """
[placements."home.popular"]
arms.trendy = { chain = ["trending"] }
learning = { policy = "thompson", window_days = 1 }
"""
TRENDY = '[placements."home.popular"]\nchain = ["trending"]\n'
THREE_TO_ONE = """
[placements."home.popular"]
arms.called-otherwise = { chain = ["trending"] }
experiments.most = { arms = { called-otherwise = 3, rules = 1 }, control = "rules" }
"""


def test_a_way_to_rank_is_judged_by_what_it_does_whatever_it_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    dangol("init", folder, check=True)
    (folder / "dangol.toml").write_text(ARMS, encoding="utf-8")
    rates, shares = {"rules": 0.1, "trendy": 0.3}, {"rules": 0.5, "trendy": 0.5}
    tell(folder, ranked_rows("home.popular", 2_000, rates, shares))
    of_the_row = ("--placement", "home.popular")
    for configuration, share in ((TRENDY, 1.0), (THREE_TO_ONE, 0.75)):
        found = judged(folder, configuration, *of_the_row)
        each = found["estimates"]["snips"]
        assert each["low"] < 0.1 * (1 - share) + 0.3 * share < each["high"]
        assert found["arms"]["trendy"]["target_share"] == pytest.approx(share)
        assert found["estimates"]["decisions"] == 2_000
    other = folder.with_name("other.toml")
    other.write_text(TRENDY.replace("trending", "for_you"), encoding="utf-8")
    refused = dangol("evaluate", "policy", "--with", other, *of_the_row, data=folder)
    assert (refused.returncode, "could not be drawn" in refused.stderr) == (1, True)
    assert "learns how to rank" in dangol("evaluate", "policy", *of_the_row, data=folder).stderr
    assert "no placement 'nowhere'" in dangol("evaluate", "policy", "--placement", "nowhere", data=folder).stderr
