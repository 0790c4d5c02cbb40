"""Contexts: what was looked at in one visit, and what one person took over time, as groups of products.

A visit is strong evidence of a substitute: shoppers compare. A person's history is weak evidence of kinship, and all
there is where neither titles nor visits are known.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ranking import CountVector, FloatVector, IntVector
from recommender.decay import ONE, SIZE_MAX, size_damping
from recommender.interactions import ORDER, Interactions

VISIT_PRODUCTS_MAX = 50  # the newest of a visit; crawlers look at everything
PERSON_PRODUCTS_MAX = 100  # the newest of a person, for the same reason
_PERSON_SHARE = 8  # a shared person weighs an eighth of a shared visit
_SHRINK = 3.0
_ONE_CUBE_ROOT = 256.0  # three norms divide a fixed-point weight
assert _ONE_CUBE_ROOT**3 == ONE


class Contexts(msgspec.Struct, frozen=True):
    """Products → groups and groups → products as CSR, whole weights (groups,), norms (products,)."""

    start: CountVector
    group: IntVector
    member_start: CountVector
    member: IntVector
    weight: CountVector
    norm: FloatVector

    @property
    def columns(self) -> tuple[NDArray[np.generic], ...]:
        """The arrays in the order the kernel takes them."""
        return (self.start, self.group, self.member_start, self.member, self.weight, self.norm)

    @staticmethod
    def none(products: int) -> Contexts:
        """No groups at all."""
        empty = np.zeros(0, np.int32)
        ends = np.zeros(products + 1, np.int64)
        return Contexts(ends, empty, ends[:1], empty, np.zeros(0, np.int64), np.ones(products))


def contexts_of(interactions: Interactions, gap_s: int) -> Contexts:
    """Visits (interactions of one person without orders, no pause longer than `gap_s`) and people.

    Cost: two sorts of the interactions.
    """
    products = len(interactions.products)
    person = interactions.person[interactions.subject].astype(np.int64)
    browsing = np.flatnonzero(interactions.kind != ORDER)
    by_person = browsing[np.argsort(person[browsing], kind="stable")]
    pause = np.diff(interactions.time_s[by_person]) > gap_s
    visit = np.concatenate(([0], np.cumsum(pause | (np.diff(person[by_person]) != 0))))[: len(by_person)]
    visits = _newest(visit, interactions.product[by_person], VISIT_PRODUCTS_MAX)
    everything = np.argsort(person, kind="stable")
    people = _newest(person[everything], interactions.product[everything], PERSON_PRODUCTS_MAX)
    groups = [(group, _PERSON_SHARE) for group in visits] + [(group, 1) for group in people]
    return _grouped([(group, share) for group, share in groups if len(group) > 1], products)


def _newest(group: NDArray[np.int64], product: IntVector, limit: int) -> list[IntVector]:
    """The last `limit` different products of each group, ascending; rows of one group are adjacent, oldest first."""
    bounds = np.flatnonzero(np.diff(group)) + 1
    result = []
    for part in np.split(product, bounds) if len(product) else []:
        different, from_end = np.unique(part[::-1], return_index=True)
        if len(different) > limit:
            different = np.sort(different[np.argsort(from_end, kind="stable")[:limit]])
        result.append(different)
    return result


def _grouped(groups: list[tuple[IntVector, int]], products: int) -> Contexts:
    if not groups:
        return Contexts.none(products)
    size = np.array([len(group) for group, _ in groups])
    member_start = np.concatenate(([0], np.cumsum(size))).astype(np.int64)
    member = np.concatenate([group for group, _ in groups]).astype(np.int32)
    share = np.array([share for _, share in groups], dtype=np.int64)
    weight = size_damping()[np.minimum(size, SIZE_MAX)] * share // _PERSON_SHARE
    order = np.argsort(member, kind="stable")
    start = np.concatenate(([0], np.cumsum(np.bincount(member, minlength=products)))).astype(np.int64)
    total = np.zeros(products, dtype=np.int64)
    np.add.at(total, member, np.repeat(share, size))
    root = np.sqrt(np.sqrt(np.sqrt(total / _PERSON_SHARE + _SHRINK)))
    return Contexts(
        start=start,
        group=np.repeat(np.arange(len(groups), dtype=np.int32), size)[order],
        member_start=member_start,
        member=member,
        weight=weight,
        norm=root * root * root * _ONE_CUBE_ROOT,
    )
