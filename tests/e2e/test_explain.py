"""`dangol explain`: the decision behind an answer already given, recomputed from what was known then."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.service import copy_of, dangol, serving, told
from tests.support.small_shop import MUGS, REGULAR, order

CONFIGURED = """
[homepage.variants.rainy]
when = { weather = "rain" }
rows = [{ placement = "home.popular", limit = 3 }, { placement = "home.for-you", limit = 4 }]
[homepage.variants.default]
rows = [{ placement = "home.popular", limit = 3 }]
"""
PINNED = """
[placements."home.popular"]
pins = [{ product_id = "plate-4", position = 1 }]
"""


class Given(NamedTuple):
    """A shop that gave some answers."""

    folder: Path
    row: Mapping[str, Any]
    page: Mapping[str, Any]


@pytest.fixture(scope="module")
def given(small_shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Given:
    """A row and a homepage, and much that happened after them; no test changes the folder."""
    folder = copy_of(small_shop, tmp_path_factory.mktemp("explained") / "data")
    (folder / "dangol.toml").write_text(CONFIGURED, encoding="utf-8")
    with serving(folder) as service:
        asked = {"filter": {"category": ["Mugs"]}, "exclude": [MUGS[1]], "limit": 3, "customer_id": REGULAR}
        row = service.send_json("POST", "/v1/recommendations/home.popular", asked).json
        page = service.get("/v1/homepage", customer_id=REGULAR, **{"context.weather.condition": "rain"})
        service.tell(*(order(f"later-{each}", MUGS[5], "plate-3", customer=f"new-{each}") for each in range(60)))
        service.send_json("PATCH", f"/v1/products/{MUGS[0]}", {"availability": "out_of_stock"})
    return Given(folder, row, page)


def items_of(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(item["product_id"], item["reason"]["text"]) for item in row["items"]]


def test_a_row_is_made_again_as_it_was_whatever_came_later(given: Given) -> None:
    found = told("explain", given.row["request_id"], data=given.folder)
    assert (found["kind"], found["snapshot"], found["notes"]) == ("recommendations", given.row["snapshot"], [])
    (row,) = found["rows"]
    assert row["same"]
    assert items_of(row) == items_of(given.row)
    assert row["steps"][0]["strategy"] == "popular"
    refused = row["steps"][0]["refused"]
    assert sum(refused.values()) == row["steps"][0]["offered"] - 3 > 0, "what was passed over is told"
    assert found["record"]["placement"] == "home.popular"
    assert "subject" not in found["record"], "it does not say who somebody is"


def test_a_homepage_is_explained_with_why_it_was_chosen_and_with_its_rows(given: Given) -> None:
    found = told("explain", given.page["request_id"], data=given.folder)
    assert (found["kind"], found["record"]["variant"], found["notes"]) == ("homepage", "rainy", [])
    assert found["record"]["facts"]["weather"] == "rain"
    assert [items_of(row) for row in found["rows"]] == [items_of(row) for row in given.page["rows"]]
    assert all(row["same"] for row in found["rows"])


def test_a_row_of_a_page_is_made_again_with_the_rows_above_it(given: Given) -> None:
    second = given.page["rows"][1]
    found = told("explain", second["request_id"], data=given.folder)
    assert found["kind"] == "recommendations"
    assert [(row["placement"], row["same"], items_of(row)) for row in found["rows"]] == [
        ("home.for-you", True, items_of(second))
    ]


def test_it_says_what_is_configured_otherwise_and_shows_both(given: Given, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(CONFIGURED + PINNED, encoding="utf-8")
    done = dangol("explain", given.page["request_id"], "--config", other, data=given.folder, check=True)
    shown = ", ".join(item["product_id"] for item in given.page["rows"][0]["items"])
    assert f"home.popular: shown was {shown}" in done.stdout
    assert "configured otherwise then" in done.stdout


def test_a_snapshot_that_is_gone_is_said_to_be(given: Given, tmp_path: Path) -> None:
    folder = copy_of(given.folder, tmp_path / "data")
    dangol("train", data=folder, check=True)
    forget_snapshot(folder, given.row["snapshot"])
    found = told("explain", given.row["request_id"], data=folder)
    assert any(f"({given.row['snapshot']}) is gone" in note for note in found["notes"])


def forget_snapshot(folder: Path, snapshot: str) -> None:
    """As if it were one of the thirty-first oldest."""
    history = folder / "snapshots" / "history.jsonl"
    kept = [line for line in history.read_text(encoding="utf-8").splitlines() if snapshot not in line]
    history.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")


def test_an_answer_that_nobody_was_given_is_one_clear_line(given: Given) -> None:
    done = dangol("explain", "01NOBODY", data=given.folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "dangol: no answer '01NOBODY' was recorded\n"
