"""A load of orders and views whose senders repeat what was not answered, and the ledger it leaves.

At the end every event was acknowledged, however often it was sent, and the ledger says what the states must come to.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ingest.privacy import Alias
from ingest.vocabulary.events import OrderCompleted, ProductViewed
from ingest.vocabulary.ids import CustomerId
from personalization.customer.projection import ProfileProjection
from serving.engine import Engine
from tests.support.client import Client
from tests.support.service import wait_for
from tests.support.small_shop import MUGS, PLATES, order, view

PAIRS = list(zip(MUGS[:4], PLATES, strict=True))
BATCH = 3  # views, and an order with them
CUSTOMERS = 9  # of each sender
ANSWER_S_MAX = 15.0
RETRY_S = 0.1
END_S_MAX = 90.0  # the last batches are repeated until they are acknowledged
TAKEN = ("accepted", "repeated")

Told = Mapping[str, Any]


class Counts(NamedTuple):
    """What orders and views come to."""

    orders: Counter[str]  # by customer
    views: Counter[str]
    together: Counter[tuple[str, str]]  # orders, by pair


class Ledger:
    """What was acknowledged, and how often it was not. Threads may share one."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, Told] = {}
        self.answers: Counter[str] = Counter()  # 200, 503, no answer …
        self.wrong: list[Any] = []
        self.longest_silence_s = 0.0
        self._heard_at: float | None = None
        self._lock = threading.Lock()

    def hear(self, events: Sequence[Told], status: int, body: bytes) -> bool:
        """Note an answer; whether every event of it was taken."""
        with self._lock:
            self.answers[str(status)] += 1
            if status != 200:
                if status != 503:
                    self.wrong.append((status, body))
                return False
            results = json.loads(body)["results"]
            self.wrong += [each for each in results if each["status"] not in TAKEN]
            self.acknowledged.update((str(event["event_id"]), event) for event in events)
            now = time.monotonic()
            self.longest_silence_s = max(self.longest_silence_s, now - (self._heard_at or now))
            self._heard_at = now
            return True

    def tell(self, target: Client, *events: Told) -> list[str]:
        """Send some events that must be taken; what became of each."""
        answered = target.send_json("POST", "/v1/events", {"events": events})
        assert self.hear(events, answered.status, answered.body), answered
        return [each["status"] for each in answered.json["results"]]

    def hear_nothing(self) -> None:
        """Note that no answer came: nobody knows what became of the events."""
        with self._lock:
            self.answers["none"] += 1

    def size(self) -> int:
        """How many events were acknowledged."""
        with self._lock:
            return len(self.acknowledged)

    def counts(self) -> Counts:
        """What the acknowledged events come to, each counted once."""
        counts = Counts(Counter(), Counter(), Counter())
        for event in self.acknowledged.values():
            if event["type"] == "order_completed":
                counts.orders[event["customer_id"]] += 1
                mug, plate = (line["product_id"] for line in event["lines"])
                counts.together[mug, plate] += 1
            else:
                counts.views[event["customer_id"]] += 1
        return counts


class Load:
    """Senders that go on until they are told to stop; `targets` may be changed meanwhile."""

    def __init__(self, ledger: Ledger, targets: Sequence[Client], name: str, senders: int, pause_s: float) -> None:
        self.ledger, self.targets = ledger, list(targets)
        self.pause_s = pause_s
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._send_all, args=(f"{name}-{number}", number)) for number in range(senders)
        ]
        for thread in self._threads:
            thread.start()

    def goes_on(self, events: int = 30) -> None:
        """Wait until so many more events were acknowledged."""
        goal = self.ledger.size() + events
        wait_for(lambda: self.ledger.size() >= goal or not self._running(), "events to be acknowledged")
        assert self._running(), self.ledger.wrong

    def stop(self) -> None:
        """Wait until everything that was sent is acknowledged."""
        self._stopping.set()
        deadline = time.monotonic() + END_S_MAX
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))
        assert not self._running(), f"not everything was acknowledged within {END_S_MAX} s: {self.ledger.answers}"
        assert not self.ledger.wrong

    def _running(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def _send_all(self, name: str, offset: int) -> None:
        for number in itertools.count():
            events = batch(name, number)
            attempt = offset + number
            given_up_at: float | None = None
            while not self._send(events, self.targets[attempt % len(self.targets)]):
                attempt += 1
                if self._stopping.is_set():
                    given_up_at = given_up_at or time.monotonic() + END_S_MAX
                    if time.monotonic() > given_up_at:
                        return
                time.sleep(RETRY_S)
            if self._stopping.wait(self.pause_s):
                return

    def _send(self, events: Sequence[Told], target: Client) -> bool:
        connection = http.client.HTTPConnection(target.host, target.port, timeout=ANSWER_S_MAX)
        body = json.dumps({"events": events}).encode()
        try:
            connection.request("POST", "/v1/events", body, {"Content-Type": "application/json"})
            answered = connection.getresponse()
            status, told = answered.status, answered.read()
        except (OSError, http.client.HTTPException):
            self.ledger.hear_nothing()
            return False
        finally:
            connection.close()
        return self.ledger.hear(events, status, told)


def batch(name: str, number: int) -> list[dict[str, Any]]:
    """What a sender sends together: always the same for a name and number."""
    who = f"{name}-{number % CUSTOMERS}"
    views = [view(f"v-{name}-{number}-{each}", MUGS[each], customer_id=who) for each in range(BATCH)]
    return [*views, order(f"o-{name}-{number}", *PAIRS[number % len(PAIRS)], customer=who)]


@contextlib.contextmanager
def load(ledger: Ledger, *targets: Client, name: str = "c", senders: int = 3, pause_s: float = 0.02) -> Iterator[Load]:
    """A load; at the end all of it is acknowledged."""
    made = Load(ledger, targets, name, senders, pause_s)
    try:
        yield made
    except BaseException:
        made._stopping.set()
        raise
    made.stop()


def assert_counted_once(ledger: Ledger, engine: Engine, answering: Client) -> None:
    """Every acknowledged event is in the log, the profiles and the evidence of pairs, each once; nothing else is.

    The states are those of a clean replay.
    """
    counts = ledger.counts()
    counted = Counter(
        event.order_id if isinstance(event, OrderCompleted) else str(event.event_id)
        for event in engine.events(engine.log.ends(), None)
        if isinstance(event, OrderCompleted | ProductViewed)
    )
    acknowledged = Counter(event.get("order_id", event["event_id"]) for event in ledger.acknowledged.values())
    assert counted - acknowledged == Counter(), "counted twice, or never acknowledged"
    assert acknowledged - counted == Counter(), "lost"
    profiles = profiles_of(engine, sorted(counts.orders))
    assert {who: profile.orders for who, profile in profiles.items()} == counts.orders
    assert {who: profile.views for who, profile in profiles.items()} == counts.views
    wait_for(lambda: evidence(answering) == counts.together, "the orders in the answers", within_s=20)
    assert_as_replayed(engine)


def assert_as_replayed(engine: Engine) -> None:
    """The states are byte for byte what the log comes to."""
    replayed = engine.replay(verify=True, progress=lambda _: None)
    assert replayed.difference is None, replayed.difference


def profiles_of(engine: Engine, customers: Sequence[str]) -> dict[str, Any]:
    """The stored profiles of customers."""
    projection = ProfileProjection()
    subjects = {who: engine.keyring.find(Alias("customer", CustomerId(who))) for who in customers}
    stored = engine.store.load(projection.name, [each for each in subjects.values() if each is not None])
    return {
        who: projection.decode(stored[subject])
        for who, subject in subjects.items()
        if subject is not None and subject in stored
    }


def evidence(answering: Client) -> Counter[tuple[str, str]]:
    """How many orders a server knows of each pair."""
    found: Counter[tuple[str, str]] = Counter()
    for mug, plate in PAIRS:
        for item in answering.row("product.bought-together", product_ids=mug):
            if item["product_id"] == plate and item["reason"]["kind"] == "bought_together":
                found[mug, plate] = int(item["reason"]["evidence"]["orders"])
    return found
