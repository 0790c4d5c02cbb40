"""Related products where neither orders nor words say enough: one list out of what the ranker's candidates come from.

The same customers, the same orders and factors that point the same way relate products; which of the related stand in
for each other and which go together, nothing in a log says outright. What goes with a product may be far better known
than it is, a staple goes with everything; what may stand in for it is a peer. So likeness in how often two products
are taken tells the one from the other. Figures: docs/decisions/0015.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.candidates.plan import LISTS
from recommender.interactions import Interactions
from recommender.kernels.blending import blend_lists
from recommender.models.neighbours import Neighbours
from recommender.models.steps import lists_of

WEIGHTS = {"kin": 1.0, "latent": 1.0, "stroll": 0.5, "baskets": 0.5}
"""What each list adds: first-hand and learned evidence in full, two steps and rarer evidence half."""
KEPT = 100
_SHRINK = 5.0  # how often products are taken is known to some five times

Arrays = dict[str, NDArray[Any]]


def fit(
    ranking: Mapping[str, NDArray[Any]], similar: Mapping[str, NDArray[Any]], interactions: Interactions, threads: int
) -> Arrays:
    """What else goes with a product, and its substitutes where products say nothing of themselves.

    Args:
        ranking: the arrays of the rankers; similar: those of `models.similar`.

    Returns:
        related.start, related.row, related.score: for behind what is bought together.
        similar.similar_start, …: as given, but for products without a single word.

    Cost: some 3 µs a product; memory: 800 bytes a product.
    """
    products = len(interactions.products)
    by_words = Neighbours(*(similar[f"similar_{name}"] for name in Neighbours._fields))
    together = blended(ranking, np.ones(products, np.float32), threads)
    peers = blended(ranking, standing_of(interactions), threads)
    wordless = (similar["word_length"] == 0) & (np.diff(peers.start) > 0)
    substitutes = either(by_words, peers, wordless)
    return {
        **{f"related.{name}": part for name, part in together._asdict().items()},
        **{f"similar.similar_{name}": part for name, part in substitutes._asdict().items()},
    }


def blended(ranking: Mapping[str, NDArray[Any]], standing: NDArray[np.float32], threads: int = 1) -> Neighbours:
    """The lists of `WEIGHTS` as one; scores are shares of the most there could be, in (0, 1]."""
    chosen = [LISTS.index(name) for name in WEIGHTS]
    start = np.ascontiguousarray(ranking["list_start"][chosen])
    rows, scores = ranking["list_row"], ranking["list_score"]
    share = (np.array(list(WEIGHTS.values())) / sum(WEIGHTS.values())).astype(np.float32)

    def fill(wanted: NDArray[Any], work: tuple[Any, Any], out: tuple[Any, ...]) -> None:
        arguments: list[Any] = [wanted, start, rows, scores, share, standing, *work, *out]
        blend_lists(*arguments)

    return lists_of(len(standing), fill, KEPT, threads, None)


def standing_of(interactions: Interactions) -> NDArray[np.float32]:
    """(products,) the fourth root of how often each is taken; roots alone, which machines agree on."""
    taken = np.bincount(interactions.product, minlength=len(interactions.products))
    root: NDArray[np.float32] = np.sqrt(np.sqrt(taken + _SHRINK)).astype(np.float32)
    return root


def either(first: Neighbours, second: Neighbours, is_second: NDArray[np.bool_]) -> Neighbours:
    """Each product's list from the one or the other."""
    size = np.where(is_second, np.diff(second.start), np.diff(first.start))
    begin = np.where(is_second, second.start[:-1] + len(first.row), first.start[:-1])
    start = np.concatenate(([0], np.cumsum(size))).astype(np.int64)
    entry = np.arange(start[-1]) + np.repeat(begin - start[:-1], size)
    return Neighbours(
        start, np.concatenate((first.row, second.row))[entry], np.concatenate((first.score, second.score))[entry]
    )
