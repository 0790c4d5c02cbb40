"""The search for a plan: each number on its own, a bounded number of trials, judged on questions held back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np

from ingest.vocabulary.ranking import IntVector, Purpose
from recommender.candidates.gathering import reciprocal_ranks
from recommender.candidates.lists import BY_ALL, BY_ROW, FIRST, WALKS, Material, fit_list
from recommender.candidates.plan import (
    COMPONENT_NAMES,
    COMPONENTS,
    HISTORIES,
    LISTS,
    Asking,
    Plan,
    PopularityConfiguration,
)
from recommender.candidates.stores import (
    Arrays,
    assembled,
    history_arrays,
    list_arrays,
    popularity_arrays,
    top_arrays,
)
from recommender.checkpoints import NOTHING_FINISHED, Finished
from recommender.histories import newest
from recommender.models.neighbours import Neighbours, nothing
from recommender.models.steps import walk
from recommender.questions import Questions

TRIAL_QUESTIONS_MAX = 2_000  # with 400 the better of two plans is often missed: decision 14
_TRIAL_ENTRIES = 40_000  # of all their histories: fewer questions, but not below the next number, where those are long
_TRIAL_QUESTIONS_MIN = 400
REPEATED, POPULAR = COMPONENTS, COMPONENTS + 1  # places in the blend behind the components
DEPTH = 20  # ranks that count
HOPELESS = 0.4  # of the best component's figure: what is below is asked as it comes
_DAY_S = 86_400


Progress = Callable[[float], None]


class Trial(NamedTuple):
    """One that was made: what was changed, for which component and purpose, and its mean reciprocal rank."""

    component: str
    purpose: Purpose
    changed: str
    figure: float


ASKED = (
    Asking(),
    Asking(decay=0.4),
    Asking(decay=0.9),
    Asking(decay=1.0, depth=50),
    Asking(decay=1.0, half_life_s=_DAY_S, depth=50),
    Asking(decay=1.0, half_life_s=7 * _DAY_S, depth=50),
)
"""The ways a component may be asked; the first is tried first."""

FAMILIAR = (0.8, 0.5, 0.9, 0.97, 1.0)
"""How fast what was taken may be forgotten; the first is tried first."""

_SHORTLY_S = (60, 600, 3_600)
_COSINES = (
    (0.5, 0.5, 0.0),
    (0.25, 0.125, 0.25),
    (0.5, 0.25, 0.5),
    (0.5, 0.375, 1.0),
    (0.625, 0.375, 0.75),
    (0.5, 0.5, 0.5),
    (0.375, 0.375, 0.5),
)


def _of(component: str, part: str, **values: tuple[float, ...]) -> Iterator[tuple[str, tuple[dict[str, Any], ...]]]:
    """Lines of the grid: alternatives to one number after the other of a part of the plan."""
    for name, alternatives in values.items():
        yield component, tuple({part: {name: value}} for value in alternatives)


GRID: tuple[tuple[str, tuple[dict[str, Any], ...]], ...] = (
    ("next", ({"whole": False}, {"whole": True})),
    *_of("next", "next", decay=(0.5, 0.6, 0.85, 0.95), spread=(0.125, 0.25, 0.375, 0.5)),
    *_of("next", "next", recency=(0.3,), half_life_s=_SHORTLY_S),
    *_of("near", "near", decay=(0.5, 0.85), spread=(0.0, 0.25, 0.375, 0.5)),
    *_of("near", "near", back=(0.25, 1.0), recency=(0.3,), half_life_s=_SHORTLY_S),
    *_of("close", "close", half_life_s=(20, 60, 200, 600, 7_200, _DAY_S, 7 * _DAY_S)),
    *_of("kin", "kin", half_life_s=(30 * _DAY_S, 720 * _DAY_S), spread=(0.125, 0.5)),
    ("alike", tuple({"alike": each} for each in _COSINES)),
    ("baskets", tuple({"baskets": each} for each in ((0.5, 0.5, 0.0), (0.5, 0.25, 0.75), (0.625, 0.5, 1.0)))),
    *_of("histories", "sessions", entry_decay=(0.6, 0.7, 0.95), recency=(0.1, 1.0)),
    *_of("histories", "sessions", neighbours=(100, 500), newest=(3_000,)),
    *_of("popularity", "popularity", half_life_s=(0, 180 * _DAY_S, 7 * _DAY_S, _DAY_S)),
)
"""What is tried for which component, in this order: the best so far stands when the next is tried."""

ASKED_LIKE: Mapping[Purpose, Purpose] = {"next_basket": "for_you"}
"""Purposes whose components are asked as another purpose's are, where that one has questions: half the trials."""

JUDGES: Mapping[str, tuple[Purpose, ...]] = {
    "next": ("next_item", "for_you"),
    "near": ("next_item", "for_you"),
    "close": ("for_you", "next_item"),
    "kin": ("for_you", "next_item"),
    "alike": ("for_you", "next_item"),
    "baskets": ("basket", "for_you"),
    "histories": ("next_item", "for_you", "basket"),
    "popularity": ("for_you", "next_item", "basket"),
}
"""Which purpose's questions judge a component: the first that has any."""


class _Sofar(msgspec.Struct):
    """How far a search has come."""

    plan: Plan
    trials: list[Trial]


class Search:
    """A search over one shop's slice.

    Attributes:
        trials: all that were made, in their order.

    `progress` is told the share that is done, in (0, 1].
    """

    def __init__(
        self,
        material: Material,
        latent: Neighbours,
        questions: Mapping[Purpose, Questions],
        plan: Plan,
        threads: int,
        progress: Progress = lambda share: None,
        finished: Finished = NOTHING_FINISHED,
    ) -> None:
        self._material, self._latent, self._threads, self.plan = material, latent, threads, plan
        self._popularity = popularity_arrays(material.interactions)
        self._units: dict[tuple[bool, int], Arrays] = {}
        self._whole: dict[tuple[str, str], Neighbours] = {}
        self._tops: dict[PopularityConfiguration, Arrays] = {}
        self._questions = {purpose: each.sampled(_enough(each), 0) for purpose, each in questions.items()}
        self.trials: list[Trial] = []
        self._progress, self._steps, self._finished = progress, 0, finished

    def run(self) -> Plan:
        """The best plan found. Cost: some 200 trials of 2,000 questions at most; a third make some rows of a list."""
        if not self._questions:
            return self.plan
        for line, (component, alternatives) in enumerate(GRID):
            with self._once(f"search-{line}") as is_new:
                if is_new:
                    self._choose(component, alternatives)
            self._step()
        for purpose in self._questions:
            with self._once(f"search-{purpose}") as is_new:
                if is_new:
                    self._ask(purpose)
        return self.plan

    @contextlib.contextmanager
    def _once(self, step: str) -> Iterator[bool]:
        """Whether a step is to be made; one that was finished is recalled instead."""
        stored = self._finished.recall(step)
        yield stored is None
        if stored is None:
            self._finished.keep(step, msgspec.msgpack.encode(_Sofar(self.plan, self.trials)))
        else:
            sofar = msgspec.msgpack.decode(stored, type=_Sofar)
            self.plan, self.trials = sofar.plan, sofar.trials

    def whole_lists(self) -> dict[str, Neighbours]:
        """The lists of all rows that the best plan has, made on the way."""
        keys = {name: _key(name, self.plan) for name in BY_ALL}
        return {name: self._whole[key] for name, key in keys.items() if key in self._whole} | {"latent": self._latent}

    def _step(self) -> None:
        """Tell how far the search is: a step is a line of the grid, or a component that is asked for a purpose."""
        self._steps += 1
        self._progress(self._steps / (len(GRID) + len(self._questions) * COMPONENTS))

    def _choose(self, component: str, alternatives: tuple[dict[str, Any], ...]) -> None:
        """Keep what judges a component best: what stands, or one of the alternatives to it."""
        purpose = next((each for each in JUDGES[component] if each in self._questions), None)
        if purpose is None:
            return
        best, best_plan = self._figure(component, purpose, self.plan), self.plan
        self.trials.append(Trial(component, purpose, "as it is", best))
        for alternative in alternatives:
            plan = _changed(self.plan, alternative)
            if plan != self.plan:
                figure = self._figure(component, purpose, plan)
                self.trials.append(Trial(component, purpose, str(alternative), figure))
                if figure > best:
                    best, best_plan = figure, plan
        self.plan = best_plan

    def _ask(self, purpose: Purpose) -> None:
        """How each component is asked for a purpose, and what it is worth alone."""
        lists = self._lists(purpose, self.plan)
        like = ASKED_LIKE.get(purpose)
        is_tuned = like not in self._questions
        asking, worth = list(self.plan.asking_for(purpose if is_tuned else like or purpose)), []
        for component in range(COMPONENTS):
            self._step()
            name = COMPONENT_NAMES[component]
            if component < HISTORIES and not len(lists[name].row):
                worth.append(0.0)
                continue
            only = lists[name] if component < HISTORIES else None
            best, known = -1.0, max(worth, default=0.0)
            for change in ASKED if is_tuned else asking[component : component + 1]:
                if component == HISTORIES and change.depth > 20:
                    continue
                if 0.0 <= best < known * HOPELESS:
                    break
                trial = asking.copy()
                trial[component] = change
                plan = msgspec.structs.replace(self.plan, asking={**self.plan.asking, purpose: tuple(trial)})
                figure = self._solo(only, component, purpose, plan)
                self.trials.append(Trial(name, purpose, str(change), figure))
                if figure > best:
                    best, asking = figure, trial
            worth.append(best)
        again, top = self._forget(purpose), self._solo(None, POPULAR, purpose, self.plan)
        self.trials.append(Trial("popularity", purpose, "as it is", top))
        self.plan = msgspec.structs.replace(
            self.plan,
            asking={**self.plan.asking, purpose: tuple(asking)},
            blend={**self.plan.blend, purpose: (*worth, again, top)},
        )

    def _forget(self, purpose: Purpose) -> float:
        """How fast what was taken is forgotten for a purpose, and what repetition is worth alone."""
        best, best_plan = -1.0, self.plan
        for familiarity in FAMILIAR:
            plan = msgspec.structs.replace(self.plan, familiarity={**self.plan.familiarity, purpose: familiarity})
            figure = self._solo(None, REPEATED, purpose, plan)
            self.trials.append(Trial("repetition", purpose, f"familiarity {familiarity}", figure))
            if figure > best:
                best, best_plan = figure, plan
        self.plan = best_plan
        return best

    def _figure(self, component: str, purpose: Purpose, plan: Plan) -> float:
        if component == "histories":
            return self._solo(None, HISTORIES, purpose, plan)
        if component == "popularity":
            return self._solo(None, POPULAR, purpose, plan)
        return self._solo(self._fitted(component, plan, self._wanted(purpose)), LISTS.index(component), purpose, plan)

    def _fitted(self, name: str, plan: Plan, wanted: IntVector) -> Neighbours:
        """A list, of the wanted rows where it can be had by rows; of all it is made once for equal numbers."""
        if name not in BY_ROW:
            key = _key(name, plan)
            if key not in self._whole:
                self._whole[key] = fit_list(name, self._material, plan, self._threads)
            return self._whole[key]
        return fit_list(name, self._material, plan, self._threads, wanted)

    def _lists(self, purpose: Purpose, plan: Plan) -> dict[str, Neighbours]:
        wanted = self._wanted(purpose)
        lists = {name: self._fitted(name, plan, wanted) for name in FIRST}
        for name, steps_of in WALKS.items():
            reached = np.unique(np.concatenate((wanted, lists[steps_of].row))).astype(np.int32)
            second = fit_list(steps_of, self._material, plan, self._threads, reached)
            lists[name] = walk(second, second, plan.walk_width, plan.walk_kept, self._threads, wanted)
        lists["latent"] = self._latent
        lists["text"] = nothing(len(self._material.interactions.products))
        return lists

    def _solo(self, fitted: Neighbours | None, component: int, purpose: Purpose, plan: Plan) -> float:
        """The mean reciprocal rank of one component alone; None of the lists for what is no list."""
        asking = plan.asking_for(purpose)
        own = asking[min(component, HISTORIES)]
        shared = list_arrays([fitted or nothing(len(self._material.interactions.products))]) | self._popularity
        shared |= self._top(plan)
        sessions = plan.sessions
        if component != HISTORIES:
            sessions = msgspec.structs.replace(sessions, neighbours=0)
        shared |= self._histories(plan, is_asked=component == HISTORIES)
        blend = (float(component < HISTORIES), *(float(component == each) for each in (HISTORIES, REPEATED, POPULAR)))
        stores = assembled(shared, sessions, (own, own), blend, plan.familiarity_for(purpose))
        return float(reciprocal_ranks(stores, self._questions[purpose], DEPTH, self._threads).mean())

    def _histories(self, plan: Plan, *, is_asked: bool) -> Arrays:
        """The arrays of the histories; of none where they are not asked."""
        key = (plan.whole, plan.sessions.kept if is_asked else 0)
        if key not in self._units:
            self._units[key] = history_arrays(newest(self._material.units(plan)[0], key[1]))
        return self._units[key]

    def _top(self, plan: Plan) -> Arrays:
        """The arrays of what is popular."""
        if plan.popularity not in self._tops:
            self._tops[plan.popularity] = top_arrays(self._material.interactions, plan.popularity)
        return self._tops[plan.popularity]

    def _wanted(self, purpose: Purpose) -> IntVector:
        return np.unique(self._questions[purpose].products.values).astype(np.int32)


def _enough(questions: Questions) -> int:
    """How many questions a trial asks: a longer history takes longer, and says more."""
    mean = max(len(questions.products.values) / max(len(questions), 1), 1.0)
    return int(min(max(_TRIAL_ENTRIES / mean, _TRIAL_QUESTIONS_MIN), TRIAL_QUESTIONS_MAX))


def _key(name: str, plan: Plan) -> tuple[str, str]:
    """What a list of all rows follows from."""
    return name, str([getattr(plan, each) for each in BY_ALL[name]])


def _changed(plan: Plan, alternative: dict[str, Any]) -> Plan:
    """A plan with some of its values replaced; of a nested one, some of its own."""
    values = {
        name: msgspec.structs.replace(getattr(plan, name), **value) if isinstance(value, dict) else value
        for name, value in alternative.items()
    }
    return msgspec.structs.replace(plan, **values)
