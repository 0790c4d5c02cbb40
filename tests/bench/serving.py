"""What a running server does: events a second, rows a second, their cost above a hello, how fresh answers are."""

from __future__ import annotations

import http.client
import random
import statistics
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from tests.bench import shop
from tests.bench.client import Job, Load, load
from tests.bench.machine import Row, percentile
from tests.bench.server import Served

CONNECTIONS = 16  # as many as threads answer: beyond it latency is only waiting
EVENT_CONNECTIONS = 64
PATIENCE_S = 5.0
LOOK_S = 0.005  # between looks for what another process must pass on; asking all the time would hold it up
HELLO = "hello"


class Plan(NamedTuple):
    """How often and how long."""

    runs: int
    seconds: float
    probes: int
    seed: int


def events_per_second(
    served: Served, plan: Plan, customers: Sequence[str], products: Sequence[str], *, durable: str
) -> list[Row]:
    """Views of known customers, one or a hundred in a request, acknowledged when they are `durable`."""
    rows = []
    for batch, most in ((1, 4_000), (100, 300)):
        wall, cpu = [], []
        for _ in range(plan.runs):
            requests = shop.view_batches(
                customers,
                products,
                run=uuid.uuid4().hex[:12],
                batch=batch,
                count=int(most * plan.seconds),
                seed=plan.seed,
            )
            job = Job(served.port, list(requests), plan.seconds, EVENT_CONNECTIONS, again=False)
            load_, used = _measured(served, job)
            wall.append(batch * load_.answered / load_.seconds)
            cpu.append(batch * load_.answered / used)
        name = f"POST /v1/events, {batch} in a request"
        rows.append(
            Row(name, "events/CPU-s", cpu, f"{EVENT_CONNECTIONS} connections, each {durable} before its answer")
        )
        rows.append(Row(name, "events/s", wall, "wall"))
    return rows


def rows_above_hello(
    served: Served, plan: Plan, customers: Sequence[str], products: Sequence[str], *, placements: Sequence[str] = ()
) -> list[Row]:
    """Processor time of the server for a row, less that for a hello of the same run; and the latency at half load.

    Args:
        placements: which rows; all unless some are named.
    """
    cases = _cases(customers, products, random.Random(plan.seed), placements)
    cost: dict[str, list[float]] = {name: [] for name in cases}
    rates: dict[str, list[float]] = {name: [] for name in cases}
    warm(served, plan, customers, products, placements=placements)
    for _ in range(plan.runs):
        for name, requests in cases.items():
            load_, used = _measured(served, Job(served.port, requests, plan.seconds, CONNECTIONS))
            cost[name].append(1e6 * used / load_.answered)
            rates[name].append(load_.answered / load_.seconds)
    rows = [Row("hello (bare Flask, same server)", "CPU µs", cost[HELLO]), Row("", "requests/s", rates[HELLO], "wall")]
    for name in cases:
        if name == HELLO:
            continue
        above = [mine - hello for mine, hello in zip(cost[name], cost[HELLO], strict=True)]
        multiple = statistics.median(cost[name]) / statistics.median(cost[HELLO])
        rows.append(Row(name, "CPU µs above hello", above, f"{multiple:.1f} times a hello"))
        rows.append(Row("", "requests/s", rates[name], "wall, saturated"))
        rows += _at_half(served, plan, cases[name], statistics.median(rates[name]))
    return rows


def warm(
    served: Served, plan: Plan, customers: Sequence[str], products: Sequence[str], *, placements: Sequence[str] = ()
) -> None:
    """Ask for every kind of row, or those named: profiles are read, kernels are loaded."""
    for requests in _cases(customers, products, random.Random(plan.seed), placements).values():
        load(Job(served.port, requests, min(1.0, plan.seconds), CONNECTIONS))


def freshness(told: Served, asked: Served, plan: Plan, products: Sequence[str], *, remark: str = "") -> list[Row]:
    """From an event that one server acknowledged until an answer of another, or of the same, shows it."""
    tell, ask = _Asking(told.port), _Asking(asked.port)
    views = [_view_until_seen(tell, ask, products[number % len(products)]) for number in range(plan.probes)]
    orders = [_order_until_counted(tell, ask, products[number % len(products)]) for number in range(plan.probes)]
    rows = []
    for name, found in (
        ("view acknowledged → recently viewed", views),
        ("order acknowledged → bought together", orders),
    ):
        for share in (0.5, 0.99):
            rows.append(
                Row(name, "ms", [1e3 * percentile(found, share)], f"p{share * 100:.0f} of {len(found)}{remark}")
            )
    return rows


def idle(served: Served, seconds: float, *, name: str = "idle server") -> Row:
    """What the server uses while nobody asks."""
    before = served.cpu_s()
    time.sleep(seconds)
    return Row(name, "% of a core", [100 * (served.cpu_s() - before) / seconds])


def _at_half(served: Served, plan: Plan, requests: list[bytes], saturated: float) -> list[Row]:
    half = [
        load(Job(served.port, requests, plan.seconds, 4 * CONNECTIONS, rate=saturated / 2)) for _ in range(plan.runs)
    ]
    return [
        Row("", f"ms p{share * 100:.0f}", [1e3 * percentile(each.latencies, share) for each in half], "at half of that")
        for share in (0.5, 0.99)
    ]


def _measured(served: Served, job: Job) -> tuple[Load, float]:
    before = served.cpu_s()
    result = load(job)
    used = served.cpu_s() - before
    if result.failed or not result.answered:
        raise RuntimeError(f"{result.failed} of {result.answered} answers were no 200: {job.requests[0][:200]!r}")
    return result, max(used, 0.01)


def _cases(
    customers: Sequence[str], products: Sequence[str], draw: random.Random, placements: Sequence[str]
) -> dict[str, list[bytes]]:
    def row(placement: str, query: str) -> bytes:
        return shop.get(f"/v1/recommendations/{placement}?{query}")

    some_products = draw.choices(products[:1_000], k=2_000)
    some_customers = draw.choices(customers, k=2_000)
    narrow = "filter.price.min=1&filter.price.max=5&filter.category=Kitchen"
    situation = (
        "url=https%3A%2F%2Fshop.example%2F%3Futm_source%3Dnews%26utm_medium%3Demail&context.weather.condition=rain"
    )
    cases = {
        HELLO: [shop.get("/hello")],
        "product.bought-together": [
            row("product.bought-together", f"product_ids={quote(each)}") for each in some_products
        ],
        "home.for-you": [row("home.for-you", f"customer_id={quote(each)}") for each in some_customers],
        "category.popular": [row("category.popular", "category=Kitchen")],
        "home.for-you, filtered": [
            row("home.for-you", f"customer_id={quote(each)}&{narrow}") for each in some_customers
        ],
        "homepage, three rows of ten": [
            shop.get(f"/v1/homepage?customer_id={quote(each)}&{situation}") for each in some_customers
        ],
    }
    return {name: cases[name] for name in cases if not placements or name in (HELLO, *placements)}


class _Asking:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)

    def get(self, path: str) -> Any:
        self._connection.request("GET", path)
        return self._answer()

    def tell(self, **event: Any) -> None:
        body = msgspec.json.encode({"events": [event]})
        self._connection.request("POST", "/v1/events", body, {"Content-Type": "application/json"})
        answered = self._answer()
        assert answered["results"][0]["status"] == "accepted", answered

    def _answer(self) -> Any:
        response = self._connection.getresponse()
        answered = msgspec.json.decode(response.read())
        assert response.status == 200, answered
        return answered


def _view_until_seen(tell: _Asking, ask: _Asking, product: str) -> float:
    visitor = uuid.uuid4().hex
    tell.tell(type="product_viewed", anonymous_id=visitor, product_id=product)
    path = f"/v1/recommendations/home.recently-viewed?anonymous_id={visitor}"
    return _until(lambda: any(item["reason"]["kind"] == "recently_viewed" for item in ask.get(path)["items"]))


def _order_until_counted(tell: _Asking, ask: _Asking, product: str) -> float:
    """An order of a product with its strongest companion, until their evidence counts it."""
    path = f"/v1/recommendations/product.bought-together?product_ids={quote(product)}"

    def together() -> dict[str, int]:
        return {item["product_id"]: item["reason"]["evidence"].get("orders", 0) for item in ask.get(path)["items"]}

    companion, before = max(together().items(), key=lambda counted: counted[1])
    lines = [{"product_id": each, "quantity": 1, "price": "1.00"} for each in (product, companion)]
    order = uuid.uuid4().hex
    tell.tell(type="order_completed", anonymous_id=order, order_id=order, currency="GBP", lines=lines)
    return _until(lambda: together().get(companion, 0) > before)


def _until(seen: Callable[[], bool]) -> float:
    began = time.perf_counter()
    while not seen():
        if time.perf_counter() > began + PATIENCE_S:
            raise RuntimeError("an acknowledged event was not seen")
        time.sleep(LOOK_S)
    return time.perf_counter() - began
