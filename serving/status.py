"""`dangol status`: what is in a data folder, how far it is folded, what answers."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from serving.engine import Engine


class Status(msgspec.Struct, frozen=True):
    """The state of a data folder.

    Attributes:
        facts: in the log, and by partition the last offset.
        lag: facts not folded yet.
        behind_snapshot: facts that came after the snapshot, which the tail answers for.
        reference_time: the newest moment the snapshot has seen.
        bytes: sizes on disk.
    """

    data: str
    facts: int
    ends: tuple[int, ...]
    lag: int
    customers: int
    products: int
    dead_letters: int
    snapshot: str | None
    reference_time: datetime | None
    behind_snapshot: int
    snapshots_kept: int
    bytes: dict[str, int]

    def text(self) -> str:
        """The same for people."""
        sizes = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in self.bytes.items())
        known = (
            "never trained" if self.reference_time is None else f"knows up to {self.reference_time:%Y-%m-%d %H:%M} UTC"
        )
        return "\n".join(
            (
                f"data          {self.data} ({sizes})",
                f"log           {self.facts:,} facts, {self.lag} not folded yet",
                f"knows         {self.customers:,} profiles, {self.products:,} products",
                f"snapshot      {self.snapshot or 'none'} ({known}; {self.behind_snapshot:,} facts since in the tail)",
                f"snapshots     {self.snapshots_kept} kept",
                f"dead letters  {self.dead_letters:,}",
            )
        )


def status_of(engine: Engine) -> Status:
    """The status of an open data folder."""
    ends, positions = engine.log.ends(), engine.store.positions()
    publication = engine.snapshots.current()
    cut = publication.cut if publication else (-1,) * len(ends)
    return Status(
        data=str(engine.folder),
        facts=sum(end + 1 for end in ends),
        ends=ends,
        lag=sum(ends) - sum(positions),
        customers=engine.store.count("profile"),
        products=engine.store.count("product"),
        dead_letters=engine.dead_letters.count(),
        snapshot=publication.snapshot_id if publication else None,
        reference_time=publication.reference_time if publication else None,
        behind_snapshot=sum(ends) - sum(cut),
        snapshots_kept=len(engine.snapshots.kept()),
        bytes={
            "log and states": _bytes(engine, "dangol.sqlite3*"),
            "keyring": _bytes(engine, "keyring.sqlite3*"),
            "columns": _bytes(engine, "columns/**/*"),
            "snapshots": _bytes(engine, "snapshots/**/*"),
        },
    )


def _bytes(engine: Engine, pattern: str) -> int:
    return sum(path.stat().st_size for path in engine.folder.glob(pattern) if path.is_file())
