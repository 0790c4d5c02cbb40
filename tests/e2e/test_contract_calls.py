"""The calls that the documentation begins with, and the evidence in their answers counted again from the file."""

from __future__ import annotations

import csv
import gzip
import random
from collections import defaultdict
from decimal import Decimal
from functools import cache
from typing import Any

import pytest

from tests.support.client import ids
from tests.support.service import ORDERS, Service

HEART = "85123A"
ITEM = {
    "product_id", "position", "score", "reason", "title", "url", "image_url", "price", "currency", "availability",
    "click_token",
}  # fmt: skip
ANSWER = {"request_id", "placement", "snapshot", "configuration", "degraded", "experiment", "items"}
PAIRS = 50


@cache
def invoices_by_product() -> dict[str, set[str]]:
    """The invoices of every product: not cancelled, with positive quantities, guests included."""
    found: dict[str, set[str]] = defaultdict(set)
    with gzip.open(ORDERS, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if not row["InvoiceNo"].startswith("C") and int(row["Quantity"]) > 0:
                found[row["StockCode"]].add(row["InvoiceNo"])
    return found


def assert_shaped(answer: dict[str, Any], placement: str) -> None:
    assert set(answer) == ANSWER
    assert answer["placement"] == placement
    assert answer["snapshot"].startswith("sha256:")
    assert answer["configuration"].startswith("sha256:")
    assert answer["degraded"] == []
    assert len(answer["items"]) == 10
    for position, item in enumerate(answer["items"], start=1):
        assert set(item) == ITEM
        assert item["position"] == position
        assert set(item["reason"]) == {"kind", "because", "text", "evidence"}
        assert item["reason"]["text"]
        assert Decimal(item["price"]) > 0
        assert (item["currency"], item["availability"]) == ("GBP", "in_stock")
        assert item["click_token"]
    scores = [
        item["score"] for item in answer["items"] if item["reason"]["kind"] == answer["items"][0]["reason"]["kind"]
    ]
    assert scores == sorted(scores, reverse=True)


def test_what_is_bought_together_with_the_heart_is_answered_with_evidence(example_service: Service) -> None:
    answer = example_service.get("/v1/recommendations/product.bought-together", product_ids=HEART)
    assert_shaped(answer, "product.bought-together")
    invoices = invoices_by_product()
    for item in answer["items"]:
        assert item["reason"]["kind"] == "bought_together"
        assert item["reason"]["because"] == [HEART]
        in_common = len(invoices[HEART] & invoices[item["product_id"]])
        assert item["reason"]["evidence"]["orders"] == in_common > 0


def test_a_known_customer_gets_a_row_of_their_own(example_service: Service) -> None:
    answer = example_service.get("/v1/recommendations/home.for-you", customer_id="17850")
    assert_shaped(answer, "home.for-you")
    assert {item["reason"]["kind"] for item in answer["items"]} == {"for_you"}
    stranger = example_service.get("/v1/recommendations/home.for-you", customer_id="nobody-knows-me")
    assert ids(stranger["items"]) != ids(answer["items"])
    assert "for_you" not in {item["reason"]["kind"] for item in stranger["items"]}


def test_what_is_popular_in_a_category_comes_from_that_category(example_service: Service) -> None:
    answer = example_service.get("/v1/recommendations/category.popular", category="Kitchen")
    assert_shaped(answer, "category.popular")
    for item in answer["items"]:
        assert item["reason"]["kind"] == "popular"
        category = example_service.get(f"/v1/products/{item['product_id']}")["category"]
        assert "Kitchen" in category


def test_evidence_of_fifty_pairs_equals_a_recount_of_the_file(example_service: Service) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    invoices = invoices_by_product()
    products = sorted(product for product, of_product in invoices.items() if len(of_product) >= 5)
    compared = 0
    while compared < PAIRS:
        product = rng.choice(products)
        items = example_service.row("product.bought-together", product_ids=product, limit=30)
        together = [item for item in items if item["reason"]["kind"] == "bought_together"]
        for item in rng.sample(together, min(5, len(together))):
            (because,) = item["reason"]["because"]
            assert because == product
            in_common = len(invoices[product] & invoices[item["product_id"]])
            assert item["reason"]["evidence"]["orders"] == in_common, (product, item["product_id"], seed)
            compared += 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_query_and_the_body_ask_the_same(example_service: Service, method: str) -> None:
    path = "/v1/recommendations/product.bought-together"
    if method == "GET":
        answer = example_service.get(path, product_ids=f"{HEART},22423", limit=4, exclude="22804", customer_id="17850")
    else:
        asked = {"product_ids": [HEART, "22423"], "limit": 4, "exclude": ["22804"], "customer_id": "17850"}
        answer = example_service.post(path, asked)
    by_body = example_service.post(path, {"product_ids": [HEART, "22423"], "limit": 4, "exclude": ["22804"]})
    assert ids(answer["items"]) == ids(by_body["items"])
    assert "22804" not in ids(answer["items"])
    assert len(answer["items"]) == 4


def test_an_unknown_placement_is_told_the_known_ones(example_service: Service) -> None:
    answered = example_service.send("GET", "/v1/recommendations/home.for-me")
    assert answered.status == 404
    assert answered.headers["content-type"] == "application/problem+json"
    assert answered.json["code"] == "unknown_placement"
    assert {"home.for-you", "product.bought-together", "category.popular"} <= set(answered.json["known"])


def test_an_unknown_product_is_answered_by_the_fallback(example_service: Service) -> None:
    items = example_service.row("product.bought-together", product_ids="never-heard-of")
    assert len(items) == 10
    assert {item["reason"]["kind"] for item in items} == {"fallback_popular"}


def test_every_standard_placement_answers_a_full_row(example_service: Service) -> None:
    known = example_service.send("GET", "/v1/recommendations/x").json["known"]
    assert len(known) == 13
    for placement in known:
        items = example_service.row(placement, customer_id="17850", product_ids=HEART, limit=12)
        assert len(items) == len(set(ids(items))) == 12, placement
