"""Contexts: what was looked at in one visit, and what one person took over time, as groups of products.

A visit is strong evidence of a substitute: shoppers compare. A person's history is weak evidence of kinship, and all
there is where neither titles nor visits are known.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ranking import CountVector, FloatVector, IntVector
from recommender.decay import ONE, SIZE_MAX, size_damping
from recommender.histories import Kinds, Times, begins_of, grouped, newest_of_each, since_first
from recommender.interactions import ORDER, Interactions
from recommender.kernels.ordering import count_keys

VISIT_PRODUCTS_MAX = 50  # the newest of a visit; crawlers look at everything
PERSON_PRODUCTS_MAX = 100  # the newest of a person, for the same reason
_PERSON_SHARE = 8  # a shared person weighs an eighth of a shared visit
_SHRINK = 3.0
_ONE_CUBE_ROOT = 256.0  # three norms divide a fixed-point weight
assert _ONE_CUBE_ROOT**3 == ONE


class Groups(NamedTuple):
    """Groups of products: how large each is, and the members of all, one group behind the other."""

    size: CountVector
    member: IntVector


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

    Cost: a few passes ; memory: 20 bytes an interaction, and as many more for a moment.
    """
    person, time_s = interactions.person[interactions.subject], since_first(interactions.time_s)
    told = _Columns(person, time_s, interactions.product, interactions.kind)
    products = len(interactions.products)
    return _grouped(_visits(told, gap_s, products), _people(told, products), products)


class _Columns(NamedTuple):
    """Interactions in order of time."""

    person: IntVector
    time_s: Times
    product: IntVector
    kind: Kinds

    def by_person(self) -> IntVector:
        """Their places in order of person and time."""
        return grouped(self.person, 1 + int(self.person.max(initial=-1))).entry


def _visits(told: _Columns, gap_s: int, products: int) -> Groups:
    entry = told.by_person()
    entry = entry[told.kind[entry] != ORDER]
    begin = begins_of(told.person, told.time_s, entry, gap_s)
    return _newest(begin, told.product[entry], products, VISIT_PRODUCTS_MAX)


def _people(told: _Columns, products: int) -> Groups:
    entry = told.by_person()
    begin = begins_of(told.person, told.time_s, entry, None)
    return _newest(begin, told.product[entry], products, PERSON_PRODUCTS_MAX)


def _newest(begin: CountVector, product: IntVector, products: int, limit: int) -> Groups:
    """The last `limit` different products of each group, ascending; groups of one are left out."""
    start, entry = newest_of_each(np.append(begin, len(product)), product, products, limit)
    size = np.diff(start)
    kept = size > 1
    return Groups(size[kept], product[entry[np.repeat(kept, size)]])


def _grouped(visits: Groups, people: Groups, products: int) -> Contexts:
    size = np.concatenate((visits.size, people.size))
    member = np.concatenate((visits.member, people.member))
    if not len(size):
        return Contexts.none(products)
    member_start = np.concatenate(([0], np.cumsum(size))).astype(np.int64)
    start, entry = grouped(member, products)
    in_visits = np.zeros(products, np.int64)
    count_keys(visits.member, in_visits)
    total = in_visits * (_PERSON_SHARE - 1) + np.diff(start)  # a visit weighs so much, a person 1
    root = np.sqrt(np.sqrt(np.sqrt(total / _PERSON_SHARE + _SHRINK)))
    share = np.repeat(np.array([_PERSON_SHARE, 1]), [len(visits.size), len(people.size)])
    return Contexts(
        start=start,
        group=np.repeat(np.arange(len(size), dtype=np.int32), size)[entry],
        member_start=member_start,
        member=member,
        weight=size_damping()[np.minimum(size, SIZE_MAX)] * share // _PERSON_SHARE,
        norm=root * root * root * _ONE_CUBE_ROOT,
    )
