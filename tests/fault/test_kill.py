"""`kill -9` at random moments: what was acknowledged is in the log exactly once, and what was cut off is continued."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.service import (
    DANGOL,
    EXAMPLE_DIALECT,
    ORDERS,
    REPOSITORY,
    Service,
    dangol,
    environment,
    events_of,
    rows_of,
    serving,
    told,
    wait_for,
)
from tests.support.small_shop import MUGS, PLATES, order, view

ROUNDS = pytest.mark.parametrize("rounds", [5, pytest.param(200, marks=pytest.mark.soak)])
ROWS_OF_EXAMPLE = 60_000
CLIENTS = 4
BATCH = 3


def killed(words: list[str], folder: Path, when: Callable[[], bool], after_s: float) -> bool:
    """Run a command and kill it, with all it started, some time after a condition; whether it was still running."""
    process = subprocess.Popen(
        [*DANGOL, *words, "--data", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
        start_new_session=True,
    )
    wait_for(lambda: when() or process.poll() is not None, "the moment to kill", within_s=600)
    try:
        process.wait(after_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def at_once() -> bool:
    """Whether a command may be killed right after its start."""
    return True


def facts_in(folder: Path) -> int:
    """How many facts are in the log; none while there is no log yet."""
    try:
        count: int = rows_of(folder, "SELECT count(*) FROM events")[0][0]
    except sqlite3.OperationalError:
        return 0
    return count


def known_states(folder: Path) -> tuple[list[Any], dict[str, bytes], Counter[bytes]]:
    """What does not depend on the random subjects: products, profiles by the shop's own ids, and those of guests."""
    products = rows_of(folder, "SELECT key, value FROM states WHERE projection = 'product' ORDER BY key")
    profiles = dict(rows_of(folder, "SELECT key, value FROM states WHERE projection = 'profile'"))
    with contextlib.closing(sqlite3.connect(folder / "keyring.sqlite3")) as keyring:
        aliases = dict(keyring.execute("SELECT value, subject FROM aliases WHERE kind = 'customer'"))
    by_customer = {customer: profiles.pop(subject, b"") for customer, subject in aliases.items()}
    return products, by_customer, Counter(profiles.values())


def assert_verified(folder: Path) -> None:
    replayed = told("replay", "--verify", data=folder)
    assert "difference" not in replayed, replayed
    assert replayed["unfoldable"] == 0


@ROUNDS
def test_an_import_that_is_killed_again_and_again_ends_as_if_nothing_had_happened(
    tmp_path: Path, rng: random.Random, rounds: int
) -> None:
    file, calm, troubled = tmp_path / "orders.csv", tmp_path / "calm", tmp_path / "troubled"
    with gzip.open(ORDERS, "rt", encoding="utf-8") as whole:
        file.write_text("".join(itertools.islice(whole, ROWS_OF_EXAMPLE)), encoding="utf-8")
    words = ["import", str(file), *EXAMPLE_DIALECT]
    undisturbed = told(*words, data=calm)
    dangol("init", troubled, check=True)
    goals = sorted(rng.randrange(facts_in(calm)) for _ in range(rounds))
    kills = sum(
        killed(words, troubled, lambda goal=goal: facts_in(troubled) >= goal, rng.uniform(0.0, 1.0)) for goal in goals
    )
    print(f"{kills} of {rounds} imports killed, the last with {facts_in(troubled)} of {facts_in(calm)} facts")
    assert kills
    final = told(*words, data=troubled)
    if not final.get("already_imported"):
        counted = Counter(final["accepted"]) + Counter(final["repeated"])
        told_once = Counter(undisturbed["accepted"])
        for facts in (counted, told_once):  # a product that is known by now is not told again
            facts.pop("product_upserted", None)
        assert counted == told_once
    assert_verified(troubled)
    for once, again in zip(known_states(calm), known_states(troubled), strict=True):
        assert once == again
    events = [Counter(event.event_id for event in events_of(folder)) for folder in (calm, troubled)]
    assert events[0] == events[1]
    assert max(events[1].values()) == 1
    for folder in (calm, troubled):  # the same facts: counting models tell as well as rankers, in a tenth of the time
        (folder / "dangol.toml").write_text("[models]\nranker = false\n", encoding="utf-8")
    assert told("train", data=calm, fresh=True)["snapshot_id"] == told("train", data=troubled)["snapshot_id"]


class Shopper(threading.Thread):
    """Sends batches as fast as it can until the server is gone; what was not answered is sent again next time."""

    def __init__(self, service: Service, name: str, unanswered: list[dict[str, Any]]) -> None:
        super().__init__(name=name)
        self.service, self.unanswered = service, unanswered
        self.acknowledged: list[dict[str, Any]] = []
        self.wrong: list[Any] = []
        self._numbers = itertools.count()

    def run(self) -> None:
        with contextlib.suppress(OSError, ConnectionError, ValueError, EOFError):
            while True:
                if not self.unanswered:
                    self.unanswered.extend(self._batch())
                self._send()

    def _send(self) -> None:
        import http.client

        try:
            answered = self.service.send_json("POST", "/v1/events", {"events": self.unanswered})
        except http.client.HTTPException as error:
            raise ConnectionError from error
        if answered.status != 200:
            self.wrong.append(answered)
            raise ConnectionError
        results = answered.json["results"]
        self.wrong += [each for each in results if each["status"] not in ("accepted", "repeated")]
        self.acknowledged += self.unanswered
        self.unanswered = []

    def _batch(self) -> list[dict[str, Any]]:
        number = next(self._numbers)
        who = f"{self.name}-{number % 5}"
        events = [view(f"v-{self.name}-{number}-{each}", MUGS[each], customer_id=who) for each in range(BATCH)]
        placed = order(f"o-{self.name}-{number}", "mug-6", "plate-4", customer=who)
        return [*events, placed]


@ROUNDS
def test_a_server_killed_under_load_loses_and_repeats_nothing_it_acknowledged(
    small_folder: Path, rng: random.Random, rounds: int
) -> None:
    acknowledged: list[dict[str, Any]] = []
    unanswered: list[list[dict[str, Any]]] = [[] for _ in range(CLIENTS)]
    for number in range(rounds):
        service = Service(small_folder)
        try:
            service.wait_until_ready()
            shoppers = [Shopper(service, f"{number}-{each}", unanswered[each]) for each in range(CLIENTS)]
            for shopper in shoppers:
                shopper.start()
            threading.Event().wait(rng.uniform(0.02, 0.8))  # the moment is chance, and nothing is waited for
        finally:
            service.kill()
        for shopper in shoppers:
            shopper.join(60)
            assert not shopper.is_alive()
            assert not shopper.wrong
            acknowledged += shopper.acknowledged
        unanswered = [shopper.unanswered for shopper in shoppers]
    with serving(small_folder) as service:
        left = [event for batch in unanswered for event in batch]
        if left:
            assert set(service.tell(*left)) <= {"accepted", "repeated"}
            acknowledged += left
        orders = sum(event["type"] == "order_completed" for event in acknowledged)
        items = service.row("product.bought-together", product_ids="mug-6")
        (pair,) = (item for item in items if item["product_id"] == "plate-4")
        assert pair["reason"]["evidence"]["orders"] == orders
    print(f"{len(acknowledged)} events acknowledged, {orders} of them orders, over {rounds} kills")
    assert len(acknowledged) > rounds
    assert_each_in_the_log_once(small_folder, acknowledged)
    assert_verified(small_folder)


def assert_each_in_the_log_once(folder: Path, acknowledged: list[dict[str, Any]]) -> None:
    """Every acknowledged event is in the log once, and nothing else of these shoppers is."""
    logged = Counter(
        getattr(event, "order_id", event.event_id)
        for event in events_of(folder)
        if type(event).__name__ in ("ProductViewed", "OrderCompleted") and not event.imported
    )
    told_once = Counter(event.get("order_id", event["event_id"]) for event in acknowledged)
    assert max(told_once.values()) == 1, "the test itself must not count twice"
    assert logged == told_once


def test_a_server_killed_while_it_forgets_ends_the_erasure_at_its_next_start(
    small_folder: Path, rng: random.Random
) -> None:
    from tests.e2e.test_forgetting import files_with

    customers = [f"forget-me-{number}-7f3a" for number in range(4)]
    for number, customer in enumerate(customers):
        service = Service(small_folder)
        try:
            service.wait_until_ready()
            service.tell(
                view(f"v-{number}", "mug-1", customer_id=customer), order(f"o-{number}", "mug-1", customer=customer)
            )
            assert files_with(small_folder, customer)
            asking = threading.Thread(target=_forget, args=(service, customer))
            asking.start()
            threading.Event().wait(rng.uniform(0.0, 0.03))
        finally:
            service.kill()
        asking.join(60)
    with serving(small_folder) as service:
        for customer in customers:
            assert service.send("DELETE", f"/v1/customers/{customer}").status in (200, 404)
    for customer in customers:
        assert not files_with(small_folder, customer)
    assert_verified(small_folder)


def _forget(service: Service, customer: str) -> None:
    import http.client

    with contextlib.suppress(OSError, http.client.HTTPException):
        service.send("DELETE", f"/v1/customers/{customer}")


KILL_AT_OPERATION = """
import os, pathlib, signal, sys
left = int(sys.argv.pop(1))

def counted(real):
    def operation(*args, **kwargs):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    return operation

os.fsync, os.rename, os.replace = counted(os.fsync), counted(os.rename), counted(os.replace)
from serving.cli import main
try:
    main(prog_name="dangol", standalone_mode=False)
finally:
    print("operations left", left, file=sys.stderr)
"""
MANY = 1_000_000


def train_killed_at(operation: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """Train, and be killed before the n-th time that something is made durable or renamed."""
    from serving.wiring import DETERMINISTIC_ENVIRONMENT

    return subprocess.run(
        [DANGOL[0], "-c", KILL_AT_OPERATION, str(operation), "train", "--data", str(folder)],
        capture_output=True,
        text=True,
        env=environment(**DETERMINISTIC_ENVIRONMENT),
        cwd=REPOSITORY,
        timeout=600,
        check=False,
    )


def test_a_training_killed_at_any_step_leaves_the_old_snapshot_or_the_new_one_answering(
    small_folder: Path, rng: random.Random, tmp_path: Path
) -> None:
    snapshots = {told("status", data=small_folder)["snapshot"]}
    with serving(small_folder) as service:
        numbers = itertools.count(1)

        def order_once_more() -> int:
            number = next(numbers)
            service.tell(order(f"late-{number}", MUGS[5], PLATES[3]))
            return number

        def answering(orders: int) -> str:
            answer = service.get("/v1/recommendations/product.bought-together", product_ids="mug-6")
            assert answer["degraded"] == []
            (pair, *_) = answer["items"]
            assert (pair["product_id"], pair["reason"]["evidence"]["orders"]) == ("plate-4", orders)
            snapshot: str = answer["snapshot"]
            return snapshot

        first = [order_once_more() for _ in range(5)]
        assert answering(first[-1]) in snapshots
        whole = train_killed_at(MANY, _copy(small_folder, tmp_path / "rehearsal"))
        assert whole.returncode == 0, whole.stderr
        operations = MANY - int(whole.stderr.split()[-1])
        assert operations > 10
        last = range(operations - 4, operations + 1)
        for operation in sorted({*rng.sample(range(1, operations - 4), 3), *last}):
            orders = order_once_more()
            for kept in ("columns", "training"):  # of the training before, which would leave this one less to do
                shutil.rmtree(small_folder / kept, ignore_errors=True)
            done = train_killed_at(operation, small_folder)
            assert done.returncode == -signal.SIGKILL, (operation, done.stderr)
            published = json.loads((small_folder / "snapshots" / "current.json").read_bytes())["snapshot_id"]
            wait_for(
                lambda wanted=published, orders=orders: answering(orders) == wanted,
                f"the snapshot after step {operation}",
            )
            snapshots.add(published)
        orders = order_once_more()
        after = told("train", data=small_folder)["snapshot_id"]
        assert after not in snapshots
        wait_for(lambda: answering(orders) == after, "the new snapshot to answer")
    assert not [path.name for path in (small_folder / "snapshots").iterdir() if path.name.startswith("writing-")]
    assert_verified(small_folder)


def test_a_training_killed_at_random_moments_leaves_a_snapshot_that_answers(
    small_folder: Path, rng: random.Random
) -> None:
    with serving(small_folder) as service:
        service.tell(*(order(f"late-{number}", MUGS[5], PLATES[3]) for number in range(5)))
    for _ in range(3):
        killed(["train"], small_folder, at_once, rng.uniform(0.1, 3.0))
        answered = told("recommend", "home.popular", data=small_folder)
        assert (answered["degraded"], len(answered["items"])) == ([], 10)


def test_a_replay_that_is_killed_is_finished_at_the_next_start(small_folder: Path, rng: random.Random) -> None:
    states = {row for row in rows_of(small_folder, "SELECT * FROM states") if row[0] != "tail"}
    for _ in range(3):
        killed(["replay"], small_folder, at_once, rng.uniform(0.3, 2.0))
    assert_verified(small_folder)
    assert {row for row in rows_of(small_folder, "SELECT * FROM states") if row[0] != "tail"} == states


def _copy(folder: Path, target: Path) -> Path:
    """A copy of a folder that is being served: the database by its own means, so that it is whole."""
    import shutil

    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("*.sqlite3*"))
    for name in ("dangol.sqlite3", "keyring.sqlite3"):
        with (
            contextlib.closing(sqlite3.connect(folder / name)) as source,
            contextlib.closing(sqlite3.connect(target / name)) as copy,
        ):
            source.backup(copy)
    return target
