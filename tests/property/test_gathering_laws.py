"""Candidates against a recount: what each component adds, what is kept, and that nothing is left in the scratch."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.candidates.lists import material_of
from recommender.candidates.plan import (
    COMPONENTS,
    FAMILIARITY,
    HISTORIES,
    LISTS,
    Asking,
    Plan,
    PopularityConfiguration,
    SessionsConfiguration,
)
from recommender.candidates.stores import FEATURES, new_scratch, shared_arrays, stores_of
from recommender.histories import Histories
from recommender.interactions import Interactions
from recommender.kernels.collecting import Scratch, Stores
from recommender.kernels.gathering import (
    ALIVE,
    DUE,
    DUE_MAX,
    FAMILIAR,
    FRESH,
    PER_COMPONENT,
    RATE,
    SEEN,
    TIMES_SEEN,
    TOP,
    gather,
    logarithm,
)
from recommender.kernels.selecting import keep_largest, order_best, push_best
from recommender.models.neighbours import Neighbours, nothing
from recommender.models.steps import StepsConfiguration, half_life_table, steps
from tests.support.browsing import NEXT_ITEM, Row, rows_of, shop_of

PRODUCTS = 10
SESSIONS = SessionsConfiguration(newest=5, neighbours=3, entry_decay=0.6, recency=0.3)
ASKING = (
    Asking(decay=0.5),
    Asking(decay=0.9, depth=2),
    Asking(decay=1.0, half_life_s=2000, depth=50),
    *(Asking(),) * (COMPONENTS - 4),
    Asking(decay=0.6, depth=3),
)
PLAN = Plan(
    visit_gap_s=1500,
    sessions=SESSIONS,
    asking={NEXT_ITEM: ASKING},
    popularity=PopularityConfiguration(half_life_s=4000, kept=4),
    blend={NEXT_ITEM: (0.5, 0.25, 1.0, *(0.0,) * (COMPONENTS - 4), 0.75, 0.5, 0.125)},
)
seeds = st.integers(0, 2**31 - 1)


class World(NamedTuple):
    """A small shop's stores, and what they were made of."""

    lists: dict[str, Neighbours]
    interactions: Interactions
    visits: Histories
    stores: Stores
    scratch: Scratch


def world_of(rows: list[Row]) -> World:
    material = material_of(shop_of(rows, PRODUCTS), PLAN.visit_gap_s)
    lists = {name: nothing(PRODUCTS) for name in LISTS}
    for name in LISTS[:3]:
        lists[name] = steps(*material.units(PLAN), StepsConfiguration(window=3, decay=0.7, back=float(name != "next")))
    stores = stores_of(shared_arrays(lists, material, PLAN), PLAN, NEXT_ITEM)
    return World(lists, material.interactions, material.visits, stores, new_scratch(stores))


class Found(NamedTuple):
    """What `gather` said."""

    row: list[int]
    score: list[float]
    because: list[int]
    features: np.ndarray


def gathered(world: World, product: list[int], time_s: list[int], excluded: tuple[int, ...] = ()) -> Found:
    row, score, because = np.zeros(PRODUCTS, np.int32), np.zeros(PRODUCTS, np.float32), np.zeros(PRODUCTS, np.int32)
    features = np.full((PRODUCTS, FEATURES), np.nan, np.float32)
    now_s = time_s[-1] if time_s else 0
    count = gather(
        np.array(product, np.int32),
        np.array(time_s, np.int64),
        now_s,
        np.zeros(0, np.int32),
        np.array(excluded, np.int32),
        world.stores,
        world.scratch,
        row,
        score,
        because,
        features,
    )
    return Found(row[:count].tolist(), score[:count].tolist(), because[:count].tolist(), features[:count])


def positions(product: list[int]) -> dict[int, int]:
    """Each product with how far back it is for the first time, newest first."""
    found: dict[int, int] = {}
    for back, each in enumerate(reversed(product)):
        found.setdefault(each, back)
    return found


def weight_of(asking: Asking, back: int, age_s: int) -> float:
    table, step_s = half_life_table(asking.half_life_s)
    at = age_s // step_s if step_s else 0
    return float(np.float32(asking.decay)) ** back * (float(table[at]) if at < len(table) else 0.0)


def recount_list(which: int, world: World, product: list[int], time_s: list[int]) -> dict[tuple[int, int], float]:
    """What each product of the history adds to each candidate."""
    lists, asking = world.lists[LISTS[which]], ASKING[which]
    added: dict[tuple[int, int], float] = {}
    for here, back in list(positions(product).items())[: asking.depth]:
        weight = weight_of(asking, back, time_s[-1] - time_s[len(product) - 1 - back])
        for near in range(lists.start[here], lists.start[here + 1]):
            added[here, int(lists.row[near])] = weight * float(lists.score[near])
    return added


def recount_repetition(product: list[int], time_s: list[int]) -> dict[int, tuple[float, int, int]]:
    """What each product's repetitions add up to, and how many moments ago it was taken last and first."""
    moments = sorted(set(time_s), reverse=True)
    back = [moments.index(each) for each in time_s]
    ages = {each: [age for age, other in zip(back, product, strict=True) if other == each] for each in product}
    return {each: (sum(FAMILIARITY**age for age in own), min(own), max(own)) for each, own in ages.items()}


def recount_popularity(world: World, half_life_s: int, kept: int) -> np.ndarray:
    """Decayed counts of those that are more popular than the first there is no room for."""
    interactions, counts = world.interactions, np.zeros(PRODUCTS)
    table, step_s = half_life_table(half_life_s)
    for product, time_s in zip(interactions.product.tolist(), interactions.time_s.tolist(), strict=True):
        age = (interactions.reference_s - time_s) // step_s
        counts[product] += float(table[age]) if age < len(table) else 0.0
    counts = counts.astype(np.float32)
    return np.where(counts > np.sort(counts)[::-1][kept], counts, 0)


def recount_histories(world: World, product: list[int], time_s: list[int]) -> dict[int, float]:
    """The nearest visits by the definition, sums rounded as they are kept."""
    visits, asking = world.visits, ASKING[HISTORIES]
    inside = [set(visits.product[visits.unit == unit].tolist()) for unit in range(len(visits))]
    rarity = [math.log((len(visits) + 1) / (sum(each in one for one in inside) + 1)) for each in range(PRODUCTS)]
    rarity = [float(np.float32(round(each, 4))) for each in rarity]
    nearness: dict[int, np.float32] = {}
    matched: dict[int, int] = {}
    for here, back in list(positions(product).items())[: asking.depth]:
        weight = weight_of(asking, back, time_s[-1] - time_s[len(product) - 1 - back]) * rarity[here]
        entries = np.flatnonzero(visits.product == here)[-SESSIONS.newest :]
        for unit in sorted(set(visits.unit[entries].tolist()), reverse=True):
            alike = np.float32(weight * float(world.stores.recency[unit]))
            if alike > 0:
                matched.setdefault(unit, int(entries[visits.unit[entries] == unit].max()))
                nearness[unit] = np.float32(nearness.get(unit, np.float32(0)) + alike)
    used = sorted(nearness, key=lambda unit: (nearness[unit], unit), reverse=True)[: SESSIONS.neighbours]
    total: dict[int, float] = defaultdict(float)
    for unit in used:
        for entry in range(visits.start[unit], visits.start[unit + 1]):
            step = abs(entry - matched[unit])
            if step:
                there = int(visits.product[entry])
                total[there] += float(nearness[unit]) * SESSIONS.entry_decay**step * rarity[there]
    return total


@settings(max_examples=60)
@given(seeds, st.integers(1, 25), st.lists(st.integers(0, PRODUCTS - 1), max_size=12), st.booleans(), st.integers(1, 4))
def test_every_component_is_a_recount_and_nothing_is_left_in_the_scratch(
    seed: int, subjects: int, product: list[int], repeats: bool, at_once: int
) -> None:
    rows = rows_of(seed, subjects, 3 if repeats else PRODUCTS)
    world = world_of(rows)
    time_s = [1000 * (at // at_once) for at in range(len(product))]
    excluded = tuple(product[:2])
    found = gathered(world, product, time_s, excluded)
    totals = np.zeros((COMPONENTS + 2, PRODUCTS))
    added = [recount_list(which, world, product, time_s) for which in range(3)]
    for which in range(3):
        for (_, there), value in added[which].items():
            totals[which, there] += value
    for there, value in recount_histories(world, product, time_s).items():
        totals[HISTORIES, there] = value
    again = recount_repetition(product, time_s)
    for there, (familiar, _, _) in again.items():
        totals[COMPONENTS, there] = familiar
    if product:
        totals[COMPONENTS + 1] = recount_popularity(world, 4000, 4)
    totals[:, list(excluded)] = 0.0
    best = totals.max(axis=1, keepdims=True)
    shares = np.divide(totals, best, out=np.zeros_like(totals), where=best > 1e-30)
    blended = np.array(PLAN.blend[NEXT_ITEM]) @ shares
    assert set(found.row) == set(np.flatnonzero(blended > 0).tolist())
    assert found.score == pytest.approx(blended[found.row], rel=1e-4)
    assert sorted(zip((-each for each in found.score), found.row, strict=True)) == [
        (-score, row) for score, row in zip(found.score, found.row, strict=True)
    ]
    for at, row in enumerate(found.row):
        told = found.features[at, : PER_COMPONENT * COMPONENTS : PER_COMPONENT]
        assert told == pytest.approx(shares[:COMPONENTS, row], rel=1e-4, abs=1e-6)
        _assert_repetition(
            found.features[at, PER_COMPONENT * COMPONENTS :],
            product.count(row),
            again.get(row),
            shares[COMPONENTS, row],
        )
        _assert_because(found.because[at], row, added, world)
        assert found.features[at, PER_COMPONENT * COMPONENTS + TOP] == pytest.approx(shares[-1, row], rel=1e-4)
        fresh, alive = found.features[at, PER_COMPONENT * COMPONENTS :][[FRESH, ALIVE]].tolist()
        era = int((world.stores.moments <= (time_s[-1] if time_s else 0)).sum())
        assert (fresh, alive) == (world.stores.fresh[row], world.stores.alive[row, era])
    assert np.isfinite(found.features).all()
    for array in (
        world.scratch.slot,
        world.scratch.place_of,
        world.scratch.totals,
        world.scratch.value,
        world.scratch.nearness,
    ):
        assert not array.any(), "scratch is zero between queries"
    assert gathered(world, product, time_s, excluded).score == found.score


def _assert_repetition(told: np.ndarray, times: int, again: tuple[float, int, int] | None, share: float) -> None:
    """What the history says of a product itself, by the definitions."""
    assert (told[SEEN], told[TIMES_SEEN]) == (times > 0, times)
    assert told[FAMILIAR] == pytest.approx(share, rel=1e-4, abs=1e-6)
    _, latest, earliest = again or (0.0, 0, 0)
    assert told[RATE] == pytest.approx(times / (earliest + 1), rel=1e-5)
    interval = (earliest - latest) / (times - 1) if times > 1 else 0
    assert told[DUE] == pytest.approx(min((latest + 1) / interval, DUE_MAX) if interval else 0, rel=1e-5)


def _assert_because(because: int, row: int, added: list[dict[tuple[int, int], float]], world: World) -> None:
    """It is the product of the history whose single list says most for the candidate."""
    loud: dict[int, float] = defaultdict(float)
    for which in range(3):
        share = PLAN.blend[NEXT_ITEM][which] / float(world.stores.typical[which])
        for (here, there), value in added[which].items():
            if there == row and value > 0:
                loud[here] = max(loud[here], share * value)
    if not loud:
        assert because == -1
    else:
        assert loud[because] == pytest.approx(max(loud.values()), rel=1e-5)


def test_a_product_in_all_histories_says_nothing_about_them_however_often_it_is_in_one() -> None:
    world = world_of([(who, each, 10 * at + 5 * who, -1) for who in range(3) for at, each in enumerate((0, 0, 0, who))])
    assert world.stores.rarity[0] == 0.0
    assert (world.stores.rarity >= 0).all()
    found = gathered(world, [0], [0])
    assert not found.features[:, PER_COMPONENT * HISTORIES].any()


def test_a_history_of_hundreds_of_repeats_has_finite_features() -> None:
    world = world_of([(0, 1, 0, -1), (0, 2, 1, -1), (1, 3, 0, -1)])
    for repeats in (100, 125, 150, 400):
        found = gathered(world, [1] + [9] * repeats, list(range(repeats + 1)))
        assert np.isfinite(found.features).all()
        assert np.isfinite(found.score).all()
        assert 9 in found.row


@given(st.lists(st.integers(0, 6), max_size=60), st.integers(1, 70), seeds)
def test_the_largest_are_those_of_sorting_whatever_the_order(values: list[int], limit: int, seed: int) -> None:
    value = np.array(values, np.float32)
    items = np.random.default_rng(seed).permutation(len(values)).astype(np.int32)
    expected = sorted(range(len(values)), key=lambda item: (value[item], item), reverse=True)[:limit]
    kept = keep_largest(value, items, len(items), limit)
    assert set(items[:kept].tolist()) == set(expected)
    assert sorted(items.tolist()) == list(range(len(values))), "none is lost"


@given(st.lists(st.integers(0, 5), max_size=40), st.integers(1, 12), seeds)
def test_the_best_are_those_of_sorting_with_ties_by_row(values: list[int], limit: int, seed: int) -> None:
    # The smallest differences are below what float32 keeps: they are ties.
    scores = 1.0 + np.array(values) // 2 * 0.5 + np.array(values) % 2 * 1e-12
    rows, kept = np.zeros(limit, np.int32), np.zeros(limit, np.float32)
    count = 0
    for row in np.random.default_rng(seed).permutation(len(values)).tolist():
        count = push_best(rows, kept, count, limit, row, float(scores[row]))
    order_best(rows, kept, count)
    rounded = scores.astype(np.float32)
    expected = sorted(range(len(values)), key=lambda row: (-rounded[row], row))[:limit]
    assert rows[:count].tolist() == expected
    assert kept[:count].tolist() == rounded[expected].tolist()


@given(st.floats(1e-3, 20.0))
def test_a_logarithm_is_one_to_a_millionth(value: float) -> None:
    assert logarithm(value) == pytest.approx(math.log(value), abs=1e-6)
