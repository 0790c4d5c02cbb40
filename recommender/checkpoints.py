"""What a training has finished, so that one that was killed goes on from there: small results, each in a file.

    <folder>/<step>.step    a hash over everything behind it, the fingerprint of the training, what the step came to

A step is recalled only by a training of the same facts with the same configuration and code. What is damaged, or
another training's, is as good as nothing; what cannot be written is worked out again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from recommender.interactions import Interactions, Orders
from recommender.shown import ShownLists

STEP_BYTES_MAX = 64_000_000  # of what a step came to: more is worked out again
_HASH = hashlib.sha256
_SIZE = _HASH().digest_size


class Finished(Protocol):
    """What the steps of one training came to."""

    def recall(self, step: str) -> bytes | None:
        """What a step came to; None if it was not finished."""
        ...

    def keep(self, step: str, content: bytes) -> None:
        """Remember what a step came to."""
        ...


class Checkpoints:
    """Finished steps in a folder; those of one training at a time.

    Guarantees: what is recalled is what was kept, by a training with the same fingerprint.
    Not guaranteed: that anything is recalled.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._fingerprint = folder, b""

    def begin(self, fingerprint: bytes) -> Finished:
        """Go on with a training; what another one left is removed."""
        self._fingerprint = fingerprint
        with contextlib.suppress(OSError):
            for path in self._folder.iterdir():
                if path.suffix != ".step" or self.recall(path.stem) is None:
                    path.unlink()
        return self

    def recall(self, step: str) -> bytes | None:
        """What a step came to; None if it was not finished by this training, or cannot be trusted."""
        try:
            stored = (self._folder / f"{step}.step").read_bytes()
        except OSError:
            return None
        content = stored[_SIZE + len(self._fingerprint) :]
        return content if stored == self._stored(step, content) else None

    def keep(self, step: str, content: bytes) -> None:
        """Remember what a step came to, on disk when this returns; where that cannot be, it is not remembered."""
        if len(content) > STEP_BYTES_MAX:
            return
        writing = self._folder / f"{step}.writing"
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            with writing.open("wb") as file:
                file.write(self._stored(step, content))
                file.flush()
                os.fsync(file.fileno())
            writing.rename(self._folder / f"{step}.step")

    def clear(self) -> None:
        """Forget everything: the training is over."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _stored(self, step: str, content: bytes) -> bytes:
        checksum = _HASH(step.encode() + b"\0" + self._fingerprint + content).digest()
        return checksum + self._fingerprint + content


class _Forgetful:
    """Remembers nothing."""

    def recall(self, step: str) -> bytes | None:
        """Nothing was finished."""
        return None

    def keep(self, step: str, content: bytes) -> None:
        """Nothing is remembered."""


NOTHING_FINISHED: Finished = _Forgetful()


def fingerprint_of(interactions: Interactions, settled: bytes, base: str) -> bytes:
    """What recognises a training: the same facts, configuration, base and code come to the same steps.

    Args:
        settled: the configuration as snapshots have it; base: the snapshot it goes on from, if any.

    Cost: a hash over all columns, some 1.4 GB/s.
    """
    digest = _HASH(msgspec.msgpack.encode([code_fingerprint(), settled, base, interactions.reference_s]))
    owners: list[Interactions | Orders | ShownLists] = [interactions, interactions.orders]
    told: list[object] = [interactions.products, interactions.catalogue, interactions.situations]
    if interactions.shown is not None:
        owners.append(interactions.shown)
        told += [interactions.shown.placements, interactions.shown.devices]
    digest.update(b"".join(map(msgspec.msgpack.encode, told)))
    for owner in owners:
        for field in fields(owner):
            array = getattr(owner, field.name)
            if isinstance(array, np.ndarray):
                digest.update(msgspec.msgpack.encode([field.name, array.dtype.str, array.shape]))
                digest.update(_bytes_of(array))
    return digest.digest()


@cache
def code_fingerprint() -> str:
    """A hash over the source of the models: other code may come to other results."""
    digest, folder = _HASH(), Path(__file__).parent
    for path in sorted(folder.rglob("*.py")):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _bytes_of(array: NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
