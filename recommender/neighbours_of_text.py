"""Neighbours of a product the snapshot has never seen, from its own words: a shop's new product has a row at once."""

from __future__ import annotations

import threading
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.products import Product
from ingest.vocabulary.ranking import Candidates, IntVector
from recommender.models.similar import price_of, weigh, words_of
from recommender.snapshot import Snapshot
from recommender.text import COLOURS

POSTINGS_MAX = 20_000  # products looked at for one answer; the rarest words come first


class TextNeighbours:
    """The word vectors of a snapshot, asked for one text at a time. Any thread may ask."""

    def __init__(self, snapshot: Snapshot | None, index_of_row: IntVector) -> None:
        self._snapshot, self._index_of_row = snapshot, index_of_row
        self._number: dict[str, int] | None = None
        self._lock = threading.Lock()

    def neighbours(self, product: Product, limit: int, *, styles: bool) -> Candidates:
        """The nearest products by words and price, best first; `styles` leaves the colours out.

        Cost: linear in the postings of its words, at most `POSTINGS_MAX`.
        """
        snapshot = self._snapshot
        if snapshot is None:
            return _nothing()
        configuration = msgspec.convert(snapshot.unpack("configuration", dict[str, Any])["similar"], dict[str, Any])
        counts = {word: share for word, share in words_of(product) if not (styles and word in COLOURS)}
        vector = weigh(counts, self._words(snapshot), snapshot["similar.word_weight"])
        rows, dots = _dots(snapshot, vector)
        if not len(rows):
            return _nothing()
        length = float(np.sqrt(float(sum(weight * weight for weight in vector.values()))))
        scores = dots / (length * snapshot["similar.word_length"][rows])
        least = float(configuration["styles_cosine_min"]) if styles else 0.0
        scores = np.where(scores >= least, scores * _nearness(product, snapshot["similar.price"][rows]), 0.0)
        best = np.lexsort((rows, -scores))[:limit]
        best = best[scores[best] > 0.0]
        found = self._index_of_row[rows[best]]
        zeros = np.zeros(len(found))
        because = np.full(len(found), -1, np.int32)
        return Candidates("similar", found, scores[best], because, zeros.astype(np.int64), zeros)

    def _words(self, snapshot: Snapshot) -> dict[str, int]:
        if self._number is None:
            with self._lock:
                names = snapshot.unpack("similar.word_names", list[str])
                self._number = {name: at for at, name in enumerate(names)}
        return self._number


def _dots(snapshot: Snapshot, vector: dict[int, int]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Rows that share a word with a vector, ascending, and the products of the vectors."""
    start, having, weights = (snapshot[f"similar.{name}"] for name in ("having_start", "having", "having_weight"))
    rows: list[NDArray[np.int32]] = []
    products: list[NDArray[np.int64]] = []
    looked_at = 0
    for word in sorted(vector, key=lambda word: (start[word + 1] - start[word], word)):
        first, last = int(start[word]), int(start[word + 1])
        looked_at += last - first
        if rows and looked_at > POSTINGS_MAX:
            break
        rows.append(having[first:last])
        products.append(weights[first:last] * vector[word])
    if not rows:
        return np.zeros(0, np.int32), np.zeros(0, np.int64)
    unique, place = np.unique(np.concatenate(rows), return_inverse=True)
    dots = np.zeros(len(unique), np.int64)
    np.add.at(dots, place, np.concatenate(products))
    return unique, dots


def _nearness(product: Product, prices: NDArray[np.float64]) -> NDArray[np.float64]:
    """How near prices are: 1 where equal or unknown, down to 0.75."""
    price = price_of(product)
    known = (prices > 0.0) & (price > 0.0)
    larger = np.maximum(np.where(known, prices, 1.0), price if price > 0.0 else 1.0)
    smaller = np.minimum(np.where(known, prices, 1.0), price if price > 0.0 else 1.0)
    result: NDArray[np.float64] = np.where(known, 0.75 + 0.25 * smaller / larger, 1.0)
    return result


def _nothing() -> Candidates:
    none = np.zeros(0)
    return Candidates("similar", none.astype(np.int32), none, none.astype(np.int32), none.astype(np.int64), none)
