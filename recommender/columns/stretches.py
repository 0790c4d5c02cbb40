"""Columns of several stretches of the log as those of one, and columns as they were known at some moment.

Nothing here knows what a column means: see `shape`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.columns.shape import NAMES, STREAMS, Arrays, Name
from recommender.kernels.assembling import first_places, number_hashes

Array = NDArray[Any]


def together(stretches: Sequence[Arrays]) -> Arrays:
    """The columns of stretches that follow each other, as if all of their facts had been gathered at once.

    Cost: about 20 ns a row and column; the names of all are put into one table, 100 ns each.
    """
    found: dict[str, Array] = {}
    numbers: dict[str, list[Array]] = {}
    for kind in NAMES:
        merged, numbers[kind] = _names_together(kind, stretches)
        found |= merged
    for stream, columns in STREAMS.items():
        for name, column in columns.items():
            key = f"{stream}.{name}"
            parts = [stretch[key] for stretch in stretches]
            if column.of is not None:
                parts = [new[part] for new, part in zip(numbers[column.of], parts, strict=True)]
            found[key] = np.concatenate(parts)
    return found


def known_at(columns: Arrays, until_us: int) -> Arrays:
    """The rows of facts that were known at a moment; names stay, whether anything of theirs does or not."""
    found: dict[str, Array] = dict(columns)
    for stream, of_stream in STREAMS.items():
        if "known_us" not in of_stream:
            continue
        is_known = columns[f"{stream}.known_us"] <= until_us
        for name, column in of_stream.items():
            found[f"{stream}.{name}"] = columns[f"{stream}.{name}"][is_known]
            if column.rows is not None:
                belong = np.repeat(is_known, columns[f"{stream}.{name}"])
                for each in STREAMS[column.rows]:
                    found[f"{column.rows}.{each}"] = columns[f"{column.rows}.{each}"][belong]
    return found


def texts(columns: Arrays, name: Name) -> list[bytes]:
    """The names themselves, by number."""
    end = np.cumsum(columns[f"{name}.size"], dtype=np.int64).tolist()
    text = columns[f"{name}.text"].tobytes()
    return [text[begin:stop] for begin, stop in zip([0, *end], end, strict=False)]


def _names_together(name: Name, stretches: Sequence[Arrays]) -> tuple[dict[str, Array], list[Array]]:
    """Every name once, in order of appearance, and for each stretch the new numbers of its names."""
    hashes = [stretch[f"{name}.hash"] for stretch in stretches]
    everywhere = np.concatenate(hashes)
    number = np.empty(len(everywhere), np.int32)
    distinct = number_hashes(everywhere, number)
    first = np.empty(distinct, np.int64)
    first_places(number, first)
    merged = {f"{name}.hash": everywhere[first]}
    if NAMES[name]:
        size = np.concatenate([stretch[f"{name}.size"] for stretch in stretches])
        merged[f"{name}.size"] = size[first]
        text = np.concatenate([stretch[f"{name}.text"] for stretch in stretches])
        is_first = np.zeros(len(number), np.bool_)
        is_first[first] = True
        merged[f"{name}.text"] = text[np.repeat(is_first, size)]
    ends = np.cumsum([0, *map(len, hashes)])
    return merged, [number[begin:end] for begin, end in pairwise(ends)]
