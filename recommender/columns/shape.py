"""Which columns there are: streams of rows, the names that rows refer to by number, and what becomes of both.

A stream has a row for each fact of some kind. A column holds plain numbers, or the numbers of names (`of`), or how
many rows of another stream belong to the row (`rows`): those come one row's behind the other's. So columns of two
stretches of the log are put together without knowing what they mean.

Whatever changes here, or in what `gathering` writes, makes files of before unreadable, and they are made again from the
log: by itself for what is stated below, by `VERSION` for what is not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import msgspec
from numpy.typing import NDArray

VERSION = 1  # of what the columns mean

Name = Literal["subject", "product", "order", "situation", "placement", "currency"]
Arrays = Mapping[str, NDArray[Any]]


class Column(NamedTuple):
    """One column of a stream: its type, and what its numbers are of, if they are not plain."""

    dtype: str
    of: Name | None = None
    rows: str | None = None


NAMES: Mapping[Name, bool] = {
    "subject": False,
    "product": True,
    "order": False,
    "situation": True,
    "placement": True,
    "currency": True,
}
"""What rows refer to by number, and whether the name itself is kept beside its hash: a subject's never is."""

_TIME = {"known_us": Column("i8"), "time_s": Column("i8")}
_NUMBER = "i4"

STREAMS: Mapping[str, Mapping[str, Column]] = {
    "deeds": {
        **_TIME,
        "event": Column("u8"),
        "kind": Column("i1"),
        "subject": Column(_NUMBER, of="subject"),
        "product": Column(_NUMBER, of="product"),
        "quantity": Column("i4"),
    },
    "orders": {
        **_TIME,
        "event": Column("u8"),
        "order": Column(_NUMBER, of="order"),
        "subject": Column(_NUMBER, of="subject"),
        "currency": Column(_NUMBER, of="currency"),
        "lines": Column("i4", rows="order_lines"),
    },
    "order_lines": {"product": Column(_NUMBER, of="product"), "quantity": Column("i4"), "amount_e4": Column("i8")},
    "returns": {
        **_TIME,
        "order": Column(_NUMBER, of="order"),
        "content": Column("u8"),
        "lines": Column("i4", rows="return_lines"),
    },
    "return_lines": {"product": Column(_NUMBER, of="product"), "quantity": Column("i4")},
    "cancellations": {**_TIME, "order": Column(_NUMBER, of="order")},
    "erasures": {**_TIME, "subject": Column(_NUMBER, of="subject")},
    "links": {
        "known_us": Column("i8"),
        "subject": Column(_NUMBER, of="subject"),
        "known": Column(_NUMBER, of="subject"),
    },
    "words": {
        **_TIME,
        "event": Column("u8"),
        "subject": Column(_NUMBER, of="subject"),
        "purpose": Column("i1"),
        "agreed": Column("i1"),
    },
    "sightings": {
        **_TIME,
        "subject": Column(_NUMBER, of="subject"),
        "situation": Column(_NUMBER, of="situation"),
    },
    "lists": {
        **_TIME,
        "request": Column("u8"),
        "about": Column("u8"),
        "placement": Column(_NUMBER, of="placement"),
        "subject": Column(_NUMBER, of="subject"),
        "products": Column("i4", rows="list_products"),
    },
    "list_products": {"product": Column(_NUMBER, of="product")},
    "list_clicks": {
        **_TIME,
        "request": Column("u8"),
        "subject": Column(_NUMBER, of="subject"),
        "product": Column(_NUMBER, of="product"),
    },
    "product_facts": {
        "known_us": Column("i8"),
        "occurred_us": Column("i8"),
        "product": Column(_NUMBER, of="product"),
        "says": Column("i1"),
        "stored": Column("i4", rows="stored"),
    },
    "stored": {"byte": Column("u1")},
}
"""The streams.

    deeds: views, carts, wishes and clicks. orders, returns: with the lines that count, in order of product ids;
        `content` recognises a return that was told twice, `amount_e4` is what an order's line comes to.
    words: of consent, one for each of `PURPOSES` that is spoken of. erasures, links: of subjects.
    sightings: who was in which situation. lists, list_clicks: what was shown, in its order, and clicked of it; see
        `recommender.shown`. product_facts: of the catalogue, with the facts themselves.

`time_s`, `occurred_us` are when it happened, `known_us` from when on it was known; `event` is the hash of the event id.
"""


def names_arrays(name: Name) -> dict[str, str]:
    """The arrays of some names, with their types: 16 bytes of hash each, and where kept, sizes and UTF-8 texts."""
    arrays = {f"{name}.hash": "u8"}
    return arrays | ({f"{name}.size": "i4", f"{name}.text": "u1"} if NAMES[name] else {})


def array_types() -> dict[str, str]:
    """All arrays, with their types, in the order of a file."""
    types = {
        f"{stream}.{name}": column.dtype for stream, columns in STREAMS.items() for name, column in columns.items()
    }
    for name in NAMES:
        types |= names_arrays(name)
    return types


def fingerprint() -> str:
    """What recognises this shape: two programs with the same write the same bytes of the same facts."""
    stated = [VERSION, [*NAMES.items()], [(name, [*columns.items()]) for name, columns in STREAMS.items()]]
    return hashlib.sha256(msgspec.json.encode(stated)).hexdigest()
