"""The models on small shops where the right answer is known."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.events import Event
from ingest.vocabulary.products import Product
from ingest.vocabulary.ranking import Candidates, ProductIndex, Seeds
from recommender.configuration import PopularityConfiguration, TrainingConfiguration
from recommender.decay import ONE, decay_between, decay_table, size_damping
from recommender.interactions import KIND_UNITS, ORDER
from recommender.live import LiveModels
from recommender.models import popularity
from recommender.tail import Tail
from recommender.text import title_words
from recommender.training import fit_in_memory
from tests.support.browsing import shop_of
from tests.support.histories import order, titled, upserted, view
from tests.support.shops import ids, live_after, seeds, together, wanted


def trained(*events: Event) -> LiveModels:
    return live_after(events, len(events))


def products_of(live: LiveModels, candidates: Candidates) -> list[str]:
    return ids(live, candidates)


def test_decay_halves_with_every_half_life_and_ends_at_nothing() -> None:
    table = decay_table(7)
    assert [int(table[7 * halves]) for halves in range(4)] == [ONE, ONE // 2, ONE // 4, ONE // 8]
    assert table[-1] == 1
    assert (np.diff(table) < 0).any()
    assert decay_between(14, 7) == 0.25


def test_larger_orders_say_less_about_their_pairs() -> None:
    assert size_damping()[1] == ONE
    assert size_damping()[16] == ONE // 8


def test_titles_are_read_as_singular_words_without_fillers() -> None:
    assert title_words("Set of 3 LUNCH BAGS, Glass Boxes & Berries") == ("lunch", "bag", "glass", "box", "berry")


@pytest.mark.parametrize("events", [(), (upserted(titled("a", "Cup")),), (order("1", "a"),)])
def test_a_shop_of_nothing_one_product_or_one_order_answers(events: tuple[Event, ...]) -> None:
    live = trained(*events)
    for ask in (live.bought_together, live.similar, live.other_styles):
        assert len(ask(seeds(live, "a"), 5).products) == 0
    assert products_of(live, live.for_you(seeds(live), 5)) == list(wanted(live))
    assert len(live.trending(5).products) <= 1


def test_without_a_snapshot_the_tail_alone_answers() -> None:
    index = ProductIndex()
    live = LiveModels(None, Tail(index), index)
    assert len(live.popular(None, 5).products) == 0
    assert len(live.bought_together(Seeds(np.array([3, -1], np.int32), np.ones(2)), 5).products) == 0


def test_evidence_is_orders_in_common_and_lift_over_chance() -> None:
    events = [order(f"t{n}", "ab") for n in range(10)] + [order(f"x{n}", "cd") for n in range(30)]
    live = trained(*events, *(order(f"a{n}", "ae") for n in range(2)), *(order(f"b{n}", "b") for n in range(8)))
    assert together(live, "a")["b"][:2] == (10, pytest.approx(10 * 50 / (12 * 18)))


def test_two_lucky_orders_never_win() -> None:
    events = [order(f"t{n}", "ab") for n in range(2)] + [order(f"x{n}", "cd") for n in range(200)]
    assert together(trained(*events), "a") == {}


def test_what_everybody_buys_is_no_complement_of_anything() -> None:
    events = [order(f"x{n}", "zb" if n % 2 else "zc") for n in range(200)] + [order(f"t{n}", "zab") for n in range(12)]
    assert list(together(trained(*events), "a")) == ["b"]


def test_a_cart_is_answered_by_its_strongest_product() -> None:
    events = [order(f"t{n}", "ab") for n in range(20)] + [order(f"u{n}", "cd") for n in range(10)]
    live = trained(*events, *(order(f"x{n}", "xy") for n in range(100)))
    found = live.bought_together(seeds(live, "a", "c"), 5)
    because = [live.tail.index.product_id(number) for number in found.because]
    assert dict(zip(products_of(live, found), because, strict=True)) == {"b": "a", "d": "c"}


def test_a_person_who_looks_all_day_counts_once_a_day() -> None:
    live = trained(*(view("a", n / 100, "ann") for n in range(40)), view("b", 0.1, "ann"), view("b", 0.2, "bob"))
    assert list(wanted(live)) == ["b", "a"]


def test_popularity_is_what_a_count_of_every_fact_gives() -> None:
    """Three times a day, with days so old that they weigh nothing; each product is done another thing with."""
    moments = [250_000 * day + 100 * at for day in range(12) for at in range(3)]
    shop = shop_of([(who, kind, moment, -1) for moment in moments for who in range(3) for kind in range(4)], 4)
    shop = replace(shop, kind=shop.product.astype(np.int8))
    weights = decay_table(1)
    ages = [shop.reference_day - moment // DAY_S for moment in moments]
    assert max(ages) >= len(weights)
    told = [KIND_UNITS[kind] * 3 * sum(int(weights[age]) for age in ages if age < len(weights)) for kind in range(4)]
    expected = [count if kind == ORDER else count // 3 for kind, count in enumerate(told)]
    found = popularity.fit(shop, PopularityConfiguration(level_half_life_days=1, recent_half_life_days=1))
    assert found["level"].tolist() == found["recent"].tolist() == expected


def test_popularity_fades_and_categories_hold_their_branches() -> None:
    old, new, other = (
        upserted(titled(name, name, category=path))
        for name, path in (("old", ("Home", "Cups")), ("new", ("Home", "Mugs")), ("odd", ("Garden",)))
    )
    events = [old, new, other]
    events += [view("old", 0, f"s{n}") for n in range(10)] + [view("new", 90, f"s{n}") for n in range(5)]
    live = trained(*events, view("odd", 90))
    assert products_of(live, live.popular(None, 9)) == ["new", "old", "odd"]
    assert products_of(live, live.popular(("Home",), 9)) == ["new", "old"]
    assert products_of(live, live.popular(("Home", "Cups"), 9)) == ["old"]
    assert products_of(live, live.popular(("Nowhere",), 9)) == []


def test_what_was_looked_at_in_one_visit_is_similar() -> None:
    events = [view(product, n + at / 1000, f"s{n}") for n in range(5) for at, product in enumerate("ab")]
    live = trained(*events, *(view("c", n + 0.5, f"s{n}") for n in range(5)))
    assert products_of(live, live.similar(seeds(live, "a"), 5))[0] == "b"


def _catalogue() -> list[Product]:
    return [
        titled("red", "Red Lunch Bag", price=Decimal("2.00")),
        titled("blue", "Blue Lunch Bags", price=Decimal("2.10")),
        titled("box", "Lunch Box Red", price=Decimal("2.00")),
        titled("lamp", "Red Desk Lamp", price=Decimal("20.00")),
        titled("s", "Summer Shirt", item_group_id="shirt"),
        titled("m", "Shirt for Summer in Blue", item_group_id="shirt"),
        titled("shirt", "Winter Shirt"),
    ]


def test_substitutes_share_words_and_other_styles_share_all_but_the_colour() -> None:
    live = trained(*(upserted(product) for product in _catalogue()))
    assert products_of(live, live.similar(seeds(live, "red"), 9))[:2] == ["blue", "box"]
    assert products_of(live, live.other_styles(seeds(live, "red"), 9)) == ["blue"]
    assert products_of(live, live.other_styles(seeds(live, "s"), 9))[0] == "m"


def test_a_product_newer_than_the_snapshot_has_neighbours_from_its_words() -> None:
    snapshot = fit_in_memory([upserted(product) for product in _catalogue()], TrainingConfiguration())
    index = ProductIndex()
    tail = Tail(index, snapshot)
    new = titled("new", "Green Lunch Bag", price=Decimal("2.05"))
    number = index.add(new.product_id)
    live = LiveModels(snapshot, tail, index, lambda product: new if product == number else None)
    assert set(products_of(live, live.similar(seeds(live, "new"), 2))) == {"blue", "red"}
    assert products_of(live, live.neighbours_of_text(new, 3))[2] == "box"


def test_a_person_gets_partners_and_neighbours_of_what_they_took_each_with_its_reason() -> None:
    events: list[Event] = [upserted(product) for product in _catalogue()]
    events += [order(f"t{n}", ["red", "lamp"]) for n in range(20)] + [order(f"x{n}", "xy") for n in range(100)]  # type: ignore[arg-type]
    live = trained(*events)
    found = live.for_you(seeds(live, "red"), 9)
    assert {"lamp", "blue", "box"} <= set(products_of(live, found))
    assert "red" not in products_of(live, found)
    assert live.tail.index.product_id(found.because[0]) == "red"
    assert (np.diff(found.scores) <= 0).all()
