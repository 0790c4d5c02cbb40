"""The Open Bandit sample, read with the standard library alone, and the pipeline's formulas decision by decision.

The formulas are those of the Open Bandit Pipeline's `obp.ope` (`InverseProbabilityWeighting`,
`SelfNormalizedInverseProbabilityWeighting`, `DoublyRobust`), written again in loops, with sums that are exact.
"""

from __future__ import annotations

import csv
import gzip
import math
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

FOLDER_VARIABLE = "DANGOL_BENCH_DATA"
BESIDE_THE_CHECKOUT = Path(__file__).parents[3] / "shared" / "data"
ITEMS = 34


class Impression(NamedTuple):
    """A product that was shown at a position, and whether it was clicked."""

    item: int
    position: int
    click: int
    propensity: float


def folder() -> Path:
    """Where the sample is, if it is anywhere."""
    return Path(os.environ.get(FOLDER_VARIABLE, BESIDE_THE_CHECKOUT))


def is_there() -> bool:
    """Whether the sample can be read."""
    return all((folder() / f"open_bandit.{policy}.men.csv.gz").exists() for policy in ("random", "bts"))


def impressions(policy: str) -> list[Impression]:
    """What one of the two policies, `random` or `bts`, showed to men."""
    with gzip.open(folder() / f"open_bandit.{policy}.men.csv.gz", "rt") as file:
        return [
            Impression(int(row["item_id"]), int(row["position"]), int(row["click"]), float(row["propensity_score"]))
            for row in csv.DictReader(file)
        ]


def frequencies(shown: Sequence[Impression]) -> Callable[[int, int], float]:
    """How often a policy that knows no visitor showed an item at a position: its probabilities, averaged over time."""
    pairs = Counter((each.item, each.position) for each in shown)
    positions = Counter(each.position for each in shown)
    return lambda item, position: pairs[item, position] / positions[position]


class Reference(NamedTuple):
    """The three estimates and the effective sample size."""

    ips: float
    snips: float
    doubly_robust: float
    effective_size: float


def worked_out(shown: Sequence[Impression], target: Callable[[int, int], float], folds: int, prior: float) -> Reference:
    """The pipeline's formulas, one decision after the other, with the cross-fitted mean of each item for DR."""
    n = len(shown)
    weights = [target(each.item, each.position) / each.propensity for each in shown]
    weighted = [w * each.click for w, each in zip(weights, shown, strict=True)]
    models = [fitted_without(shown, fold, folds, prior) for fold in range(folds)]
    robust = []
    for at, (w, each) in enumerate(zip(weights, shown, strict=True)):
        model = models[at % folds]
        expected = math.fsum(target(item, each.position) * model[item] for item in range(ITEMS))
        robust.append(expected + w * (each.click - model[each.item]))
    return Reference(
        ips=math.fsum(weighted) / n,
        snips=math.fsum(weighted) / math.fsum(weights),
        doubly_robust=math.fsum(robust) / n,
        effective_size=math.fsum(weights) ** 2 / math.fsum(w * w for w in weights),
    )


def fitted_without(shown: Sequence[Impression], fold: int, folds: int, prior: float) -> list[float]:
    """The mean click of each item over every impression but each `folds`-th, shrunk to the mean of all items."""
    others = [each for at, each in enumerate(shown) if at % folds != fold]
    drawn = Counter(each.item for each in others)
    clicked = Counter(each.item for each in others if each.click)
    common = sum(clicked.values()) / len(others)
    return [(clicked[item] + prior * common) / (drawn[item] + prior) for item in range(ITEMS)]
