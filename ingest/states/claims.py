"""Claims in Redis: of the copies of a fact that Kafka may hold, the one that counts."""

from __future__ import annotations

import contextlib
import struct
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import redis

from ingest.logs.claim_ids import CLAIM_DAYS_MAX, Claim
from ingest.states.redis_connection import RedisClient, ask
from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.errors import Corrupt, Unavailable

if TYPE_CHECKING:
    from redis.client import Pipeline

PENDING_S_MAX = 30  # a collector has long been answered by the broker, or is dead
SETTLED_S_MAX = (CLAIM_DAYS_MAX + 1) * DAY_S  # a day more than a claim counts: until the last of its days is over
CLAIMS_AT_ONCE_MAX = 5_000  # in one round trip: a millisecond or few of Redis's time
_SCANNED_AT_ONCE = 1_000
_FOR_EVER = -1
_SETTLED = struct.Struct(">qi")  # place, day

MINE: Final = "mine"
PENDING: Final = "pending"
Item = TypeVar("Item")
Taken = int | Literal["mine", "pending"]

# One round trip that replaces a settled claim which has run out, unless somebody else just did.
_REPLACE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  if ARGV[3] == '' then redis.call('SET', KEYS[1], ARGV[2])
  else redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) end
end
return redis.call('GET', KEYS[1])
"""


class RedisClaims:
    """Who may write a fact, and which place of the log counts for it.

    A claim is *taken* before its fact is produced (it is pending for `PENDING_S_MAX` at most), *settled* with the
    place at which the broker acknowledged it, or *released* when that failed. Places are `claim_ids.place_of`.

    Guarantees: the first to settle a claim decides its place, whoever held it; every later settling is told that place.
    So whoever folds the log may settle what it reads, and skip the records whose place is not the one that counts:
    each fact is folded once, also if a collector died between the broker's acknowledgement and its own note. Claims
    without a day stay for ever; one with a day says nothing about copies received more than `CLAIM_DAYS_MAX` days
    before or after it, and leaves Redis a day later than that. Any thread may call.
    Not guaranteed: that a pending claim keeps others from writing the fact too (it runs out, Redis may lose it): then
    Kafka holds two copies, of which one counts. A Redis that lost everything is filled by folding the log again.

    Every method makes one round trip for `CLAIMS_AT_ONCE_MAX` claims, by pipelines without transactions; no command
    touches two slots, so a Redis Cluster serves as well. Redis 7.0 or later.

    Raises:
        Unavailable: Redis did not answer, from every method; what was asked for may have happened.
    """

    def __init__(self, client: RedisClient, prefix: str) -> None:
        assert "{" not in prefix, "a prefix with a brace would bring all claims into one slot"
        self._client = client
        self._settled = f"{prefix}:c:".encode()
        self._pending = f"{prefix}:p:".encode()

    def take(self, claims: Sequence[Claim]) -> list[Taken]:
        """Ask for each claim whether its fact may be written: its place if it was, `MINE`, or `PENDING` with another.

        A claim that runs out while its fact is written is taken over by whoever asks next. A claim given twice is
        `MINE` once. Cost: two commands for each; a second round trip if some were settled before.
        """
        results = self._each(claims, self._ask_to_take, 2)
        taken = [self._taken(claim, *results[at * 2 : at * 2 + 2]) for at, claim in enumerate(claims)]
        settled = [claim for claim, answer in zip(claims, taken, strict=True) if isinstance(answer, int)]
        if settled:
            self.release(settled)
        return taken

    def settle(self, places: Sequence[tuple[Claim, int]]) -> list[int]:
        """The place that counts for each claim: the given one, unless another was settled first.

        The same claim at the same place may be settled again; a claim given twice is settled in the order given.
        Cost: two commands for each; a further round trip for claims given twice, and for each that had run out.
        """
        counting = [place for _, place in places]
        for at_once in _rounds(places):
            asked = [places[at] for at in at_once]
            for at, before in zip(at_once, self._each(asked, self._ask_to_settle, 2)[::2], strict=True):
                counting[at] = self._counting(*places[at], before)
        return counting

    def release(self, claims: Sequence[Claim]) -> None:
        """Let others take claims whose facts were not written. Settled ones stay."""
        self._each(claims, lambda pipeline, claim: pipeline.delete(self._pending_key(claim)), 1)

    def places(self, claims: Sequence[Claim]) -> list[int | None]:
        """The place that counts for each claim, None where none is settled, whatever the day."""
        values = self._each(claims, lambda pipeline, claim: pipeline.get(self._settled_key(claim)), 1)
        return [None if value is None else _read(value)[0] for value in values]

    def clear(self) -> None:
        """Forget every claim, before the log is folded again from zero. Cost: a scan of the whole Redis."""
        with translated():
            for pattern in (self._settled, self._pending):
                found: list[bytes] = []
                for key in self._client.scan_iter(match=pattern + b"*", count=_SCANNED_AT_ONCE):
                    found.append(key)
                    if len(found) == _SCANNED_AT_ONCE:
                        self._remove(found)
                        found = []
                self._remove(found)

    def _ask_to_take(self, pipeline: Pipeline, claim: Claim) -> None:
        # In this order: who settles a claim does so while it is pending, so a claim that is found free here and not
        # settled after that was not being written.
        pipeline.set(self._pending_key(claim), b"", nx=True, ex=PENDING_S_MAX)
        pipeline.get(self._settled_key(claim))

    def _taken(self, claim: Claim, free: bool | None, value: bytes | None) -> Taken:
        if value is not None:
            place, day = _read(value)
            if _same_window(day, claim.day):
                return place
        return MINE if free else PENDING

    def _ask_to_settle(self, pipeline: Pipeline, asked: tuple[Claim, int]) -> None:
        claim, place = asked
        seconds = None if claim.day is None else SETTLED_S_MAX
        pipeline.set(self._settled_key(claim), _written(claim, place), nx=True, get=True, ex=seconds)
        pipeline.delete(self._pending_key(claim))

    def _counting(self, claim: Claim, place: int, before: bytes | None) -> int:
        while before is not None:
            settled, day = _read(before)
            if settled == place or _same_window(day, claim.day):
                return settled
            before = self._replaced(claim, place, before)
        return place

    def _replaced(self, claim: Claim, place: int, before: bytes) -> bytes | None:
        """What stands after a claim that has run out was replaced, by us or by another."""
        seconds = "" if claim.day is None else SETTLED_S_MAX
        with translated():
            asked: Any = (self._settled_key(claim), before, _written(claim, place), seconds)
            stands: bytes | None = ask(self._client, "EVAL", _REPLACE, 1, *asked)
            return stands

    def _each(self, items: Sequence[Item], ask: Callable[[Pipeline, Item], object], commands: int) -> list[Any]:
        results: list[Any] = []
        at_once = CLAIMS_AT_ONCE_MAX // commands
        with translated():
            for start in range(0, len(items), at_once):
                pipeline = self._client.pipeline(transaction=False)
                for item in items[start : start + at_once]:
                    ask(pipeline, item)
                results += pipeline.execute()
        return results

    def _remove(self, keys: Sequence[bytes]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for key in keys:
            pipeline.unlink(key)
        pipeline.execute()

    def _settled_key(self, claim: Claim) -> bytes:
        return self._settled + b64encode(claim.id)

    def _pending_key(self, claim: Claim) -> bytes:
        return self._pending + b"{" + self._settled + b64encode(claim.id) + b"}"  # in the slot of the settled claim


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Redis's errors in our words."""
    try:
        yield
    except redis.RedisError as error:
        raise Unavailable(f"Redis did not keep a claim: {error}") from error


def _rounds(places: Sequence[tuple[Claim, int]]) -> Iterator[list[int]]:
    """Which to settle at the same time: all, but of the same id one after another."""
    left = list(range(len(places)))
    while left:
        first: dict[bytes, int] = {}
        for at in left:
            first.setdefault(places[at][0].id, at)
        yield list(first.values())
        left = [at for at in left if first[places[at][0].id] != at]


def _written(claim: Claim, place: int) -> bytes:
    return _SETTLED.pack(place, _FOR_EVER if claim.day is None else claim.day)


def _read(value: bytes) -> tuple[int, int | None]:
    try:
        place, day = _SETTLED.unpack(value)
    except struct.error as error:
        raise Corrupt(f"a claim in Redis is {value!r}, which is not a place and a day") from error
    return place, None if day == _FOR_EVER else day


def _same_window(one: int | None, other: int | None) -> bool:
    """Whether two copies of an event id, claimed on these days, are the same fact told again."""
    return one is None or other is None or abs(one - other) <= CLAIM_DAYS_MAX
