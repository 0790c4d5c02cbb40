"""What a row was asked for beside its seeds, recorded within a few hundred bytes, and asked again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache

import msgspec
import numpy as np

from ingest.vocabulary.events import Asked
from ingest.vocabulary.ids import ProductId
from personalization.page.request import Filter
from personalization.page.shelf import Shelf
from serving.ask import Ask

MARK_BYTES = 3  # of a product: among 100,000, one exclusion in 168 means another product as well
part_bytes_max = 120  # of the exclusions, by some fifteen ids or forty marks, and of the filter
part_beside_bytes_max = 40  # likewise, where the record has arms as well

_encoder = msgspec.msgpack.Encoder(order="sorted")
_filter_decoder: msgspec.msgpack.Decoder[Filter] = msgspec.msgpack.Decoder(Filter)


def asked_of(ask: Ask, part_max: int = part_bytes_max) -> Asked | None:
    """The record of what a request asked; None where that was nothing. Cost: a few µs where there is anything.

    Args:
        part_max: so many bytes for the exclusions, and as many for the filter.
    """
    if ask.limit is None and not ask.exclude and ask.filter is None:
        return None
    left_out: list[str] = []
    exclude, marks = ask.exclude, b""
    if sum(len(product.encode()) + 1 for product in exclude) > part_max:
        marks_max = part_max // MARK_BYTES
        if len(exclude) > marks_max:
            left_out.append("exclude")
        exclude, marks = (), b"".join(map(_mark, exclude[:marks_max]))
    packed = b"" if ask.filter is None else _encoder.encode(ask.filter)
    if len(packed) > part_max:
        left_out.append("filter")
        packed = b""
    return Asked(ask.limit, exclude, marks, packed, tuple(left_out))


def filter_then(asked: Asked | None) -> Filter | None:
    """The filter of a record, as far as it has one that can be read."""
    if asked is None or not asked.filter:
        return None
    try:
        return _filter_decoder.decode(asked.filter)
    except msgspec.MsgspecError:  # of a version with other filters
        return None


def exclusions_then(asked: Asked | None, shelf: Shelf) -> tuple[ProductId, ...]:
    """What a record excludes; of marks, every product on the shelf that has one of them."""
    if asked is None:
        return ()
    if not asked.marks:
        return asked.exclude
    marks = {asked.marks[at : at + MARK_BYTES] for at in range(0, len(asked.marks), MARK_BYTES)}
    return tuple(product for product in _products(shelf) if _mark(product) in marks)


def is_whole(asked: Asked | None) -> bool:
    """Whether everything that was asked is recorded."""
    return asked is None or not (asked.left_out or asked.marks)


def _products(shelf: Shelf) -> Iterable[ProductId]:
    return (shelf.product_id(number) for number in np.flatnonzero(shelf.listed).tolist())


@lru_cache(200_000)
def _mark(product_id: ProductId) -> bytes:
    return hashlib.blake2b(product_id.encode(), digest_size=MARK_BYTES).digest()
