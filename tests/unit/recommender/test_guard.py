"""A snapshot that lost too much is not published, and the message says what it lost."""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec
import numpy as np
import pytest

from recommender.candidates.plan import Plan
from recommender.guard import Margins, SnapshotRefused, card_of, judge
from recommender.ranker.compare import Comparison, ComparisonConfiguration, Figure, chosen_mean, noise_of
from recommender.ranker.training import ModelCard

COUNTS = (1_000, 5_000, 40_000)


def compared(mean: float, queries: int = 10_000, at: int = 20) -> Comparison:
    figures = (Figure("blend", mean / 2), Figure("logit", mean))
    return Comparison(ComparisonConfiguration(at=at), queries, 0, figures, (), "logit")


def arrays(counts: tuple[int, ...] = COUNTS, **comparisons: Comparison) -> dict[str, Any]:
    card = ModelCard({}, (), Plan(), comparisons, {})
    return {"counts": np.array(counts), "ranking.card": np.frombuffer(msgspec.msgpack.encode(card), np.uint8)}


@pytest.mark.parametrize(
    ("last", "new"),
    [
        (COUNTS, COUNTS),
        (COUNTS, (2_000, 9_000, 90_000)),
        (COUNTS, (800, 4_000, 32_000)),
        ((10, 10, 100), (0, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
    ],
)
def test_what_grew_or_lost_a_little_is_published(last: tuple[int, ...], new: tuple[int, ...]) -> None:
    judge(arrays(new), arrays(last), Margins())


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ((799, 5_000, 40_000), "799 products after 1000 is 20.1% less, more than smaller_max = 0.2"),
        ((1_000, 3_999, 40_000), "3999 orders after 5000 is 20.0% less"),
        ((1_000, 5_000, 0), "0 interactions after 40000 is 100.0% less"),
    ],
)
def test_what_lost_a_lot_is_refused(new: tuple[int, ...], message: str) -> None:
    with pytest.raises(SnapshotRefused, match=re.escape(message)) as refused:
        judge(arrays(new), arrays(), Margins())
    assert "--force" in refused.value.message
    assert "\n" not in refused.value.message
    judge(arrays(new), arrays(), Margins(smaller_max=1.0))


def test_worse_is_refused_only_beyond_margin_and_noise() -> None:
    was = compared(0.30)
    edge = 0.8 * 0.30 - math.hypot(noise_of(was), noise_of(compared(0.228)))
    judge(arrays(for_you=compared(edge + 0.002)), arrays(for_you=was), Margins())
    with pytest.raises(
        SnapshotRefused, match=r"MRR@20 of for_you is 0\.2\d+ after 0\.3000, worse than worse_max = 0\.2"
    ):
        judge(arrays(for_you=compared(edge - 0.002)), arrays(for_you=was), Margins())
    judge(arrays(for_you=compared(edge - 0.002)), arrays(for_you=was), Margins(worse_max=0.5))
    judge(arrays(for_you=compared(0.1, queries=20)), arrays(for_you=compared(0.3, queries=20)), Margins())


def test_what_cannot_be_compared_is_not() -> None:
    last, bad = arrays(for_you=compared(0.3)), compared(0.01)
    judge(arrays(basket=bad), last, Margins())
    judge(arrays(for_you=compared(0.01, at=10)), last, Margins())
    judge(arrays(for_you=bad), {}, Margins())
    judge(arrays(for_you=bad), arrays() | {"ranking.card": np.frombuffer(b"\xc1", np.uint8)}, Margins())


def test_a_card_is_read_back_from_a_snapshot() -> None:
    card = card_of(arrays(for_you=compared(0.3, queries=100)))
    assert card is not None
    assert chosen_mean(card.comparisons["for_you"]) == 0.3
    assert noise_of(card.comparisons["for_you"]) == pytest.approx(1.96 * (0.3 * 0.7 / 100) ** 0.5)
    assert card_of({}) is None
