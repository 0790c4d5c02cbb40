"""Redis in trouble: no call hangs, nothing counts twice, and lost states are never taken for new customers."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from ingest.states.redis import RedisStateStore
from ingest.states.redis_connection import open_redis
from ingest.vocabulary.errors import ConfigurationError, DangolError, PositionConflict, StatesLost, Unavailable
from ingest.vocabulary.ids import FROM_THE_START, PARTITIONS
from tests.support.projections import NamedPartitions
from tests.support.redis_server import RedisServer, redis_cluster
from tests.support.server_process import started

TIMEOUT_S = 0.4
PATIENCE_S = 4 * TIMEOUT_S  # the rest is a busy machine
LOG_END = 30  # of the one partition that has facts


def ends() -> tuple[int, ...]:
    return (LOG_END, *FROM_THE_START[1:])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with started(lambda: RedisServer(tmp_path / "redis")) as made:
        yield made


@pytest.fixture
def store(server: RedisServer) -> RedisStateStore:
    """A store whose log has no facts yet."""
    made = new_store(server)
    made.begin_epoch(lambda: FROM_THE_START)
    return made


def new_store(server: RedisServer) -> RedisStateStore:
    return RedisStateStore(open_redis(server.url, timeout_s=TIMEOUT_S), "shop", [NamedPartitions("trail")])


def fold(store: RedisStateStore, upto: int) -> None:
    """Fold facts one by one: each is written down with its offset, so that one lost or repeated is seen."""
    while (position := store.positions()[0]) < upto:
        noted = store.load("trail", ["notes"]).get("notes", b"") + b"%d " % (position + 1)
        store.commit({("trail", "notes"): noted}, partition=0, before=position, after=position + 1)


def notes(upto: int) -> bytes:
    """What a clean replay writes down."""
    return b"".join(b"%d " % offset for offset in range(upto + 1))


CALLS: dict[str, Callable[[RedisStateStore], object]] = {
    "positions": lambda store: store.positions(),
    "load": lambda store: store.load("trail", ["a"]),
    "load of many": lambda store: store.load("trail", [f"{number:02}:a" for number in range(16)]),
    "known": lambda store: store.known("trail", ["a"]),
    "scan": lambda store: list(store.scan("trail")),
    "count": lambda store: store.count("trail"),
    "commit": lambda store: store.commit({}, partition=1, before=-1, after=0),
    "drop": lambda store: store.drop("trail", ["a"]),
    "clear": lambda store: store.clear(),
    "begin": lambda store: store.begin_epoch(ends),
}


@pytest.mark.parametrize("trouble", ["stopped", "silent"])
def test_no_call_hangs_and_every_call_works_again_afterwards(
    server: RedisServer, store: RedisStateStore, trouble: str
) -> None:
    fold(store, 3)
    calls = [call for name, call in CALLS.items() if name not in ("commit", "clear")]
    if trouble == "stopped":
        server.stop()
        waited = [refusal(store, call) for call in CALLS.values()]
        server.start()
    else:
        with server.paused():
            waited = [refusal(store, call) for call in calls]
    assert max(waited) < PATIENCE_S, waited
    for call in calls:
        call(store)
    fold(store, 6)
    assert store.load("trail", ["notes"]) == {"notes": notes(6)}


def refusal(store: RedisStateStore, call: Callable[[RedisStateStore], object]) -> float:
    """How many seconds it took until a call was refused."""
    began = time.monotonic()
    with pytest.raises(Unavailable, match="Redis"):
        call(store)
    return time.monotonic() - began


def test_a_commit_whose_answer_was_lost_is_not_done_twice(server: RedisServer, store: RedisStateStore) -> None:
    fold(store, 3)
    with server.paused(), pytest.raises(Unavailable, match="in time"):
        store.commit({("trail", "notes"): notes(4)}, partition=0, before=3, after=4)
    until(lambda: store.positions()[0] == 4)
    with pytest.raises(PositionConflict):
        store.commit({("trail", "notes"): notes(3) + b"again"}, partition=0, before=3, after=4)
    fold(store, 6)
    assert store.load("trail", ["notes"]) == {"notes": notes(6)}


def until(holds: Callable[[], bool]) -> None:
    """Wait for a condition; while Redis does not answer it does not hold."""
    deadline = time.monotonic() + 20
    while True:
        try:
            if holds():
                return
        except Unavailable:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_server_that_has_forgotten_the_scripts_is_sent_them_again(
    server: RedisServer, store: RedisStateStore
) -> None:
    fold(store, 2)
    with redis.Redis.from_url(server.url) as client:
        client.script_flush()
    fold(store, 4)
    assert store.load("trail", ["notes"]) == {"notes": notes(4)}


def test_a_server_restarted_empty_is_noticed_and_its_states_are_folded_again(
    server: RedisServer, store: RedisStateStore
) -> None:
    fold(store, LOG_END)
    assert store.known("trail", ["notes"]) == ({"notes": notes(LOG_END)}, True)
    before = store.standing()
    server.stop()
    server.empty()
    server.start()
    assert store.known("trail", ["notes"]) == ({}, False), "a customer that was lost is not new"
    with pytest.raises(StatesLost):
        store.commit({("trail", "notes"): b"late"}, partition=0, before=LOG_END, after=LOG_END + 1)
    with pytest.raises(StatesLost):
        store.commit({}, partition=1, before=-1, after=0)
    standing = store.begin_epoch(ends)
    assert (standing.positions[0], standing.rebuilding) == (-1, (0,))
    assert standing.epochs[0] != before.epochs[0]
    fold(store, LOG_END - 1)
    assert not store.known("trail", ["notes"]).complete
    fold(store, LOG_END)
    assert store.known("trail", ["notes"]) == ({"notes": notes(LOG_END)}, True)


def test_a_server_restarted_with_old_data_goes_on_from_there(server: RedisServer, store: RedisStateStore) -> None:
    fold(store, 10)
    server.stop()
    server.save_copy("backup")
    server.start()
    fold(store, 20)
    server.stop()
    server.restore_copy("backup")
    server.start()
    with pytest.raises(PositionConflict, match="folded up to 10, not to 20"):
        store.commit({("trail", "notes"): notes(21)}, partition=0, before=20, after=21)
    standing = store.begin_epoch(ends)
    assert (standing.positions[0], standing.lost, standing.lag(ends())) == (10, (), LOG_END - 10)
    fold(store, LOG_END)
    assert store.load("trail", ["notes"]) == {"notes": notes(LOG_END)}


def test_a_killed_server_keeps_states_and_position_together(server: RedisServer, store: RedisStateStore) -> None:
    acknowledged = [-1]

    def work() -> None:
        for position in itertools.count(acknowledged[-1]):
            try:
                changes = {("trail", f"{key}"): b"%d" % (position + 1) for key in range(50)}
                store.commit(changes, partition=0, before=position, after=position + 1)
            except DangolError:
                return
            acknowledged.append(position + 1)

    for _ in range(3):
        worker = threading.Thread(target=work)
        worker.start()
        reached = acknowledged[-1] + 20
        until(lambda reached=reached: acknowledged[-1] > reached)  # type: ignore[misc]
        server.stop(kill=True)
        worker.join()
        server.start()
        position = store.positions()[0]
        assert position >= acknowledged[-1]
        assert dict(store.scan("trail")) == {f"{key}": b"%d" % position for key in range(50)}
        acknowledged.append(position)


def test_a_server_without_memory_keeps_what_it_has(server: RedisServer, store: RedisStateStore) -> None:
    fold(store, 3)
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", 1)
        with pytest.raises(Unavailable, match="maxmemory"):
            store.commit({("trail", "notes"): b"x", ("trail", "b"): b"x"}, partition=0, before=3, after=4)
        assert store.load("trail", ["notes", "b"]) == {"notes": notes(3)}
        client.config_set("maxmemory", 0)
    fold(store, 6)
    assert store.load("trail", ["notes"]) == {"notes": notes(6)}


def test_a_server_that_may_evict_profiles_is_refused(server: RedisServer, store: RedisStateStore) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        with pytest.raises(ConfigurationError, match="noeviction"):
            store.begin_epoch(ends)
        client.config_set("maxmemory-policy", "volatile-ttl")
    store.begin_epoch(ends)


def test_a_wrong_password_is_a_matter_of_configuration(server: RedisServer) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.config_set("requirepass", "secret")
    with pytest.raises(ConfigurationError, match="refuses us"):
        new_store(server).positions()
    wrong = open_redis(server.url.replace("//", "//:guess@"), timeout_s=TIMEOUT_S)
    with pytest.raises(ConfigurationError, match="refuses us"):
        RedisStateStore(wrong, "shop", [NamedPartitions("trail")]).positions()
    right = open_redis(server.url.replace("//", "//:secret@"), timeout_s=TIMEOUT_S)
    assert RedisStateStore(right, "shop", [NamedPartitions("trail")]).positions() == FROM_THE_START


def test_a_node_of_a_cluster_that_lost_its_data_is_missed_in_its_partitions_only(tmp_path: Path) -> None:
    with redis_cluster(tmp_path) as nodes:
        client = open_redis(nodes[0].url, timeout_s=TIMEOUT_S, cluster=True)
        store = RedisStateStore(client, "shop", [NamedPartitions("trail")])
        store.begin_epoch(lambda: FROM_THE_START)
        for partition in range(PARTITIONS):
            store.commit({("trail", f"{partition:02}:a"): b"1"}, partition=partition, before=-1, after=0)
        nodes[1].stop(kill=True)
        nodes[1].empty()
        nodes[1].start()
        until(lambda: len(store.positions()) == PARTITIONS)
        lost = store.standing().lost
        assert 0 < len(lost) < PARTITIONS
        for partition in range(PARTITIONS):
            key = f"{partition:02}:a"
            expected = ({}, False) if partition in lost else ({key: b"1"}, True)
            assert store.known("trail", [key]) == expected
        standing = store.begin_epoch(lambda: (0,) * PARTITIONS)
        assert standing.rebuilding == lost
        client.close()
