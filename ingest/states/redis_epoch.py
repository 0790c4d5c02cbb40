"""Epochs: how a Redis that lost its data is told from a shop without customers.

Each log partition has an epoch beside its position, in the same slot, so that one cannot be lost without the other: a
random token, and `until`, the end of the log when the epoch began. A partition without an epoch has lost its states;
one whose position has not reached `until` is still being folded again. Data restored from an earlier copy bring their
epoch and their position with them, and folding simply goes on from there.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import msgspec

from ingest.vocabulary.errors import Corrupt
from ingest.vocabulary.ids import GENERATION

GENERATION_MARK = f"{GENERATION}:"


class Epoch(msgspec.Struct, frozen=True):
    """One life of the states of a partition.

    Attributes:
        token: random; another token means that whatever is remembered of the states elsewhere is of another life.
        until: the last offset of the log when it began.
    """

    token: str
    until: int

    @classmethod
    def begun_at(cls, until: int) -> Epoch:
        """A new one."""
        return cls(secrets.token_hex(4), until)

    def stored(self) -> str:
        """As it is kept."""
        return f"{GENERATION_MARK}{self.token}:{self.until}"


def parse_epoch(position: bytes | None, stored: bytes | None) -> Epoch | None:
    """The epoch in force; one of another generation of the log, or without a position beside it, is none.

    Raises:
        Corrupt: something else was kept there.
    """
    if position is None or stored is None or not stored.startswith(GENERATION_MARK.encode()):
        return None
    try:
        _, token, until = stored.decode().split(":")
        return Epoch(token, int(until))
    except ValueError as error:
        raise Corrupt(f"the epoch in Redis cannot be read: {stored!r}") from error


def parse_position(stored: bytes | None) -> int:
    """A position as it is kept, -1 where there is none."""
    try:
        return -1 if stored is None else int(stored)
    except ValueError as error:
        raise Corrupt(f"the position in Redis cannot be read: {stored!r}") from error


def is_complete(epoch: Epoch | None, position: int) -> bool:
    """Whether the states of a partition hold at least what the log held when their epoch began."""
    return epoch is not None and position >= epoch.until


class Standing(msgspec.Struct, frozen=True):
    """How far the states of each partition are, and in which epoch; None where they were lost."""

    positions: tuple[int, ...]
    epochs: tuple[Epoch | None, ...]

    @property
    def lost(self) -> tuple[int, ...]:
        """The partitions whose states are gone, and whose epoch has not begun again."""
        return tuple(partition for partition, epoch in enumerate(self.epochs) if epoch is None)

    @property
    def rebuilding(self) -> tuple[int, ...]:
        """The partitions that are not yet folded up to where the log ended when their epoch began."""
        places = enumerate(zip(self.epochs, self.positions, strict=True))
        return tuple(at for at, (epoch, folded) in places if epoch is not None and not is_complete(epoch, folded))

    @property
    def complete(self) -> bool:
        """Whether an absent state means that nothing is known, rather than that it was lost."""
        return all(map(is_complete, self.epochs, self.positions))

    def lag(self, ends: Sequence[int]) -> int:
        """How many facts up to `ends` are not folded yet."""
        return sum(max(0, end - position) for end, position in zip(ends, self.positions, strict=True))
