"""The shell around the folds, piece by piece: prefetching, folding, the cache, followers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from ingest.embedded import SqliteFile
from ingest.folding.embedded import EmbeddedProjector, StateCache
from ingest.folding.fold import Poison, encode_states, fold, read_batches
from ingest.folding.repeats import ClaimedFacts
from ingest.logs.claim_ids import Claim
from ingest.logs.sqlite import SqliteEventLog
from ingest.states.sqlite import SqliteStateStore
from ingest.vocabulary.errors import Corrupt
from ingest.vocabulary.events import (
    Custom,
    CustomerErased,
    CustomerIdentified,
    HomepageShown,
    ProductViewed,
    RankingShown,
    Recorded,
)
from ingest.vocabulary.ids import PARTITIONS, partition_of
from tests.support.build import fact, views
from tests.support.embedded import MAIN_FILE, SCHEMA, VERSION, Embedded, embedded, read_all, temporary_folder
from tests.support.projections import Trail, TrailProjection
from tests.support.strategies import recorded

TRAIL = TrailProjection()


@pytest.fixture
def dangol() -> Iterator[Embedded]:
    with temporary_folder() as folder, embedded(folder) as opened:
        yield opened


class Listener:
    """A follower that remembers what it was told."""

    def __init__(self) -> None:
        self.heard: list[Recorded] = []

    def follow(self, batch: Sequence[Recorded]) -> None:
        """Remember a batch."""
        self.heard += batch

    @property
    def offsets(self) -> list[int]:
        """The offsets of what was heard, in order."""
        return [each.position.offset for each in self.heard]


def test_only_states_that_are_touched_and_not_cached_are_loaded() -> None:
    loaded: list[tuple[str, set[str]]] = []

    def load(projection: str, keys: Collection[str]) -> dict[str, bytes]:
        loaded.append((projection, set(keys)))
        return {"mary": TRAIL.encode(Trail(5, b"m"))}

    history = recorded([*views(2, subject="mary"), *views(1, subject="john"), *views(1, subject="anne")])
    cached = {("trail", "john"): Trail(9, b"j")}
    folded = fold([TRAIL], history, load, cached.get)
    assert loaded == [("trail", {"mary", "anne"})]
    assert {key: state.count for (_, key), state in folded.states.items()} == {"mary": 7, "john": 10, "anne": 1}
    assert folded.poison == []
    assert folded.consequences == []


def test_nothing_touched_is_nothing_loaded() -> None:
    def load(*_: object) -> dict[str, bytes]:
        raise AssertionError

    assert fold([TRAIL], [], load) == ({}, [], [])


def test_what_follows_a_fact_sees_the_state_before_it() -> None:
    history = recorded([*views(1, subject="visitor"), fact(CustomerIdentified, subject="visitor", known="mary")])
    folded = fold([TRAIL], history, lambda *_: {})
    before = fold([TRAIL], history[:1], lambda *_: {}).states[("trail", "visitor")]
    (merged,) = folded.consequences
    assert merged.profile == before.digest  # type: ignore[attr-defined]


def test_a_fact_that_cannot_be_folded_is_poison_and_the_rest_goes_on() -> None:
    history = recorded(
        [*views(1, subject="mary"), fact(Custom, subject="mary", name="poison"), *views(1, subject="mary")]
    )
    with capture_logs() as logged:
        folded = fold([TRAIL], history, lambda *_: {})
    assert folded.poison == [Poison(history[1], "trail", "ValueError: not to be folded")]
    assert folded.states[("trail", "mary")].count == 2
    (entry,) = logged
    assert (entry["event"], entry["projection"], entry["place"]) == (
        "a fact cannot be folded",
        "trail",
        history[1].position,
    )


def test_states_are_encoded_by_their_projection_and_none_stays_none() -> None:
    states: dict[tuple[str, str], Any] = {("trail", "a"): Trail(1, b"x"), ("trail", "b"): None}
    assert encode_states([TRAIL], states) == {("trail", "a"): TRAIL.encode(Trail(1, b"x")), ("trail", "b"): None}


def test_the_cache_drops_what_was_used_longest_ago() -> None:
    cache = StateCache(limit=2)
    cache.commit({("t", "a"): 1, ("t", "b"): 2})
    assert cache.get(("t", "a")) == 1
    cache.commit({("t", "c"): 3})
    assert [cache.get(("t", key)) for key in "abc"] == [1, None, 3]
    cache.commit({("t", "a"): 4})
    cache.commit({("t", "d"): 5})
    assert [cache.get(("t", key)) for key in "acd"] == [4, None, 5]


def test_the_cache_takes_over_removals_and_can_be_cleared() -> None:
    cache = StateCache()
    cache.commit({("t", "a"): 1, ("t", "b"): 2})
    cache.commit({("t", "a"): None, ("t", "unknown"): None})
    assert (cache.get(("t", "a")), cache.get(("t", "b"))) == (None, 2)
    cache.clear()
    assert cache.get(("t", "b")) is None


def test_what_was_read_before_a_commit_never_covers_the_newer_state() -> None:
    cache = StateCache()
    seen = cache.commits
    cache.put_if_unchanged(("t", "a"), 1, seen)
    assert cache.get(("t", "a")) == 1
    cache.commit({("t", "a"): 2})
    cache.put_if_unchanged(("t", "a"), 1, seen)
    assert cache.get(("t", "a")) == 2
    for _ in range(3):
        seen = cache.commits
        cache.commit({})
        cache.put_if_unchanged(("t", "a"), 1, seen)
        assert cache.get(("t", "a")) == 2
    seen = cache.commits
    cache.clear()
    cache.put_if_unchanged(("t", "a"), 1, seen)
    assert cache.get(("t", "a")) is None


def test_a_state_is_there_as_soon_as_its_fact_is_acknowledged(dangol: Embedded) -> None:
    for count in range(1, 4):
        dangol.log.append(views(1, subject="mary"))
        assert dangol.projector.state("trail", "mary").count == count
    dangol.log.append([fact(CustomerErased, subject="mary")])
    assert dangol.projector.state("trail", "mary") is None
    assert dangol.projector.state("trail", "nobody") is None


def test_a_state_that_is_not_in_memory_is_read_and_kept(dangol: Embedded) -> None:
    dangol.log.append(views(3, subject="mary"))
    dangol.projector.cache.clear()
    assert dangol.projector.state("trail", "mary").count == 3
    assert dangol.projector.cache.get(("trail", "mary")).count == 3


def test_a_removed_state_stays_removed_for_what_follows_in_its_transaction(dangol: Embedded) -> None:
    dangol.log.append(views(5, subject="mary"))
    dangol.log.append([fact(Custom, subject="mary", name="echo")])
    assert dangol.projector.state("trail", "mary").count == 1


def test_a_follower_hears_what_was_and_what_comes_each_once_in_order(dangol: Embedded) -> None:
    dangol.log.append(views(3, subject="mary"))
    early, late = Listener(), Listener()
    dangol.projector.attach(early, since=[-1] * PARTITIONS)
    assert early.offsets == [0, 1, 2]
    dangol.log.append(views(2, subject="mary"))
    since = [-1] * PARTITIONS
    since[partition_of("mary")] = 3
    dangol.projector.attach(late, since=since)
    dangol.log.append(views(1, subject="mary"))
    assert early.offsets == [0, 1, 2, 3, 4, 5]
    assert late.offsets == [4, 5]
    dangol.projector.detach(late)
    dangol.log.append(views(1, subject="mary"))
    assert late.offsets == [4, 5]
    assert early.offsets[-1] == 6


def test_a_follower_hears_what_another_process_committed() -> None:
    with temporary_folder() as folder, embedded(folder) as here, embedded(folder) as there:
        listener = Listener()
        here.projector.attach(listener, since=[-1] * PARTITIONS)
        there.log.append(views(2, subject="mary"))
        assert listener.offsets == []
        here.projector.catch_up()
        assert listener.offsets == [0, 1]
        there.log.append(views(2, subject="mary"))
        here.log.append(views(1, subject="mary"))
        assert listener.offsets == [0, 1, 2, 3, 4]
        here.projector.catch_up()
        assert listener.offsets == [0, 1, 2, 3, 4]
        assert here.projector.state("trail", "mary").count == 5


@pytest.mark.parametrize("unfolded", [1, 2, 3])
def test_what_an_earlier_process_left_unfolded_is_folded_first(unfolded: int) -> None:
    subjects = ("mary", "john", "anne")
    assert len({partition_of(subject) for subject in subjects}) == 3
    with temporary_folder() as folder:
        with embedded(folder) as before:
            for subject in subjects:
                before.log.append(views(2, subject=subject))
        bare = SqliteFile(folder / MAIN_FILE, schema=SCHEMA, version=VERSION)
        log = SqliteEventLog(bare)
        for subject in subjects:
            log.append(views(unfolded, subject=subject))
        bare.close()
        with embedded(folder) as after:
            after.log.append([event for subject in subjects for event in views(1, subject=subject)])
            assert after.store.positions() == after.log.ends()
            for subject in subjects:
                told = [each for each in read_all(after.log) if each.event.key == subject]
                expected = fold([TRAIL], told, lambda *_: {}).states[("trail", subject)]
                assert expected.count == unfolded + 3
                assert after.projector.state("trail", subject) == expected


def test_a_log_and_a_projector_made_after_the_first_write_know_what_is_there() -> None:
    with temporary_folder() as folder:
        with embedded(folder) as before:
            before.log.append(views(2, subject="mary"))
        file = SqliteFile(folder / MAIN_FILE, schema=SCHEMA, version=VERSION)
        file.write(lambda _: None)
        log, store = SqliteEventLog(file), SqliteStateStore(file)
        projector = EmbeddedProjector(log, store, [TRAIL], set_aside=lambda *_: None)
        file.before_group.append(projector.begin)
        file.before_commit.append(projector.fold_within)
        file.after_group.append(projector.finish)
        log.append(views(1, subject="mary"))
        assert projector.state("trail", "mary").count == 3
        assert log.ends() == store.positions()
        file.close()


def test_a_group_that_fails_after_folding_is_told_to_nobody(dangol: Embedded) -> None:
    listener = Listener()
    dangol.log.append(views(1, subject="mary"))
    dangol.projector.attach(listener, since=[-1] * PARTITIONS)

    def fail(_: object) -> None:
        raise Corrupt("too late")

    dangol.file.before_commit.append(fail)
    with pytest.raises(Corrupt):
        dangol.log.append(views(2, subject="mary"))
    dangol.file.before_commit.remove(fail)
    assert listener.offsets == [0]
    assert dangol.projector.state("trail", "mary").count == 1
    dangol.log.append(views(1, subject="mary"))
    assert listener.offsets == [0, 1]
    assert dangol.projector.state("trail", "mary").count == 2


def test_what_cannot_be_folded_is_set_aside_with_its_reason(dangol: Embedded) -> None:
    with capture_logs():
        dangol.log.append([fact(Custom, subject="mary", name="poison"), *views(1, subject="mary")])
    (letter,) = dangol.dead_letters.all()
    assert (letter.source, letter.detail) == ("projection trail", "ValueError: not to be folded")
    assert dangol.projector.state("trail", "mary").count == 1


def test_batches_end_where_they_should_and_a_short_log_is_corrupt(dangol: Embedded) -> None:
    dangol.log.append(views(5, subject="mary"))
    partition = partition_of("mary")
    (batch,) = read_batches(dangol.log, partition, after=0, upto=3)
    assert [each.position.offset for each in batch] == [1, 2, 3]
    assert list(read_batches(dangol.log, partition, after=3, upto=3)) == []
    with pytest.raises(Corrupt, match=f"partition {partition} ends at 4, not at 9"):
        list(read_batches(dangol.log, partition, after=2, upto=9))


def test_many_facts_are_read_a_batch_at_a_time(dangol: Embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.folding.fold.BATCH_MAX", 2)
    dangol.log.append([fact(ProductViewed, subject="mary") for _ in range(5)])
    batches = list(read_batches(dangol.log, partition_of("mary"), after=-1, upto=4))
    assert [[each.position.offset for each in batch] for batch in batches] == [[0, 1], [2, 3], [4]]


def test_what_was_shown_counts_without_a_claim_and_everything_else_needs_one() -> None:
    class Settling:
        """Notes which claims were asked about; every place counts."""

        def __init__(self) -> None:
            self.asked = 0

        def settle(self, places: Sequence[tuple[Claim, int]]) -> list[int]:
            """The places as they are."""
            self.asked += len(places)
            return [place for _, place in places]

    claims = Settling()
    batch = [*recorded([fact(kind) for kind in (RankingShown, HomepageShown, ProductViewed)])]
    assert ClaimedFacts(claims).without(batch) == batch
    assert claims.asked == 1
