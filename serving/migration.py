"""Moving a whole shop from an embedded data folder into the distributed deployment.

Keyring, facts, dead letters, noted imports, snapshots and API keys, in this order. Every fact gets the place that it
had: the target log is empty, has the same partitions, and is written by nobody else. So a move that was cut off goes on
behind the last fact of each partition, and positions that snapshots remember stay true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from ingest.compacted import pause
from ingest.folding.fold import read_batches
from ingest.folding.repeats import ClaimedFacts
from ingest.vocabulary.codec import encode_event
from ingest.vocabulary.errors import ConfigurationError, Corrupt, OutOfRetention
from ingest.vocabulary.events import Recorded
from ingest.vocabulary.ids import SnapshotId, partition_of
from recommender.snapshot import SnapshotStore
from serving.access import AccessKeys
from serving.distributed import ARCHIVE_FOLDER, DistributedShop
from serving.embedded import EmbeddedShop

MARK = "click-tokens"  # a secret that every installation has, so whoever has the same one is this shop
IN_FLIGHT_S = 1.0  # what a process sent that was just killed has arrived by then

Progress = Callable[[str, int], None]


class Migrated(msgspec.Struct, frozen=True):
    """What is in the new place now.

    Attributes:
        facts: in the log, each at the position it had.
        resumed: how many of them an earlier, cut off move had written.
        repetitions: facts that count no more, since the claims of this deployment tell them for another's copy.
        snapshot: the one in use, as good as it was; None if a training is needed.
    """

    facts: int
    resumed: int
    repetitions: int
    subjects: int
    dead_letters: int
    imports: int
    snapshots: int
    api_keys: int
    snapshot: SnapshotId | None

    def text(self) -> str:
        """The same for people."""
        resumed = f" ({self.resumed:,} of them by an earlier run)" if self.resumed else ""
        repeated = f", {self.repetitions:,} of them repetitions of others" if self.repetitions else ""
        return "\n".join(
            (
                f"facts         {self.facts:,}{resumed}{repeated}, each where it was",
                f"subjects      {self.subjects:,}",
                f"dead letters  {self.dead_letters:,}",
                f"imports       {self.imports:,}",
                f"snapshots     {self.snapshots:,}, in use {self.snapshot or 'none: run `dangol train`'}",
                f"API keys      {self.api_keys:,}",
                "Next: start projectors, wait until `dangol status` shows no lag, then start `dangol serve`.",
            )
        )


class Migration:
    """A move that is under way, or was cut off and goes on.

    Args:
        folder: the embedded data folder; nobody serves it, and it is only read.
        source: what is in it.
        new_folder: the data folder of the new deployment.
        target: its Kafka and Redis, where no other process of Dangol runs.
    """

    def __init__(self, folder: Path, source: EmbeddedShop, new_folder: Path, target: DistributedShop) -> None:
        self._folder, self._source = folder, source
        self._new_folder, self._target = new_folder, target
        self._cut = source.log.ends()

    @property
    def facts(self) -> int:
        """How many facts there are to move."""
        return sum(end + 1 for end in self._cut)

    @property
    def subjects(self) -> int:
        """How many subjects there are to move."""
        return self._source.keyring.count()

    def run(self, progress: Progress = lambda _, __: None) -> Migrated:
        """Move everything. Cut off at any moment, it may be done again, and comes to the same.

        Args:
            progress: told what is moved, `facts` or `subjects`, and how many more are.

        Raises:
            ConfigurationError: the new place holds something else, or what it holds has changed since; nothing, or
                nothing more, was written. Or somebody wrote to the folder meanwhile: do it again.
            Unavailable: Kafka or Redis does not answer; do it again.
            Corrupt: the folder's log is not as logs are.
        """
        begun = self._begun()
        self._move_keyring(progress)
        repetitions = sum(self._move_facts(partition, begun[partition], progress) for partition in range(len(begun)))
        with self._target.dead_letters() as letters:
            dead_letters = letters.adopt(self._source.dead_letters.all())
        imports = self._move_imports()
        old, new = SnapshotStore(self._folder / "snapshots"), SnapshotStore(self._new_folder / "snapshots")
        new.adopt(old)
        current = new.current()
        api_keys = AccessKeys(self._new_folder).adopt(AccessKeys(self._folder).all())
        if self._source.log.ends() != self._cut:
            raise ConfigurationError(f"somebody wrote to {self._folder} meanwhile: run the same command again")
        return Migrated(
            facts=self.facts,
            resumed=sum(end + 1 for end in begun),
            repetitions=repetitions,
            subjects=self.subjects,
            dead_letters=dead_letters,
            imports=imports,
            snapshots=len(new.kept()),
            api_keys=api_keys,
            snapshot=None if current is None else current.snapshot_id,
        )

    def _begun(self) -> tuple[int, ...]:
        """The last offset of each partition that an earlier run has moved, -1 where there is none."""
        target = self._target
        ends = target.log.ends()
        if target.keyring.find_secret(MARK) != self._source.keyring.secret(MARK):
            self._check_unused(ends)
        if max(ends) < 0:
            if any((self._new_folder / ARCHIVE_FOLDER).rglob("*.parquet")):
                raise _occupied(f"{self._new_folder / ARCHIVE_FOLDER} has facts that the log has not")
            if max(target.positions()) >= 0:
                raise _occupied("its Redis has states of another log, which nothing can follow from: empty it")
            target.claims.clear()
            return ends
        while True:
            pause(IN_FLIGHT_S)
            before, ends = ends, target.log.ends()
            if ends == before:
                break
        for partition, end in enumerate(ends):
            self._check_resumable(partition, end)
        return ends

    def _check_unused(self, ends: Sequence[int]) -> None:
        """See that nothing is in the new place that is not of this shop."""
        if max(ends) >= 0:
            raise _occupied("its log has facts that are not of this shop")
        if self._target.keyring.holds_people():
            raise _occupied("its keyring knows people that are not of this shop")
        with self._target.dead_letters() as letters:
            if letters.count():
                raise _occupied("it has dead letters that are not of this shop")

    def _check_resumable(self, partition: int, end: int) -> None:
        """See that a partition ends with what is at the same place in the folder."""
        if end < 0:
            return
        expected = self._source.log.read(partition, after=end - 1, limit=1)
        try:
            found = self._target.log.read(partition, after=end - 1, limit=1)
        except OutOfRetention:
            raise _occupied(f"Kafka no longer has the facts of partition {partition}") from None
        if [_bytes_of(each) for each in expected] != [_bytes_of(each) for each in found]:
            raise _occupied(f"partition {partition} of its log ends at offset {end} with a fact of its own")

    def _move_keyring(self, progress: Progress) -> None:
        secrets = self._source.keyring.secrets()
        in_order = {name: secrets[name] for name in sorted(secrets, key=lambda name: name == MARK)}  # the mark last
        self._target.keyring.adopt(in_order, self._source.keyring.export(), lambda count: progress("subjects", count))

    def _move_facts(self, partition: int, begun: int, progress: Progress) -> int:
        """Write what a partition lacks, and claim everything in it; how many facts do not count."""
        counted, repetitions = ClaimedFacts(self._target.claims), 0
        for batch in self._batches(partition):
            lacking = [each for each in batch if each.position.offset > begun]
            written = self._target.log.append([each.event for each in lacking], once=False)
            if written != [each.position for each in lacking]:
                raise ConfigurationError(
                    f"somebody else writes to partition {partition} of the new log: end it, delete the topics or take "
                    "another `prefix`, and begin anew"
                )
            repetitions += len(batch) - len(counted.without(batch))
            progress("facts", len(batch))
        return repetitions

    def _batches(self, partition: int) -> Iterator[list[Recorded]]:
        """The facts of a partition, each at the place that it will get as well."""
        offset = -1
        for batch in read_batches(self._source.log, partition, after=-1, upto=self._cut[partition]):
            for each in batch:
                offset += 1
                if each.position.offset != offset or partition_of(each.event.key) != partition:
                    raise Corrupt(f"partition {partition} of {self._folder} has no fact of its own at offset {offset}")
            yield batch

    def _move_imports(self) -> int:
        imports = list(self._source.ledger.all())
        for key, entry in imports:
            self._target.ledger.finish(key, entry.finished_at, entry.report)
        return len(imports)


def _bytes_of(recorded: Recorded) -> bytes:
    return encode_event(recorded.event)


def _occupied(why: str) -> ConfigurationError:
    return ConfigurationError(f"the new place is in use: {why}. Take another `prefix`, or delete its topics")
