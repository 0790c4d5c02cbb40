"""The arrays a purpose's candidates come from, as kernels take them, and the scratch of a query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ranking import CountVector, IntVector, Purpose
from recommender.candidates.lists import Material
from recommender.candidates.plan import COMPONENTS, LISTS, Asking, Plan, PopularityConfiguration, SessionsConfiguration
from recommender.histories import Histories, Postings, newest, postings_of
from recommender.interactions import Interactions
from recommender.kernels.collecting import COLUMNS_BEHIND_LISTS, Scratch, Stores
from recommender.kernels.gathering import EXTRA, PER_COMPONENT
from recommender.models.factors import FOLDED_MAX
from recommender.models.neighbours import Neighbours
from recommender.models.steps import half_life_table, powers

HISTORY_MAX = 200  # distinct products of a history
FEATURES = PER_COMPONENT * COMPONENTS + EXTRA
_STEPS = 30  # entries further away than that weigh nothing
_BLOCK = 1 << 22  # interactions at once
_MOMENTS = 1_000  # further back nothing is familiar any more
_MONTH_S = 30 * 86_400
_ERAS = 8  # as many parts of the interactions, in order of time, tell how alive a product was
_EXPECTED = 0.3  # interactions by which an era's count and what was to be expected are brought nearer to each other
_USUAL = 2.0  # interactions in the middle of time that every product is thought to have

Arrays = dict[str, NDArray[Any]]


def shared_arrays(lists: Mapping[str, Neighbours], material: Material, plan: Plan) -> Arrays:
    """What all purposes share: the lists one behind the other, the newest histories, and what is popular."""
    histories = newest(material.units(plan)[0], plan.sessions.kept)
    arrays = list_arrays([lists[name] for name in LISTS]) | history_arrays(histories)
    return arrays | popularity_arrays(material.interactions) | top_arrays(material.interactions, plan.popularity)


def list_arrays(lists: Sequence[Neighbours]) -> Arrays:
    """Lists one behind the other; one at least."""
    behind = np.cumsum([0] + [len(each.row) for each in lists])
    return {
        "list_start": np.stack([each.start + behind[at] for at, each in enumerate(lists)]),
        "list_row": np.concatenate([each.row for each in lists], dtype=np.int32),
        "list_score": np.concatenate([each.score for each in lists], dtype=np.float32),
        "list_typical": np.array([_typical(each) for each in lists], np.float32),
    }


def history_arrays(histories: Histories) -> Arrays:
    """Histories to be like. Cost: two sorts of their entries."""
    postings = postings_of(histories)
    return {
        "history_start": histories.start,
        "history_product": histories.product,
        "posting_start": postings.start,
        "posting_entry": postings.entry,
        "posting_unit": posting_units(histories.start, postings.entry),
        "rarity": _log((len(histories) + 1) / (_holding(histories, postings) + 1)),
    }


def posting_units(start: CountVector, entry: IntVector) -> IntVector:
    """The history each posting is in."""
    unit = np.repeat(np.arange(len(start) - 1, dtype=np.int32), np.diff(start))
    return unit[entry]


def popularity_arrays(interactions: Interactions) -> Arrays:
    """How often each product was taken, lately, and when. Cost: some passes; 64 bytes a product for a moment."""
    counts = np.bincount(interactions.product, minlength=len(interactions.products))
    recent = interactions.time_s > interactions.reference_s - _MONTH_S
    lately = np.bincount(interactions.product[recent], minlength=len(counts))
    return {"popular": _log(counts + 1.0), "recent": _log(lately + 1.0)} | _times_of(interactions, counts)


def top_arrays(interactions: Interactions, configuration: PopularityConfiguration) -> Arrays:
    """The most popular products, best first, with their decayed counts.

    Equals that would not all have room are left out: which of them are in must not depend on their names.
    Cost: a pass, and 24 bytes an interaction of a block.
    """
    table, step_s = half_life_table(configuration.half_life_s)
    weight_of_age = np.append(table, np.float32(0)).astype(np.float64)
    counts = np.zeros(len(interactions.products))
    for begin in range(0, len(interactions.product), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        age = np.maximum(interactions.reference_s - interactions.time_s[block], 0) // step_s if step_s else 0
        weights = np.broadcast_to(weight_of_age[np.minimum(age, len(table))], interactions.product[block].shape)
        counts += np.bincount(interactions.product[block], weights, minlength=len(counts))
    score = counts.astype(np.float32)
    ranked = np.argsort(-score, kind="stable").astype(np.int32)
    least = score[ranked[configuration.kept]] if len(ranked) > configuration.kept else np.float32(0)
    top = ranked[: configuration.kept]
    top = top[score[top] > least]
    return {"top_row": top, "top_score": score[top]}


def _times_of(interactions: Interactions, counts: CountVector) -> Arrays:
    """When products were taken: by their places among all interactions, so that a shop's pace does not matter."""
    product, time_s, size = interactions.product, interactions.time_s, len(interactions.product)
    begins = np.flatnonzero(np.concatenate((np.ones(min(size, 1), np.bool_), time_s[1:] != time_s[:-1])))
    lengths = np.diff(np.append(begins, size))
    place = np.repeat((begins + lengths / 2) / max(size, 1), lengths)
    fresh = (np.bincount(product, weights=place, minlength=len(counts)) + _USUAL / 2) / (counts + _USUAL)
    moments = time_s[[size * at // _ERAS for at in range(1, _ERAS)]] if size else np.zeros(_ERAS - 1, np.int64)
    era = np.searchsorted(moments, time_s, side="right")
    taken = np.bincount(product * np.int64(_ERAS) + era, minlength=len(counts) * _ERAS).reshape(len(counts), _ERAS)
    expected = np.outer(counts, np.bincount(era, minlength=_ERAS) / max(size, 1))
    alive = _log((taken + _EXPECTED) / (expected + _EXPECTED))
    return {"fresh": np.round(fresh, 4).astype(np.float32), "alive": alive, "moments": moments.astype(np.int64)}


def stores_of(shared: Mapping[str, NDArray[Any]], plan: Plan, purpose: Purpose) -> Stores:
    """The stores of a purpose."""
    return assembled(
        shared, plan.sessions, plan.asking_for(purpose), plan.blend_for(purpose), plan.familiarity_for(purpose)
    )


def assembled(
    shared: Mapping[str, NDArray[Any]],
    sessions: SessionsConfiguration,
    asking: Sequence[Asking],
    blend: Sequence[float],
    familiarity: float,
) -> Stores:
    """Stores of some lists and the histories.

    Args:
        shared: their arrays; those without factors make candidates without features of factors.
        asking: (lists + 1,) how each is asked, the histories last; blend: (lists + 3,), repetition
            and popularity last.
        familiarity: what having taken a product a moment earlier counts less by.
    """
    tables = [half_life_table(each.half_life_s) for each in asking]
    ages = np.zeros((len(asking), max(len(table) for table, _ in tables)), np.float32)
    for at, (table, _) in enumerate(tables):
        ages[at, : len(table)] = table
    start = shared["history_start"]
    size = np.diff(start)
    age = np.linspace(sessions.recency, 1.0, len(size) or 1)[: len(size)]
    return Stores(
        list_start=shared["list_start"],
        list_row=shared["list_row"],
        list_score=shared["list_score"],
        position_decay=np.array([each.decay for each in asking], np.float32),
        age_table=ages,
        age_step_s=np.array([step for _, step in tables], np.int64),
        depth=np.array([each.depth for each in asking], np.int64),
        start=start,
        product=shared["history_product"],
        posting_start=shared["posting_start"],
        posting_entry=shared["posting_entry"],
        posting_unit=shared["posting_unit"],
        rarity=shared["rarity"],
        recency=(age / np.sqrt(np.maximum(size, 1))).astype(np.float32),
        familiarity=powers(familiarity, _MOMENTS),
        entry_decay=powers(sessions.entry_decay, _STEPS),
        numbers=np.array([sessions.newest, sessions.neighbours], np.int64),
        blend=np.array(blend, np.float32),
        typical=shared["list_typical"],
        popular=shared["popular"],
        recent=shared["recent"],
        top_row=shared["top_row"],
        top_score=shared["top_score"],
        fresh=shared["fresh"],
        alive=shared["alive"],
        moments=shared["moments"],
        factors=shared["factors"].reshape(-1) if "factors" in shared else np.zeros(0, np.float32),
    )


def new_scratch(stores: Stores) -> Scratch:
    """Room for a query.

    Memory: 8 bytes a product and 12 a history; 84 more for as many products as one query ever finds, for a system that
    gives memory when it is written to.
    """
    products, histories = len(stores.popular), len(stores.start) - 1
    columns = _in_cache_lines(len(stores.list_start) + COLUMNS_BEHIND_LISTS)
    return Scratch(
        slot=np.zeros(products, np.int32),
        named=np.zeros(products + 1, np.int32),
        totals=np.zeros((products + 1, columns), np.float32),
        because=np.zeros(products + 1, np.int32),
        value=np.zeros(products + 1, np.float32),
        keys=np.zeros(products, np.uint64),
        scale=np.zeros(columns, np.float32),
        coefficient=np.zeros(columns, np.float32),
        nearness=np.zeros(histories, np.float32),
        matched=np.zeros(histories, np.int32),
        near=np.zeros(histories, np.int32),
        distinct=np.zeros(HISTORY_MAX, np.int32),
        position=np.zeros(HISTORY_MAX, np.int64),
        times=np.zeros(HISTORY_MAX, np.int64),
        latest=np.zeros(HISTORY_MAX, np.int64),
        earliest=np.zeros(HISTORY_MAX, np.int64),
        familiar=np.zeros(HISTORY_MAX, np.float32),
        place_of=np.zeros(products, np.int32),
        lower=np.zeros((FOLDED_MAX, FOLDED_MAX)),
        share=np.zeros(FOLDED_MAX),
        person=np.zeros(len(stores.factors) // max(products, 1), np.float32),
    )


def _in_cache_lines(columns: int) -> int:
    """So many floats, rounded up to lines of sixteen."""
    return -(-columns // 16) * 16


def _holding(histories: Histories, postings: Postings) -> NDArray[np.int64]:
    """How many histories each product is in, however often."""
    product, owner = histories.product[postings.entry], histories.unit[postings.entry]
    is_first = (np.diff(product, prepend=-1) != 0) | (np.diff(owner, prepend=-1) != 0)
    return np.bincount(product[is_first], minlength=histories.products)


def _typical(lists: Neighbours) -> float:
    """The mean of the best scores of all lists; 1 where there are none."""
    first = lists.start[:-1][np.diff(lists.start) > 0]
    return float(np.round(lists.score[first].astype(np.float64).mean(), 9)) if len(first) else 1.0


def _log(values: NDArray[Any]) -> NDArray[np.float32]:
    """Logarithms rounded, so that libraries that differ in the last bit agree."""
    rounded: NDArray[np.float32] = np.round(np.log(values), 4).astype(np.float32)
    return rounded
