"""What the tests of evaluations share: files written from literals, questions and lists told apart by ids."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from recommender.evaluation.protocols import READERS
from recommender.evaluation.protocols.task import Part, Task
from recommender.questions import Ragged


def written(folder: Path, files: Mapping[str, str | bytes]) -> dict[str, Path]:
    """Files by the names of their options; a name that ends in `.gz` is gzipped and loses the ending as an option."""
    paths = {}
    for name, content in files.items():
        raw = content.encode() if isinstance(content, str) else content
        path = folder / (name if name.endswith(".gz") else f"{name}.txt")
        path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
        paths[name.removesuffix(".gz")] = path
    return paths


def task_of(folder: Path, protocol: str, **files: str) -> Task:
    """What a protocol makes of the content of its files."""
    return READERS[protocol](written(folder, files))


def asked(task: Task, part: Part | None = None) -> list[tuple[str, str, str]]:
    """Each question as history, targets and excluded products, by ids; `?` is a target nobody knows."""
    questions = (part or task.parts[0]).questions
    return [
        (
            _ids(task, questions.history(at).products),
            _ids(task, questions.targets.row(at)),
            _ids(task, questions.excluded.row(at)),
        )
        for at in range(len(questions))
    ]


def ragged(rows: Sequence[Sequence[int]]) -> Ragged:
    """Rows of different lengths."""
    start = np.concatenate(([0], np.cumsum([len(row) for row in rows]))).astype(np.int64)
    return Ragged(start, np.array([value for row in rows for value in row], np.int32))


def _ids(task: Task, rows: Sequence[int]) -> str:
    return " ".join("?" if row < 0 else task.interactions.products[row] for row in rows)
