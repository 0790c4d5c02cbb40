"""`dangol replay --with`: another configuration over a real log, row by row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.service import Service, copy_of, dangol, rows_of, serving, told
from tests.support.small_shop import MUGS, PLATES, REGULAR, order, view

PINNED = """
[placements."home.popular"]
pins = [{ product_id = "plate-4", position = 1 }]
"""
NEVER_BOUGHT = "plate-4"


@pytest.fixture(scope="module")
def shop(small_shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small shop after a day of visits, with what was shown in them; no test changes it."""
    folder = copy_of(small_shop, tmp_path_factory.mktemp("replayed") / "data")
    with serving(folder) as service:
        visit(service)
    return folder


def visit(service: Service) -> None:
    """A regular and a visitor, who are shown rows between what they do; what is shown changes with that."""
    service.row("home.popular", customer_id=REGULAR, limit=3)
    service.row("home.for-you", customer_id=REGULAR)
    service.tell(view("v-1", MUGS[4], anonymous_id="a"), view("v-2", MUGS[5], anonymous_id="a"))
    service.row("home.recently-viewed", anonymous_id="a", limit=4)
    service.row("home.popular", anonymous_id="a", limit=3)
    service.tell(*(order(f"o-{each}", MUGS[5], PLATES[2], customer=f"new-{each}") for each in range(40)))
    service.row("home.popular", limit=3)
    service.row("product.bought-together", product_ids=MUGS[5])
    service.send_json("PATCH", f"/v1/products/{MUGS[0]}", {"availability": "out_of_stock"})
    service.row("home.popular", customer_id=REGULAR, limit=3)
    asked = {"filter": {"category": ["Mugs"], "price": {"max": 28}}, "exclude": [MUGS[1], "x" * 90], "limit": 2}
    service.send_json("POST", "/v1/recommendations/category.popular", asked)
    service.send_json(
        "POST", "/v1/recommendations/category.popular", {**asked, "exclude": ["x" * 90, "y" * 90, MUGS[2]]}
    )
    service.tell(order("o-last", NEVER_BOUGHT, customer=REGULAR))


def replayed(folder: Path, configuration: str, *more: str) -> Any:
    other = folder.with_name("other.toml")
    other.write_text(configuration, encoding="utf-8")
    return told("replay", "--with", other, *more, data=folder)


def test_rows_that_were_filtered_are_filtered_again(shop: Path) -> None:
    found = replayed(shop, "", "--placement", "category.popular")
    assert found["total"]["rows"] == found["total"]["reproduced"] == 2
    assert any("more than a record holds" in note and note.startswith("1 ") for note in found["notes"])


def test_the_present_configuration_makes_every_recorded_decision_again(shop: Path) -> None:
    placements = ("home.popular", "home.for-you", "home.recently-viewed", "product.bought-together")
    found = replayed(shop, "", *(word for each in placements for word in ("--placement", each)))
    assert found["source"] == "shown"
    assert found["total"]["rows"] == found["total"]["reproduced"] == 7
    assert found["total"]["changed"] == found["hindsight"] == 0
    assert found["present"] == found["other"]
    assert "the two configurations have the same placements and homepage" in found["notes"]


def test_a_pin_changes_the_rows_of_its_placement_and_finds_who_then_bought_it(shop: Path) -> None:
    found = replayed(shop, PINNED)
    assert (found["found"], found["elsewhere"]) == (4, 5)
    assert found["total"]["changed_share"] == 1.0
    for row in found["rows"]:
        assert row["came"] == [NEVER_BOUGHT]
        assert row["other"][0] == NEVER_BOUGHT
        assert len(row["present"]) == len(row["other"]) == 3, "as long as it was asked to be"
        assert row["present"] == row["shown"]
        assert row["went"] == [row["present"][2]]
        assert [(each["present"], each["other"]) for each in row["moved"]] == [(1, 2), (2, 3)]
    first, last = found["rows"][-1], found["rows"][0]
    assert first["at"] < last["at"]
    assert [MUGS[5] in each["present"] for each in (first, last)] == [False, True], "the tail of the moment counts"
    assert first["bought"] == last["bought"] == {"present": 0, "other": 1}
    assert found["total"]["bought"]["other"] == 2, "the visitor and the guest bought nothing"


def test_nothing_of_it_says_who_somebody_is_and_nothing_is_written(shop: Path) -> None:
    before = rows_of(shop, "SELECT count(*), max(place) FROM events")
    found = json.dumps(replayed(shop, PINNED))
    assert REGULAR not in found
    assert rows_of(shop, "SELECT count(*), max(place) FROM events") == before


def test_a_table_for_people_says_what_changes_and_what_to_beware_of(shop: Path) -> None:
    other = shop.with_name("table.toml")
    other.write_text(PINNED, encoding="utf-8")
    wide = {"COLUMNS": "160"}
    done = dangol("replay", "--with", other, "--limit", "2", "--rows", "1", data=shop, check=True, variables=wide)
    assert "home.popular" in done.stdout
    assert "plate-4 Plate number 4" in done.stdout
    assert "2 of 2 rows change (100.0%), those of 2 people; 5 rows of other placements" in done.stdout
    assert "the newest 2 of 4 decisions were made again" in done.stdout
    assert "favours the present rows" in done.stdout


def test_a_placement_that_the_other_configuration_adds_is_nothing_before(shop: Path) -> None:
    found = replayed(shop, '[placements."home.new"]\nchain = ["trending"]\n', "--from", "imagined")
    assert found["total"]["changed"] == found["total"]["rows"] == found["found"] > 0
    assert all(row["present"] == [] and row["other"] for row in found["rows"])


def test_an_imported_history_is_decided_upon_as_its_visits_would_have_asked(small_folder: Path) -> None:
    found = replayed(small_folder, '[placements."cart.cross-sell"]\nlimit = 2\n', "--limit", "20")
    assert found["source"] == "imagined"
    assert (found["found"], found["total"]["rows"]) == (50, 20), "one for each order of two products or more"
    assert found["hindsight"] == 20
    assert any("--train" in note for note in found["notes"])
    assert all(len(row["other"]) == 2 and row["other"] == row["present"][:2] for row in found["rows"])
    before = replayed(small_folder, '[placements."cart.cross-sell"]\nlimit = 2\n', "--limit", "20", "--train")
    assert before["hindsight"] == 0
    assert before["total"]["rows"] == 20
    again = replayed(small_folder, '[placements."cart.cross-sell"]\nlimit = 2\n', "--limit", "20")
    assert again["rows"] == before["rows"], "the snapshot of then is kept"


def test_what_cannot_be_is_one_clear_line(small_folder: Path) -> None:
    missing = dangol("replay", "--with", "no.toml", data=small_folder)
    assert missing.returncode == 1
    assert missing.stderr.strip() == "dangol: there is no configuration no.toml"
    (small_folder / "dangol.toml").touch()
    unknown = dangol("replay", "--with", small_folder / "dangol.toml", "--placement", "home.none", data=small_folder)
    assert unknown.returncode == 1
    assert "there is no placement 'home.none'" in unknown.stderr
    assert dangol("replay", "--limit", "3", data=small_folder).returncode == 2
    both = dangol("replay", "--verify", "--with", small_folder / "dangol.toml", data=small_folder)
    assert both.returncode == 2
