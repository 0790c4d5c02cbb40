"""The whole example shop in the distributed deployment: told over HTTP, and moved; both answer as the embedded one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.client import Client
from tests.support.composed import composed
from tests.support.deployment import deployment
from tests.support.distributed import own_prefix, remove_topics
from tests.support.posted import History
from tests.support.service import COMMAND_WAIT_MAX_S, copy_of, serving, told, wait_for

STEP = 80  # every so many products and customers are asked about
WITH_PRODUCTS = ("product.bought-together", "product.similar", "product.other-styles", "cart.cross-sell")
WITH_CUSTOMERS = ("home.for-you", "home.buy-again", "home.recently-viewed")
CATEGORIES = ("Kitchen", "Bags & Travel", "Kitchen > Mugs")


class Expected(NamedTuple):
    """The example shop as it was told, and what the embedded deployment answers from it."""

    folder: Path
    snapshot: str
    history: History
    rows: list[Any]


@pytest.fixture(scope="module")
def expected(example_shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Expected:
    """What the embedded deployment knows of the example shop; the folder is the test file's own."""
    folder = copy_of(example_shop, tmp_path_factory.mktemp("embedded") / "data")
    history, snapshot = History(folder), told("status", data=folder)["snapshot"]
    with serving(folder) as service:
        rows = rows_of(service, history)
    return Expected(folder, snapshot, history, rows)


def rows_of(service: Client, history: History) -> list[Any]:
    """What a service recommends; without what every answer has of its own."""
    products = [each["product_id"] for each in history.products][::STEP]
    asked: list[tuple[str, dict[str, Any]]] = [("home.popular", {"limit": 50})]
    asked += [("category.popular", {"category": each}) for each in CATEGORIES]
    asked += [(placement, {"product_ids": each}) for placement in WITH_PRODUCTS for each in products]
    asked += [(each, {"customer_id": who}) for each in WITH_CUSTOMERS for who in history.customers[::STEP]]
    asked += [
        ("cart.cross-sell", {"product_ids": product, "customer_id": who})
        for product, who in zip(products, history.customers[1::STEP], strict=False)
    ]
    rows = []
    for placement, query in asked:
        answered = service.get(f"/v1/recommendations/{placement}", **query)
        assert answered["degraded"] == []
        for item in answered["items"]:
            item.pop("click_token")
        rows.append((placement, query, answered["snapshot"], answered["items"]))
    assert sum(len(items) > 5 for *_, items in rows) > len(rows) // 2
    return rows


def test_the_processes_of_the_compose_file_answer_what_the_embedded_deployment_answers(
    expected: Expected, tmp_path: Path
) -> None:
    with composed(tmp_path) as shop:
        assert shop.names == {"kafka", "redis", "init", "serve", "projector", "trainer"}, "they are all started here"
        service = shop.serve()
        shop.up("projector")
        expected.history.tell(service)
        shop.wait_until_folded()
        shop.up("trainer")
        wait_for(
            lambda: all(service.get("/v1/recommendations/home.popular")["snapshot"] is not None for _ in range(10)),
            "both workers to answer from a snapshot",
            within_s=COMMAND_WAIT_MAX_S,
        )
        assert json.loads(shop.run("status", "--json"))["snapshot"] == expected.snapshot
        assert rows_of(service, expected.history) == expected.rows
        assert "no difference" in shop.run("replay", "--verify")
        assert set(shop.down()) == {0}


def test_the_moved_example_shop_answers_what_it_answered_and_both_sides_follow_from_their_logs(
    expected: Expected, kafka_address: str, redis_url: str, tmp_path: Path
) -> None:
    prefix = own_prefix()
    with deployment(tmp_path / "data", kafka_address, redis_url, prefix=prefix) as place:
        moved = json.loads(place.run("migrate", "--from", str(expected.folder), "--json"))
        assert moved["snapshot"] == expected.snapshot
        assert moved["facts"] > 18_000
        place.projector()
        place.wait_until_folded()
        service = place.serve()
        assert rows_of(service, expected.history) == expected.rows
        here, there = (
            told("replay", "--verify", data=expected.folder),
            json.loads(place.run("replay", "--verify", "--json")),
        )
        assert here["facts"] == moved["facts"]
        assert there["facts"] >= moved["facts"], "and the rows that were shown meanwhile"
        for replayed in (here, there):
            assert "difference" not in replayed, replayed
            assert replayed["unfoldable"] == 0
    remove_topics(kafka_address, prefix)
