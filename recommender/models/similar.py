"""Similar: substitutes, from what products say about themselves and from who looked at what in one visit.

Words of the title (singular, and pairs of neighbouring words), category and brand make a vector weighted by how rare
each is; nearness in price and being looked at together add to its cosine. Orders count little here: things bought
together are complements. `other styles` is the same without colour words, variants of one article first.

Source: tf-idf as in Manning, Raghavan, Schütze, "Introduction to Information Retrieval" (2008), ch. 6, with weights
rounded to whole numbers of 1/64, so that sums are exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.products import Product
from ingest.vocabulary.ranking import CountVector, FloatVector, IntVector
from recommender.configuration import SimilarConfiguration
from recommender.interactions import Interactions
from recommender.kernels.counting import rank_similar
from recommender.models import stand_ins
from recommender.models.contexts import Contexts, contexts_of
from recommender.models.neighbours import Neighbours
from recommender.text import COLOURS, MANNERS, colours_of, title_words

Arrays = dict[str, NDArray[Any]]
ROWS_AT_ONCE = 2048

_LOG_STEPS = 4096
_STEP = 64  # word weights are whole numbers of 1 / _STEP
_SHARES = {"word": 4, "pair": 4, "colour": 1, "manner": 2, "category": 3, "brand": 3}  # of four


class Words(msgspec.Struct, frozen=True):
    """Word vectors: product → (word, weight) as CSR, word → (product, weight) as CSR, lengths (products,)."""

    start: CountVector
    word: IntVector
    weight: CountVector
    having_start: CountVector
    having: IntVector
    having_weight: CountVector
    length: FloatVector


class Described(NamedTuple):
    """What follows from the catalogue alone: word vectors, features, other styles and what is of the same kind."""

    names: list[str]
    word_weight: CountVector
    words: Words
    features: tuple[FloatVector, IntVector, IntVector]
    styles: Neighbours
    kinds: Arrays


def described(catalogue: Sequence[Product | None], configuration: SimilarConfiguration, threads: int = 1) -> Described:
    """What products say about themselves.

    Cost: the sum of squared lengths of the words' postings, at most `postings_max` each, twice.
    """
    counts = [dict(words_of(product)) for product in catalogue]
    names, word_weight = _vocabulary(counts, configuration.postings_max)
    words = _vectors(counts, names, word_weight)
    colourless = [{word: share for word, share in count.items() if word not in COLOURS} for count in counts]
    del counts
    plain = _vectors(colourless, names, word_weight)
    del colourless
    prices = np.array([price_of(product) for product in catalogue], dtype=np.float64)
    groups = _numbered([product.item_group_id if product else None for product in catalogue])
    colours = _numbered([" ".join(sorted(colours_of(title_words(p.title)))) if p else None for p in catalogue])
    nowhere = Contexts.none(len(catalogue))
    features = (prices, groups, colours)
    styles = _neighbours(plain, features, nowhere, configuration.styles_tuning, configuration.styles, threads)
    leaves, unpriced = stand_ins.leaves_of(catalogue), np.zeros(len(catalogue))
    by_kind = (unpriced, groups, leaves)
    possible = _neighbours(plain, by_kind, nowhere, stand_ins.tuning_of(configuration), configuration.kept, threads)
    kinds = stand_ins.stand_ins_of(possible, leaves, groups, configuration)
    return Described(names, word_weight, words, features, styles, kinds)


def substitutes(
    told: Described, interactions: Interactions, configuration: SimilarConfiguration, threads: int = 1
) -> Neighbours:
    """Neighbours by words and by being looked at together, those of another kind behind.

    Cost: as `described`, once, and the sum of squared sizes of visits and people, of the newest interactions.
    """
    contexts = contexts_of(interactions, configuration.visit_gap_min * 60)
    tuning, kept = configuration.substitutes_tuning, configuration.kept
    listed = _neighbours(told.words, told.features, contexts, tuning, kept, threads)
    return stand_ins.kinds_first(listed, told.kinds["stand_ins_start"], told.kinds["stand_ins_row"])


def arrays_of(told: Described, similar: Neighbours) -> Arrays:
    """Substitutes and other styles, and the vocabulary to find them for a product that is not in the snapshot.

    Returns:
        similar_start, similar_row, similar_score; styles_start, …: neighbours, best first.
        stand_ins_start, stand_ins_row, stand_ins_near: products of the same kind, ascending; which are nearly equal.
        word_names: MessagePack list of words; word_weight (words,); having_start, having, having_weight: postings;
        word_length, price: (products,).
    """
    return {
        **{f"similar_{name}": column for name, column in similar._asdict().items()},
        **{f"styles_{name}": column for name, column in told.styles._asdict().items()},
        **told.kinds,
        "word_names": np.frombuffer(msgspec.msgpack.encode(told.names), dtype=np.uint8),
        "word_weight": told.word_weight,
        "having_start": told.words.having_start,
        "having": told.words.having,
        "having_weight": told.words.having_weight,
        "word_length": told.words.length,
        "price": told.features[0],
    }


def words_of(product: Product | None) -> Iterator[tuple[str, int]]:
    """The words that describe a product, each with its share of a full weight in quarters."""
    if product is None:
        return
    words = title_words(product.title)
    for word in words:
        yield word, _SHARES["colour" if word in COLOURS else "manner" if word in MANNERS else "word"]
    bare = [word for word in words if word not in COLOURS and word not in MANNERS]
    for first, second in pairwise(bare):
        yield f"{first} {second}", _SHARES["pair"]
    for depth in range(1, len(product.category) + 1):
        yield "c:" + "\x1f".join(product.category[:depth]), _SHARES["category"]
    if product.brand:
        yield "b:" + product.brand.lower(), _SHARES["brand"]


def weigh(counts: Mapping[str, int], number: Mapping[str, int], word_weight: CountVector) -> dict[int, int]:
    """A product's word vector: word number → whole weight. Unknown words are left out."""
    vector = {
        number[word]: int(word_weight[number[word]]) * share // 4 for word, share in counts.items() if word in number
    }
    return {word: weight for word, weight in vector.items() if weight > 0}


def price_of(product: Product | None) -> float:
    """The current price, 0 where unknown."""
    price = product.current_price if product else None
    return float(price) if price is not None and price > 0 else 0.0


def rounded_log(value: float) -> float:
    """The natural logarithm rounded to 1/4096, so that libraries that differ in the last bit agree."""
    return math.floor(math.log(value) * _LOG_STEPS + 0.5) / _LOG_STEPS


def _vocabulary(counts: Sequence[Mapping[str, int]], postings_max: int) -> tuple[list[str], CountVector]:
    """The words on at most `postings_max` products, sorted, with whole weights of rarity."""
    having: dict[str, int] = {}
    for count in counts:
        for word in count:
            having[word] = having.get(word, 0) + 1
    names = sorted(word for word, products in having.items() if products <= postings_max)
    total = max(len(counts), 1)
    weights = [int(rounded_log(1.0 + total / having[word]) * _STEP) for word in names]
    return names, np.array(weights, dtype=np.int64)


def _vectors(counts: Sequence[Mapping[str, int]], names: Sequence[str], word_weight: CountVector) -> Words:
    number = {name: at for at, name in enumerate(names)}
    vectors = [sorted(weigh(count, number, word_weight).items()) for count in counts]
    start = np.concatenate(([0], np.cumsum([len(vector) for vector in vectors]))).astype(np.int64)
    word = np.array([word for vector in vectors for word, _ in vector], dtype=np.int32)
    weight = np.array([weight for vector in vectors for _, weight in vector], dtype=np.int64)
    by_word = np.argsort(word, kind="stable")
    product = np.repeat(np.arange(len(vectors), dtype=np.int32), np.diff(start))
    having_start = np.concatenate(([0], np.cumsum(np.bincount(word, minlength=len(names))))).astype(np.int64)
    squares = np.array([sum(weight * weight for _, weight in vector) for vector in vectors], dtype=np.float64)
    return Words(start, word, weight, having_start, product[by_word], weight[by_word], np.sqrt(squares))


def _numbered(names: Sequence[str | None]) -> IntVector:
    number = {name: at for at, name in enumerate(sorted({name for name in names if name is not None}))}
    return np.array([-1 if name is None else number[name] for name in names], dtype=np.int32)


def _neighbours(
    words: Words,
    shared: tuple[FloatVector, IntVector, IntVector],
    contexts: Contexts,
    tuning: FloatVector,
    kept: int,
    threads: int,
) -> Neighbours:
    products = len(words.length)

    def block(first: int) -> tuple[NDArray[np.generic], ...]:
        last = min(first + ROWS_AT_ONCE, products)
        count, row = np.zeros(last - first, np.int32), np.zeros((last - first, kept), np.int32)
        score = np.zeros((last - first, kept), np.float64)
        vectors = (words.start, words.word, words.weight, words.having_start, words.having, words.having_weight)
        arguments: list[Any] = [*vectors, words.length, *shared, *contexts.columns, tuning, count, row, score]
        rank_similar(first, last, *arguments)
        held = np.arange(kept) < count[:, None]
        return count, row[held], score[held]

    with ThreadPoolExecutor(threads) as pool:
        blocks = list(pool.map(block, range(0, products, ROWS_AT_ONCE)))
    nothing = (np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float64))
    count, row, score = (np.concatenate(parts) for parts in zip(nothing, *blocks, strict=True))
    start = np.concatenate(([0], np.cumsum(count))).astype(np.int64)
    return Neighbours(start, row, score.astype(np.float32))
