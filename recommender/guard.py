"""What keeps a bad snapshot from being published: it may not be much smaller or much worse than the one in use.

A log that lost half of its orders, or a shop whose rankers suddenly find nothing, is a fault more often than the truth.
Erasures and cancelled orders make a shop a little smaller, and that is let through.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Protocol

import msgspec
from numpy.typing import NDArray

from ingest.vocabulary.errors import DangolError
from recommender.ranker.compare import chosen_mean, noise_of
from recommender.ranker.training import ModelCard

LOST_ANYWAY_MAX = {"products": 10, "orders": 10, "interactions": 100}  # a few are a large share of a small shop


class SnapshotRefused(DangolError):
    """A new snapshot is much smaller or worse than the one in use, which stays. Find out why, or publish with force."""

    code = "snapshot_refused"


class Margins(msgspec.Struct, frozen=True):
    """How much may be lost: shares of the last snapshot's products, orders and interactions, and of its figures."""

    smaller_max: float = 0.2
    worse_max: float = 0.2


class Arrays(Protocol):
    """A snapshot, written or about to be."""

    def __getitem__(self, name: str, /) -> NDArray[Any]:
        """An array by its name."""
        ...

    def __contains__(self, name: str, /) -> bool:
        """Whether there is such an array."""
        ...


def card_of(arrays: Arrays) -> ModelCard | None:
    """The model card; None where there is none, or one that another version wrote."""
    if "ranking.card" not in arrays:
        return None
    try:
        return msgspec.msgpack.decode(arrays["ranking.card"].tobytes(), type=ModelCard)
    except msgspec.MsgspecError:
        return None


def judge(new: Arrays, last: Arrays, margins: Margins) -> None:
    """Compare a snapshot with the one in use.

    What the last one does not say, because an older version wrote it, is not compared.

    Raises:
        SnapshotRefused: it lost more than the margins; the message says what.
    """
    problems = [*_smaller(new, last, margins.smaller_max), *_worse(new, last, margins.worse_max)]
    if problems:
        raise SnapshotRefused(
            f"the new snapshot was not published: {'; '.join(problems)}. The last one stays in use; "
            "publish with `dangol train --force` if this is as it should be"
        )


def _smaller(new: Arrays, last: Arrays, smaller_max: float) -> Iterator[str]:
    if "counts" not in last:
        return
    for (what, anyway), before, now in zip(
        LOST_ANYWAY_MAX.items(), last["counts"].tolist(), new["counts"].tolist(), strict=True
    ):
        if before - now > max(anyway, smaller_max * before):
            lost = (before - now) / before
            yield f"{now} {what} after {before} is {lost:.1%} less, more than smaller_max = {smaller_max}"


def _worse(new: Arrays, last: Arrays, worse_max: float) -> Iterator[str]:
    after, before = card_of(new), card_of(last)
    if after is None or before is None:
        return
    for purpose, was in before.comparisons.items():
        now = after.comparisons.get(purpose)
        if now is None or now.configuration != was.configuration or not (now.queries and was.queries):
            continue
        noise = math.hypot(noise_of(now), noise_of(was))
        if chosen_mean(now) < (1.0 - worse_max) * chosen_mean(was) - noise:
            metric = f"{was.configuration.metric.upper()}@{was.configuration.at}"
            yield (
                f"{metric} of {purpose} is {chosen_mean(now):.4f} after {chosen_mean(was):.4f}, "
                f"worse than worse_max = {worse_max} and a noise of {noise:.4f} explain"
            )
