"""Ids are made here and nowhere else: parsed at the edge, trusted inside.

The shop's own ids (product, customer, anonymous, order) are opaque strings of bounded length. Ours are a random
`Subject` for a person, a content hash for facts that must be recognised when they come again, and a
time-ordered ULID for requests.
"""

from __future__ import annotations

import hashlib
import os
import struct
from base64 import urlsafe_b64encode
from collections import deque
from functools import lru_cache
from typing import NewType

import msgspec

from ingest.vocabulary.errors import MalformedEvent

ProductId = NewType("ProductId", str)
CustomerId = NewType("CustomerId", str)
AnonymousId = NewType("AnonymousId", str)
OrderId = NewType("OrderId", str)
EventId = NewType("EventId", str)
RequestId = NewType("RequestId", str)
SnapshotId = NewType("SnapshotId", str)
Subject = NewType("Subject", str)

ID_LENGTH_MAX = 100  # Segment allows 100 for message ids, Merchant Center 50 for products
PRODUCT_KEY_PREFIX = "product:"
EXPERIMENT_KEY_PREFIX = "experiment:"

PARTITIONS = 16  # fixed for a generation of the log, and alike in both deployments
GENERATION = 1
FROM_THE_START = (-1,) * PARTITIONS  # the last offset that was read, of each partition, before anything was

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _CROCKFORD for second in _CROCKFORD]
_CROCKFORD_OF_BYTE = (_CROCKFORD * 8).encode()  # of its low five bits
_DRAW_BYTES = 16
_DRAWN_AT_ONCE = 256
_drawn: deque[bytes] = deque()


class Position(msgspec.Struct, frozen=True, order=True, array_like=True, gc=False):
    """A place in the log. Offsets rise within a partition; nothing is ordered across partitions."""

    generation: int
    partition: int
    offset: int


def parse_id(raw: object, field: str) -> str:
    """An id of the shop's: a string (or an integer, as many shops send) without control characters or outer spaces.

    Raises:
        MalformedEvent: with the JSON pointer of `field`; the sender should correct the id.
    """
    if isinstance(raw, int) and not isinstance(raw, bool):
        raw = str(raw)
    if not isinstance(raw, str):
        raise MalformedEvent(f"{field} must be a string, got {type(raw).__name__}", pointer=f"/{field}")
    if not 1 <= len(raw) <= ID_LENGTH_MAX:
        raise MalformedEvent(f"{field} must have 1 to {ID_LENGTH_MAX} characters, got {len(raw)}", pointer=f"/{field}")
    if not raw.isprintable() or raw != raw.strip():
        raise MalformedEvent(f"{field} has control characters or outer spaces: {raw!r}", pointer=f"/{field}")
    return raw


def parse_product_id(raw: object, field: str = "product_id") -> ProductId:
    """A product id as the shop spells it; case matters."""
    return ProductId(parse_id(raw, field))


def parse_customer_id(raw: object, field: str = "customer_id") -> CustomerId:
    """A customer id as the shop spells it."""
    return CustomerId(parse_id(raw, field))


def parse_anonymous_id(raw: object, field: str = "anonymous_id") -> AnonymousId:
    """A visitor id as the storefront made it."""
    return AnonymousId(parse_id(raw, field))


def new_subject() -> Subject:
    """A random name for a person: 128 bits, 22 URL-safe characters. It says nothing about who it is."""
    return Subject(urlsafe_b64encode(_draw()).decode("ascii").rstrip("="))


def content_id(*parts: str) -> EventId:
    """The same parts always give the same id (BLAKE2b, 128 bits, hex): how a fact is recognised when it comes again."""
    return EventId(hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest())


def order_event_id(order_id: OrderId) -> EventId:
    """The event id of an order, whoever reports it: browser pixel, webhook or import."""
    return content_id("order", order_id)


def ulid(time_ms: int, randomness: bytes) -> str:
    """A ULID: 48 bits of time, 80 bits of randomness (five of each of 16 bytes), 26 characters that sort by time.

    Source: the ULID specification (Crockford's base 32, most significant character first). Cost: 0.5 µs.
    """
    return _ulid_time(time_ms) + randomness.translate(_CROCKFORD_OF_BYTE).decode("ascii")


def new_ulid(time_ms: int) -> str:
    """A ULID that nobody has made before."""
    return ulid(time_ms, _draw())


def new_request_id(time_ms: int) -> RequestId:
    """A request id that sorts by time."""
    return RequestId(new_ulid(time_ms))


@lru_cache(maxsize=1_000)
def _ulid_time(time_ms: int) -> str:
    return "".join([_PAIRS[(time_ms >> shift) & 1023] for shift in range(40, -1, -10)])


def _draw() -> bytes:
    """128 random bits of the operating system's generator, which is asked for many at once: each asking waits twice."""
    try:
        return _drawn.popleft()
    except IndexError:
        many = os.urandom(_DRAW_BYTES * _DRAWN_AT_ONCE)
        _drawn.extend(many[at : at + _DRAW_BYTES] for at in range(_DRAW_BYTES, len(many), _DRAW_BYTES))
        return many[:_DRAW_BYTES]


os.register_at_fork(after_in_child=_drawn.clear)  # a child must not make the ids of its parent


def product_key(product_id: ProductId) -> str:
    """The log key of facts about a product."""
    return PRODUCT_KEY_PREFIX + product_id


def experiment_key(name: str) -> str:
    """The log key of facts about an experiment."""
    return EXPERIMENT_KEY_PREFIX + name


@lru_cache(maxsize=200_000)
def partition_of(key: str) -> int:
    """The partition of a key, as Kafka's default partitioner computes it. Cost: 3 µs, then cached."""
    return (murmur2(key.encode()) & 0x7FFFFFFF) % PARTITIONS


def murmur2(data: bytes) -> int:
    """MurmurHash2 as Kafka's Java client computes it (seed 0x9747b28c), as an unsigned 32-bit integer."""
    multiplier, mask = 0x5BD1E995, 0xFFFFFFFF
    value = 0x9747B28C ^ len(data)
    whole = len(data) & ~3
    for each in struct.unpack_from(f"<{whole >> 2}I", data):
        word = each * multiplier & mask
        value = (value * multiplier ^ (word ^ word >> 24) * multiplier) & mask
    if whole < len(data):
        value = (value ^ int.from_bytes(data[whole:], "little")) * multiplier & mask
    value = (value ^ (value >> 13)) * multiplier & mask
    return value ^ (value >> 15)
