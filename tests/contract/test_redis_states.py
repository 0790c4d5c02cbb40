"""What states on Redis promise beyond every store: fences, epochs, keys that share a slot, clear refusals."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from ingest.folding.replay import rebuild, verify
from ingest.states.redis import RedisStateStore
from ingest.states.redis_connection import RedisClient, open_redis
from ingest.vocabulary.errors import ConfigurationError, Corrupt, PositionConflict, StatesLost
from ingest.vocabulary.events import (
    CustomerErased,
    CustomerIdentified,
    Event,
    ExperimentStarted,
    HomepageShown,
    OrderCompleted,
    ProductViewed,
    RankingClicked,
    VisitorExpired,
)
from ingest.vocabulary.ids import FROM_THE_START, PARTITIONS
from serving.wiring import every_projection
from tests.support.build import fact, product
from tests.support.embedded import embedded, temporary_folder
from tests.support.projections import NamedPartitions
from tests.support.redis_server import redis_cluster

EMPTY = lambda: FROM_THE_START  # noqa: E731 - the ends of an empty log
TRAIL = NamedPartitions("trail")


@pytest.fixture
def client(redis_url: str) -> Iterator[RedisClient]:
    opened = open_redis(redis_url, timeout_s=5)
    yield opened
    opened.close()


@pytest.fixture
def prefix() -> str:
    return f"test-{uuid.uuid4().hex}"


@pytest.fixture
def store(client: RedisClient, prefix: str) -> RedisStateStore:
    """A store that nobody has begun an epoch in."""
    return RedisStateStore(client, prefix, [TRAIL])


def count_up(store: RedisStateStore, upto: int) -> int:
    """Raise a counter with every position, as a projector would; how often somebody else was faster."""
    conflicts = 0
    while (position := store.positions()[0]) < upto:
        counted = int(store.load("trail", ["n"]).get("n", b"0"))
        try:
            store.commit({("trail", "n"): b"%d" % (counted + 1)}, partition=0, before=position, after=position + 1)
        except PositionConflict:
            conflicts += 1
    return conflicts


def test_of_projectors_that_share_a_partition_each_fact_counts_once(redis_url: str, prefix: str) -> None:
    stores = [RedisStateStore(open_redis(redis_url, timeout_s=5), prefix, [TRAIL]) for _ in range(3)]
    stores[0].begin_epoch(EMPTY)
    with ThreadPoolExecutor(3) as projectors:
        conflicts = sum(projectors.map(count_up, stores, [150] * 3))
    assert conflicts > 0, "they never met"
    assert (stores[0].positions()[0], stores[0].load("trail", ["n"])) == (150, {"n": b"151"})


def test_a_zombie_of_an_earlier_epoch_changes_nothing(store: RedisStateStore) -> None:
    store.begin_epoch(EMPTY)
    store.commit({("trail", "a"): b"old"}, partition=0, before=-1, after=7)
    store.clear()
    with pytest.raises(PositionConflict, match="folded up to -1, not to 7"):
        store.commit({("trail", "a"): b"zombie"}, partition=0, before=7, after=8)
    assert store.load("trail", ["a"]) == {}


def test_nothing_is_kept_before_an_epoch_begins(store: RedisStateStore) -> None:
    with pytest.raises(StatesLost, match="partition 0"):
        store.commit({("trail", "a"): b"1"}, partition=0, before=-1, after=0)
    assert store.known("trail", ["a"]) == ({}, False)
    standing = store.standing()
    assert (standing.lost, standing.rebuilding, standing.complete) == (tuple(range(PARTITIONS)), (), False)


def test_the_states_of_an_empty_log_are_complete(store: RedisStateStore) -> None:
    standing = store.begin_epoch(EMPTY)
    assert (standing.lost, standing.rebuilding, standing.complete) == ((), (), True)
    assert store.known("trail", ["a", "03:a"]) == ({}, True)


def test_states_are_complete_once_they_hold_what_the_log_held_when_their_epoch_began(store: RedisStateStore) -> None:
    ends = (4, *[-1] * 14, 9)
    standing = store.begin_epoch(lambda: ends)
    assert (standing.rebuilding, standing.lag(ends), standing.complete) == ((0, 15), 15, False)
    store.commit({("trail", "a"): b"1"}, partition=0, before=-1, after=3)
    assert store.known("trail", ["a"]) == ({"a": b"1"}, False)
    assert store.known("trail", ["07:a"]) == ({}, True), "another partition is not concerned"
    assert store.known("trail", ["a", "07:a"]) == ({"a": b"1"}, False)
    store.commit({("trail", "a"): b"2"}, partition=0, before=3, after=4)
    assert store.known("trail", ["a"]) == ({"a": b"2"}, True)
    assert (store.standing().rebuilding, store.standing().lag(ends)) == ((15,), 10)


def test_an_epoch_in_force_goes_on_whoever_asks(store: RedisStateStore) -> None:
    with ThreadPoolExecutor(8) as projectors:
        begun = list(projectors.map(lambda _: store.begin_epoch(EMPTY), range(8)))
    assert len({standing.epochs for standing in begun}) == 1
    store.commit({("trail", "a"): b"1"}, partition=0, before=-1, after=2)
    assert store.begin_epoch(lambda: (2, *[-1] * 15)).epochs == begun[0].epochs
    assert store.load("trail", ["a"]) == {"a": b"1"}


def test_a_late_beginner_removes_nothing_of_what_a_faster_one_has_made(store: RedisStateStore) -> None:
    def ends_while_another_is_faster() -> tuple[int, ...]:
        store.begin_epoch(EMPTY)
        store.commit({("trail", "a"): b"1"}, partition=0, before=-1, after=2)
        return (2, *[-1] * 15)

    standing = store.begin_epoch(ends_while_another_is_faster)
    assert (standing.positions[0], standing.complete) == (2, True)
    assert store.load("trail", ["a"]) == {"a": b"1"}


def test_only_the_partitions_a_projector_has_begin(store: RedisStateStore) -> None:
    standing = store.begin_epoch(EMPTY, partitions=(2, 5))
    assert standing.lost == tuple(each for each in range(PARTITIONS) if each not in (2, 5))


@pytest.mark.parametrize("word", ["epoch", "position"])
def test_states_without_an_epoch_or_a_position_are_lost_as_a_whole(
    store: RedisStateStore, client: RedisClient, prefix: str, word: str
) -> None:
    store.begin_epoch(EMPTY)
    states = {("trail", f"{number}"): b"1" for number in range(4_500)}
    store.commit(states, partition=0, before=-1, after=7)
    client.delete(f"{prefix}:{{p00}}:{word}")
    assert store.standing().lost == (0,)
    assert store.known("trail", ["1"]).complete is False
    with pytest.raises(StatesLost):
        store.commit({}, partition=0, before=7, after=8)
    standing = store.begin_epoch(lambda: (7, *[-1] * 15))
    assert (standing.positions[0], standing.rebuilding) == (-1, (0,))
    assert list(store.scan("trail")) == [], "what was left must not be folded again"
    assert list(client.scan_iter(f"{prefix}:{{p00}}:trail*")) == []


def test_states_of_another_generation_of_the_log_are_not_ours(
    store: RedisStateStore, client: RedisClient, prefix: str
) -> None:
    store.begin_epoch(EMPTY)
    store.commit({("trail", "a"): b"1"}, partition=0, before=-1, after=7)
    client.set(f"{prefix}:{{p00}}:epoch", "0:abcd:7")
    assert store.standing().lost == (0,)
    with pytest.raises(StatesLost):
        store.commit({}, partition=0, before=7, after=8)
    assert store.begin_epoch(lambda: (7, *[-1] * 15)).positions[0] == -1
    assert store.load("trail", ["a"]) == {}


def test_states_folded_further_than_the_log_reaches_are_refused(store: RedisStateStore) -> None:
    store.begin_epoch(EMPTY)
    store.commit({}, partition=3, before=-1, after=100)
    with pytest.raises(Corrupt, match="partition 3 are folded up to 100, but the log ends at 60"):
        store.begin_epoch(lambda: (60,) * 16)


def test_after_clearing_nothing_is_complete_until_it_is_where_it_was(store: RedisStateStore) -> None:
    before = store.begin_epoch(EMPTY)
    store.commit({("trail", "a"): b"1"}, partition=0, before=-1, after=7)
    store.clear()
    after = store.standing()
    assert (after.rebuilding, after.lost) == ((0,), ())
    assert all(new != old for new, old in zip(after.epochs, before.epochs, strict=True))
    store.clear()
    store.commit({("trail", "a"): b"1"}, partition=0, before=-1, after=7)
    assert store.standing().complete


def test_a_state_is_not_kept_in_a_partition_it_does_not_belong_to(store: RedisStateStore) -> None:
    store.begin_epoch(EMPTY)
    with pytest.raises(AssertionError):
        store.commit({("trail", "03:a"): b"1"}, partition=4, before=-1, after=0)


def test_a_client_that_may_hang_is_refused(redis_url: str, prefix: str) -> None:
    with (
        redis.Redis.from_url(redis_url, socket_timeout=None) as client,
        pytest.raises(ConfigurationError, match="socket_timeout"),
    ):
        RedisStateStore(client, prefix, [TRAIL])


def test_a_prefix_that_would_hide_the_tags_is_refused(client: RedisClient) -> None:
    with pytest.raises(ConfigurationError, match="braces"):
        RedisStateStore(client, "shop{1}", [TRAIL])


@pytest.mark.parametrize("url", ["localhost:6379", "redis://localhost:what"])
def test_an_address_that_cannot_be_read_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="address of Redis"):
        open_redis(url, timeout_s=1)


def test_foreign_values_under_our_keys_are_told_apart_from_an_outage(
    store: RedisStateStore, client: RedisClient, prefix: str
) -> None:
    client.set(f"{prefix}:{{p00}}:position", "1")
    client.set(f"{prefix}:{{p00}}:epoch", "1:what")
    with pytest.raises(Corrupt, match="epoch"):
        store.standing()
    client.set(f"{prefix}:{{p00}}:position", "far")
    with pytest.raises(Corrupt, match="position"):
        store.positions()
    client.set(f"{prefix}:{{p00}}:trail", "no sorted set")
    with pytest.raises(Corrupt, match="something else"):
        store.count("trail")


def facts_of_every_kind(count: int) -> list[Event]:
    """Facts that touch the states of every projection, in all partitions."""
    made: list[Event] = []
    for number in range(count):
        person, bought = f"subject-{number % 40}", f"p-{number % 30}"
        made += [
            fact(ProductViewed, subject=person, product_id=bought),
            fact(OrderCompleted, subject=person, order_id=f"o-{number}"),
            fact(HomepageShown, subject=f"visitor-{number}", request_id=f"v-{number}", learner="homepage"),
            fact(CustomerIdentified, subject=f"visitor-{number}", known=person),
            product(bought, title=f"Title {number}"),
            fact(ExperimentStarted, experiment=f"e-{number % 20}"),
            fact(HomepageShown, subject=person, request_id=f"r-{number}", learner="homepage", features=(1.0, 0.5)),
            fact(RankingClicked, subject=person, request_id=f"r-{number}"),
        ]
    return [*made, fact(CustomerErased, subject="subject-1"), fact(VisitorExpired, subject="subject-2")]


def test_a_replay_into_redis_gives_the_states_of_the_embedded_file(client: RedisClient, prefix: str) -> None:
    projections = every_projection()
    with temporary_folder() as folder, embedded(folder, projections) as dangol:
        dangol.log.append(facts_of_every_kind(200))
        store = RedisStateStore(client, prefix, projections)
        store.begin_epoch(dangol.log.ends)
        assert rebuild(dangol.log, store, projections).facts == sum(dangol.log.ends()) + PARTITIONS
        assert store.positions() == dangol.store.positions()
        assert store.standing().complete
        for projection in projections:
            assert list(store.scan(projection.name)) == list(dangol.store.scan(projection.name))
            assert store.count(projection.name) == dangol.store.count(projection.name) >= 16
        assert verify(dangol.log, store, projections).difference is None


def test_a_cluster_keeps_the_keys_of_a_partition_together(tmp_path: Path) -> None:
    with redis_cluster(tmp_path) as nodes:
        client = open_redis(nodes[0].url, timeout_s=5, cluster=True)
        store = RedisStateStore(client, "shop", [TRAIL])
        assert store.begin_epoch(EMPTY).complete
        keys = [f"{partition:02}:{number}" for partition in range(PARTITIONS) for number in range(20)]
        for partition in range(PARTITIONS):
            own = {("trail", key): key.encode() for key in keys if key.startswith(f"{partition:02}:")}
            store.commit(own, partition=partition, before=-1, after=partition)
        assert store.positions() == tuple(range(PARTITIONS))
        assert store.load("trail", keys) == {key: key.encode() for key in keys}
        assert store.known("trail", keys).complete
        assert [key for key, _ in store.scan("trail")] == sorted(keys)
        store.drop("trail", keys[:30])
        assert store.count("trail") == len(keys) - 30
        with pytest.raises(PositionConflict):
            store.commit({}, partition=3, before=-1, after=9)
        store.clear()
        assert store.count("trail") == 0
        client.close()
