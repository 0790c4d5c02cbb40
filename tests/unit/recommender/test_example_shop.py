"""The example shop: exact evidence against a recount by hand, substitutes that are substitutes, fresh pairs on top."""

from __future__ import annotations

import csv
import gzip
import random
from collections import defaultdict

import numpy as np
import pytest

from ingest.vocabulary.ids import ProductId
from ingest.vocabulary.ranking import ProductIndex, Seeds
from recommender.configuration import TrainingConfiguration
from recommender.interactions import ORDER
from recommender.live import LiveModels
from recommender.segments import Entry
from recommender.snapshot import Snapshot
from recommender.tail import Tail
from recommender.training import fit_in_memory
from tests.support.histories import ONLINE_RETAIL, online_retail
from tests.support.shops import ids, seeds, together

HEART = "85123A"  # the most bought product
DAY_S = 86_400


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    return fit_in_memory(online_retail(), TrainingConfiguration(threads=2, ranker=False))


@pytest.fixture
def live(snapshot: Snapshot) -> LiveModels:
    index = ProductIndex()
    return LiveModels(snapshot, Tail(index, snapshot), index)


def test_evidence_equals_a_recount_of_the_file(live: LiveModels) -> None:
    invoices: dict[str, set[str]] = defaultdict(set)
    with gzip.open(ONLINE_RETAIL, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if not row["InvoiceNo"].startswith("C") and int(row["Quantity"]) > 0:
                invoices[row["StockCode"]].add(row["InvoiceNo"])
    total = len(set().union(*invoices.values()))
    assert live.tail.orders == total
    chosen = random.Random(7).sample(sorted(product for product in invoices if len(invoices[product]) > 100), 25)
    for product in chosen:
        for partner, (orders, lift, _) in list(together(live, product).items())[:2]:
            in_common = len(invoices[product] & invoices[partner])
            assert orders == in_common
            assert lift == pytest.approx(in_common * total / len(invoices[product]) / len(invoices[partner]))
        other = random.Random(product).choice(chosen)
        numbers = [live.tail.index.find(ProductId(name)) for name in (product, other)]
        counts = (len(invoices[product] & invoices[other]), len(invoices[product]), len(invoices[other]), total)
        assert live.pair_counts(numbers[0] or 0, numbers[1] or 0) == counts


@pytest.mark.parametrize(("seed", "substitutes"), [(HEART, {"21733", "21814", "85118"}), ("20725", {"22384", "20727"})])
def test_substitutes_look_like_the_product_itself(live: LiveModels, seed: str, substitutes: set[str]) -> None:
    assert substitutes <= set(ids(live, live.similar(seeds(live, seed), 8)))


@pytest.mark.parametrize("years", [0, 15])
@pytest.mark.parametrize("size", [2, 20])
def test_thirty_new_orders_of_a_pair_bring_it_to_the_top_of_both(live: LiveModels, years: int, size: int) -> None:
    rare = "35910B"
    assert rare not in together(live, HEART)
    everything = sorted(set(ids(live, live.popular(None, 500))) - {HEART, rare})
    minute_after = int(live.tail.snapshot["reference_day"][0]) * DAY_S + 64_000 if live.tail.snapshot else 0
    randomness = random.Random(size)
    for number in range(30):
        basket = (HEART, rare, *randomness.sample(everything, size - 2))
        time_s = minute_after + number + years * 365 * DAY_S
        live.tail.apply(number % 16, Entry(ORDER, number, time_s, f"s{number}", basket, bytes([number]) * 16))
    for seed, partner in ((HEART, rare), (rare, HEART)):
        found = together(live, seed, limit=10)
        assert found[partner][0] == 30
    if not (years and size > 2):  # one order of today says more than hundreds of fifteen years ago
        assert {"21733", "22804"} <= set(together(live, HEART, limit=10)), "the old complements remain"


def test_a_long_cart_and_a_long_profile_are_answered(live: LiveModels) -> None:
    many = live.popular(None, 200).products
    for ask in (live.bought_together, live.for_you, live.similar):
        found = ask(Seeds(many, np.ones(len(many))), 500)
        assert 0 < len(found.products) <= 500
        assert not set(found.products[:50].tolist()) & set(many[:50].tolist())
