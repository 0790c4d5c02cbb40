"""`dangol report attribution`: what rows and homepages earned, on literal histories; each order once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ingest.vocabulary import events as facts
from ingest.vocabulary.events import Chosen, Event, Line
from tests.support.build import fact
from tests.support.service import dangol, told
from tests.support.shown_homepages import tell

NOW = datetime.now(UTC)
BEGIN = (NOW - timedelta(days=3)).replace(hour=12)


def at(minutes: float, **fields: Any) -> dict[str, Any]:
    moment = BEGIN + timedelta(minutes=minutes)
    return {"occurred_at": moment, "received_at": moment, **fields}


def row(name: str, placement: str, minutes: float, who: str, arm: str | None = None) -> Event:
    choice = None if arm is None else Chosen(arm)
    return fact(
        facts.RankingShown,
        **at(minutes),
        event_id=name,
        subject=who,
        request_id=name,
        placement=placement,
        choice=choice,
    )


def page(name: str, variant: str, minutes: float, who: str, *rows: str, order: str | None = None) -> Event:
    turned = None if order is None else Chosen(order)
    fields = {"request_id": name, "variant": variant, "rows": rows, "order": turned}
    return fact(facts.HomepageShown, **at(minutes), event_id=name, subject=who, **fields)


def click(name: str, on: str, minutes: float, who: str) -> Event:
    return fact(facts.RankingClicked, **at(minutes), event_id=name, subject=who, request_id=on)


def order(name: str, price: str, minutes: float, who: str) -> Event:
    lines = (Line("p-1", 2, Decimal(price)),)
    return fact(facts.OrderCompleted, **at(minutes), subject=who, order_id=name, lines=lines)


DAY = 24 * 60
HISTORY = (
    page("h-1", "rain", 0, "mary", "r-1", "r-2", order="turned"),
    row("r-1", "home.popular", 0, "mary"),
    row("r-2", "home.for-you", 0, "mary", "novel"),
    click("c-1", "r-1", 1, "mary"),
    click("c-2", "r-2", 2, "mary"),
    fact(facts.ProductAdded, **at(3), subject="mary"),
    order("o-1", "10.00", 4, "mary"),
    order("o-2", "5.00", 5, "mary"),
    fact(facts.OrderCancelled, **at(6), subject="mary", order_id="o-2"),
    row("r-3", "home.popular", DAY, "nobody-knows"),  # a first page: whoever clicks is somebody
    click("c-3", "r-3", DAY + 1, "visitor"),
    fact(facts.CustomerIdentified, **at(DAY + 2), subject="visitor", known="bob"),
    order("o-3", "50.00", DAY + 3, "bob"),
    row("r-4", "home.popular", DAY, "ann"),
    order("o-4", "99.00", DAY + 5, "ann"),  # saw a row, and clicked nothing
    page("h-2", "default", 2 * DAY, "eve"),
    order("o-5", "1.00", 2 * DAY + 1, "eve"),
    page("h-3", "rain", 2 * DAY, "gone"),
    fact(facts.CustomerErased, **at(2 * DAY + 1), subject="gone"),
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with a short history; no test changes it."""
    folder = tmp_path_factory.mktemp("attributed") / "data"
    dangol("init", folder, check=True)
    tell(folder, iter(HISTORY))
    return folder


def earned(name: str, arm: str, *counts: float, period: str = "") -> dict[str, Any]:
    shown, clicked, added, ordered, revenue = counts
    counted = {"shown": shown, "clicked": clicked, "added": added, "ordered": ordered, "revenue": revenue}
    return {"name": name, "arm": arm, "period": period, **counted}


def test_an_order_goes_to_the_row_clicked_last_and_to_the_homepage_shown_last(shop: Path) -> None:
    found = told("report", "attribution", data=shop)
    assert found["rows"] == [
        earned("home.for-you", "novel", 1, 1, 1, 1, 20.0),
        earned("home.popular", "rules", 3, 2, 0, 1, 100.0),
    ]
    assert found["pages"] == [
        earned("default", "rules", 1, 0, 0, 1, 2.0),
        earned("rain", "turned", 1, 1, 1, 1, 20.0),
    ]
    assert found["is_whole"] is True


def test_it_is_told_by_periods_and_only_within_the_window(shop: Path) -> None:
    found = told("report", "attribution", "--by", "day", "--days", "0.002", data=shop)
    assert {(each["name"], each["period"], each["shown"], each["ordered"]) for each in found["rows"]} == {
        ("home.for-you", f"{BEGIN:%Y-%m-%d}", 1, 1),
        ("home.popular", f"{BEGIN:%Y-%m-%d}", 1, 0),
        ("home.popular", f"{BEGIN + timedelta(days=1):%Y-%m-%d}", 2, 1),
    }
    (rain,) = (each for each in found["pages"] if each["name"] == "rain")
    assert (rain["clicked"], rain["ordered"]) == (1, 0), "four minutes are more than 0.002 days"


def test_a_table_is_for_people_and_says_what_was_not_read(shop: Path) -> None:
    done = dangol("report", "attribution", "--limit", "2", data=shop, check=True)
    assert "homepage" in done.stdout
    assert "a higher --limit reads it" in done.stdout
    nothing = dangol("report", "attribution", "--last", "0.5", data=shop, check=True)
    assert nothing.stdout.startswith("nothing was shown since")
    whole = dangol("report", "attribution", data=shop, check=True).stdout.splitlines()
    assert whole[0].split() == ["placement", "arm", "shown", "clicked", "added", "ordered", "revenue"]
    assert whole[1].split() == ["home.for-you", "novel", "1", "1", "1", "1", "20.00"]
    assert dangol("report", "attribution", "--by", "hour", data=shop).returncode == 2
