"""Fitting a ranker for one purpose: what makes a candidate, what orders the candidates, and whether trees pay."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ranking import FloatVector, Purpose
from recommender.candidates.gathering import Gathered, gather_questions, labels_of
from recommender.candidates.plan import COMPONENT_NAMES, COMPONENTS, Plan
from recommender.candidates.stores import FEATURES, factors_of, stores_of
from recommender.kernels.choice import score_linear
from recommender.kernels.gathering import BLENDED, PER_COMPONENT, SILENT
from recommender.kernels.trees import Trees, score_trees
from recommender.questions import Questions
from recommender.ranker.choices import Choices
from recommender.ranker.compare import Comparison, ComparisonConfiguration, compare, query_values
from recommender.ranker.configuration import LogitConfiguration, TreesConfiguration
from recommender.ranker.logit import fit_logit
from recommender.ranker.trees import TreesFit, fit_trees

QUESTIONS_MAX = 10_000
BLEND_QUESTIONS_MAX = 1_500
TREES_QUESTIONS_MIN = 2_000  # below it trees learn noise
TREES_CANDIDATES_MAX = 100  # of a question that trees grow on: what is taken is rarely further down
TREES = TreesConfiguration(
    trees_max=600, leaves=31, learning_rate=0.03, rows_in_leaf_min=200, feature_share=0.5, patience=50
)
JUDGING = ComparisonConfiguration(
    confidence=0.8
)  # taking trees that are as good costs little, missing better ones much
_FIT, _STOP = 0.7, 0.85  # of the questions: to fit on, and up to where the growing of trees is stopped by
_BLEND_LEAST = 0.05  # of the largest weight: no component is left out of the candidates

Shared = dict[str, NDArray[np.generic]]


class Learned(NamedTuple):
    """A ranker.

    Attributes:
        blend: (components + 1,) what makes a candidate; weights: (features,) of the logit.
        trees: whose scores are added to the logit's, where that is better beyond noise.
        comparison: the figures of all on questions none was fitted on; None where there were none.
        adds: by component, what the logit's figure on those questions loses without its features.
    """

    blend: tuple[float, ...]
    weights: FloatVector
    trees: Trees | None
    comparison: Comparison | None
    adds: dict[str, float]


def prior() -> FloatVector:
    """The order of the blend."""
    weights = np.zeros(FEATURES)
    weights[PER_COMPONENT * COMPONENTS + BLENDED] = 1.0
    return weights


def learn(shared: Shared, plan: Plan, purpose: Purpose, questions: Questions, threads: int, model: str) -> Learned:
    """Fit on questions that are in order of time.

    Args:
        model: `logit`, `trees`, or `auto` for the better of them; the name of a component ranks by it alone.

    Cost: dominated by the gathering of candidates, and the trees: half a minute for 8,000 questions.
    """
    if model in COMPONENT_NAMES:
        return _alone(COMPONENT_NAMES.index(model))
    blend = _blend(shared, plan, purpose, questions, threads)
    plan = msgspec.structs.replace(plan, blend={**plan.blend, purpose: blend})
    gathered = gather_questions(
        stores_of(shared, plan, purpose),
        questions.sampled(QUESTIONS_MAX, 0),
        plan.candidates,
        threads,
        (factors_of(shared), plan.factors.alpha),
    )
    choices = choices_of(gathered, questions.sampled(QUESTIONS_MAX, 0))
    fit, stop = int(choices.queries * _FIT), int(choices.queries * _STOP)
    parts = [_part(choices, *ends) for ends in ((0, fit), (fit, stop), (stop, choices.queries))]
    logit = fit_logit(parts[0], LogitConfiguration(), prior(), threads).weights
    scores = {"logit": _linear(parts[2], logit)}
    grown: TreesFit | None = None
    if choices.queries >= TREES_QUESTIONS_MIN and model in ("auto", "trees"):
        grown = fit_trees(shortened(parts[0], TREES_CANDIDATES_MAX), parts[1], TREES, logit)
        score_trees(parts[2].features, correction := np.empty(len(parts[2].features)), grown.trees)
        scores["trees"] = scores["logit"] + correction
    comparison = compare(parts[2], scores, JUDGING) if parts[2].queries else None
    chosen = comparison.chosen if model == "auto" and comparison else model
    adds = what_components_add(parts[2], logit) if parts[2].queries else {}
    if chosen == "trees" and grown is not None:
        return Learned(blend, logit, grown.trees, comparison, adds)
    weights = fit_logit(choices, LogitConfiguration(), prior(), threads).weights
    return Learned(blend, weights, None, comparison, adds)


def _alone(component: int) -> Learned:
    """One component by itself."""
    blend = tuple(float(at == component) for at in range(COMPONENTS + 1))
    return Learned(blend, prior(), None, None, {})


def choices_of(gathered: Gathered, questions: Questions) -> Choices:
    """The candidates as choices. Cost: a copy of the features."""
    held = np.arange(gathered.row.shape[1]) < gathered.found[:, None]
    start = np.concatenate(([0], np.cumsum(gathered.found))).astype(np.int64)
    labels = labels_of(gathered, questions.targets)[held].astype(np.uint8)
    return Choices(np.ascontiguousarray(gathered.features[held]), start, labels)


def _blend(shared: Shared, plan: Plan, purpose: Purpose, questions: Questions, threads: int) -> tuple[float, ...]:
    """What the shares of the components are worth together, by a logit over candidates of what each is worth alone."""
    some = questions.sampled(BLEND_QUESTIONS_MAX, 1)
    worth = np.array(plan.blend_for(purpose))
    choices = choices_of(gather_questions(stores_of(shared, plan, purpose), some, plan.candidates, threads), some)
    features = choices.features
    again = features[:, PER_COMPONENT * COMPONENTS + 1]
    shares = np.column_stack([features[:, PER_COMPONENT * at] for at in range(COMPONENTS)] + [again])
    scale = worth / max(worth.max(), 1e-9) * 5.0
    fitted = fit_logit(
        Choices(np.ascontiguousarray(shares, np.float32), choices.start, choices.label),
        LogitConfiguration(l2=20.0),
        scale,
    ).weights
    kept = np.maximum(fitted, _BLEND_LEAST * max(fitted.max(), 1e-9))
    kept[worth <= 0] = 0.0
    if not kept.any():
        return Plan().blend_for(purpose)  # nothing that was held back is ever found: nothing is known
    return tuple(float(np.round(value, 6)) for value in kept / max(kept.sum(), 1e-9))


def _part(choices: Choices, begin: int, end: int) -> Choices:
    rows = slice(int(choices.start[begin]), int(choices.start[end]))
    start = choices.start[begin : end + 1] - choices.start[begin]
    return Choices(np.ascontiguousarray(choices.features[rows]), start, choices.label[rows])


def what_components_add(choices: Choices, weights: FloatVector) -> dict[str, float]:
    """By component what the mean reciprocal rank loses when its features are those of a component that is silent."""
    configuration, scores = ComparisonConfiguration(), _linear(choices, weights)
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


def _linear(choices: Choices, weights: FloatVector) -> FloatVector:
    out = np.empty(len(choices.features))
    score_linear(choices.features, weights, out)
    return out
