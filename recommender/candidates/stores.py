"""The arrays a purpose's candidates come from, as kernels take them, and the scratch of a query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ranking import Purpose
from recommender.candidates.lists import Material
from recommender.candidates.plan import COMPONENTS, LISTS, Plan
from recommender.histories import Histories, Postings, newest, postings_of
from recommender.kernels.gathering import EXTRA, FACTORED, PER_COMPONENT, Scratch, Stores
from recommender.models.factors import Factors
from recommender.models.neighbours import Neighbours
from recommender.models.steps import half_life_table, powers

HISTORY_MAX = 50  # distinct products of a history
FEATURES = PER_COMPONENT * COMPONENTS + EXTRA
FACTORED_AT = PER_COMPONENT * COMPONENTS + FACTORED
_STEPS = 30  # entries further away than that weigh nothing
_MONTH_S = 30 * 86_400

Arrays = dict[str, NDArray[Any]]


def shared_arrays(lists: Mapping[str, Neighbours], material: Material, plan: Plan) -> Arrays:
    """What all purposes share: the lists one behind the other, and the newest histories."""
    behind = np.cumsum([0] + [len(lists[name].row) for name in LISTS])
    histories = newest(material.units(plan)[0], plan.sessions.kept)
    postings = postings_of(histories)
    size = np.maximum(np.diff(histories.start), 1)
    age = np.linspace(plan.sessions.recency, 1.0, len(histories) or 1)[: len(histories)]
    interactions = material.interactions
    counts = np.bincount(interactions.product, minlength=len(interactions.products))
    recent = interactions.time_s > interactions.reference_s - _MONTH_S
    lately = np.bincount(interactions.product[recent], minlength=len(counts))
    return {
        "list_start": np.stack([lists[name].start + behind[at] for at, name in enumerate(LISTS)]),
        "list_row": np.concatenate([lists[name].row for name in LISTS]).astype(np.int32),
        "list_score": np.concatenate([lists[name].score for name in LISTS]).astype(np.float32),
        "list_typical": np.array([_typical(lists[name]) for name in LISTS], np.float32),
        "history_start": histories.start,
        "history_product": histories.product,
        "posting_start": postings.start,
        "posting_entry": postings.entry.astype(np.int32),
        "rarity": _log((len(histories) + 1) / (_holding(histories, postings) + 1)),
        "recency": (age / np.sqrt(size)).astype(np.float32),
        "popular": _log(counts + 1.0),
        "recent": _log(lately + 1.0),
    }


def stores_of(shared: Mapping[str, NDArray[Any]], plan: Plan, purpose: Purpose) -> Stores:
    """The stores of a purpose."""
    asking = plan.asking_for(purpose)
    tables = [half_life_table(each.half_life_s) for each in asking]
    ages = np.zeros((COMPONENTS, max(len(table) for table, _ in tables)), np.float32)
    for at, (table, _) in enumerate(tables):
        ages[at, : len(table)] = table
    start = shared["history_start"]
    sessions = plan.sessions
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
        unit=np.repeat(np.arange(len(start) - 1, dtype=np.int32), np.diff(start)),
        posting_start=shared["posting_start"],
        posting_entry=shared["posting_entry"],
        rarity=shared["rarity"],
        recency=shared["recency"],
        entry_decay=powers(sessions.entry_decay, _STEPS),
        numbers=np.array([sessions.newest, sessions.neighbours], np.int64),
        blend=np.array(plan.blend_for(purpose), np.float32),
        typical=shared["list_typical"],
        popular=shared["popular"],
        recent=shared["recent"],
    )


def factors_of(shared: Mapping[str, NDArray[Any]]) -> Factors:
    """The factors."""
    return Factors(shared["factors_product"], shared["factors_gram"])


def new_scratch(stores: Stores) -> Scratch:
    """Room for a query. Cost: 4 bytes × (components + 1) a product, 12 bytes a history."""
    products, histories = len(stores.popular), len(stores.start) - 1
    return Scratch(
        totals=np.zeros((COMPONENTS + 1, products), np.float32),
        is_found=np.zeros(products, np.bool_),
        found=np.zeros(products, np.int32),
        reason=np.zeros(products, np.float32),
        because=np.zeros(products, np.int32),
        nearness=np.zeros(histories, np.float32),
        matched=np.zeros(histories, np.int32),
        near=np.zeros(histories, np.int32),
        distinct=np.zeros(HISTORY_MAX, np.int32),
        position=np.zeros(HISTORY_MAX, np.int64),
        times=np.zeros(HISTORY_MAX, np.int64),
    )


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
