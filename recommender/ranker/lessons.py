"""What shown lists teach a ranker, if it proves itself: to mistrust the clicks of the first positions.

Two things are tried on a purpose's questions; each is kept only if it is better beyond noise where nothing was fitted.

* `weighted`: a target that was clicked in a shown list counts by the inverse of how much its position is looked at, so
  that a product is not right because it was on top.
* `appeal`: to a candidate's score is added how much more than usual it is clicked when it is looked at.

Both are judged by questions with these weights; without them, whoever repeats what was shown would be right most often.

Source: Joachims, Swaminathan, Schnabel, Unbiased learning-to-rank with biased feedback (WSDM 2017), for weights by
inverse propensity, which are clipped here (`examination.LEAST`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.ranking import CountVector, FloatVector, IntVector
from recommender.interactions import Interactions
from recommender.models.appeal import fit_appeal
from recommender.models.examination import Curve, Examination, fit_examination
from recommender.ranker.choices import Choices
from recommender.ranker.compare import Challenge, ComparisonConfiguration, compare
from recommender.ranker.configuration import LogitConfiguration
from recommender.ranker.logit import fit_logit
from recommender.shown import PERSONAL, ShownLists

QUESTIONS_MIN = 200  # of a purpose; an interval over fewer is hardly one
DECIMALS = 6

Weights = NDArray[np.float32]
Scorer = Callable[[Choices], FloatVector]


class Teaching(NamedTuple):
    """What is known from the lists that were shown before anything that is held back.

    Attributes:
        appeal: (products,) logarithms; weight: (interactions,) of those that were clicked in a list, 1 for all others.
    """

    appeal: FloatVector
    weight: Weights


class Lesson(NamedTuple):
    """What one ranker took: whether its questions are weighted, and what the appeal counts in units of its score."""

    is_weighted: bool
    appeal: float
    challenges: tuple[Challenge, ...]


class ShownCard(msgspec.Struct, frozen=True):
    """What was learned from shown lists, for people.

    Attributes:
        lists, products, clicks: how many there were; personal: how many lists were ordered by who asked.
        curves: how much each position is looked at; strength: of the prior of the products' appeal.
        challenges: by purpose, what was tried and what it gained on weighted questions that nothing was fitted on.
        appeal: by purpose, what the appeal counts where it was taken.
    """

    lists: int
    products: int
    clicks: int
    personal: int
    curves: tuple[Curve, ...]
    strength: float
    challenges: dict[str, tuple[Challenge, ...]]
    appeal: dict[str, float]


NO_LESSON = Lesson(False, 0.0, ())


def teaching_of(interactions: Interactions, before: ShownLists | None) -> Teaching | None:
    """What may be known when questions are asked; None where too little was clicked.

    Args:
        interactions: all, for the positions in which targets were clicked; before: the lists that say what appeals.
    """
    examination = None if before is None else fit_examination(before)
    if interactions.shown is None or before is None or examination is None:
        return None
    appeal = fit_appeal(before, examination.of(before), len(interactions.products)).logs
    return Teaching(appeal, click_weights(interactions, examination))


def click_weights(interactions: Interactions, examination: Examination) -> Weights:
    """(interactions,) 1 / examination of the list in which its product was clicked that day, 1 where in none."""
    shown = interactions.shown
    weight = np.ones(len(interactions.kind), np.float32)
    if shown is None:
        return weight
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
    weight[found] = 1.0 / examination.of(shown)[clicked][order[last[found]]]
    return weight


def learn_lesson(
    plain: Scorer,
    weighted: Callable[[], Scorer],
    parts: tuple[Choices, Choices, Choices],
    appeal: tuple[FloatVector, FloatVector, FloatVector],
    judging: ComparisonConfiguration,
) -> Lesson:
    """Try both on a purpose.

    Args:
        plain: scores by the ranker as it was fitted on the first part; weighted: fits another with weights.
        parts: to fit on, to fit the appeal's weight on, to judge by; all with weights. appeal: of their rows.
    """
    challenges: list[Challenge] = []
    best, is_weighted = plain, False
    if any(len(part.weights()) and bool((part.weights() != 1).any()) for part in parts[:2]):
        rival = weighted()
        scores = {"plain": plain(parts[2]), "weighted": rival(parts[2])}
        challenges += compare(parts[2], scores, judging).challenges
        is_weighted = challenges[-1].is_taken
        best = rival if is_weighted else plain
    share = _share(best(parts[1]), appeal[1], parts[1])
    score = best(parts[2])
    if share > 0:
        judged = {"weighted" if is_weighted else "plain": score, "appeal": score + share * appeal[2]}
        challenges += compare(parts[2], judged, judging).challenges
        share = share if challenges[-1].is_taken else 0.0
    return Lesson(is_weighted, share, tuple(challenges))


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
        challenges={purpose: lesson.challenges for purpose, lesson in lessons.items() if lesson.challenges},
        appeal={purpose: lesson.appeal for purpose, lesson in lessons.items() if lesson.appeal > 0},
    )


def _share(score: FloatVector, appeal: FloatVector, choices: Choices) -> float:
    """What the appeal is worth in units of the score, by a logit of both; 0 where either is worth nothing."""
    both = np.ascontiguousarray(np.stack((score, appeal), axis=1), np.float32)
    fitted = fit_logit(choices._replace(features=both), LogitConfiguration(), np.array([1.0, 0.0])).weights
    return float(np.round(max(fitted[1] / fitted[0], 0.0), DECIMALS)) if fitted[0] > 0 else 0.0
