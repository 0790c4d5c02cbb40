"""The event log on SQLite: acknowledged means on disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from ingest.embedded import SqliteFile
from ingest.logs.claim_ids import CLAIM_DAYS_MAX, OFFSET_BITS, claim_id, day_of_claim, place_of, position_at
from ingest.vocabulary.codec import decode_event, encode_event
from ingest.vocabulary.events import Event, Recorded
from ingest.vocabulary.ids import GENERATION, PARTITIONS, EventId, Position, partition_of

LOG_SCHEMA = """
CREATE TABLE events (place INTEGER PRIMARY KEY, stored BLOB NOT NULL);
CREATE TABLE claims (claim BLOB PRIMARY KEY, place INTEGER NOT NULL, day INTEGER) WITHOUT ROWID;
CREATE INDEX claims_by_day ON claims (day) WHERE day IS NOT NULL
"""
_CLAIMS_AT_ONCE = 250  # in one statement: small enough to stay in SQLite's cache


class SqliteEventLog:
    """An `EventLog` in the embedded file. A place is `partition << 48 | offset`, so partitions lie side by side.

    Cost: about 8 µs for an event in a large append, besides the fsync that a group shares.
    """

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._ends: list[int] = []  # not read yet: the file may have been written before this log was made
        self._swept_day = -1
        self.uncommitted: list[Recorded] = []
        file.before_group.append(self._begin)

    def append(self, events: Sequence[Event], *, once: bool = True) -> list[Position | None]:
        """Write facts durably, all or none; None stands where a fact was there already.

        Raises:
            Unavailable: nothing was written; try again later.
        """
        if not events:
            return []
        prepared = [(event, encode_event(event), claim_id(event.event_id) if once else None) for event in events]
        return self._file.write(lambda connection: self._insert(connection, prepared))

    def append_within(self, connection: sqlite3.Connection, events: Sequence[Event]) -> list[Position | None]:
        """The same inside the writer's present transaction, for facts that follow from facts."""
        return self._insert(connection, [(event, encode_event(event), claim_id(event.event_id)) for event in events])

    def read(self, partition: int, *, after: int, limit: int) -> list[Recorded]:
        """The next facts of a partition behind offset `after` (-1 for the first), at most `limit`."""
        return self.read_within(self._file.reader(), partition, after=after, limit=limit)

    def read_within(self, connection: sqlite3.Connection, partition: int, *, after: int, limit: int) -> list[Recorded]:
        """The same through a given connection, so that a transaction sees its own appends."""
        rows = connection.execute(
            "SELECT place, stored FROM events WHERE place > ? AND place < ? ORDER BY place LIMIT ?",
            ((partition << OFFSET_BITS) + after, (partition + 1) << OFFSET_BITS, limit),
        ).fetchall()
        return [Recorded(position_at(place), decode_event(stored)) for place, stored in rows]

    def find(self, event_id: EventId) -> Event | None:
        """A fact by its id, if it was appended once and its claim has not run out."""
        row = (
            self._file.reader()
            .execute("SELECT stored FROM claims JOIN events USING (place) WHERE claim = ?", (claim_id(event_id),))
            .fetchone()
        )
        return None if row is None else decode_event(row[0])

    def ends(self) -> tuple[int, ...]:
        """The last offset of each partition, -1 where it is empty."""
        return tuple(read_ends(self._file.reader()))

    def _begin(self, connection: sqlite3.Connection, changed: bool) -> None:
        self.uncommitted = []
        if changed or not self._ends:
            self._ends = read_ends(connection)

    def _insert(
        self, connection: sqlite3.Connection, prepared: Sequence[tuple[Event, bytes, bytes | None]]
    ) -> list[Position | None]:
        present = self._present(connection, [claim for _, _, claim in prepared if claim is not None])
        positions: list[Position | None] = []
        rows: list[tuple[int, bytes]] = []
        claims: list[tuple[bytes, int, int | None]] = []
        ends = self._ends.copy()
        recorded: list[Recorded] = []
        for event, stored, claim in prepared:
            if claim in present:
                positions.append(None)
                continue
            partition = partition_of(event.key)
            ends[partition] = offset = ends[partition] + 1
            position = Position(GENERATION, partition, offset)
            place = place_of(position)
            if claim is not None:
                present.add(claim)
                claims.append((claim, place, day_of_claim(event)))
            rows.append((place, stored))
            recorded.append(Recorded(position, event))
            positions.append(position)
        rows.sort()
        connection.executemany("INSERT INTO events VALUES (?, ?)", rows)
        if claims:
            claims.sort()  # neighbours in the tree are written together
            connection.executemany("INSERT INTO claims VALUES (?, ?, ?)", claims)
            self._sweep(connection, max((day for _, _, day in claims if day is not None), default=-1))
        self._ends = ends
        self.uncommitted.extend(recorded)
        return positions

    def _present(self, connection: sqlite3.Connection, claims: Sequence[bytes]) -> set[bytes]:
        """Which of some claims were made before; many are looked up at once."""
        found: set[bytes] = set()
        for start in range(0, len(claims), _CLAIMS_AT_ONCE):
            part = claims[start : start + _CLAIMS_AT_ONCE]
            marks = ",".join("?" * len(part))
            rows = connection.execute(f"SELECT claim FROM claims WHERE claim IN ({marks})", part)  # noqa: S608
            found.update(claim for (claim,) in rows)
        return found

    def _sweep(self, connection: sqlite3.Connection, day: int) -> None:
        """Once a day, forget the claims that have run out."""
        if day > self._swept_day:
            connection.execute("DELETE FROM claims WHERE day < ?", (day - CLAIM_DAYS_MAX,))
            self._swept_day = day


def read_ends(connection: sqlite3.Connection) -> list[int]:
    """The last offset of each partition in the file as this connection sees it."""
    ends = []
    for partition in range(PARTITIONS):
        (place,) = connection.execute(
            "SELECT max(place) FROM events WHERE place >= ? AND place < ?",
            (partition << OFFSET_BITS, (partition + 1) << OFFSET_BITS),
        ).fetchone()
        ends.append(-1 if place is None else position_at(place).offset)
    return ends
