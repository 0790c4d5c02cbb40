"""Stand-ins: for each product those that are the same kind of thing, so that a shopper takes one or the other.

Variants of one article; in one category, what shares a word that is no colour; where the shop names no category, what
shares half of its words. What the shop keeps in different categories goes together, however alike the titles: a mug
and a plate of one pattern. Words and categories are compared as `models.similar` compares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.products import Product
from ingest.vocabulary.ranking import CountVector, FloatVector, IntVector
from recommender.configuration import SimilarConfiguration
from recommender.models.neighbours import Neighbours

VARIANT, FIRST = 2.0, 10.0  # added for variants of an article; times for its category: both come before all others
OTHER_KIND = 0.25  # a power of two: exact
Arrays = dict[str, NDArray[Any]]


def tuning_of(configuration: SimilarConfiguration) -> FloatVector:
    """What `rank_similar` lists the possible ones by, given `leaves_of` for colours."""
    return np.array([configuration.kind_cosine_min, 0.0, 0.0, VARIANT, FIRST])


def leaves_of(catalogue: Sequence[Product | None]) -> IntVector:
    """A code for each full category path; below 0, and each its own, where a product has none."""
    paths = [product.category if product is not None else () for product in catalogue]
    number = {path: at for at, path in enumerate(sorted(set(paths)))}
    return np.array([number[path] if path else -1 - at for at, path in enumerate(paths)], np.int32)


def stand_ins_of(
    possible: Neighbours, leaves: IntVector, groups: IntVector, configuration: SimilarConfiguration
) -> Arrays:
    """The stand-ins among what `rank_similar` listed.

    Returns:
        stand_ins_start (products + 1,), stand_ins_row: ascending rows of each; stand_ins_near: which of these are all
        but the same, variants or with half the words in common.
    """
    owner = np.repeat(np.arange(len(leaves)), np.diff(possible.start))
    variant = (groups[owner] >= 0) & (groups[owner] == groups[possible.row])
    same = leaves[owner] == leaves[possible.row]
    unknown = (leaves[owner] < 0) | (leaves[possible.row] < 0)
    alike = possible.score >= np.where(same, FIRST, 1.0) * configuration.alike_cosine_min
    kept = variant | same | (unknown & alike)
    order = np.lexsort((possible.row[kept], owner[kept]))
    ends = np.cumsum(np.bincount(owner[kept], minlength=len(leaves)))
    return {
        "stand_ins_start": np.concatenate(([0], ends)).astype(np.int64),
        "stand_ins_row": possible.row[kept][order],
        "stand_ins_near": (variant | alike)[kept][order],
    }


def kinds_first(listed: Neighbours, start: CountVector, rows: IntVector) -> Neighbours:
    """Lists of neighbours with those of another kind counting a quarter, where a product has stand-ins at all."""
    products = len(start) - 1
    owner = np.repeat(np.arange(products), np.diff(listed.start))
    known = np.repeat(np.arange(products), np.diff(start)) * products + rows
    wanted = owner * products + listed.row
    place = np.minimum(np.searchsorted(known, wanted), max(len(known) - 1, 0))
    is_other = (np.diff(start) > 0)[owner]
    is_other[is_other] = known[place[is_other]] != wanted[is_other]
    score = np.where(is_other, OTHER_KIND * listed.score, listed.score).astype(np.float32)
    order = np.lexsort((listed.row, -score, owner))
    return Neighbours(listed.start, listed.row[order], score[order])
