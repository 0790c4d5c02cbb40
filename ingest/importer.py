"""The shell around the importing dialects: a file's history goes into the log, once, and the report says how.

Read the file once without taking anything, so that a damaged one is refused as a whole; read it again in batches of
facts; state what it tells about unknown products; enter it in the ledger. An import that was killed is continued by
the same command: what is there already is recognised by its event ids.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from ingest.collector import Collector, Incoming
from ingest.dead_letters import DeadLetter, DeadLetters
from ingest.dialects import csv, segment
from ingest.dialects.product_facts import Knows
from ingest.dialects.reading import Found, ImportDialect, ImportOptions, Raw, Refused, Tally
from ingest.import_report import EXAMPLE_LENGTH_MAX, ImportReport, Refusals, as_repeated, without_examples
from ingest.ledger import ImportLedger, import_key
from ingest.sources import Source, opened
from ingest.vocabulary.clock import Clock, epoch_ms
from ingest.vocabulary.errors import ConfigurationError, MalformedEvent
from ingest.vocabulary.events import Event

BATCH_FACTS = 8_000  # one fsync for so many; half of that costs a tenth more, but a live event waits for a batch to end
LETTERS_MAX = 10_000  # of one file; beyond it the mapping is wrong, and the counts say so
GARBAGE_OBJECTS = 500_000  # new objects between two young collections: most of a batch is gone by then
HOPELESS_ROWS = 1_000  # if none of so many first rows can be read, nothing is taken

DIALECTS: dict[str, Callable[[ImportOptions], ImportDialect]] = {
    "csv": csv.CsvDialect,
    "segment": segment.SegmentDialect,
}

ImportProgress = Callable[[str, int, int | None], None]


class ImportTargets(NamedTuple):
    """Where an import goes, and what it must know."""

    collector: Collector
    ledger: ImportLedger
    dead_letters: DeadLetters
    catalogue_knows: Knows
    clock: Clock


def silent(stage: str, done: int, total: int | None) -> None:
    """Progress that nobody looks at."""


def import_file(
    path: Path | None,
    dialect: str,
    options: ImportOptions,
    targets: ImportTargets,
    *,
    progress: ImportProgress = silent,
    stream: BinaryIO | None = None,
) -> ImportReport:
    """Import a file, or standard input where `path` is None or `-`.

    Args:
        progress: hears (`"reading"` or `"importing"`, rows done, rows in all or None) every few thousand rows.

    Raises:
        ConfigurationError: the file, the dialect or the mapping cannot be used; nothing was taken.
        Unavailable: the log did not acknowledge; run the same command again, it continues.
    """
    started = time.perf_counter()
    reader = dialect_of(dialect, options)
    with opened(path, stream) as source, _collecting_garbage_rarely():
        digest = hashlib.blake2b()
        survey = reader.survey(
            source._replace(note=digest.update),
            with_times=options.shift_to is not None,
            progress=lambda rows: progress("reading", rows, None),
        )
        key = import_key(digest.digest(), dialect, _identity(options))
        entry = targets.ledger.find(key)
        if entry is not None:
            return as_repeated(msgspec.json.decode(entry.report, type=ImportReport), entry.finished_at, source.name)
        run = _Run(reader, source, targets)
        run.take(_shift(options, survey.newest), lambda rows: progress("importing", rows, survey.rows))
    report = run.report(dialect, time.perf_counter() - started)
    targets.ledger.finish(key, targets.clock.now(), msgspec.json.encode(without_examples(report)))
    return report


@contextlib.contextmanager
def _collecting_garbage_rarely() -> Iterator[None]:
    """An import makes many objects and hardly a cycle; looking for those at the usual pace took a fifth of its time."""
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], GARBAGE_OBJECTS), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def newest_time(path: Path, dialect: str, options: ImportOptions) -> datetime | None:
    """The newest time in a file, without importing it."""
    with opened(path) as source:
        return dialect_of(dialect, options).survey(source, with_times=True, progress=lambda _: None).newest


def dialect_of(name: str, options: ImportOptions) -> ImportDialect:
    """The reader of a dialect.

    Raises:
        ConfigurationError: there is no such dialect; those there are are listed.
    """
    if name not in DIALECTS:
        raise ConfigurationError(
            f"there is no dialect {name!r} to import; there are {', '.join(sorted(DIALECTS))}", code="wrong_usage"
        )
    return DIALECTS[name](options)


def replay_letter(letter: DeadLetter, *, received_at: datetime) -> list[Incoming]:
    """The facts in a dead letter of an import, read again.

    Raises:
        MalformedEvent: it still cannot be read, or it is no letter of an import.
    """
    match letter.options.get("dialect"):
        case "csv":
            return csv.read_letter(letter, received_at)
        case "segment":
            return list(segment.parse_segment(letter.payload.encode(), received_at=received_at, imported=True))
        case other:
            raise MalformedEvent(f"this letter is not of an import (dialect {other!r})", code="not_an_import")


class _Run:
    """One import: what is waiting for the next batch, and the counts so far."""

    def __init__(self, reader: ImportDialect, source: Source, targets: ImportTargets) -> None:
        self._reader, self._source, self._targets = reader, source, targets
        self._tally = Tally()
        self._accepted: Counter[type[Event]] = Counter()
        self._repeated: Counter[type[Event]] = Counter()
        self._refused: dict[str, Refusals] = {}
        self._facts: list[Found] = []
        self._letters: list[DeadLetter] = []
        self._letters_kept = 0
        self._places = targets.dead_letters.places(self._letter_source)
        self._first: datetime | None = None
        self._last: datetime | None = None
        self._products = 0

    @property
    def _letter_source(self) -> str:
        return f"import:{self._reader.name}"

    def take(self, shift: timedelta, progress: Callable[[int], None]) -> None:
        """Everything in the file, then what it tells about products."""
        received_at = self._targets.clock.now()
        read = 0
        for found in self._reader.facts(self._source, shift=shift, received_at=received_at, tally=self._tally):
            if isinstance(found, Refused):
                self._refuse(found.row, found.raw, found.error.code, found.error.message)
                self._give_up_if_hopeless(read)
                continue
            read += 1
            self._facts.append(found)
            if len(self._facts) >= BATCH_FACTS:
                self._flush()
                progress(self._tally.rows)
        self._flush()
        self._take_products(received_at)
        progress(self._tally.rows)

    def report(self, dialect: str, seconds: float) -> ImportReport:
        """The counts so far."""
        return ImportReport(
            file=self._source.name,
            dialect=dialect,
            rows=self._tally.rows,
            accepted=_by_tag(self._accepted),
            repeated=_by_tag(self._repeated),
            refused=self._refused,
            left_out=dict(self._tally.left_out),
            noticed=dict(self._tally.noticed),
            products=self._products,
            first=self._first,
            last=self._last,
            seconds=round(seconds, 3),
            rows_per_s=round(self._tally.rows / seconds) if seconds else 0,
        )

    def _flush(self) -> None:
        """Facts first: if we die before the letters are kept, the next run refuses the same rows again."""
        facts, self._facts = self._facts, []
        outcomes = self._targets.collector.collect([incoming for incoming, _, _ in facts])
        taken: list[Event] = []
        for (incoming, row, raw), outcome in zip(facts, outcomes, strict=True):
            if outcome.status == "refused":
                self._refuse(row, raw, outcome.code or "refused", outcome.detail or "")
            else:
                taken.append(incoming.event)
                counts = self._accepted if outcome.status == "accepted" else self._repeated
                counts[type(incoming.event)] += 1
        if taken:
            times = [event.occurred_at for event in taken]
            self._first = min(times) if self._first is None else min(*times, self._first)
            self._last = max(times) if self._last is None else max(*times, self._last)
        letters, self._letters = self._letters, []
        self._targets.dead_letters.add(letters, at_ms=epoch_ms(self._targets.clock.now()))

    def _refuse(self, row: int, raw: Raw, code: str, detail: str) -> None:
        payload = self._reader.payload(raw)
        refusals = self._refused.get(code)
        if refusals is None:
            self._refused[code] = Refusals(1, row, detail, payload[:EXAMPLE_LENGTH_MAX])
        else:
            refusals.count += 1
        mark = hashlib.blake2b(payload.encode(), digest_size=6).hexdigest()
        place = f"{self._source.name}, row {row} ({mark})"
        if place in self._places:
            return
        if self._letters_kept >= LETTERS_MAX:
            self._tally.noticed["refused rows not kept as dead letters"] += 1
            return
        self._places.add(place)
        self._letters_kept += 1
        self._letters.append(
            DeadLetter(
                source=self._letter_source,
                code=code,
                detail=detail,
                place=place,
                payload=payload,
                options=self._reader.letter_options(),
            )
        )

    def _give_up_if_hopeless(self, read: int) -> None:
        if read or self._tally.left_out or len(self._letters) < HOPELESS_ROWS:
            return
        letter = self._letters[0]
        raise ConfigurationError(
            f"none of the first {HOPELESS_ROWS} rows of {self._source.name} can be read, so nothing was taken; "
            f"is the mapping right? {letter.place}: {letter.detail}",
            code="unreadable_file",
        )

    def _take_products(self, received_at: datetime) -> None:
        facts = self._reader.product_facts(self._targets.catalogue_knows, received_at, self._tally)
        for batch in _batches(facts):
            for incoming, outcome in zip(batch, self._targets.collector.collect(batch), strict=True):
                counts = self._accepted if outcome.status == "accepted" else self._repeated
                counts[type(incoming.event)] += 1
                self._products += outcome.status == "accepted"


def _by_tag(counts: Mapping[type[Event], int]) -> dict[str, int]:
    return {str(kind.__struct_config__.tag): count for kind, count in counts.items()}


def _batches(facts: Iterable[Incoming]) -> Iterable[Sequence[Incoming]]:
    batch: list[Incoming] = []
    for incoming in facts:
        batch.append(incoming)
        if len(batch) == BATCH_FACTS:
            yield batch
            batch = []
    if batch:
        yield batch


def _shift(options: ImportOptions, newest: datetime | None) -> timedelta:
    if options.shift_to is None or newest is None:
        return options.shift
    return options.shift_to - newest


def _identity(options: ImportOptions) -> bytes:
    chosen = [dict(options.columns), dict(options.constants), options.not_products]
    return msgspec.json.encode(chosen, order="deterministic")
