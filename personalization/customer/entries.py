"""Entries under keys are kept in the order of (time, key), oldest first, and the oldest go when there are too many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Protocol, TypeVar


class Timed(Protocol):
    """An entry with a time."""

    @property
    def at_ms(self) -> int:
        """When, in epoch milliseconds."""
        ...


Key = TypeVar("Key", bound=str)
Entry = TypeVar("Entry", bound=Timed)


def put(entries: Mapping[Key, Entry], changed: Mapping[Key, Entry], limit: int) -> dict[Key, Entry]:
    """The entries with `changed` in their places, the newest `limit` of them. Cost: a sort."""
    return _newest(dict(sorted({**entries, **changed}.items(), key=_place)), limit)


def append(entries: Mapping[Key, Entry], changed: Mapping[Key, Entry], limit: int, at_ms: int) -> dict[Key, Entry]:
    """What `put` gives, for changes at `at_ms` in the order of their keys (a changed entry may keep a later time).

    Cost: one copy of the dictionary, if the changes are the newest, which they nearly always are.
    """
    if entries and entries[next(newest_first(entries))].at_ms >= at_ms:
        return put(entries, changed, limit)
    after: dict[Key, Entry] = entries.copy()  # type: ignore[attr-defined]  # many times faster than dict(entries)
    for key in changed:
        after.pop(key, None)
    after.update(changed)
    return after if len(after) <= limit else _newest(after, limit)


def newest_first(entries: Mapping[Key, Entry]) -> Iterator[Key]:
    """The keys, the newest first. The mappings of a profile are dictionaries, which know their order both ways."""
    return reversed(entries)  # type: ignore[arg-type]


def newest_at_ms(entries: Mapping[Key, Entry]) -> int:
    """The time of the newest entry; 0 where there is none."""
    return entries[next(newest_first(entries))].at_ms if entries else 0


def without(entries: Mapping[Key, Entry], keys: Mapping[Key, object]) -> Mapping[Key, Entry]:
    """The entries but for some keys; the same object if none of them is there."""
    if entries.keys().isdisjoint(keys):
        return entries
    after: dict[Key, Entry] = entries.copy()  # type: ignore[attr-defined]
    for key in keys:
        after.pop(key, None)
    return after


def _place(item: tuple[Key, Entry]) -> tuple[int, Key]:
    return item[1].at_ms, item[0]


def _newest(entries: dict[Key, Entry], limit: int) -> dict[Key, Entry]:
    surplus = len(entries) - limit
    if surplus > 0:
        for key in list(islice(entries, surplus)):
            del entries[key]
    return entries
