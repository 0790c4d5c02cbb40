"""What claims promise, on one Redis and on a cluster."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from hashlib import blake2b
from pathlib import Path

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.logs.claim_ids import Claim, claim_of, place_of, position_at
from ingest.states import claims as claims_module
from ingest.states.claims import MINE, PENDING, RedisClaims
from ingest.vocabulary.errors import Corrupt, Unavailable
from ingest.vocabulary.events import OrderCompleted, ProductViewed, ProfileMerged
from ingest.vocabulary.ids import GENERATION, Position
from tests.support.build import NOON, fact
from tests.support.distributed import own_prefix
from tests.support.redis_server import RedisServer, redis_cluster

TODAY = 20_000


@pytest.fixture(scope="module", params=["redis", "cluster"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[redis.Redis]:
    """A Redis, or a cluster of one: that refuses commands over two slots like any other."""
    if request.param == "redis":
        with redis.Redis.from_url(request.getfixturevalue("redis_url")) as single:
            yield single
        return
    with (
        redis_cluster(tmp_path_factory.mktemp("cluster"), nodes=1) as servers,
        redis.RedisCluster.from_url(servers[0].url) as cluster,
    ):
        yield cluster  # type: ignore[misc]


@pytest.fixture
def claims(client: redis.Redis) -> RedisClaims:
    """Claims that no other test sees."""
    return RedisClaims(client, own_prefix())


def named(name: str, day: int | None = TODAY) -> Claim:
    return Claim(blake2b(name.encode(), digest_size=16).digest(), day)


def test_a_claim_is_mine_then_pending_then_a_place(claims: RedisClaims) -> None:
    assert claims.take([named("a")]) == [MINE]
    assert claims.take([named("a"), named("b")]) == [PENDING, MINE]
    assert claims.settle([(named("a"), 7)]) == [7]
    assert claims.take([named("a"), named("b")]) == [7, PENDING]
    assert claims.places([named("a"), named("b"), named("c")]) == [7, None, None]


def test_a_claim_given_twice_is_mine_once(claims: RedisClaims) -> None:
    assert claims.take([named("a"), named("a")]) == [MINE, PENDING]


def test_what_was_released_may_be_taken_and_what_is_settled_stays(claims: RedisClaims) -> None:
    claims.take([named("a"), named("b")])
    claims.settle([(named("b"), 3)])
    claims.release([named("a"), named("b"), named("never taken")])
    assert claims.take([named("a"), named("b")]) == [MINE, 3]


def test_the_first_place_counts_whoever_took_the_claim(claims: RedisClaims) -> None:
    claims.take([named("a")])
    assert claims.settle([(named("a"), 9), (named("a"), 4)]) == [9, 9]
    assert claims.settle([(named("a"), 4)]) == [9]
    assert claims.settle([(named("a"), 9)]) == [9]
    assert claims.settle([(named("never taken"), 0)]) == [0]


def test_threads_that_settle_at_the_same_time_agree(claims: RedisClaims) -> None:
    start = threading.Barrier(8)

    def settle(place: int) -> list[int]:
        start.wait()
        return claims.settle([(named(str(number)), place) for number in range(50)])

    with ThreadPoolExecutor(8) as threads:
        told = list(threads.map(settle, range(8)))
    assert all(each == told[0] for each in told)


def test_threads_that_replace_a_claim_that_has_run_out_agree(claims: RedisClaims) -> None:
    claims.settle([(named("a", TODAY), 100)])
    start = threading.Barrier(8)

    def settle(place: int) -> int:
        start.wait()
        return claims.settle([(named("a", TODAY + 8), place)])[0]

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(settle, range(8)))) == 1


def test_each_claim_is_taken_by_one_of_many(claims: RedisClaims) -> None:
    start = threading.Barrier(8)

    def take(_: int) -> list[object]:
        start.wait()
        return list(claims.take([named(str(number)) for number in range(50)]))

    with ThreadPoolExecutor(8) as threads:
        told = list(threads.map(take, range(8)))
    assert [sorted(each) for each in zip(*told, strict=True)] == [[MINE, *[PENDING] * 7]] * 50


def test_a_pending_claim_runs_out(claims: RedisClaims, client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims_module, "PENDING_S_MAX", 1)
    assert claims.take([named("a")]) == [MINE]
    pause = threading.Event()
    while (again := claims.take([named("a")])) == [PENDING]:
        pause.wait(0.05)
    assert again == [MINE]


def test_claims_with_a_day_leave_redis_and_those_without_stay(claims: RedisClaims, client: redis.Redis) -> None:
    claims.settle([(named("a"), 1)])
    claims.settle([(named("b", None), 1)])
    left = {key: client.ttl(key) for key in client.scan_iter(match=claims._settled + b"*")}
    assert sorted(left.values()) == [-1, claims_module.SETTLED_S_MAX]
    assert claims_module.SETTLED_S_MAX == 8 * 86_400


@pytest.mark.parametrize(("later", "again"), [(0, False), (7, False), (-7, False), (8, True), (-8, True), (400, True)])
def test_a_claim_says_nothing_about_copies_more_than_days_away(claims: RedisClaims, later: int, again: bool) -> None:
    claims.settle([(named("a", TODAY), 1)])
    copy = named("a", TODAY + later)
    assert claims.take([copy]) == [MINE if again else 1]
    assert claims.settle([(copy, 2)]) == [2 if again else 1]
    assert claims.settle([(named("a", TODAY), 1)]) == [1], "a fold from zero finds again what it found"
    assert claims.settle([(copy, 2)]) == [2 if again else 1]


def test_a_claim_for_ever_stands_whatever_the_day(claims: RedisClaims) -> None:
    claims.settle([(named("a", None), 1)])
    assert claims.take([named("a", TODAY), named("a", None)]) == [1, 1]
    assert claims.settle([(named("a", TODAY), 2)]) == [1]


def test_clearing_forgets_all_of_one_prefix(claims: RedisClaims, client: redis.Redis) -> None:
    other = RedisClaims(client, own_prefix())
    other.settle([(named("a"), 1)])
    claims.settle([(named(str(number)), number) for number in range(2_500)])
    claims.take([named("pending")])
    claims.clear()
    assert claims.take([named("pending"), named("0"), named("2499")]) == [MINE] * 3
    assert other.places([named("a")]) == [1]


def test_more_claims_than_fit_a_round_trip_keep_their_order(claims: RedisClaims) -> None:
    many = [named(str(number)) for number in range(claims_module.CLAIMS_AT_ONCE_MAX + 10)]
    assert claims.take(many) == [MINE] * len(many)
    assert claims.settle([(claim, at) for at, claim in enumerate(many)]) == list(range(len(many)))
    assert claims.places(many) == list(range(len(many)))


def test_nothing_asked_is_nothing_answered(claims: RedisClaims) -> None:
    assert claims.take([]) == claims.settle([]) == claims.places([]) == []
    claims.release([])


def test_a_value_that_is_no_claim_is_noticed(claims: RedisClaims, client: redis.Redis) -> None:
    client.set(claims._settled_key(named("a")), b"?")
    with pytest.raises(Corrupt):
        claims.take([named("a")])


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30) | st.none()), max_size=12))
def test_folding_again_finds_what_folding_found(client: redis.Redis, copies: list[tuple[str, int | None]]) -> None:
    claims = RedisClaims(client, own_prefix())
    placed = [(named(name, day), place) for place, (name, day) in enumerate(copies)]
    first = claims.settle(placed)
    claims.clear()
    assert [claims.settle([each])[0] for each in placed] == first


def test_orders_merges_and_imported_facts_are_claimed_for_ever() -> None:
    assert claim_of(fact(OrderCompleted)).day is None
    assert claim_of(fact(ProfileMerged)).day is None
    assert claim_of(fact(ProductViewed, imported=True)).day is None
    day = claim_of(fact(ProductViewed)).day
    assert day is not None
    assert claim_of(fact(ProductViewed, occurred_at=NOON + timedelta(days=1))).day == day + 1


def test_a_place_is_a_position() -> None:
    for position in (Position(GENERATION, 0, 0), Position(GENERATION, 15, (1 << 48) - 1), Position(GENERATION, 3, 77)):
        assert position_at(place_of(position)) == position


def test_redis_that_is_away_is_said_in_our_words(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    with redis.Redis.from_url(server.url) as client:
        claims = RedisClaims(client, "away")
        claims.settle([(named("a"), 5)])
        server.stop(kill=True)
        for call in (
            lambda: claims.take([named("a")]),
            lambda: claims.settle([(named("a"), 5)]),
            lambda: claims.release([named("a")]),
            lambda: claims.places([named("a")]),
            claims.clear,
        ):
            with pytest.raises(Unavailable, match="Redis"):
                call()
        server.start()
        assert claims.take([named("a")]) == [5]
        server.stop(kill=True)
