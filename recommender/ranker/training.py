"""Training the rankers of a snapshot: hold back, search, fit, and build the candidates again from everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.ranking import Purpose
from recommender.candidates.lists import Material, fit_lists, latent_lists, material_of
from recommender.candidates.plan import COMPONENT_NAMES, LEARNED, Plan
from recommender.candidates.search import Search, Trial
from recommender.candidates.slices import Slice, cut
from recommender.candidates.stores import shared_arrays
from recommender.checkpoints import NOTHING_FINISHED, Finished
from recommender.configuration import TrainingConfiguration
from recommender.interactions import Interactions
from recommender.models.factors import Factors, fit_factors
from recommender.models.neighbours import Neighbours
from recommender.questions import Questions, questions_of
from recommender.ranker.compare import Comparison
from recommender.ranker.fitting import Learned, learn, learn_again
from recommender.ranker.keeping import Kept, Origin, is_as_good
from recommender.ranker.lessons import ShownCard, Teaching, shown_card, teaching_of
from recommender.ranker.rankers import arrays_of
from recommender.ranker.remembering import learned_bytes, learned_of
from recommender.validation import Validation

QUESTIONS_MIN = 20  # fewer say nothing: the defaults rank
SEARCHED_MAX = 5_000_000  # the newest entries that trials are made with: more tell the same plans apart, for longer

Arrays = dict[str, NDArray[Any]]
Progress = Callable[[str, float], None]


class ModelCard(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was tried and found, for people; it is part of the snapshot.

    Attributes:
        questions: held back, by purpose; trials: the search, in its order; plan: what it chose.
        comparisons: by purpose, the rankers on questions that none of them was fitted on.
        adds: by purpose and component, what the logit's figure on these loses without the component's features.
        kept: where plan and rankers come from, if they were not searched for; then nothing was tried.
        shown: what shown lists taught; None where too little of them was clicked.
    """

    questions: dict[str, int]
    trials: tuple[Trial, ...]
    plan: Plan
    comparisons: dict[str, Comparison]
    adds: dict[str, dict[str, float]]
    kept: Origin | None = None
    shown: ShownCard | None = None


def fit_rankers(
    interactions: Interactions,
    similar_of: Callable[[Interactions], Neighbours],
    configuration: TrainingConfiguration,
    validation: Validation | None = None,
    progress: Progress = lambda step, share: None,
    kept: Kept | None = None,
    finished: Finished = NOTHING_FINISHED,
) -> Arrays:
    """The arrays of `Rankers`, and the model card.

    Args:
        similar_of: fits substitutes; what is held back must not be in those that the ranker learns with.
        validation: questions that come with the data. Then nothing is held back, and nothing but their purpose learned.
        progress: told the step that begins and the share that is done, in [0, 1].
        kept: what not to search for, unless it does worse than it did.
        finished: what a training of the same came to before it was killed.

    Guarantees: the same arrays for any number of threads.
    Cost: some 200 trials of 2,000 questions at most, and the candidates twice.
    """
    plan, threads = Plan(), configuration.threads
    held = cut(interactions, plan.visit_gap_s) if validation is None else _given(interactions, validation)
    questions: dict[str, int] = {purpose: len(each) for purpose, each in held.questions.items()}
    is_whole = held.rest is interactions
    steps = _Steps(configuration, progress, finished, None if validation is not None else teaching_of(interactions))
    goes_on = None if kept is None else _going_on(held, similar_of, kept, steps)
    shared, found = goes_on or _found(held, similar_of, steps)
    progress("counting", 0.7)
    if not is_whole:
        del held, shared  # what is counted anew needs the room
        material = material_of(interactions, plan.visit_gap_s)
        factors = fit_factors(material.baskets_of_people, plan.factors, threads)
        shared = _shared(material, found.plan, similar_of(interactions), factors, threads)
    compared: dict[str, Comparison] = {
        name: ranker.comparison for name, ranker in found.learned.items() if ranker.comparison is not None
    }
    adds: dict[str, dict[str, float]] = {name: ranker.adds for name, ranker in found.learned.items() if ranker.adds}
    origin = None if kept is None or goes_on is None else kept.origin
    lessons = {str(purpose): ranker.lesson for purpose, ranker in found.learned.items()}
    appeal, told = (None, None) if steps.teaching is None else shown_card(interactions, lessons)
    card = ModelCard(questions, found.trials, found.plan, compared, adds, origin, told)
    arrays = arrays_of(shared, found.plan, found.learned, appeal)
    return arrays | {"card": np.frombuffer(msgspec.msgpack.encode(card), np.uint8)}


class _Steps(NamedTuple):
    """What all steps of a fit are taken with."""

    configuration: TrainingConfiguration
    progress: Progress
    finished: Finished
    teaching: Teaching | None


class _Found(NamedTuple):
    """What was learned from what is held back."""

    plan: Plan
    trials: tuple[Trial, ...]
    learned: dict[Purpose, Learned]


def _found(held: Slice, similar_of: Callable[[Interactions], Neighbours], steps: _Steps) -> tuple[Arrays, _Found]:
    """The candidates without what is held back, and what was learned with them."""
    plan, threads, progress = Plan(), steps.configuration.threads, steps.progress
    asked = {purpose: each for purpose, each in held.questions.items() if len(each) >= QUESTIONS_MIN}
    progress("searching", 0.05)
    material = material_of(held.rest, plan.visit_gap_s)
    factors = fit_factors(material.baskets_of_people, plan.factors, threads)
    latent, searched = latent_lists(factors, plan, threads), material.newest(SEARCHED_MAX)
    told = partial(_told_within, progress, "searching", 0.1, 0.4)
    search = Search(searched, latent, asked, plan, threads, told, steps.finished)
    plan, trials = search.run(), tuple(search.trials)
    known = search.whole_lists() if searched is material else {"latent": latent}
    del search, searched  # their lists are large
    progress("gathering", 0.4)
    shared = _shared(material, plan, similar_of(held.rest), factors, threads, known)
    del material, known
    progress("learning", 0.55)
    learned = _learned(shared, plan, asked, steps)
    blends = {purpose: ranker.blend for purpose, ranker in learned.items()}
    plan = msgspec.structs.replace(plan, blend={**plan.blend, **blends})
    return shared, _Found(plan, trials, learned)


def _going_on(
    held: Slice,
    similar_of: Callable[[Interactions], Neighbours],
    kept: Kept,
    steps: _Steps,
) -> tuple[Arrays, _Found] | None:
    """The same with what was kept; None where that is not as good as it was, or not for what is asked now."""
    plan, threads, progress = kept.plan, steps.configuration.threads, steps.progress
    asked = {purpose: each for purpose, each in held.questions.items() if len(each) >= QUESTIONS_MIN}
    if asked.keys() != kept.rivals.keys():
        return None
    progress("gathering", 0.05)
    material = material_of(held.rest, plan.visit_gap_s)
    factors = fit_factors(material.baskets_of_people, plan.factors, threads)
    shared = _shared(material, plan, similar_of(held.rest), factors, threads)
    progress("learning", 0.4)
    learned = _learned(shared, plan, asked, steps, kept.rivals)
    return (shared, _Found(plan, (), learned)) if is_as_good(kept, learned) else None


def _learned(
    shared: Arrays,
    plan: Plan,
    asked: dict[Purpose, Questions],
    steps: _Steps,
    rivals: Mapping[Purpose, str] | None = None,
) -> dict[Purpose, Learned]:
    """A ranker for each purpose, as many at once as there are threads; of the kind that is known, if it is."""
    threads, model, finished = steps.configuration.threads, steps.configuration.model, steps.finished
    inner = max(1, threads // max(len(asked), 1))
    if model in COMPONENT_NAMES:
        rivals = None  # it ranks alone: nothing is fitted
    fit, kind = (learn, dict.fromkeys(asked, model)) if rivals is None else (learn_again, rivals)
    step = "learned" if rivals is None else "learned-again"

    def learned(purpose: Purpose) -> Learned:
        stored = finished.recall(f"{step}-{purpose}")
        if stored is not None:
            return learned_of(stored)
        ranker = fit(shared, plan, purpose, asked[purpose], inner, kind[purpose], steps.teaching)
        finished.keep(f"{step}-{purpose}", learned_bytes(ranker))
        return ranker

    with ThreadPoolExecutor(threads) as pool:
        fits = {purpose: pool.submit(learned, purpose) for purpose in asked}
        return {purpose: fit.result() for purpose, fit in fits.items()}


def _told_within(progress: Progress, step: str, begin: float, end: float, share: float) -> None:
    """Tell the share of a step as one of the whole."""
    progress(step, begin + (end - begin) * share)


def _shared(
    material: Material,
    plan: Plan,
    text: Neighbours,
    factors: Factors,
    threads: int,
    known: dict[str, Neighbours] | None = None,
) -> Arrays:
    arrays = shared_arrays(fit_lists(material, plan, text, factors, threads, known), material, plan)
    return arrays | {"factors": factors.folding}


def _given(interactions: Interactions, validation: Validation) -> Slice:
    """Questions that come with the data, about histories that the models may know."""
    questions: dict[Purpose, Questions] = {}
    if validation.purpose in LEARNED and validation.histories:
        questions[validation.purpose] = questions_of(validation)
    return Slice(interactions, questions)
