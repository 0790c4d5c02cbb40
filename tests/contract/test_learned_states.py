"""What is learned, on both stores: it survives a restart, reads only the rest of the log, and equals a replay."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from ingest.embedded import SqliteFile
from ingest.folding.replay import rebuild, verify
from ingest.states.redis import RedisStateStore
from ingest.states.redis_connection import open_redis
from ingest.states.sqlite import STATES_SCHEMA, SqliteStateStore
from ingest.vocabulary.events import CustomerIdentified, Event, HomepageShown, OrderCompleted, Recorded
from ingest.vocabulary.ids import EventId
from ingest.vocabulary.ports import EventLog, StateStore
from personalization.experiments.draws import Propensities
from personalization.experiments.learning import LearningSettings
from personalization.homepage.features import FEATURE_NAMES
from serving.learned import Learners
from serving.what_is_over import GRACE, Dropping, drop_what_is_over, is_kept
from serving.wiring import every_projection
from tests.support.build import NOON, fact
from tests.support.embedded import embedded
from tests.support.shown_homepages import BEGIN, shown_homepages

PROJECTIONS = every_projection()
SHARES = {"default": 0.5, "rain": 0.5}
RATES = {("rain", "rain"): 0.4, ("rain", "default"): 0.1, ("sunny", "rain"): 0.05, ("sunny", "default"): 0.2}
FEATURES = tuple(float(name in ("one", "wet")) for name in FEATURE_NAMES)
POLICIES = [LearningSettings(policy=policy, name="homepage") for policy in ("thompson", "contextual")]
OpenStore = Callable[[], contextlib.AbstractContextManager[StateStore]]


class CountedLog:
    """A log that counts the facts that are read from it; `hidden` of each partition are not there yet."""

    def __init__(self, log: EventLog, hidden: int = 0) -> None:
        self._log, self._hidden, self.read_facts = log, hidden, 0

    def read(self, partition: int, *, after: int, limit: int) -> list[Recorded]:
        """As the log."""
        end = self._log.ends()[partition] - self._hidden
        found = [each for each in self._log.read(partition, after=after, limit=limit) if each.position.offset <= end]
        self.read_facts += len(found)
        return found

    def ends(self) -> tuple[int, ...]:
        """As the log."""
        return tuple(max(end - self._hidden, -1) for end in self._log.ends())

    def append(self, events: Sequence[Event], *, once: bool = True) -> list[None]:
        """Nothing is told while folding again."""
        raise AssertionError(events)

    def find(self, event_id: EventId) -> Event | None:
        """As the log."""
        return self._log.find(event_id)


@pytest.fixture(params=["sqlite", "redis"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStore:
    """Opens one and the same store, as often as it is called."""
    url = request.getfixturevalue("redis_url") if request.param == "redis" else ""
    prefix = f"test-{uuid.uuid4().hex}"

    @contextlib.contextmanager
    def on_redis() -> Iterator[StateStore]:
        client = open_redis(url, timeout_s=5.0)
        store = RedisStateStore(client, prefix, PROJECTIONS)
        store.begin_epoch(store.positions)
        yield store
        client.close()

    @contextlib.contextmanager
    def in_a_file() -> Iterator[StateStore]:
        file = SqliteFile(tmp_path / "states.sqlite3", schema=STATES_SCHEMA, version=1)
        yield SqliteStateStore(file)
        file.close()

    return on_redis if url else in_a_file


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    """A log of homepages, of which some were shown to visitors who then signed in and ordered."""
    folder = tmp_path / "log"
    folder.mkdir()
    with embedded(folder, PROJECTIONS) as dangol:
        dangol.log.append(list(shown_homepages(900, RATES, SHARES, features=FEATURES)))
        for number in range(0, 300, 5):
            at = BEGIN + timedelta(minutes=3 * number + 9)
            times = {"occurred_at": at, "received_at": at}
            visitor, known = f"person-{number}", f"customer-{number}"
            dangol.log.append([fact(CustomerIdentified, **times, subject=visitor, known=known)])
            dangol.log.append([fact(OrderCompleted, **times, subject=known, order_id=f"o-{number}")])
        yield dangol.log


def tables(store: StateStore) -> list[Propensities]:
    """The tables of every policy for every goal."""
    found = []
    for goal in ("click", "order", "value"):
        for policy in POLICIES:
            settings = LearningSettings(policy=policy.policy, name=policy.name, goal=goal)
            learners = Learners(store.scan, lambda: True, [settings])
            learners.refresh()
            found.append(learners.of(settings).table(tuple(SHARES), FEATURES))
    return found


def states(store: StateStore) -> dict[tuple[str, str], bytes]:
    return {(each.name, key): stored for each in PROJECTIONS for key, stored in store.scan(each.name)}


def test_a_restart_reads_only_the_rest_of_the_log_and_comes_to_the_same_tables(
    open_store: OpenStore, log: EventLog, tmp_path: Path
) -> None:
    facts = sum(end + 1 for end in log.ends())
    before = CountedLog(log, hidden=3)
    with open_store() as store:
        rebuild(before, store, PROJECTIONS)
        half = tables(store)
    assert before.read_facts == sum(end + 1 for end in before.ends()) < facts
    rest = CountedLog(log)
    with open_store() as store:
        assert tables(store) == half, "without reading a fact"
        assert rest.read_facts == 0
        rebuild(rest, store, PROJECTIONS)
        assert rest.read_facts == facts - before.read_facts <= 3 * len(log.ends())
        whole, kept = tables(store), states(store)
        assert verify(log, store, PROJECTIONS).difference is None
    assert whole != half
    file = SqliteFile(tmp_path / "anew.sqlite3", schema=STATES_SCHEMA, version=1)
    anew = SqliteStateStore(file)
    rebuild(log, anew, PROJECTIONS)
    assert (tables(anew), states(anew)) == (whole, kept), "as a full replay has it"
    file.close()
    assert whole[0].of("default") != whole[0].of("rain")
    assert whole[2].of("rain") not in (0.5, whole[0].of("rain")), "orders of customers who were visitors count"


def test_what_is_over_goes_and_nothing_that_follows_differs_by_that(open_store: OpenStore, log: EventLog) -> None:
    windows_on = BEGIN + timedelta(days=2 * 7 + 2) + GRACE
    with open_store() as store:
        rebuild(CountedLog(log), store, PROJECTIONS)
        dropping: Dropping = store  # type: ignore[assignment]
        assert drop_what_is_over(dropping, BEGIN + timedelta(days=1)) == 0
        before = tables(store)
        assert drop_what_is_over(dropping, windows_on) > 300
        assert list(store.scan("attribution")) == []
        assert tables(store) == before, "what was learned stays"
        late = {"occurred_at": windows_on, "received_at": windows_on}
        log.append([fact(OrderCompleted, **late, subject="person-1", order_id="late")])
        log.append(
            [fact(HomepageShown, **late, subject="person-2", request_id="late", variant="rain", learner="homepage")]
        )
        rebuild(CountedLog(log), store, PROJECTIONS)
        needed = lambda name, key: is_kept(name, key, windows_on)  # noqa: E731
        assert verify(log, store, PROJECTIONS, needed=needed).difference is None
        assert drop_what_is_over(dropping, windows_on + timedelta(days=90)) > 0
        assert list(store.scan("learned")) == []


def test_a_reward_of_a_period_that_is_over_is_not_waited_for() -> None:
    assert is_kept("learned", "03:000000001:604800:21600:5000000:homepage", NOON) is False
    assert is_kept("profile", "anybody", NOON) is True
