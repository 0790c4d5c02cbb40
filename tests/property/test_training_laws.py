"""Training as a whole, rankers included: threads, repetition, order of arrival and names change nothing it finds."""

from __future__ import annotations

import random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.vocabulary.events import Event
from ingest.vocabulary.ids import ProductId, Subject
from ingest.vocabulary.ranking import History, IntVector
from recommender.candidates.plan import LEARNED, LISTS
from recommender.configuration import TrainingConfiguration
from recommender.evaluation.answering import models_of
from recommender.interactions import interactions_of
from recommender.live import LiveModels
from recommender.snapshot import Snapshot
from recommender.training import fit, fit_in_memory
from recommender.validation import Validation
from tests.support.logs import logs_and_cuts
from tests.support.ranked_shops import PRODUCTS, renamed, shop

RANKED = TrainingConfiguration(ranker=True)
THREADS = msgspec.structs.replace(RANKED, threads=2)
SEEDS = (1, 2)
BY_ID = ("next", "near", "walk")  # they step through the lines of one order in the order of their ids
ITERATED = "latent"  # fitted from random numbers that belong to rows


def told_otherwise(events: list[Event], seed: int) -> list[Event]:
    """The same facts in another order, some of them twice, under other names of subjects."""
    draw = random.Random(seed)
    facts = [*events, *draw.sample(events, len(events) // 3)]
    draw.shuffle(facts)
    return [_of_others(event) for event in facts]


def _of_others(event: Event) -> Event:
    names = {name: Subject(f"{getattr(event, name)}!") for name in ("subject", "known") if hasattr(event, name)}
    return msgspec.structs.replace(event, **names)


@settings(max_examples=8)
@given(logs_and_cuts(), st.integers(0, 1_000))
def test_threads_order_of_arrival_and_repeated_facts_change_no_byte(drawn: tuple[list[Event], int], seed: int) -> None:
    events, _ = drawn
    once = fit_in_memory(events, RANKED).snapshot_id
    assert fit_in_memory(told_otherwise(events, seed), THREADS).snapshot_id == once


@pytest.mark.parametrize("seed", SEEDS)
def test_a_shop_with_rankers_is_the_same_on_two_threads_and_on_a_second_run(seed: int) -> None:
    events = shop(seed)
    once = fit_in_memory(events, RANKED)
    assert {each for each in LEARNED if f"ranking.{each}.weights" in once} >= {"next_item", "for_you"}
    assert fit_in_memory(events, RANKED).snapshot_id == once.snapshot_id
    assert fit_in_memory(told_otherwise(events, seed), THREADS).snapshot_id == once.snapshot_id


@pytest.mark.parametrize("seed", SEEDS)
def test_ids_in_the_same_order_change_nothing_but_the_ids(seed: int) -> None:
    events = shop(seed)
    plain = fit_in_memory(events, RANKED)
    other = fit_in_memory(renamed(events, {each: f"ü{each}ber 茶" for each in PRODUCTS}), RANKED)
    assert _products(other) == [f"ü{each}ber 茶" for each in _products(plain)]
    different = [name for name, array in _arrays(plain).items() if not np.array_equal(array, _arrays(other)[name])]
    assert different == ["products"]


@pytest.mark.parametrize(("seed", "lines_max"), [(1, 4), (2, 1)])
def test_permuted_ids_get_permuted_lists(seed: int, lines_max: int) -> None:
    """With orders of one line nothing happens at one moment, and every list but the factors' says the same."""
    events = shop(seed, lines_max=lines_max)
    shuffled = random.Random(seed).sample(PRODUCTS, len(PRODUCTS))
    other = dict(zip(PRODUCTS, shuffled, strict=True))
    plain, moved = (_unlearned(each) for each in (events, renamed(events, other)))
    ignored = {ITERATED, *(BY_ID if lines_max > 1 else ())}
    compared = [name for name in LISTS if name not in ignored and len(_listed(plain, name))]
    assert len(compared) >= 3
    for name in compared:
        expected = {(other[first], other[second]): score for (first, second), score in _listed(plain, name).items()}
        assert _listed(moved, name) == pytest.approx(expected, rel=1e-4), name


@pytest.mark.parametrize("seed", SEEDS)
def test_permuted_ids_get_permuted_answers_of_the_models_that_count(seed: int) -> None:
    events = shop(seed)
    other = dict(zip(PRODUCTS, random.Random(seed).sample(PRODUCTS, len(PRODUCTS)), strict=True))
    plain, moved = (models_of(_unlearned(each)) for each in (events, renamed(events, other)))
    for model in ("bought_together", "similar", "other_styles", "popular", "trending", "for_you"):
        for product in PRODUCTS[::4]:
            expected = {other[each]: score for each, score in _scores(plain, model, product).items()}
            assert _scores(moved, model, other[product]) == pytest.approx(expected, rel=1e-5), model


@pytest.mark.parametrize("seed", SEEDS)
def test_a_ranked_product_is_there_because_of_one_of_the_history(seed: int) -> None:
    live = models_of(fit_in_memory(shop(seed), RANKED))
    reasons = 0
    for first in range(len(PRODUCTS) - 2):
        history = _history(first, first + 2)
        for purpose in LEARNED:
            found = live.ranked(purpose, history, 10, history.products[:1])
            assert len(set(found.products.tolist())) == len(found.products) == 10
            assert history.products[0] not in found.products
            assert set(found.because.tolist()) <= {-1, *history.products.tolist()}
            reasons += int((found.because >= 0).sum())
    assert reasons > 100


def _unlearned(events: list[Event]) -> Snapshot:
    """A snapshot whose lists are made as they come: what is held back of an order, say, is drawn by rows."""
    return fit(interactions_of(events), RANKED, Validation("for_you", [], [], []))


def _products(snapshot: Snapshot) -> list[ProductId]:
    products: list[ProductId] = snapshot.unpack("products", list[ProductId])
    return products


def _arrays(snapshot: Snapshot) -> dict[str, np.ndarray]:
    return snapshot._arrays


def _listed(snapshot: Snapshot, name: str) -> dict[tuple[str, str], float]:
    """A list of neighbours by ids."""
    products, start = _products(snapshot), snapshot["ranking.list_start"][LISTS.index(name)]
    row, score = snapshot["ranking.list_row"], snapshot["ranking.list_score"]
    return {
        (products[at], products[row[entry]]): float(score[entry])
        for at in range(len(products))
        for entry in range(start[at], start[at + 1])
    }


def _scores(live: LiveModels, model: str, product: str) -> dict[str, float]:
    row = live.tail.index.find(ProductId(product))
    seeds = np.array([row], np.int32), np.ones(1)
    match model:
        case "popular":
            found = live.popular(None, 500)
        case "trending":
            found = live.trending(500)
        case _:
            found = getattr(live, model)(seeds, 500)
    names = [live.tail.index.product_id(number) for number in found.products]
    return dict(zip(names, found.scores.tolist(), strict=True))


def _history(*products: int) -> History:
    rows: IntVector = np.array(products, np.int32)
    return History(rows, np.arange(len(rows), dtype=np.int64) + 1_299_000_000, np.zeros(len(rows), np.int8))
