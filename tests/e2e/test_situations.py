"""Demand that shifts with the situation, from posted orders to rows: learned at training, asked for over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.client import ids
from tests.support.service import Service, dangol, serving, told
from tests.support.situated import World

WORLD = World(
    {"coats": 4, "cups": 4, "pans": 4, "hats": 4},
    weight={"coats": 0.5},
    rain={"coats": 5.0},
)
BATCH = 400


def posted(number: int, placed: Any) -> dict[str, Any]:
    """An order as a shop tells it, with the situation of its customer."""
    return {
        "event_id": f"e-{number}",
        "type": "order_completed",
        "order_id": placed.order_id,
        "customer_id": placed.subject,
        "occurred_at": placed.occurred_at.isoformat(),
        "currency": "GBP",
        "lines": [{"product_id": line.product_id, "quantity": 1, "price": "5.00"} for line in placed.lines],
        "context": {"device": placed.context.device, "weather": {"condition": placed.context.weather.condition}},
    }


def tell_history(service: Service) -> None:
    products = [
        {"product_id": name, "title": name, "category": ["Shop", kind], "price": "5.00", "currency": "GBP",
         "availability": "in_stock"}
        for kind, name in WORLD.products
    ]  # fmt: skip
    service.post("/v1/products", {"products": products})
    orders = [posted(number, placed) for number, placed in enumerate(WORLD.orders(100, 30, seed=1))]
    for first in range(0, len(orders), BATCH):
        assert set(service.tell(*orders[first : first + BATCH])) == {"accepted"}


def coats(shown: list[str]) -> int:
    return sum(each.startswith("coats") for each in shown[:4])


def test_rain_brings_coats_up_and_says_so_and_the_decision_can_be_made_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    dangol("init", data, check=True)
    (data / "dangol.toml").write_text("[models]\nranker = false\n", encoding="utf-8")
    with serving(data) as service:
        tell_history(service)
        dangol("train", data=data, check=True)
        service.stop()
    with serving(data) as service:
        plain, dry = service.row("home.popular"), service.row("home.popular", **{"context.weather.condition": "sunny"})
        rain = service.row("home.popular", **{"context.weather.condition": "rain"})
        again = service.row("home.popular", **{"context.device": "mobile"})
        explained = service.get(
            "/v1/recommendations/home.popular", **{"context.weather.condition": "rain", "explain": "true"}
        )
    assert coats(ids(rain)) == 4
    assert coats(ids(plain)) < 4
    assert coats(ids(dry)) == 0
    assert ids(again) == ids(plain), "devices make no difference in this world"
    assert [item["reason"] for item in again] == [item["reason"] for item in plain]
    text = rain[0]["reason"]["text"]
    assert text.startswith("Popular in the shop, wanted ")
    assert text.endswith(" times as much as usual in rain")
    assert explained["explanation"]["steps"][0]["boosted"] == {"learned: in rain": 4}
    same = tmp_path / "same.toml"
    same.write_text("[models]\nranker = false\n", encoding="utf-8")
    found = told("replay", "--with", same, "--placement", "home.popular", data=data)
    assert found["total"]["reproduced"] == found["total"]["rows"] == 5
