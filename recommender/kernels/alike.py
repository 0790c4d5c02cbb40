"""The products most alike each product, by words and by being looked at together; threads do different products.

What most products have in common tells least and costs most. So words are added up from the rarest on, and when what
the others can still add lifts no further product into the list, only those that may be in it are added up to the end.
The lists are those of adding up everything, to the bit: sums are whole numbers, and what is left out is told by bounds.

Source: Turtle, Flood, "Query evaluation: strategies and optimizations" (1995), whose greatest score of a word is the
bound, and Bayardo, Ma, Srikant, "Scaling up all pairs similarity search" (WWW 2007).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ranking import CountVector, FloatVector, IntVector
from recommender.kernels import part_of_kernel, row_kernel
from recommender.kernels.scoring import insert_ranked, price_factor

Matrix = NDArray[Any]
COSINE_MIN, PRICE, TOGETHER, SAME_GROUP, SAME_COLOUR = range(5)  # of tuning
SURE = 1.0 + 1e-9  # more than the roundings of a bound
ADDED, POSTINGS = range(2)  # columns of Scratch.rest


class Words(NamedTuple):
    """Word vectors: product → (word, weight) as CSR, word → (product, weight) as CSR.

    Attributes:
        length: (products,) Euclidean; reach: (words,) the greatest weight over length that a product has of a word.
    """

    start: CountVector
    word: IntVector
    weight: CountVector
    having_start: CountVector
    having: IntVector
    having_weight: CountVector
    length: FloatVector
    reach: FloatVector


class Features(NamedTuple):
    """(products,) each: 0 for an unknown price; variants share a group, -1 for none; a number for a set of colours."""

    price: FloatVector
    group: IntVector
    colour: IntVector


class Looked(NamedTuple):
    """Products → visits and people, and these → products, as CSR; whole weights (groups,), norms (products,)."""

    start: CountVector
    group: IntVector
    member_start: CountVector
    member: IntVector
    weight: CountVector
    norm: FloatVector


class Scratch(NamedTuple):
    """Zero between products: content, context and seen, by product, share, by word; the others are filled anew."""

    content: CountVector
    context: CountVector
    seen: NDArray[np.bool_]
    touched: IntVector
    worth: FloatVector
    share: CountVector
    place: CountVector
    rest: Matrix


@row_kernel
def rank_similar(
    first: int,
    last: int,
    words: Words,
    features: Features,
    looked: Looked,
    tuning: FloatVector,
    out_count: IntVector,
    out_row: Matrix,
    out_score: Matrix,
) -> None:
    """The lists of the products `first` to `last`.

    Args:
        tuning: least content cosine, weight of price, of contexts, of sharing the group, of sharing the colour.
        out_*: (last - first, kept), best first; `out_count` how many.

    Cost: the lengths of the lists of each product's contexts, and of its words but the commonest.
    """
    products, longest = len(words.length), 1
    for product in range(first, last):
        longest = max(longest, words.start[product + 1] - words.start[product])
    scratch = Scratch(
        np.zeros(products, np.int64),
        np.zeros(products, np.int64),
        np.zeros(products, np.bool_),
        np.empty(products, np.int32),
        np.empty(products),
        np.zeros(len(words.reach), np.int64),
        np.empty(longest, np.int64),
        np.empty((longest + 1, 2)),
    )
    ties = np.empty(out_row.shape[1], np.int32)
    for product in range(first, last):
        touches = _add_contexts(product, looked, scratch)
        touches = _add_words(product, touches, out_row.shape[1], words, features, looked, tuning, scratch)
        out = product - first
        out_count[out] = _list(
            product, touches, words, features, looked, tuning, scratch, ties, out_row[out], out_score[out]
        )


@part_of_kernel
def _add_contexts(product: int, looked: Looked, scratch: Scratch) -> int:
    """Add up what was looked at together with a product; returns how many products that are."""
    context, seen, touched = scratch.context, scratch.seen, scratch.touched
    member_start, member, weight = looked.member_start, looked.member, looked.weight
    touches = 0
    for at in range(looked.start[product], looked.start[product + 1]):
        group = looked.group[at]
        for other in range(member_start[group], member_start[group + 1]):
            partner = member[other]
            if not seen[partner]:
                seen[partner] = True
                touched[touches] = partner
                touches += 1
            context[partner] += weight[group]
    return touches


@part_of_kernel
def _add_words(
    product: int,
    touches: int,
    kept: int,
    words: Words,
    features: Features,
    looked: Looked,
    tuning: FloatVector,
    scratch: Scratch,
) -> int:
    """Add up the words that products have in common with one; returns how many products are left to look at."""
    content, seen, touched, place, rest = scratch.content, scratch.seen, scratch.touched, scratch.place, scratch.rest
    having_start, having, having_weight = words.having_start, words.having, words.having_weight
    count, most = _rarest_first(product, words, scratch), max(1.0, tuning[SAME_COLOUR])
    for at in range(count):
        if features.group[product] < 0 and rest[at, POSTINGS] > touches:
            added, bar = rest[at, ADDED], -1.0
            if added >= tuning[COSINE_MIN]:
                bar = _bar(product, touches, kept, words, features, looked, tuning, scratch)
            if added < tuning[COSINE_MIN] or most * added < bar:
                return _complete(product, touches, at, count, bar, words, looked, tuning, scratch)
        weight, word = words.weight[place[at]], words.word[place[at]]
        for other in range(having_start[word], having_start[word + 1]):
            partner = having[other]
            if not seen[partner]:
                seen[partner] = True
                touched[touches] = partner
                touches += 1
            content[partner] += weight * having_weight[other]
    return touches


@part_of_kernel
def _rarest_first(product: int, words: Words, scratch: Scratch) -> int:
    """A product's words by how many have them; with what each and the following can add to a cosine, and postings."""
    start, having_start, place, rest = words.start[product], words.having_start, scratch.place, scratch.rest
    count = words.start[product + 1] - start
    for at in range(count):
        word, to = words.word[start + at], at
        postings = having_start[word + 1] - having_start[word]
        while to > 0:
            before = words.word[place[to - 1]]
            if having_start[before + 1] - having_start[before] <= postings:
                break
            place[to] = place[to - 1]
            to -= 1
        place[to] = start + at
    reached, squares, postings = 0.0, 0.0, 0
    for at in range(count - 1, -1, -1):
        weight, word = float(words.weight[place[at]]), words.word[place[at]]
        reached += weight * words.reach[word]
        squares += weight * weight
        postings += having_start[word + 1] - having_start[word]
        rest[at, ADDED] = min(reached, math.sqrt(squares)) / words.length[product] * SURE
        rest[at, POSTINGS] = postings
    return int(count)


@part_of_kernel
def _bar(
    product: int,
    touches: int,
    kept: int,
    words: Words,
    features: Features,
    looked: Looked,
    tuning: FloatVector,
    scratch: Scratch,
) -> float:
    """A score that as many as are kept have already, or a negative one: further words only add to it."""
    count, worth = 0, scratch.worth
    for at in range(touches):
        partner = scratch.touched[at]
        cosine, together = _parts(product, partner, words, looked, scratch)
        if partner != product and cosine >= tuning[COSINE_MIN]:
            worth[count] = _score(product, partner, cosine, together, features, tuning)
            count += 1
    if count < kept:
        return -1.0
    return float(np.partition(worth[:count], count - kept)[count - kept])


@part_of_kernel
def _complete(
    product: int,
    touches: int,
    done: int,
    count: int,
    bar: float,
    words: Words,
    looked: Looked,
    tuning: FloatVector,
    scratch: Scratch,
) -> int:
    """Add the words from `done` on, for those that may be in the list; the others are forgotten."""
    content, context, seen, touched = scratch.content, scratch.context, scratch.seen, scratch.touched
    share, added, most, held = scratch.share, scratch.rest[done, ADDED], max(1.0, tuning[SAME_COLOUR]), 0
    for at in range(done, count):
        share[words.word[scratch.place[at]]] = words.weight[scratch.place[at]]
    for at in range(touches):
        partner = touched[at]
        cosine, together = _parts(product, partner, words, looked, scratch)
        reached = (cosine + added) * SURE
        if reached < tuning[COSINE_MIN] or most * (reached + tuning[TOGETHER] * together) * SURE < bar:
            content[partner], context[partner], seen[partner] = 0, 0, False
            continue
        total = 0
        for other in range(words.start[partner], words.start[partner + 1]):
            total += share[words.word[other]] * words.weight[other]
        content[partner] += total
        touched[held] = partner
        held += 1
    for at in range(done, count):
        share[words.word[scratch.place[at]]] = 0
    return held


@part_of_kernel
def _list(
    product: int,
    touches: int,
    words: Words,
    features: Features,
    looked: Looked,
    tuning: FloatVector,
    scratch: Scratch,
    ties: IntVector,
    row: IntVector,
    scores: FloatVector,
) -> int:
    """The best of what was added up, and zeros in its place; returns how many there are."""
    kept, most, count, worst = len(row), max(1.0, tuning[SAME_COLOUR]), 0, -1.0
    for at in range(touches):
        partner = scratch.touched[at]
        cosine, together = _parts(product, partner, words, looked, scratch)
        scratch.content[partner], scratch.context[partner], scratch.seen[partner] = 0, 0, False
        variant = features.group[product] >= 0 and features.group[product] == features.group[partner]
        hopeless = cosine < tuning[COSINE_MIN] or most * (cosine + tuning[TOGETHER] * together) < worst  # at any price
        if partner == product or (hopeless and not variant):
            continue
        score = _score(product, partner, cosine, together, features, tuning)
        if score > 0.0 and (count < kept or score > worst or (score == worst and partner < ties[kept - 1])):
            count = insert_ranked(scores, row, ties, count, kept, score, partner, partner)
            worst = scores[kept - 1] if count == kept else -1.0
    return count


@part_of_kernel
def _parts(product: int, partner: int, words: Words, looked: Looked, scratch: Scratch) -> tuple[float, float]:
    """The cosine of the words, and how much two products were looked at together."""
    cosine, together = 0.0, 0.0
    if scratch.content[partner] > 0:
        cosine = scratch.content[partner] / (words.length[product] * words.length[partner])
    if scratch.context[partner] > 0:
        own = looked.norm[product]
        together = scratch.context[partner] / (own * own * looked.norm[partner])
    return cosine, together


@part_of_kernel
def _score(
    product: int, partner: int, cosine: float, together: float, features: Features, tuning: FloatVector
) -> float:
    price, group, colour = features.price, features.group, features.colour
    score = cosine * price_factor(price[product], price[partner], tuning[PRICE]) + tuning[TOGETHER] * together
    if group[product] >= 0 and group[product] == group[partner]:
        score = score + tuning[SAME_GROUP]
    if colour[product] == colour[partner]:
        score = score * tuning[SAME_COLOUR]
    return float(score)
