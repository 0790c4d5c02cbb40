"""Whatever is sent is answered clearly; one bad event spoils no other; the server goes on."""

from __future__ import annotations

import gzip
import json
import socket
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import Response
from tests.support.service import Service, copy_of, serving
from tests.support.small_shop import view

JSON = {"Content-Type": "application/json"}
MEGABYTE = 1_048_576


@pytest.fixture(scope="module")
def service(small_shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One server that must survive every test of this file."""
    with serving(copy_of(small_shop, tmp_path_factory.mktemp("bad") / "data")) as running:
        yield running
        assert running.tell(view("after-all", "mug-1", anonymous_id="a")) == ["accepted"]


def assert_problem(answered: Response, status: int, code: str | None = None) -> dict[str, Any]:
    assert answered.status == status, answered
    assert answered.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answered.json
    assert {"type", "title", "status", "code", "detail"} <= set(problem)
    assert problem["status"] == status
    assert code is None or problem["code"] == code, problem
    return problem


DEEP = b"[" * 100_000 + b"]" * 100_000
MALFORMED = {
    "nothing": b"",
    "no json": b"{events",
    "a list": b"[]",
    "a number": b"1",
    "null": b"null",
    "no events": b"{}",
    "events of the wrong type": b'{"events": {}}',
    "no event at all": b'{"events": []}',
    "broken UTF-8": b'{"events": [{"type": "product_viewed", "product_id": "\xff\xfe"}]}',
    "UTF-16": '{"events": []}'.encode("utf-16"),
    "deeply nested": DEEP,
    "deeply nested inside": b'{"events": [' + DEEP + b'], "products": [' + DEEP + b"]}",
    "cut off": b'{"events": [{"type": "product_viewed"',
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
@pytest.mark.parametrize("path", ["/v1/events", "/v1/recommendations", "/v1/products"])
def test_a_body_that_cannot_be_read_is_a_problem(service: Service, path: str, body: bytes) -> None:
    if path == "/v1/events" and body == MALFORMED["broken UTF-8"]:
        (result,) = service.send("POST", path, body, JSON).json["results"]
        assert (result["status"], result["pointer"]) == ("refused", "/events/0"), "one bad event spoils no other"
        return
    problem = assert_problem(service.send("POST", path, body, JSON), 400)
    assert len(problem["detail"]) < 1_000


def refused(service: Service, event: Any) -> dict[str, Any]:
    """The outcome of a bad event between two good ones, which must be taken."""
    good = [view(f"good-{datetime.now(UTC).timestamp()}-{number}", "mug-1", anonymous_id="a") for number in (1, 2)]
    outcomes: list[dict[str, Any]] = service.post("/v1/events", {"events": [good[0], event, good[1]]})["results"]
    assert [outcomes[0]["status"], outcomes[2]["status"]] == ["accepted", "accepted"]
    assert outcomes[1]["status"] == "refused", outcomes
    assert outcomes[1]["code"]
    assert outcomes[1]["detail"]
    assert outcomes[1]["pointer"].startswith("/events/1")
    return outcomes[1]


def hence(**duration: float) -> str:
    return (datetime.now(UTC) + timedelta(**duration)).isoformat()


BAD_EVENTS = {
    "no object": "product_viewed",
    "null": None,
    "no type": {"product_id": "mug-1", "anonymous_id": "a"},
    "an unknown type": {"type": "product_sniffed", "anonymous_id": "a"},
    "a type that only we may tell": {"type": "customer_erased", "anonymous_id": "a"},
    "a shown list": {"type": "ranking_shown", "anonymous_id": "a"},
    "a shown homepage": {"type": "homepage_shown", "anonymous_id": "a", "variant": "x", "request_id": "r"},
    "an experiment": {"type": "experiment_stopped", "anonymous_id": "a", "experiment": "x"},
    "no product": {"type": "product_viewed", "anonymous_id": "a"},
    "nobody": {"type": "product_viewed", "product_id": "mug-1"},
    "an empty id": {"type": "product_viewed", "product_id": "", "anonymous_id": "a"},
    "a long id": {"type": "product_viewed", "product_id": "x" * 101, "anonymous_id": "a"},
    "a control character": {"type": "product_viewed", "product_id": "mug\u0000", "anonymous_id": "a"},
    "a float as an id": {"type": "product_viewed", "product_id": 1.5, "anonymous_id": "a"},
    "a time without a zone": view("b-1", "mug-1", anonymous_id="a", occurred_at="2026-01-01T10:00:00"),
    "no time": view("b-2", "mug-1", anonymous_id="a", occurred_at="now"),
    "a time out of range": view("b-3", "mug-1", anonymous_id="a", occurred_at="99999-01-01T00:00:00Z"),
    "an order without lines": {"type": "order_completed", "order_id": "b-4", "customer_id": "c", "lines": []},
    "a quantity of nothing": {
        "type": "order_completed", "order_id": "b-5", "customer_id": "c", "lines": [{"product_id": "m", "quantity": 0}],
    },
    "a huge quantity": {
        "type": "order_completed", "order_id": "b-6", "customer_id": "c",
        "lines": [{"product_id": "m", "quantity": 10**12}],
    },
    "money that is none": {
        "type": "order_completed", "order_id": "b-7", "customer_id": "c",
        "lines": [{"product_id": "m", "quantity": 1, "price": "NaN"}],
    },
    "endless money": {
        "type": "order_completed", "order_id": "b-8", "customer_id": "c",
        "lines": [{"product_id": "m", "quantity": 1, "price": "1e400"}],
    },
    "too many lines": {
        "type": "order_completed", "order_id": "b-9", "customer_id": "c", "lines": [{"product_id": "m"}] * 2_001,
    },
    "a context that is none": {"type": "product_viewed", "product_id": "m", "anonymous_id": "a", "context": []},
    "a forged click": {
        "type": "ranking_clicked", "product_id": "mug-1", "anonymous_id": "a", "request_id": "r", "click_token": "x.y",
    },
    "identified as nobody": {"type": "customer_identified", "anonymous_id": "a"},
}  # fmt: skip


@pytest.mark.parametrize("event", BAD_EVENTS.values(), ids=BAD_EVENTS.keys())
def test_a_bad_event_is_refused_with_its_reason_and_spoils_no_other(service: Service, event: Any) -> None:
    outcome = refused(service, event)
    if isinstance(event, dict) and "event_id" in event:
        assert outcome["event_id"] == event["event_id"]


def test_an_event_from_the_future_is_refused_and_a_phone_s_wrong_clock_is_not(service: Service) -> None:
    assert (
        refused(service, view("f-1", "mug-1", anonymous_id="a", occurred_at=hence(minutes=10)))["code"]
        == "future_dated"
    )
    assert service.tell(view("f-2", "mug-1", anonymous_id="a", occurred_at=hence(minutes=3))) == ["accepted"]
    assert service.tell(view("f-3", "mug-1", anonymous_id="a", occurred_at="1971-01-01T00:00:00Z")) == ["accepted"]


def test_an_event_a_batch_and_a_body_have_their_limits(service: Service) -> None:
    large = {"type": "custom", "name": "n", "anonymous_id": "a", "properties": {"x": "y" * 131_072}}
    assert refused(service, large)["code"] == "oversized"
    many = {"events": [view(f"m-{number}", "mug-1", anonymous_id="a") for number in range(2_501)]}
    assert_problem(service.send_json("POST", "/v1/events", many), 413, "oversized")
    for path in ("/v1/events", "/v1/recommendations/home.popular", "/v1/recommendations", "/v1/products"):
        answered = service.send("POST", path, b" " * (MEGABYTE + 1), JSON)
        assert_problem(answered, 413, "oversized")
    products = {"products": [{"product_id": f"p-{number}"} for number in range(1_001)]}
    assert_problem(service.send_json("POST", "/v1/products", products), 413, "oversized")


def test_a_body_larger_than_it_says_and_one_that_never_ends_are_cut(service: Service) -> None:
    with socket.create_connection((service.host, service.port), timeout=120) as raw:
        raw.sendall(b"POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        try:
            for _ in range(20):
                raw.sendall(chunk)
            raw.sendall(b"0\r\n\r\n")
            said = raw.recv(4_096)
        except (BrokenPipeError, ConnectionResetError):
            said = b"HTTP/1.1 413 "
    assert said.startswith(b"HTTP/1.1 413 "), said
    assert service.send("GET", "/healthz").status == 200


def test_gzip_is_read_and_a_bomb_is_not(service: Service) -> None:
    good = gzip.compress(json.dumps({"events": [view("z-1", "mug-1", anonymous_id="a")]}).encode())
    answered = service.send("POST", "/v1/events", good, {**JSON, "Content-Encoding": "gzip"})
    assert answered.json["results"][0]["status"] == "accepted"
    bomb = gzip.compress(b'{"events": [' + b" " * (200 * MEGABYTE) + b"]}")
    assert len(bomb) < MEGABYTE
    assert_problem(service.send("POST", "/v1/events", bomb, {"Content-Encoding": "gzip"}), 413, "oversized")
    for body, encoding in (
        (good[:-9], "gzip"),
        (b"no gzip", "gzip"),
        (b"", "gzip"),
        (zlib.compress(b"{}"), "deflate"),
        (b"{}", "br"),
        (good, "gzip, gzip"),
    ):
        assert_problem(service.send("POST", "/v1/events", body, {"Content-Encoding": encoding}), 400)


BAD_QUERIES = [
    "limit=0", "limit=101", "limit=-1", "limit=ten", "limit=1.5", "limit=", "limit=1&limit=2", "colour=red",
    "filter.size=3", "filter.price.min=-1", "filter.price.min=cheap", "filter.price.min=9&filter.price.max=1",
    "context.device=toaster", "context.weather.condition=raining", "context.weather.temperature_c=warm",
    "context.local_time=now", "explain=perhaps", "filter=1", "filter.price=1", "customer_id=" + "x" * 101,
    "product_ids=" + "x" * 101, "customer_id=%00", "customer_id=%ff", "filter.price.min=nan", "filter.price.max=inf",
    "product_ids=" + ",".join(map(str, range(201))), "customer_id=a&customer_id=b", "&".join(["a=1"] * 501),
]  # fmt: skip


@pytest.mark.parametrize("query", BAD_QUERIES, ids=lambda query: query[:40])
def test_a_query_that_cannot_be_understood_is_a_problem(service: Service, query: str) -> None:
    assert_problem(service.send("GET", f"/v1/recommendations/home.popular?{query}"), 400)


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 0}, {"limit": 101}, {"limit": "5"}, {"colour": "red"}, {"filter": {"size": 3}}, {"product_ids": "a"},
        {"context": {"device": "toaster"}}, {"filter": {"price": {"min": 9, "max": 1}}}, {"exclude": [None]},
        {"placements": ["home.popular"]}, {"customer_id": {}}, {"filter": {"price": {"min": -1}}},
        {"filter": {"attributes": {"colour": "red"}}},
    ],
    ids=json.dumps,
)  # fmt: skip
def test_a_body_that_cannot_be_understood_is_a_problem(service: Service, body: dict[str, Any]) -> None:
    assert_problem(service.send_json("POST", "/v1/recommendations/home.popular", body), 400)


def test_limits_are_kept_at_both_ends(service: Service) -> None:
    assert len(service.row("home.popular", limit=1)) == 1
    assert len(service.row("home.popular", limit=100)) == 10, "there are no more products"
    assert len(service.row("home.popular")) == 10


def test_unknown_addresses_and_methods_are_problems_too(service: Service) -> None:
    for path in ("/v1/nothing", "/v2/events", "/v1/customers/nobody", "/v1/products/nothing"):
        assert_problem(service.send("GET", path), 404)
    for method, path in (("GET", "/v1/events"), ("PATCH", "/v1/recommendations/home.popular"), ("PUT", "/healthz")):
        answered = service.send(method, path, b"")
        assert_problem(answered, 405, "method_not_allowed")
        assert answered.headers["allow"]
    for page in ("/nothing", "/c/nothing", "/p/nothing", "/%00", "/c/%F0%9F"):
        assert service.send("GET", page).status in (400, 404)


@pytest.mark.parametrize(
    "product",
    [
        {"price": "free"}, {"price": "-1"}, {"price": True}, {"availability": "maybe"}, {"stock": -1},
        {"currency": "£"},
        {"category": "x" * 5_000}, {"title": 5}, {"attributes": []}, {"url": "javascript:alert(1)"}, {"tags": "x"},
        {"published_at": "soon"}, {"margin": "high"},
    ],
    ids=json.dumps,
)  # fmt: skip
def test_a_product_that_cannot_be_is_refused(service: Service, product: dict[str, Any]) -> None:
    answered = service.send_json("PUT", "/v1/products/odd", {"title": "Odd", **product})
    assert_problem(answered, 400)
    batch = {"products": [{"product_id": "odd", "title": "Odd", **product}, {"product_id": "even", "title": "Even"}]}
    results = service.post("/v1/products", batch)["results"]
    assert [result["status"] for result in results] == ["refused", "accepted"]
    assert results[0]["pointer"].startswith("/products/0")
    assert service.send("GET", "/v1/products/odd").status == 404
