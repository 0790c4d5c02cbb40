"""When products were taken, as a feature, against a recount."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.candidates.stores import popularity_arrays
from recommender.interactions import Interactions
from tests.support.browsing import rows_of, shop_of

PRODUCTS = 7
seeds = st.integers(0, 2**31 - 1)


def place_of(interactions: Interactions, time_s: int) -> float:
    """Where a moment lies among all interactions; those of one moment share the middle of their places."""
    before = int((interactions.time_s < time_s).sum())
    return (before + int((interactions.time_s == time_s).sum()) / 2) / len(interactions.time_s)


@settings(max_examples=40)
@given(seeds, st.integers(1, 20), st.sampled_from((1, 500, 10**9)))
def test_when_products_were_taken_is_a_recount(seed: int, subjects: int, step_s: int) -> None:
    rows = [
        (subject, product, time_s // step_s, order) for subject, product, time_s, order in rows_of(seed, subjects, 5)
    ]
    interactions = shop_of(rows, PRODUCTS)
    told = popularity_arrays(interactions)
    size = len(interactions.product)
    moments = [int(interactions.time_s[size * part // 8]) for part in range(1, 8)]
    assert told["moments"].tolist() == moments
    era = [sum(moment <= time_s for moment in moments) for time_s in interactions.time_s.tolist()]
    for product in range(PRODUCTS):
        own = np.flatnonzero(interactions.product == product)
        places = [place_of(interactions, int(interactions.time_s[at])) for at in own]
        assert told["fresh"][product] == pytest.approx((sum(places) + 1) / (len(own) + 2), abs=1e-4)
        for each in range(8):
            taken, usual = sum(era[at] == each for at in own), len(own) * era.count(each) / size
            assert told["alive"][product, each] == pytest.approx(math.log((taken + 0.3) / (usual + 0.3)), abs=1e-4)


def test_a_shop_where_nothing_happened_has_no_time() -> None:
    told = popularity_arrays(shop_of([], PRODUCTS))
    assert (told["fresh"] == 0.5).all()
    assert not told["alive"].any()
