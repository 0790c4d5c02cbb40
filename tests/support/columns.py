"""Facts in places of a log, and the columns of that log in a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ingest.vocabulary.errors import Corrupt
from ingest.vocabulary.events import Event, Recorded
from ingest.vocabulary.ids import GENERATION, PARTITIONS, Position, partition_of


class Facts:
    """A log that grows; it tells how many of its facts were read, and gives them a few at a time.

    Args:
        gap: how far apart offsets are: a log may have places that hold no fact.
    """

    def __init__(self, events: Sequence[Event] = (), *, gap: int = 1, at_once: int = 3) -> None:
        self._places: list[list[Recorded]] = [[] for _ in range(PARTITIONS)]
        self._gap, self._at_once, self.read = gap, at_once, 0
        self.append(events)

    def append(self, events: Sequence[Event]) -> None:
        """Take facts in, in their order."""
        for event in events:
            partition = partition_of(event.key)
            places = self._places[partition]
            places.append(Recorded(Position(GENERATION, partition, len(places) * self._gap), event))

    def events(self, cut: Sequence[int] | None = None) -> list[Event]:
        """All facts up to a cut, partition by partition."""
        cut = self.ends() if cut is None else cut
        return [
            each.event for places, upto in zip(self._places, cut, strict=True) for each in places if _at(each) <= upto
        ]

    def batches(self, partition: int, *, after: int, upto: int) -> Iterator[list[Recorded]]:
        """All facts of a partition behind `after`, up to and including `upto`."""
        if upto > self.ends()[partition]:
            raise Corrupt(f"partition {partition} ends before {upto}")
        found = [each for each in self._places[partition] if after < _at(each) <= upto]
        for begin in range(0, len(found), self._at_once):
            batch = found[begin : begin + self._at_once]
            self.read += len(batch)
            yield batch

    def counting(self, batch: Sequence[Recorded]) -> Sequence[Recorded]:
        """All of them."""
        return batch

    def ends(self) -> list[int]:
        """The last offset of each partition, -1 where it is empty."""
        return [_at(places[-1]) if places else -1 for places in self._places]


def _at(recorded: Recorded) -> int:
    return recorded.position.offset
