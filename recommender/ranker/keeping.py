"""What the last full search chose, kept while the shop has changed little: the plan, and which kind of ranker ranks.

A full training spends most of its time on finding numbers that hardly change from day to day. One that goes on from a
snapshot takes them from there, counts and fits everything anew, and judges the rankers by the newest questions, which
they were not fitted on. If they answer worse than they did beyond noise, everything is searched after all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from ingest.vocabulary.ids import SnapshotId
from ingest.vocabulary.ranking import Purpose
from recommender.candidates.plan import LEARNED, Plan
from recommender.interactions import Interactions
from recommender.ranker.compare import Comparison, chosen_mean, noise_of
from recommender.ranker.fitting import CORRECTED, Learned
from recommender.snapshot import Snapshot


class SearchBounds(msgspec.Struct, frozen=True):
    """How long what was searched is kept: fewer than `every_days` days of the shop's history, and no more than
    `after_share` of the interactions that were there then, added or gone."""

    every_days: int = 7
    after_share: float = 0.2


class Origin(msgspec.Struct, frozen=True):
    """Where what was kept comes from.

    Attributes:
        base: the snapshot it was taken from; searched: the one of the full search.
        day, interactions: the newest day and the number of interactions of that search.
    """

    base: SnapshotId
    searched: SnapshotId
    day: int
    interactions: int


class Kept(NamedTuple):
    """A plan, what ranks for each purpose, and how that did when it was last judged."""

    origin: Origin
    plan: Plan
    rivals: Mapping[Purpose, str]
    comparisons: Mapping[str, Comparison]


class Base(NamedTuple):
    """A snapshot to go on from, and what its model card says."""

    snapshot: Snapshot
    comparisons: Mapping[str, Comparison]
    origin: Origin | None


def kept_of(base: Base, interactions: Interactions, settled: bytes, bounds: SearchBounds) -> Kept | None:
    """What may be kept of a snapshot; None where everything is to be searched.

    Args:
        settled: the configuration of the models, as snapshots have it; another one is searched for anew.
    """
    snapshot = base.snapshot
    if "ranking.plan" not in snapshot or snapshot["configuration"].tobytes() != settled:
        return None
    day, count = int(snapshot["reference_day"][0]), int(snapshot["counts"][2])
    origin = base.origin or Origin(snapshot.snapshot_id, snapshot.snapshot_id, day, count)
    origin = msgspec.structs.replace(origin, base=snapshot.snapshot_id)
    changed = abs(len(interactions.kind) - origin.interactions)
    days = interactions.reference_day - origin.day
    if not 0 <= days < bounds.every_days or changed > bounds.after_share * origin.interactions:
        return None
    try:
        plan: Plan = snapshot.unpack("ranking.plan", Plan)
    except msgspec.MsgspecError:
        return None  # another version of the plan
    return Kept(origin, plan, _rivals_of(snapshot), base.comparisons)


def is_as_good(kept: Kept, learned: Mapping[Purpose, Learned]) -> bool:
    """Whether no ranker of what was kept does worse than it did, beyond the noise of both figures."""
    for purpose, ranker in learned.items():
        was, now = kept.comparisons.get(purpose), ranker.comparison
        if was is None or now is None or not (was.queries and now.queries):
            continue
        if chosen_mean(now) < chosen_mean(was) - math.hypot(noise_of(now), noise_of(was)):
            return False
    return True


def _rivals_of(snapshot: Snapshot) -> dict[Purpose, str]:
    """What ranks for each purpose, by the name that a full training knows it by."""
    rivals: dict[Purpose, str] = {}
    for purpose in LEARNED:
        name = f"ranking.{purpose}"
        if f"{name}.weights" in snapshot:
            is_grown = f"{name}.trees.tree_start" in snapshot
            rivals[purpose] = (CORRECTED if snapshot[f"{name}.weights"].any() else "trees") if is_grown else "logit"
    return rivals
