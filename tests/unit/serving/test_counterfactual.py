"""Two configurations over one log: what visits would have asked for, what differs, what was then bought."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ingest.vocabulary import events as facts
from ingest.vocabulary.events import Line, Recorded
from ingest.vocabulary.ids import Position
from personalization.page.placements import DEFAULT_PLACEMENTS
from serving.counterfactual.comparison import Hits, Move, by_placement, compared, summarized
from serving.counterfactual.occasions import Gathered, Occasion, Source, gather, imagined
from serving.counterfactual.outcomes import Outcome, Outcomes
from tests.support.build import NOON, fact

HOUR = timedelta(hours=1)
NAMES = ("home.popular", "product.similar", "category.popular", "search.no-results", "cart.cross-sell", "email.cart")
NOTHING = Outcome(frozenset(), frozenset())


def recorded(*events: facts.Event, partition: int = 0) -> list[Recorded]:
    return [Recorded(Position(1, partition, offset), event) for offset, event in enumerate(events)]


def asked(event: facts.Event) -> dict[str, tuple[str, ...]]:
    return {each.placement: each.seeds for each in imagined(*recorded(event), NAMES)}


def order(order_id: str, *products: str, **fields: Any) -> facts.OrderCompleted:
    lines = tuple(Line(each, 1) for each in products)
    return fact(facts.OrderCompleted, order_id=order_id, lines=lines, **fields)


def occasion(**fields: Any) -> Occasion:
    return Occasion(NOON, Position(1, 0, 0), "home.popular", **{"subject": "s", **fields})


def gathered(*events: facts.Event, limit: int = 100, source: Source | None = None, **more: Any) -> Gathered:
    wanted = more.get("wanted", frozenset({"home.popular"}))
    return gather([recorded(*events)], DEFAULT_PLACEMENTS, wanted, limit, source, lambda count: None)


def shown(*products: str, **fields: Any) -> facts.RankingShown:
    return fact(facts.RankingShown, product_ids=products, placement="home.popular", **fields)


def test_each_kind_of_page_asks_for_the_placements_that_fit_it() -> None:
    assert asked(fact(facts.ProductViewed, product_id="a")) == {"product.similar": ("a",)}
    assert asked(fact(facts.ProductAdded, product_id="a")) == {"cart.cross-sell": ("a",)}
    assert asked(fact(facts.ListViewed, category=("Kitchen",))) == {"category.popular": ()}
    assert asked(fact(facts.ListViewed)) == {}
    assert asked(fact(facts.Searched, results=0)) == {"search.no-results": ()}
    assert asked(fact(facts.Searched, results=3)) == {}
    assert asked(fact(facts.OrderCancelled)) == {}


def test_an_order_asks_for_the_home_its_first_product_and_the_first_half_of_its_cart() -> None:
    assert asked(order("o", "a", "b", "c", "d", "a")) == {
        "home.popular": (),
        "product.similar": ("a",),
        "cart.cross-sell": ("a", "b"),
    }
    assert "cart.cross-sell" not in asked(order("o", "a"))


def test_what_is_imagined_happens_before_the_fact_that_shows_it() -> None:
    (found,) = imagined(*recorded(fact(facts.ProductViewed)), ("product.similar",))
    assert NOON - timedelta(seconds=1) < found.at < NOON


def test_shown_lists_go_before_what_visits_would_have_asked_for_unless_told_otherwise() -> None:
    history = (order("o", "a"), shown("a"))
    assert gathered(*history).source == "shown"
    assert [each.shown for each in gathered(*history).occasions] == [("a",)]
    assert [each.shown for each in gathered(*history, source="imagined").occasions] == [None]
    assert gathered(order("o", "a")).source == "imagined"


def test_the_newest_decisions_are_kept_in_order_and_the_rest_is_counted() -> None:
    times = [NOON + timedelta(minutes=minute) for minute in (5, 1, 4, 2, 3)]
    found = gathered(*(shown("a", occurred_at=each, received_at=each) for each in times), limit=3)
    assert [(each.at - NOON) // timedelta(minutes=1) for each in found.occasions] == [3, 4, 5]
    assert found.found == 5
    assert gathered(shown("a"), source="shown", wanted=frozenset({"home.for-you"})).elsewhere == 1


def test_nobody_who_was_forgotten_is_decided_about() -> None:
    found = gathered(shown("a", subject="gone"), fact(facts.CustomerErased, subject="gone"), shown("b", subject="s"))
    assert [each.subject for each in found.occasions] == ["s"]


def test_a_row_is_asked_to_be_as_long_as_it_was_unless_that_is_what_the_placement_says() -> None:
    limits = [each.limit for each in gathered(shown(*"abc"), shown(*"abcdefghij"), shown()).occasions]
    assert limits == [3, None, None]


def test_products_come_go_and_move_between_two_rows() -> None:
    row = compared(occasion(), ("a", "b", "c"), ("c", "b", "d"), Outcome(frozenset("d"), frozenset("ab")))
    assert (row.came, row.went, row.moved) == (("d",), ("a",), (Move("c", 3, 1),))
    assert (row.bought, row.looked_at) == (Hits(0, 1), Hits(2, 1))
    assert row.changed


def test_a_summary_counts_changed_rows_their_people_and_lists_that_came_out_again() -> None:
    rows = [
        compared(occasion(shown=("a", "b")), ("a", "b"), ("a", "b"), NOTHING),
        compared(occasion(shown=("b", "a")), ("a", "b"), ("b", "a"), NOTHING),
        compared(occasion(), ("a", "b"), ("c", "b"), NOTHING),
        compared(occasion(subject="t"), ("a",), ("b",), NOTHING),
    ]
    summary = summarized(rows)
    assert (summary.rows, summary.changed, summary.changed_share, summary.people) == (4, 3, 0.75, 2)
    assert (summary.came, summary.went, summary.moved, summary.reproduced) == (2, 2, 2, 1)
    assert by_placement(rows) == {"home.popular": summary}
    assert summarized([]).changed_share == 0.0


def test_only_what_is_bought_within_the_window_and_kept_counts_as_bought() -> None:
    history = recorded(
        order("before", "early", received_at=NOON, subject="s"),
        order("kept", "a", received_at=NOON + HOUR, subject="s"),
        order("off", "b", received_at=NOON + HOUR, subject="s"),
        order("back", "c", received_at=NOON + HOUR, subject="s"),
        order("late", "d", received_at=NOON + 3 * HOUR, subject="s"),
        fact(facts.OrderCancelled, order_id="off", received_at=NOON + 9 * HOUR, subject="s"),
        fact(facts.OrderRefunded, order_id="back", received_at=NOON + 9 * HOUR, subject="s"),
        fact(facts.ProductViewed, product_id="v", received_at=NOON + HOUR, subject="s"),
    )
    later = recorded(order("as-known", "k", received_at=NOON + HOUR, subject="known"))
    outcomes = Outcomes({"s": history, "known": later}, {"s": "known"}, 2 * HOUR)
    assert outcomes.after(occasion()) == Outcome(frozenset("ak"), frozenset("v"))
    assert outcomes.after(occasion(subject="stranger")) == NOTHING
