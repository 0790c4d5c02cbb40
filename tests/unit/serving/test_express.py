"""The express lane answers what the application would have answered, and leaves it everything else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import Client, TestResponse

from serving.app import create_app
from serving.engine import Engine
from serving.express import Application, ExpressLane
from serving.wiring import open_engine
from tests.support.small_shop import PRODUCTS, order, view

SHOP = "https://shop.example"
CONFIGURATION = f'[serving]\norigins = ["{SHOP}"]\n'
ROW, HOME = "/v1/recommendations/home.popular", "/v1/homepage"
AT_NINE = "context.local_time=2026-11-23T09:00:00%2B00:00"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("express") / "data"
    folder.mkdir()
    (folder / "dangol.toml").write_text(CONFIGURATION)
    with open_engine(folder, None) as opened:
        yield opened


@pytest.fixture(scope="module")
def app(engine: Engine) -> Flask:
    app = create_app(engine)
    told = caller(app)
    assert told.post("/v1/products", json={"products": PRODUCTS}).status_code == 200
    events = [order(f"o-{number}", "mug-6", "plate-4", customer=f"c-{number}") for number in range(5)]
    events.append(view("v", "mug-1", customer_id="c-1"))
    assert told.post("/v1/events", json={"events": events}).status_code == 200
    return app


def caller(application: Application) -> Client:
    """A client on this machine."""
    return Client(lambda environ, start_response: application({**environ, "REMOTE_ADDR": "127.0.0.1"}, start_response))


def lane_of(app: Flask) -> ExpressLane:
    lane = app.wsgi_app
    assert isinstance(lane, ExpressLane)
    return lane


def plain(response: TestResponse) -> tuple[int, dict[str, str], Any]:
    """An answer without what chance decides, or the moment between two calls, and without the size of it."""
    headers = {name: value for name, value in response.headers if name != "Content-Length"}
    content = response.get_json(silent=True)
    if isinstance(content, dict):
        if "engagement" in content.get("context", ()):  # it fades while the calls are made
            content["context"]["engagement"].pop("value")
        for answered in (content, *content.get("rows", ())):
            answered.pop("request_id", None)
            for item in answered.get("items", ()):
                item.pop("click_token")
    return response.status_code, headers, content or response.get_data()


@pytest.mark.parametrize("origin", [None, SHOP, "https://elsewhere.example"])
@pytest.mark.parametrize(
    ("path", "status"),
    [
        (ROW, 200),
        (ROW + "?limit=3&customer_id=c-1&explain=true", 200),
        ("/v1/recommendations/product.bought-together?product_ids=mug-6", 200),
        ("/v1/recommendations/category.popular?category=Kitchen%20%3E%20Mugs", 200),
        ("/v1/recommendations/category.popular?category=caf%C3%A9", 200),
        (ROW + "?limit=0", 400),
        (ROW + "?customer_id=%ff", 400),
        ("/v1/recommendations/no.such", 404),
        ("/v1/recommendations/home.popular/", 200),
        ("/v1/recommendations/a/b", 404),
        ("/v1/recommendations/", 405),
        (HOME, 200),
        (HOME + f"?customer_id=c-1&limit=3&explain=true&{AT_NINE}", 200),
        (HOME + f"?preview=default&language=caf%C3%A9&url=https://b/?utm_source=x&{AT_NINE}", 200),
        (HOME + "?preview=none", 404),
        (HOME + "?no=such", 400),
        (HOME + "/", 200),
    ],
)
def test_an_answer_is_the_same_with_the_lane_and_without(
    app: Flask, path: str, status: int, origin: str | None
) -> None:
    headers = {} if origin is None else {"Origin": origin}
    fast, slow = caller(app).get(path, headers=headers), caller(lane_of(app).application).get(path, headers=headers)
    assert plain(fast) == plain(slow)
    assert fast.status_code == status
    assert fast.headers["Content-Length"] == str(len(fast.get_data()))
    shared = fast.headers.get("Access-Control-Allow-Origin")
    assert shared == (SHOP if origin == SHOP else None)
    assert fast.headers["Vary"] == "Origin"


@pytest.mark.parametrize("path", [ROW, HOME])
@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST", "DELETE"])
def test_other_methods_are_the_application_s(app: Flask, method: str, path: str) -> None:
    fast, slow = caller(app).open(path, method=method), caller(lane_of(app).application).open(path, method=method)
    assert plain(fast) == plain(slow)


def test_a_browser_may_ask_whether_it_may_call(app: Flask) -> None:
    asked = caller(app).options(ROW, headers={"Origin": SHOP, "Access-Control-Request-Method": "POST"})
    assert asked.headers["Access-Control-Allow-Origin"] == SHOP
    assert "POST" in asked.headers["Access-Control-Allow-Methods"]
    assert "authorization" in asked.headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize(("path", "route"), [(ROW, "recommendations.one"), (HOME, "homepage.homepage")])
def test_both_ways_are_counted_as_one_route(app: Flask, engine: Engine, path: str, route: str) -> None:
    def counted() -> float:
        labels = {"route": route, "method": "GET", "status": "200"}
        return engine.metrics.registry.get_sample_value("dangol_http_requests_total", labels) or 0.0

    before = counted()
    caller(app).get(path)
    caller(lane_of(app).application).get(path)
    assert counted() == before + 2


def test_what_fails_unexpectedly_is_a_problem_too(app: Flask, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(engine.recommendations, "answer", broken)
    answered = caller(app).get(ROW)
    assert answered.status_code == 500
    assert answered.get_json()["code"] == "internal_error"
    assert "broken" not in answered.get_data(as_text=True)
