"""What shown lists teach a ranker, if it proves itself: how much a product appeals where it is looked at.

To a candidate's score is added the logarithm of how much more than usual the product is clicked when it is looked at
(`models/appeal.py`), times a share that is fitted; only if the whole interval of what that gains, on questions that
neither was fitted on, is above zero. A question whose target was clicked in a shown list counts by the inverse of how
much its position is looked at: without that, whoever repeats what was shown would be right most often.

Source: Joachims, Swaminathan, Schnabel, Unbiased learning-to-rank with biased feedback (WSDM 2017), for weights by
inverse propensity, which are clipped here (`examination.LEAST`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.ranking import CountVector, FloatVector, IntVector
from recommender.candidates.gathering import Gathered
from recommender.candidates.slices import chance
from recommender.interactions import Interactions
from recommender.models.appeal import fit_appeal
from recommender.models.examination import Curve, Examination, fit_examination
from recommender.questions import Questions
from recommender.ranker.choices import Choices
from recommender.ranker.compare import Challenge, ComparisonConfiguration, compare
from recommender.ranker.configuration import LogitConfiguration
from recommender.ranker.logit import fit_logit
from recommender.shown import PERSONAL, ShownLists

QUESTIONS_MIN = 200  # of a purpose; an interval over fewer is hardly one
DECIMALS = 6

Weights = NDArray[np.float32]
FloatMatrix = NDArray[np.float64]


class Teaching(NamedTuple):
    """What shown lists say about the questions of each half of the people: the lists of the other half do.

    Attributes:
        half: (interactions,) of whose person; appeal: (2, products) logarithms, for the questions of either half.
        weight: (interactions,) of those that were clicked in a list, 1 for all others.
    """

    half: CountVector
    appeal: FloatMatrix
    weight: Weights

    def weighted(self, choices: Choices, questions: Questions) -> Choices:
        """The same, where a target clicked in a shown list counts by how little its position is looked at."""
        assert questions.place is not None, "questions of the slice"
        weight = np.where(questions.targets.sizes() == 1, self.weight[questions.place], np.float32(1))
        return choices._replace(weight=weight.astype(np.float32))

    def appeal_of(self, gathered: Gathered, questions: Questions) -> FloatVector:
        """Of each candidate, those of a question together."""
        assert questions.place is not None, "questions of the slice"
        half = np.repeat(self.half[questions.place], gathered.found)
        appeal: FloatVector = self.appeal[half, gathered.row[gathered.held()]]
        return appeal


class Lesson(NamedTuple):
    """What one ranker took: what the appeal counts in units of its score, 0 for nothing; and how that was judged."""

    appeal: float = 0.0
    challenge: Challenge | None = None


class ShownCard(msgspec.Struct, frozen=True):
    """What was learned from shown lists, for people.

    Attributes:
        lists, products, clicks: how many there were; personal: how many lists were ordered by who asked.
        curves: how much each position is looked at; strength: of the prior of the products' appeal.
        challenges: by purpose, what the appeal gained on weighted questions that nothing was fitted on.
        appeal: by purpose, what the appeal counts where it was taken.
    """

    lists: int
    products: int
    clicks: int
    personal: int
    curves: tuple[Curve, ...]
    strength: float
    challenges: dict[str, Challenge]
    appeal: dict[str, float]


def teaching_of(interactions: Interactions) -> Teaching | None:
    """What may be known when questions are asked; None where too little was clicked.

    A question about somebody is answered by what was shown to others: were their own clicks in the appeal of a product,
    the answer would be; were their lists left out for what they clicked, what was answered would look unappealing.
    """
    shown = interactions.shown
    if shown is None:
        return None
    half_of_list = halves(shown.person.astype(np.int64))
    half = halves(interactions.person[interactions.subject].astype(np.int64))
    appeal = np.zeros((2, len(interactions.products)))
    weight = np.ones(len(half), np.float32)
    for which in (0, 1):
        others = shown.take(half_of_list != which)
        examination = fit_examination(others)
        if examination is None:
            return None
        appeal[which] = fit_appeal(others, examination.of(others), len(interactions.products)).logs
        own = half == which
        weight[own] = click_weights(interactions, shown, examination)[own]
    return Teaching(half, appeal, weight)


def halves(person: CountVector) -> CountVector:
    """0 or 1, as by a coin, always the same for a person."""
    return (chance(person) >> np.uint64(40)).astype(np.int64) % 2


def click_weights(interactions: Interactions, shown: ShownLists, examination: Examination) -> Weights:
    """(interactions,) 1 / examination of the list in which its product was clicked that day, 1 where in none.

    Divided by their mean, so that clicks in lists together count as they did beside what was found in other ways: what
    was never shown has no clicks to be made more of.
    """
    weight = np.ones(len(interactions.kind), np.float32)
    clicked = np.flatnonzero(shown.clicked & (shown.product >= 0))
    owner = shown.owners()[clicked]
    width = len(interactions.products)

    def numbered(person: IntVector, product: IntVector, time_s: CountVector) -> CountVector:
        days = time_s // DAY_S - int(shown.time_s[0]) // DAY_S
        named: CountVector = (days * len(interactions.person) + person) * width + product
        return named

    clicks = numbered(shown.person[owner], shown.product[clicked], shown.time_s[owner])
    order = np.argsort(clicks, kind="stable")
    deeds = numbered(interactions.person[interactions.subject], interactions.product, interactions.time_s)
    last = np.searchsorted(clicks[order], deeds, side="right") - 1  # the newest of several lists of a day
    found = (last >= 0) & (clicks[order][np.maximum(last, 0)] == deeds)
    inverse = 1.0 / examination.of(shown)[clicked][order[last[found]]]
    weight[found] = np.round(inverse / (inverse.mean() if len(inverse) else 1.0), DECIMALS)
    return weight


def learn_lesson(
    scores: tuple[FloatVector, FloatVector],
    appeal: tuple[FloatVector, FloatVector],
    parts: tuple[Choices, Choices],
    judging: ComparisonConfiguration,
) -> Lesson:
    """Try the appeal on a purpose.

    Args:
        scores: of the ranker that is to take it, by candidate; appeal: of the candidates.
        parts: to fit the share on, and to judge it by; with weights, and the ranker fitted on neither.
    """
    share = _share(scores[0], appeal[0], parts[0])
    if share <= 0:
        return Lesson()
    judged = compare(parts[1], {"plain": scores[1], "appeal": scores[1] + share * appeal[1]}, judging)
    challenge = judged.challenges[0]
    return Lesson(share if challenge.is_taken else 0.0, challenge)


def shown_card(
    interactions: Interactions, lessons: Mapping[str, Lesson]
) -> tuple[FloatVector | None, ShownCard | None]:
    """The appeal of every product by all that was shown, and what is said of it all."""
    shown = interactions.shown
    examination = None if shown is None else fit_examination(shown)
    if shown is None or examination is None:
        return None, None
    appeal = fit_appeal(shown, examination.of(shown), len(interactions.products))
    return appeal.logs, ShownCard(
        lists=len(shown),
        products=len(shown.product),
        clicks=int(shown.clicked.sum()),
        personal=int((shown.about == PERSONAL).sum()),
        curves=examination.curves,
        strength=appeal.strength,
        challenges={purpose: lesson.challenge for purpose, lesson in lessons.items() if lesson.challenge},
        appeal={purpose: lesson.appeal for purpose, lesson in lessons.items() if lesson.appeal > 0},
    )


def _share(score: FloatVector, appeal: FloatVector, choices: Choices) -> float:
    """What the appeal is worth in units of the score, by a logit of both; 0 where either is worth nothing."""
    both = np.ascontiguousarray(np.stack((score, appeal), axis=1), np.float32)
    fitted = fit_logit(choices._replace(features=both), LogitConfiguration(), np.array([1.0, 0.0])).weights
    return float(np.round(max(fitted[1] / fitted[0], 0.0), DECIMALS)) if fitted[0] > 0 else 0.0
