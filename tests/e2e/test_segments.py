"""From orders to a segment: a shop trains on what it was told, and its homepage knows whom it has before it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from werkzeug.test import Client

from serving.app import create_app
from serving.wiring import open_engine
from tests.support.small_shop import PRODUCTS

CONFIGURATION = """
[models]
ranker = false

[homepage.variants.our-best]
priority = 2
when = { segment = ["champions", "loyal"] }

[homepage.variants.busy]
priority = 1
when = { engagement = { from = 3 } }
"""
NOW = datetime.now(UTC)


def order(customer: int, number: int, days_ago: float, price: str) -> dict[str, Any]:
    name = f"o-{customer}-{number}"
    line = {"product_id": "mug-1", "quantity": 1, "price": price}
    at = (NOW - timedelta(days=days_ago)).isoformat()
    told = {"event_id": name, "type": "order_completed", "customer_id": f"c-{customer}", "order_id": name}
    return {**told, "occurred_at": at, "currency": "GBP", "lines": [line]}


def test_a_customer_is_told_by_the_shops_own_buyers_and_a_visit_by_what_is_done_in_it(tmp_path: Path) -> None:
    (tmp_path / "dangol.toml").write_text(CONFIGURATION, encoding="utf-8")
    orders = [order(customer, number, 12 - 10 * number, "5.00") for customer in range(60) for number in range(2)]
    orders += [order(customer, number, 2 + 10 * number, "90.00") for customer in (0, 1) for number in range(2, 6)]
    orders += [order(60 + number, 0, 10, "5.00") for number in range(40)]
    with open_engine(tmp_path, None) as engine:
        app = create_app(engine)
        caller = Client(lambda environ, start: app({**environ, "REMOTE_ADDR": "127.0.0.1"}, start))

        def home(**who: str) -> dict[str, Any]:
            answered = caller.post("/v1/homepage", json=who)
            assert answered.status_code == 200
            found: dict[str, Any] = answered.get_json()
            return found

        def tell(*events: dict[str, Any]) -> None:
            answered = caller.post("/v1/events", json={"events": list(events)})
            assert {each["status"] for each in answered.get_json()["results"]} == {"accepted"}

        assert caller.post("/v1/products", json={"products": PRODUCTS}).status_code == 200
        for at in range(0, len(orders), 50):
            tell(*orders[at : at + 50])
        assert home(customer_id="c-0")["context"]["segment"]["value"] is None, "nothing was learned yet"
        engine.train()
        engine.answers.moment.refresh()
        best = home(customer_id="c-0")
        assert (best["variant"], best["context"]["segment"]["value"]) == ("our-best", "champions")
        assert best["context"]["segment"]["basis"] == "profile, among the shop's buyers"
        assert home(customer_id="c-70")["context"]["segment"]["value"] in ("new", "promising")
        view = {"event_id": "v", "type": "product_viewed", "anonymous_id": "a-1", "product_id": "mug-1"}
        tell({**view, "occurred_at": datetime.now(UTC).isoformat()})
        looking = home(anonymous_id="a-1")
        assert (looking["variant"], looking["context"]["segment"]["value"]) == ("default", "prospect")
        tell({**view, "event_id": "w", "type": "product_added", "occurred_at": datetime.now(UTC).isoformat()})
        busy = home(anonymous_id="a-1")
        assert busy["variant"] == "busy"
        assert 3.0 < busy["context"]["engagement"]["value"] <= 4.0
