"""Shown lists as they are gathered: which count, what of them was clicked, and how many are kept."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from ingest.vocabulary.context import Context
from ingest.vocabulary.events import (
    ConsentChanged,
    CustomerErased,
    CustomerIdentified,
    Event,
    ProductViewed,
    RankingClicked,
    RankingShown,
)
from recommender.interactions import interactions_of
from recommender.shown import PERSONAL, POSITIONS_MAX, ShownLists
from tests.support.build import NOON, fact

PRODUCTS = "abcdefgh"


def at(minute: float) -> dict[str, datetime]:
    moment = NOON + timedelta(minutes=minute)
    return {"occurred_at": moment, "received_at": moment}


def known(subject: str) -> list[Event]:
    """Somebody who looked at all there is."""
    return [fact(ProductViewed, product_id=each, subject=subject, **at(-600)) for each in PRODUCTS]


def shown(request: str, products: str, minute: float = 0.0, **fields: Any) -> RankingShown:
    fields = {"placement": "home.popular", "subject": "s", **fields}
    return fact(RankingShown, event_id=request, request_id=request, product_ids=tuple(products), **fields, **at(minute))


def clicked(request: str, product: str, minute: float = 1.0, subject: str = "s", **fields: Any) -> RankingClicked:
    return fact(RankingClicked, request_id=request, product_id=product, subject=subject, **fields, **at(minute))


def gathered(*events: Event) -> ShownLists | None:
    return interactions_of([*known("s"), *events]).shown


def rows(lists: ShownLists | None) -> list[tuple[str, str]]:
    """Of each list the products in their order, and those that were clicked."""
    assert lists is not None
    told = []
    for number in range(len(lists)):
        here = slice(lists.start[number], lists.start[number + 1])
        names = ["?" if row < 0 else PRODUCTS[row] for row in lists.product[here].tolist()]
        hit = [name for name, is_clicked in zip(names, lists.clicked[here].tolist(), strict=True) if is_clicked]
        told.append(("".join(names), "".join(hit)))
    return told


def test_a_list_knows_its_order_and_what_was_clicked() -> None:
    lists = gathered(shown("r1", "dab", 1), shown("r2", "cb", 2), clicked("r1", "a"), clicked("r1", "b"))
    assert rows(lists) == [("dab", "ab"), ("cb", "")]
    assert lists is not None
    assert lists.positions().tolist() == [0, 1, 2, 0, 1]
    assert lists.owners().tolist() == [0, 0, 0, 1, 1]
    assert lists.time_s.tolist() == [int(NOON.timestamp()) + 60, int(NOON.timestamp()) + 120]


def test_what_is_told_twice_counts_once_in_any_order() -> None:
    events = [shown("r1", "dab", 1), clicked("r1", "a"), shown("r2", "cb", 2), clicked("r2", "b")]
    assert rows(gathered(*events, *events)) == rows(gathered(*events[::-1])) == [("dab", "a"), ("cb", "b")]


def test_without_lists_or_clicks_on_them_there_is_nothing() -> None:
    assert gathered() is None
    assert gathered(shown("r1", "ab")) is None
    assert gathered(clicked("r1", "a")) is None, "its list was lost"
    assert gathered(shown("r1", "ab"), clicked("r1", "c")) is None, "the list did not have it"
    assert gathered(shown("r1", ""), shown("r2", "ab"), clicked("r2", "b")) is not None, "an empty row is one"


def test_a_click_counts_if_it_is_of_the_person_who_was_shown_the_list() -> None:
    others = known("other")
    assert gathered(*others, shown("r1", "ab"), clicked("r1", "a", subject="other")) is None
    link = fact(CustomerIdentified, subject="other", known="s")
    assert rows(gathered(*others, link, shown("r1", "ab"), clicked("r1", "a", subject="other"))) == [("ab", "a")]


@pytest.mark.parametrize(
    "why",
    [
        fact(CustomerErased, subject="s", **at(9)),
        fact(ConsentChanged, subject="s", purposes={"personalization": False}, **at(9)),
        fact(ConsentChanged, subject="s", purposes={"analytics": False}, **at(9)),
    ],
    ids=["erased", "no personalization", "no analytics"],
)
def test_nothing_is_learned_from_who_refused_or_was_erased(why: Event) -> None:
    theirs = [shown("r1", "ab"), clicked("r1", "a")]
    mine = [shown("r2", "cd", subject="t"), clicked("r2", "d", subject="t")]
    assert rows(gathered(*known("t"), *theirs, *mine, why)) == [("cd", "d")]


def test_what_is_shown_to_crawlers_and_to_nobody_is_passed_over_by_nobody() -> None:
    crawl = [fact(ProductViewed, product_id=f"x{number}", subject="bot", **at(number / 60)) for number in range(501)]
    bot = [shown("r1", "ab", subject="bot"), clicked("r1", "a", subject="bot")]
    nobody = [shown("r2", "ab", subject="unheard of"), clicked("r2", "a")]
    lists = interactions_of([*crawl, *bot, *nobody, *known("s"), shown("r3", "ba"), clicked("r3", "a")]).shown
    assert lists is not None
    assert len(lists) == 1
    assert lists.clicked.tolist() == [False, True]


def test_products_the_shop_has_not_keep_their_position() -> None:
    assert rows(gathered(shown("r1", "zab"), clicked("r1", "b"))) == [("?ab", "b")]


def test_no_more_positions_count_than_a_list_records() -> None:
    many = tuple(f"x{number}" for number in range(POSITIONS_MAX + 5))
    long = fact(RankingShown, subject="s", product_ids=many, **at(2))
    lists = gathered(shown("r1", "a"), clicked("r1", "a"), long)
    assert lists is not None
    assert np.diff(lists.start).tolist() == [1, POSITIONS_MAX]


def test_rows_are_about_the_same_where_the_same_was_asked_and_they_depend_on_nobody() -> None:
    asked = {"placement": "product.similar", "seeds": ("a",), "impersonal": True}
    lists = gathered(
        shown("r1", "bc", 1, **asked),
        shown("r2", "cb", 2, **asked),
        shown("r3", "cb", 3, **{**asked, "seeds": ("b",)}),
        shown("r4", "cb", 4, **{**asked, "placement": "product.other-styles"}),
        shown("r5", "cb", 5, **{**asked, "category": ("Mugs",)}),
        shown("r6", "cb", 6, **{**asked, "impersonal": False}),
        clicked("r1", "c"),
    )
    assert lists is not None
    first, *others, personal = lists.about.tolist()
    assert personal == PERSONAL
    assert [each == first for each in others] == [True, False, False, False]
    assert len({first, *others, personal}) == 5
    assert [lists.placements[row] for row in lists.placement.tolist()][3] == "product.other-styles"


def test_the_device_is_that_of_the_list_or_of_its_visit() -> None:
    mobile = Context(device="mobile")
    lists = gathered(
        shown("r1", "ab", 1, context=Context(device="desktop")),
        fact(ProductViewed, product_id="a", subject="s", context=mobile, **at(5)),
        shown("r2", "ab", 6),
        shown("r3", "ab", 600),
        clicked("r1", "a"),
    )
    assert lists is not None
    assert [lists.devices[row] for row in lists.device.tolist()] == ["desktop", "mobile", ""]


def test_only_the_newest_lists_and_clicks_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[Event] = []
    for number in (4, 1, 9, 3, 8, 2, 7, 5, 6, 9):
        events += [shown(f"r{number}", "ab" if number % 2 else "ca", number), clicked(f"r{number}", "a", number)]
    monkeypatch.setattr("recommender.shown.LISTS_MAX", 3)
    assert rows(gathered(*events)) == [("ab", "a"), ("ca", "a"), ("ab", "a")]
    monkeypatch.setattr("recommender.shown.CLICKS_MAX", 2)
    assert rows(gathered(*events)) == [("ab", ""), ("ca", "a"), ("ab", "a")]
