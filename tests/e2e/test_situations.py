"""Demand that shifts with the situation, from posted orders to rows: learned at training, asked for over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.client import ids
from tests.support.service import Service, dangol, serving, told
from tests.support.situated import World

WORLD = World(
    {"coats": 4, "cups": 4, "pans": 4, "hats": 4},
    weight={"coats": 0.5, "hats": 0.5},
    rain={"coats": 5.0},
    mobile={"hats": 5.0},
)
SAFARI = "AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1"
IPHONE = f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) {SAFARI}"
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


def count(kind: str, shown: list[str]) -> int:
    return sum(each.startswith(kind) for each in shown[:4])


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
        again = service.row("home.popular", **{"context.device": "tv"})
        explained = service.get(
            "/v1/recommendations/home.popular", **{"context.weather.condition": "rain", "explain": "true"}
        )
        home = service.send("GET", "/v1/homepage", headers={"User-Agent": IPHONE}).json
    assert count("coats", ids(rain)) == 4
    assert count("coats", ids(plain)) < 4
    assert count("coats", ids(dry)) == 0
    assert ids(again) == ids(plain), "nobody in this world has a TV"
    (popular,) = [row for row in home["rows"] if row["placement"] == "home.popular"]
    assert count("hats", ids(popular["items"])) == 4
    told_why = [item["reason"]["text"] for item in popular["items"][:4]]
    assert all(text.endswith("times as much as usual on mobile") for text in told_why), "it knows a phone by itself"
    assert [item["reason"] for item in again] == [item["reason"] for item in plain]
    text = rain[0]["reason"]["text"]
    assert text.startswith("Popular in the shop, wanted ")
    assert text.endswith(" times as much as usual in rain")
    assert explained["explanation"]["steps"][0]["boosted"] == {"learned: in rain": 4}
    same = tmp_path / "same.toml"
    same.write_text("[models]\nranker = false\n", encoding="utf-8")
    found = told("replay", "--with", same, "--placement", "home.popular", data=data)
    assert found["total"]["reproduced"] == found["total"]["rows"] == 5
    pages = told("replay", "--with", same, "--placement", "homepage", data=data)
    assert pages["total"]["reproduced"] == pages["total"]["rows"] == 3
