"""What a protocol makes of its files: something to train on, and something to ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.errors import ConfigurationError
from ingest.vocabulary.ranking import CountVector, IntVector
from recommender.evaluation.files.columns import Columns, interactions_of_columns
from recommender.evaluation.files.tokens import Numbering
from recommender.interactions import ORDER, Interactions
from recommender.questions import Questions
from recommender.validation import Validation

NO_ORDER = -1

Files = Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class Part:
    """Questions and the metrics their answers are judged by; `name` goes before the metrics', if any."""

    name: str
    questions: Questions
    metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """Interactions to train on, labels that come with them, and what is asked then."""

    interactions: Interactions
    validation: Validation | None
    parts: tuple[Part, ...]


def orders_of(
    products: Numbering, path: Path, product: IntVector, subject: CountVector, time_s: CountVector, order: CountVector
) -> Interactions:
    """Interactions that are all lines of orders."""
    kind = np.full(len(product), ORDER, np.int8)
    return interactions_of_columns(Columns(products.names(path), product, subject, kind, time_s, order))


def browsing_of(
    products: Numbering,
    path: Path,
    product: IntVector,
    subject: CountVector,
    kind: NDArray[np.int8],
    time_s: CountVector,
) -> Interactions:
    """Interactions of which none is an order."""
    order = np.full(len(product), NO_ORDER, np.int64)
    return interactions_of_columns(Columns(products.names(path), product, subject, kind, time_s, order))


def require(holds: object, path: Path, why: str) -> None:
    """Refuse a file that has nothing to evaluate.

    Raises:
        ConfigurationError: it does not hold.
    """
    if not holds:
        raise ConfigurationError(f"{path} cannot be used: {why}", code="unreadable_file")
