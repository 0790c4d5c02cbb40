"""`dangol replay --with` on shown homepages: which variant, and which rows, another configuration would have shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.service import copy_of, dangol, serving, told
from tests.support.small_shop import MUGS, REGULAR, order, view

PRESENT = """
[homepage.variants.rainy]
when = { weather = "rain" }
content = { headline = "Rain again?" }
rows = [{ placement = "home.popular", limit = 3 }]
[homepage.variants.default]
rows = [{ placement = "home.for-you", limit = 4 }, { placement = "home.popular", limit = 3 }]
"""
RAIN_WINS_ON_PHONES = PRESENT.replace('when = { weather = "rain" }', 'when = { weather = "rain", device = "mobile" }')
BOOSTED = PRESENT.replace(
    'rows = [{ placement = "home.popular", limit = 3 }]',
    'rows = [{ placement = "home.popular", limit = 3, boosts = [{ category = ["Plates"], lift = 50 }] }]',
)


@pytest.fixture(scope="module")
def shop(small_shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small shop after some homepages in rain and in sunshine; no test changes it."""
    folder = copy_of(small_shop, tmp_path_factory.mktemp("homepages") / "data")
    (folder / "dangol.toml").write_text(PRESENT, encoding="utf-8")
    with serving(folder) as service:
        for weather, device in (("rain", "mobile"), ("sunny", "mobile"), ("rain", "desktop")):
            asked = {"context.weather.condition": weather, "context.device": device}
            service.get("/v1/homepage", customer_id=REGULAR, **asked)
            service.tell(view(f"v-{weather}-{device}", MUGS[5], customer_id=REGULAR))
            service.get("/v1/homepage", anonymous_id="new", **asked)
        service.row("home.popular", customer_id=REGULAR)
        service.tell(order("late", MUGS[0], "plate-1", customer=REGULAR))
    return folder


def replayed(folder: Path, configuration: str, *more: str) -> Any:
    other = folder.with_name("other.toml")
    other.write_text(configuration, encoding="utf-8")
    return told("replay", "--with", other, *more, data=folder)


def test_the_present_configuration_shows_every_homepage_again_with_every_row(shop: Path) -> None:
    found = replayed(shop, PRESENT, "--placement", "homepage")
    assert found["homepages"]["pages"] == found["homepages"]["reproduced"] == 6
    assert found["homepages"]["changed"] == []
    assert found["total"]["rows"] == found["total"]["reproduced"] == 4 * 1 + 2 * 2
    assert found["total"]["changed"] == 0


def test_a_changed_condition_changes_whose_homepage_it_is_about(shop: Path) -> None:
    found = replayed(shop, RAIN_WINS_ON_PHONES)
    assert found["homepages"]["variants"] == {"default → default": 2, "rainy → default": 2, "rainy → rainy": 2}
    assert [page["other"] for page in found["homepages"]["changed"]] == ["default", "default"]
    assert found["placements"]["homepage: home.for-you"]["came"] == 8, "a row of four that the rainy one has not"
    other = shop.with_name("other.toml")
    done = dangol("replay", "--with", other, data=shop, check=True)
    assert (
        "2 of 6 homepages have another variant: default → default 2, rainy → default 2, rainy → rainy 2" in done.stdout
    )


def test_a_changed_boost_changes_the_rows_of_its_variant_alone(shop: Path) -> None:
    found = replayed(shop, BOOSTED)
    assert found["homepages"]["changed"] == []
    changed = {(row["placement"], row["shown"] is None) for row in found["rows"]}
    assert changed == {("homepage: home.popular", False)}
    assert len(found["rows"]) == 4
    for row in found["rows"]:
        assert all(each.startswith("plate") for each in row["other"])
        assert row["present"] == row["shown"]
    regular = [row for row in found["rows"] if row["bought"]["other"]]
    assert len(regular) == 2, "whose plate was bought in the end"


def test_a_row_outside_of_a_homepage_is_still_one_of_its_own(shop: Path) -> None:
    found = replayed(shop, PRESENT + '[placements."home.popular"]\npins = [{ product_id = "mug-6", position = 1 }]\n')
    assert {"home.popular", "homepage: home.popular"} <= found["placements"].keys()
    assert found["placements"]["home.popular"]["rows"] == 1
    assert found["placements"]["homepage: home.popular"]["rows"] == 6
