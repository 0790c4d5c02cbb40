"""A worker whose shop cannot be opened answers all the same, and becomes the shop once it is open."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import Client

from ingest.vocabulary.clock import SystemClock
from ingest.vocabulary.errors import ConfigurationError, Unavailable
from serving.configuration import Role, load_configuration
from serving.opening import MISSING, Opening, answers_meanwhile
from tests.support.service import wait_for

ROW = "/v1/recommendations/home.popular"


class Shop:
    """A shop that opens when it is told to."""

    def __init__(self, folder: Path, role: Role = "all") -> None:
        self.there = threading.Event()
        configuration = load_configuration(folder / "dangol.toml", required=False)
        self.meanwhile = partial(answers_meanwhile, folder, configuration, role, SystemClock())
        self.application = Flask("open")
        self.application.get(ROW)(lambda: "a full row")

    def open(self) -> Flask:
        """The shop, unless what it needs is away."""
        if not self.there.is_set():
            raise Unavailable("Redis sleeps")
        return self.application

    def opening(self) -> Opening:
        """A worker that could not open it yet."""
        opening = Opening(self.open, self.meanwhile).soon()
        assert isinstance(opening, Opening)
        return opening


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop that is away, and there in the end."""
    made = Shop(tmp_path)
    yield made
    made.there.set()


def test_a_shop_that_opens_is_served_as_it_is(shop: Shop) -> None:
    shop.there.set()
    assert Opening(shop.open, shop.meanwhile).soon() is shop.application


def test_rows_are_empty_and_say_what_is_missing_until_the_shop_is_open(shop: Shop) -> None:
    asking = Client(shop.opening())
    here = {"REMOTE_ADDR": "127.0.0.1"}
    for answered in (asking.get(ROW, environ_base=here), asking.post(ROW, json={}, environ_base=here)):
        assert (answered.status_code, answered.json["items"], answered.json["degraded"]) == (200, [], list(MISSING))
    page = asking.post("/v1/recommendations", json={"placements": ["home.popular", "home.for-you"]}, environ_base=here)
    assert [row["placement"] for row in page.json["rows"]] == ["home.popular", "home.for-you"]
    assert asking.get("/v1/recommendations/of-nobody", environ_base=here).json["code"] == "unknown_placement"
    shop.there.set()
    wait_for(lambda: asking.get(ROW).text == "a full row", "the shop to be open")


def test_a_homepage_fits_the_situation_and_has_empty_rows_until_the_shop_is_open(tmp_path: Path) -> None:
    rain = '[homepage.variants.rain]\nwhen = { weather = "rain" }\ncontent = { headline = "Rain again?" }\n'
    (tmp_path / "dangol.toml").write_text(f'{rain}rows = [{{ placement = "home.popular" }}]', encoding="utf-8")
    shop = Shop(tmp_path)
    asking = Client(shop.opening())
    here = {"REMOTE_ADDR": "127.0.0.1"}
    for answered in (
        asking.get("/v1/homepage?context.weather.condition=rain&customer_id=c", environ_base=here),
        asking.post("/v1/homepage", json={"context": {"weather": {"condition": "rain"}}}, environ_base=here),
    ):
        assert answered.status_code == 200
        assert (answered.json["variant"], answered.json["content"]) == ("rain", {"headline": "Rain again?"})
        assert [(row["placement"], row["items"]) for row in answered.json["rows"]] == [("home.popular", [])]
        assert set(answered.json["degraded"]) == set(MISSING)
    shop.there.set()


def test_everything_else_is_to_come_again(shop: Shop) -> None:
    asking = Client(shop.opening())
    for answered in (asking.post("/v1/events", json={"events": []}), asking.get("/"), asking.get("/metrics")):
        assert (answered.status_code, answered.json["code"]) == (503, "unavailable")
        assert answered.headers["Retry-After"]
        assert "Redis sleeps" in answered.json["detail"]
    assert asking.get("/healthz").status_code == 200
    ready = asking.get("/readyz")
    assert (ready.status_code, ready.json["checks"]["opening"]["detail"]) == (503, "Redis sleeps")


def test_a_worker_that_only_collects_answers_no_rows(tmp_path: Path) -> None:
    shop = Shop(tmp_path, role="collect")
    assert Client(shop.opening()).get(ROW).status_code == 503
    shop.there.set()


def test_what_waiting_does_not_mend_ends_the_worker(shop: Shop) -> None:
    failures = [ConfigurationError("a newer Dangol was here")]

    def newer() -> Flask:
        if failures:
            raise failures.pop()
        return shop.application

    with pytest.raises(ConfigurationError):
        Opening(newer, shop.meanwhile).soon()
