"""Facts as columns: one row a fact, what scans need beside the exact bytes of the fact.

A file says of itself, in its metadata, which version of these columns it has and which stretch of which partition.
`stored` is what `encode_event` made: replay is byte-exact, and sealed personal data stay sealed. Every other column
is taken from it and can be made again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from decimal import Decimal
from hashlib import blake2b

import numpy as np
import pyarrow as pa

from ingest.vocabulary.codec import decode_event, encode_event
from ingest.vocabulary.errors import ConfigurationError, Corrupt
from ingest.vocabulary.events import Event, Line, Recorded
from ingest.vocabulary.ids import GENERATION, Position

VERSION = 1
ROWS_MAX = 32_768  # of a row group: what a read has to unpack for one fact, and a scan at a time
GROUP_BYTES_MAX = 16_777_216  # of stored facts in a row group, before compression; one larger fact has its own
_QUANTITY_MAX = 2**63 - 1  # what a column holds; `stored` has what was told

_LINE = pa.struct([("product_id", pa.string()), ("quantity", pa.int64()), ("price", pa.float64())])
_TIME = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        pa.field("partition", pa.int16(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("type", pa.string(), nullable=False),
        pa.field("event_hash", pa.uint64(), nullable=False),  # big-endian BLAKE2b-64 of the event id
        pa.field("occurred_at", _TIME, nullable=False),
        pa.field("received_at", _TIME, nullable=False),
        pa.field("imported", pa.bool_(), nullable=False),
        pa.field("subject", pa.string()),
        pa.field("known", pa.string()),
        pa.field("product_id", pa.string()),
        pa.field("quantity", pa.int64()),
        pa.field("price", pa.float64()),  # a unit's; exact decimals are in `stored`
        pa.field("currency", pa.string()),
        pa.field("order_id", pa.string()),
        pa.field("lines", pa.list_(_LINE)),
        pa.field("stored", pa.binary(), nullable=False),
    ]
)
DICTIONARIES = ("type", "subject", "known", "product_id", "currency")  # read as numbers into a list of distinct values
_TAGS: dict[type[Event], str] = {}


def table_of(facts: Sequence[Recorded], stored: Sequence[bytes] | None = None) -> pa.Table:
    """Facts of one partition as columns, in their order. Cost: about 6 µs a fact, 2 more if `stored` is not at hand."""
    events = [recorded.event for recorded in facts]
    columns = {
        "partition": [recorded.position.partition for recorded in facts],
        "offset": [recorded.position.offset for recorded in facts],
        "type": [tag_of(type(event)) for event in events],
        "event_hash": np.frombuffer(b"".join(map(_event_hash, events)), dtype=">u8").astype(np.uint64),
        "occurred_at": [event.occurred_at for event in events],
        "received_at": [event.received_at for event in events],
        "imported": [event.imported for event in events],
        "quantity": [_whole(getattr(event, "quantity", None)) for event in events],
        "price": [_number(getattr(event, "price", None)) for event in events],
        "lines": _lines_of(events),
        "stored": [encode_event(event) for event in events] if stored is None else stored,
    }
    for name in ("subject", "known", "product_id", "currency", "order_id"):
        columns[name] = [getattr(event, name, None) for event in events]
    return pa.table([_array(columns[field.name], field.type) for field in SCHEMA], schema=SCHEMA)


def facts_of(partition: int, offsets: Sequence[int], stored: Sequence[bytes]) -> list[Recorded]:
    """The inverse of `table_of`, from the bytes alone.

    Raises:
        NewerVersion, Corrupt: as `decode_event`.
    """
    return [
        Recorded(Position(GENERATION, partition, offset), decode_event(each))
        for offset, each in zip(offsets, stored, strict=True)
    ]


def tag_of(kind: type[Event]) -> str:
    """The name of a kind of facts in the column `type`."""
    tag = _TAGS.get(kind)
    if tag is None:
        tag = _TAGS[kind] = str(kind.__struct_config__.tag)
    return tag


def checked_names(names: Collection[str]) -> list[str]:
    """Names of columns, in their order and once each.

    Raises:
        ConfigurationError: there is no such column.
    """
    unknown = [name for name in names if name not in SCHEMA.names]
    if unknown:
        raise ConfigurationError(f"the archive has no column {unknown[0]!r}; it has {', '.join(SCHEMA.names)}")
    return list(dict.fromkeys(names))


def selected(batch: pa.RecordBatch, tags: frozenset[str], names: Sequence[str]) -> pa.RecordBatch:
    """The rows of some kinds (of all if `tags` is empty) and the columns asked for, with distinct values numbered."""
    batch = _numbered(batch)
    if tags:
        kinds = batch.column("type")
        wanted = np.array([tag in tags for tag in kinds.dictionary.to_pylist()], dtype=bool)
        if not wanted.all():
            batch = batch.filter(pa.array(wanted[kinds.indices.to_numpy(zero_copy_only=False)]))
    return batch.select(names)


def groups_of(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in row groups of at most `ROWS_MAX` rows and `GROUP_BYTES_MAX` stored bytes.

    Cost: memory of two groups and one table.
    """
    waiting: pa.Table | None = None
    for table in tables:
        waiting = table if waiting is None else pa.concat_tables([waiting, table])
        *whole, rest = _cut(waiting)
        yield from whole
        waiting = rest
    if waiting is not None and len(waiting):
        yield waiting


def checked_offsets(offsets: np.ndarray[tuple[int], np.dtype[np.int64]], first: int, last: int) -> None:
    """Offsets that rise within a stretch.

    Raises:
        Corrupt: they do not.
    """
    rising = len(offsets) > 0 and bool((np.diff(offsets) > 0).all())
    if not rising or offsets[0] < first or offsets[-1] > last:
        raise Corrupt(f"its facts are not those from {first} to {last} in their order")


def _cut(table: pa.Table) -> list[pa.Table]:
    """Groups that are full, and what is left over."""
    import pyarrow.compute as pc  # a quarter of what pyarrow takes to load, and most processes write no files

    lengths = pc.binary_length(table.column("stored")).to_numpy()
    until = np.cumsum(lengths, dtype=np.int64)
    pieces: list[pa.Table] = []
    start = 0
    while True:
        before = int(until[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(until, before + GROUP_BYTES_MAX, side="right")))
        stop = min(stop, start + ROWS_MAX)
        if stop >= len(table):
            return [*pieces, table.slice(start)]
        pieces.append(table.slice(start, stop - start))
        start = stop


def _numbered(batch: pa.RecordBatch) -> pa.RecordBatch:
    for at, field in enumerate(batch.schema):
        if field.name in DICTIONARIES and not pa.types.is_dictionary(field.type):
            numbered = batch.column(at).dictionary_encode()
            batch = batch.set_column(at, pa.field(field.name, numbered.type, field.nullable), numbered)
    return batch


def _lines_of(events: Sequence[Event]) -> pa.Array:
    found: list[tuple[Line, ...] | None] = [getattr(event, "lines", None) for event in events]
    lines = [line for each in found if each for line in each]
    ends = np.cumsum([0, *(len(each) if each else 0 for each in found)]).astype(np.int32)
    fields = [
        pa.array([line.product_id for line in lines], pa.string()),
        pa.array([_whole(line.quantity) for line in lines], pa.int64()),
        pa.array([_number(line.price) for line in lines], pa.float64()),
    ]
    absent = pa.array([each is None for each in found], pa.bool_())
    return pa.ListArray.from_arrays(
        pa.array(ends),
        pa.StructArray.from_arrays(fields, fields=list(_LINE)),
        type=SCHEMA.field("lines").type,
        mask=absent,
    )


def _array(values: object, kind: pa.DataType) -> pa.Array:
    return values if isinstance(values, pa.Array) else pa.array(values, kind)


def _event_hash(event: Event) -> bytes:
    return blake2b(event.event_id.encode(), digest_size=8).digest()


def _whole(quantity: int | None) -> int | None:
    return None if quantity is None else max(~_QUANTITY_MAX, min(quantity, _QUANTITY_MAX))


def _number(price: Decimal | None) -> float | None:
    return float(price) if price is not None and price.is_finite() else None
