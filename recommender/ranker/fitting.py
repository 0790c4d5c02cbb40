"""Fitting a ranker for one purpose: what makes a candidate, what orders the candidates, and whether trees pay."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ranking import CountVector, FloatVector, Purpose
from recommender.candidates.gathering import Gathered, gather_questions, labels_of
from recommender.candidates.plan import COMPONENT_NAMES, COMPONENTS, Plan
from recommender.candidates.stores import FEATURES, stores_of
from recommender.kernels.choice import score_linear
from recommender.kernels.collecting import Stores
from recommender.kernels.gathering import BLENDED, PER_COMPONENT, SEEN_LATE, SILENT, TOP
from recommender.kernels.trees import Trees, score_trees
from recommender.questions import Questions
from recommender.ranker.choices import Choices, only
from recommender.ranker.compare import Comparison, ComparisonConfiguration, compare, query_values
from recommender.ranker.configuration import LogitConfiguration, TreesConfiguration
from recommender.ranker.lessons import QUESTIONS_MIN as LESSON_QUESTIONS_MIN
from recommender.ranker.lessons import Lesson, Teaching, learn_lesson
from recommender.ranker.logit import fit_logit
from recommender.ranker.trees import Fold, cross_fit, fit_trees

QUESTIONS_MAX = 24_000  # that are asked
TELLING_MAX = 6_500  # of which a target is a candidate: only these say how to order candidates
_QUESTIONS_AT_ONCE = 2_000
BLEND_QUESTIONS_MAX = 1_500
TREES_QUESTIONS_MIN = 1_000  # that tell something; below it trees learn noise
TREES_CANDIDATES_MAX = 60  # of a question that trees grow on: what is taken is rarely further down
CORRECTED = "corrected logit"
TREES = (CORRECTED, "trees")  # rivals of the logit: trees whose scores are added to its own, and trees by themselves
JUDGING = ComparisonConfiguration(
    confidence=0.6
)  # taking trees that are as good costs little, missing better ones much
FOLDS = 3  # stretches of time that questions are judged in
_FIT, _TEACH = 0.7, 0.85  # of the questions: to fit on, and up to where shown lists teach; what is left judges
_BLEND_LEAST = 0.05  # of the largest weight: no component is left out of the candidates, but what is popular may be

Shared = dict[str, NDArray[np.generic]]


class Rival(NamedTuple):
    """A way to order candidates: `weights` (features,) of a sum, 0 where trees rank alone; `trees` added to it."""

    weights: FloatVector
    trees: Trees | None = None

    def scores(self, features: NDArray[np.float32]) -> FloatVector:
        """(rows,) float64 of (rows, features)."""
        score_linear(features, self.weights, value := np.empty(len(features)))
        if self.trees is not None:
            score_trees(features, correction := np.empty(len(features)), self.trees)
            value += correction
        return value


class Learned(NamedTuple):
    """A ranker.

    Attributes:
        blend: (components + 1,) what makes a candidate.
        rival: what orders the candidates.
        comparison: the figures of all on questions none was fitted on; None where there were none.
        adds: by component, what the logit's figure on those questions loses without its features.
        lesson: what it took from shown lists.
    """

    blend: tuple[float, ...]
    rival: Rival
    comparison: Comparison | None
    adds: dict[str, float]
    lesson: Lesson = Lesson()


def prior() -> FloatVector:
    """The order of the blend."""
    weights = np.zeros(FEATURES)
    weights[PER_COMPONENT * COMPONENTS + BLENDED] = 1.0
    return weights


def learn(
    shared: Shared,
    plan: Plan,
    purpose: Purpose,
    questions: Questions,
    threads: int,
    model: str,
    teaching: Teaching | None = None,
) -> Learned:
    """Fit on questions that are in order of time.

    Args:
        model: `logit`, `trees`, or `auto` for the better of them; the name of a component ranks by it alone.
        teaching: what is known from shown lists; None for nothing.

    Cost: dominated by the gathering of candidates, and the trees: half a minute for 8,000 questions.
    """
    if model in COMPONENT_NAMES:
        return _alone(COMPONENT_NAMES.index(model))
    blend = _blend(shared, plan, purpose, questions, threads)
    plan = msgspec.structs.replace(plan, blend={**plan.blend, purpose: blend})
    asked = _asked(shared, plan, purpose, questions, threads, teaching)
    is_enough = asked.choices.queries >= TREES_QUESTIONS_MIN and model in ("auto", "trees")
    return _ordered(asked, blend, ("logit", *TREES) if is_enough else ("logit",), model, threads)


def learn_again(
    shared: Shared,
    plan: Plan,
    purpose: Purpose,
    questions: Questions,
    threads: int,
    rival: str,
    teaching: Teaching | None = None,
) -> Learned:
    """The same where a plan has what makes a candidate already, and which rival orders the candidates is known."""
    asked = _asked(shared, plan, purpose, questions, threads, teaching)
    return _ordered(asked, plan.blend_for(purpose), (rival,), rival, threads)


class _Asked(NamedTuple):
    """The choices, and where shown lists teach something, the same with weights, and the appeal of each candidate."""

    choices: Choices
    weighted: Choices | None = None
    appeal: FloatVector | None = None


def _asked(
    shared: Shared, plan: Plan, purpose: Purpose, questions: Questions, threads: int, teaching: Teaching | None
) -> _Asked:
    gathered, some = _telling(stores_of(shared, plan, purpose), questions, plan.candidates, threads)
    choices = choices_of(gathered, some)
    if teaching is None or choices.queries < LESSON_QUESTIONS_MIN:
        return _Asked(choices)
    return _Asked(choices, teaching.weighted(choices, some), teaching.appeal_of(gathered, some))


def _telling(stores: Stores, questions: Questions, candidates: int, threads: int) -> tuple[Gathered, Questions]:
    """The questions that say something, in their order, and their candidates: some were taken and some were not.

    They are drawn until `TELLING_MAX` are found: a question without its target among the candidates orders nothing.

    Memory: the candidates of those, twice for a moment, and of `_QUESTIONS_AT_ONCE` more.
    """
    generator = np.random.default_rng(0)
    drawn = generator.permutation(len(questions))[:QUESTIONS_MAX]
    parts, places, found = list[Gathered](), list[CountVector](), 0
    for first in range(0, max(len(drawn), 1), _QUESTIONS_AT_ONCE):
        rows = np.sort(drawn[first : first + _QUESTIONS_AT_ONCE])
        some = questions.take(rows)
        gathered = gather_questions(stores, some, candidates, threads)
        taken = labels_of(gathered, some.targets).sum(axis=1)
        kept = np.flatnonzero((taken > 0) & (taken < gathered.found))
        parts.append(Gathered(gathered.found[kept], gathered.row[kept], gathered.features[kept]))
        places.append(rows[kept])
        found += len(kept)
        if found >= TELLING_MAX:
            break
    place = np.concatenate(places)
    order = np.argsort(place)
    count, row, features = (np.concatenate([part[column] for part in parts])[order] for column in range(3))
    return Gathered(count, row, features), questions.take(place[order])


def _ordered(asked: _Asked, blend: tuple[float, ...], names: tuple[str, ...], model: str, threads: int) -> Learned:
    """The best of the rivals by all questions, fitted on all.

    Args:
        names: the rivals that are judged; model: what ranks, or how it is chosen.
    """
    choices = asked.choices
    judged = _judged(choices, names, threads)
    chosen = model if model in judged.trees else _chosen(model, judged.comparison)
    fit, _, last = _parts(choices)
    logit = _logit(fit, threads)
    adds = what_components_add(last, logit.weights) if last.queries else {}
    lesson = Lesson()
    if asked.weighted is not None:
        lesson = _taught(logit if chosen == "logit" else _grown(chosen, fit, logit, judged), asked)
    whole = _logit(choices, threads)
    rival = whole if chosen == "logit" else _grown(chosen, choices, whole, judged)
    return Learned(blend, rival, judged.comparison, adds, lesson)


class _Judged(NamedTuple):
    """Rivals compared, None for a few questions; and by name of those with trees, how many trees they are best with."""

    comparison: Comparison | None
    trees: dict[str, int]


def _judged(choices: Choices, names: tuple[str, ...], threads: int) -> _Judged:
    """Rivals on every question, each fitted on what is not of the question's stretch of time.

    One stretch says little: on the newest seventh of Diginetica's questions trees were ahead by .003, on that before it
    behind by .015. All of them say how many trees there should be as well.
    """
    if choices.queries < FOLDS:
        return _Judged(None, {})
    stretches = list(pairwise(choices.queries * at // FOLDS for at in range(FOLDS + 1)))
    others = [np.concatenate((np.arange(begin), np.arange(end, choices.queries))) for begin, end in stretches]
    logits = [_logit(only(choices, rest), threads) for rest in others]
    short = shortened(choices, TREES_CANDIDATES_MAX)
    parts = [(only(short, rest), _part(short, *held)) for rest, held in zip(others, stretches, strict=True)]

    def crossed(name: str) -> tuple[int, list[Rival]]:
        corrected = [_corrected(name, logit) for logit in logits]
        folds = [Fold(*part, logit.weights) for part, logit in zip(parts, corrected, strict=True)]
        count, trees = cross_fit(folds, TreesConfiguration())
        return count, [logit._replace(trees=each) for logit, each in zip(corrected, trees, strict=True)]

    grow = [name for name in TREES if name in names]
    with ThreadPoolExecutor(threads) as pool:
        grown = dict(zip(grow, pool.map(crossed, grow), strict=True))
    rivals = {name: grown[name][1] if name in grown else logits for name in names}
    scores = {
        name: np.concatenate(
            [rival.scores(_part(choices, *held).features) for rival, held in zip(each, stretches, strict=True)]
        )
        for name, each in rivals.items()
    }
    return _Judged(compare(choices, scores, JUDGING), {name: count for name, (count, _) in grown.items()})


def _logit(choices: Choices, threads: int) -> Rival:
    return Rival(fit_logit(choices, LogitConfiguration(), prior(), threads).weights)


def _parts(choices: Choices) -> tuple[Choices, Choices, Choices]:
    """To fit on, for shown lists to teach with, to compare with."""
    fit, teach = int(choices.queries * _FIT), int(choices.queries * _TEACH)
    return _part(choices, 0, fit), _part(choices, fit, teach), _part(choices, teach, choices.queries)


def _taught(rival: Rival, asked: _Asked) -> Lesson:
    """What the chosen ranker takes from shown lists, on the parts that it was not fitted on."""
    if asked.weighted is None or asked.appeal is None:
        return Lesson()
    fit, teach, judge = _parts(asked.weighted)
    scores = (rival.scores(teach.features), rival.scores(judge.features))
    _, of_teach, of_judge = np.split(asked.appeal, np.cumsum((len(fit.label), len(teach.label))))
    return learn_lesson(scores, (of_teach, of_judge), (teach, judge), JUDGING)


def _corrected(name: str, logit: Rival) -> Rival:
    """What the trees of a rival are added to: a logit, or nothing."""
    return logit if name == CORRECTED else Rival(np.zeros_like(logit.weights))


def _grown(name: str, choices: Choices, logit: Rival, judged: _Judged) -> Rival:
    """As many trees as were best, by themselves or added to a logit."""
    rival, some = _corrected(name, logit), shortened(choices, TREES_CANDIDATES_MAX)
    return rival._replace(trees=fit_trees(some, judged.trees[name], TreesConfiguration(), rival.weights).trees)


def _chosen(model: str, comparison: Comparison | None) -> str:
    """The name of the rival that ranks: what is better beyond noise, or the better trees where trees are asked for."""
    if comparison is None or model == "logit":
        return "logit"
    if model == "auto":
        return comparison.chosen
    figures = {figure.name: figure.mean for figure in comparison.figures if figure.name in TREES}
    return max(figures, key=lambda name: figures[name], default="logit")


def _alone(component: int) -> Learned:
    """One component by itself."""
    blend = tuple(float(at == component) for at in range(COMPONENTS + 2))
    return Learned(blend, Rival(prior()), None, {})


def choices_of(gathered: Gathered, questions: Questions) -> Choices:
    """The candidates as choices. Cost: a copy of the features."""
    held = gathered.held()
    start = np.concatenate(([0], np.cumsum(gathered.found))).astype(np.int64)
    labels = labels_of(gathered, questions.targets)[held].astype(np.uint8)
    return Choices(np.ascontiguousarray(gathered.features[held]), start, labels)


def _blend(shared: Shared, plan: Plan, purpose: Purpose, questions: Questions, threads: int) -> tuple[float, ...]:
    """What the shares of the components are worth together, by a logit over candidates of what each is worth alone."""
    some = questions.sampled(BLEND_QUESTIONS_MAX, 1)
    worth = np.array(plan.blend_for(purpose))
    choices = choices_of(gather_questions(stores_of(shared, plan, purpose), some, plan.candidates, threads), some)
    features = choices.features
    behind = [features[:, PER_COMPONENT * COMPONENTS + at] for at in (SEEN_LATE, TOP)]
    shares = np.column_stack([features[:, PER_COMPONENT * at] for at in range(COMPONENTS)] + behind)
    scale = worth / max(worth.max(), 1e-9) * 5.0
    fitted = fit_logit(
        Choices(np.ascontiguousarray(shares, np.float32), choices.start, choices.label),
        LogitConfiguration(l2=20.0),
        scale,
    ).weights
    kept = blended(fitted, worth)
    if not kept.any():
        return (*Plan().blend_for(purpose)[:-1], 0.0)
    return tuple(float(np.round(value, 6)) for value in kept / max(kept.sum(), 1e-9))


def blended(fitted: FloatVector, worth: FloatVector) -> FloatVector:
    """What makes a candidate, from weights and from what each is worth alone; popularity last.

    It weighs no more than all others together, so that it crowds out nothing that they agree on. Where nothing that was
    held back is ever found but by popularity, all are 0: nothing is known.
    """
    kept: FloatVector = np.maximum(fitted, _BLEND_LEAST * max(fitted.max(), 1e-9))
    kept[worth <= 0] = 0.0
    kept[-1] = min(max(fitted[-1], 0.0), kept[:-1].sum())
    return kept


def _part(choices: Choices, begin: int, end: int) -> Choices:
    rows = slice(int(choices.start[begin]), int(choices.start[end]))
    start = choices.start[begin : end + 1] - choices.start[begin]
    weight = None if choices.weight is None else choices.weight[begin:end]
    return Choices(np.ascontiguousarray(choices.features[rows]), start, choices.label[rows], weight)


def what_components_add(choices: Choices, weights: FloatVector) -> dict[str, float]:
    """By component what the mean reciprocal rank loses when its features are those of a component that is silent."""
    configuration, scores = ComparisonConfiguration(), Rival(weights).scores(choices.features)
    whole = query_values(choices, scores, configuration).mean()
    adds: dict[str, float] = {}
    for component, name in enumerate(COMPONENT_NAMES):
        own = slice(PER_COMPONENT * component, PER_COMPONENT * (component + 1))
        said = (choices.features[:, own] - np.array([0.0, SILENT], np.float32)) @ weights[own]
        adds[name] = float(np.round(whole - query_values(choices, scores - said, configuration).mean(), 6))
    return adds


def shortened(choices: Choices, candidates_max: int) -> Choices:
    """The first candidates of each query; with those behind them that were taken, being last would look like a merit.

    Cost: a copy of what is kept.
    """
    sizes = np.diff(choices.start)
    place = np.arange(len(choices.label)) - np.repeat(choices.start[:-1], sizes)
    kept = place < candidates_max
    before = np.concatenate(([0], np.cumsum(kept)))
    return Choices(choices.features[kept], before[choices.start], choices.label[kept], choices.weight)
