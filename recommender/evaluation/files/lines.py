"""Files with something on each line: sessions, users with their items, prefixes with a target."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ingest.vocabulary.ranking import CountVector, IntVector
from recommender.evaluation.files.text import Lines
from recommender.evaluation.files.tokens import Numbering


class Sequences(NamedTuple):
    """Items in their order, n lines of m items.

    Attributes:
        size: (n,) items of each line, at least one; product: (m,) numbers of the items.
    """

    size: CountVector
    product: IntVector


class Question(NamedTuple):
    """What was seen, and what came next."""

    prefix: list[bytes]
    target: bytes


def read_sequences(path: Path, products: Numbering) -> Sequences:
    """A session or basket a line, items separated by white space; blank lines are passed over.

    Raises:
        ConfigurationError: the file is empty, damaged or not text.

    Cost: about 1 µs and 8 bytes an item.
    """
    sizes, numbers = [np.zeros(0, np.int64)], [np.zeros(0, np.int32)]
    for block in Lines(path).blocks():
        lines = [items for line in block if (items := line.split())]
        sizes.append(np.fromiter(map(len, lines), np.int64, len(lines)))
        numbers.append(products.number(list(chain.from_iterable(lines))))
    return Sequences(np.concatenate(sizes), np.concatenate(numbers))


def read_lines(path: Path) -> Iterator[list[bytes]]:
    """The items of each line that is not blank."""
    for block in Lines(path).blocks():
        yield from (items for line in block if (items := line.split()))


def read_users(path: Path) -> Iterator[tuple[bytes, list[bytes]]]:
    """`user item item …`, a line a user.

    Raises:
        ConfigurationError: the file cannot be used, or a user is on two lines: the order of its items is unknown.
    """
    lines, seen = Lines(path), set()
    for block in lines.blocks():
        for at, line in enumerate(block):
            if not (tokens := line.split()):
                continue
            if tokens[0] in seen:
                raise lines.fault(at, f"the user {tokens[0].decode(errors='replace')} is on a line before already")
            seen.add(tokens[0])
            yield tokens[0], tokens[1:]


def read_questions(path: Path) -> Iterator[Question]:
    """`item item …<TAB>target`, a line a question.

    Raises:
        ConfigurationError: the file cannot be used, or a line has no tab, no prefix, or not one target.
    """
    lines = Lines(path)
    for block in lines.blocks():
        for at, line in enumerate(block):
            if not line.strip():
                continue
            prefix, tab, target = line.rpartition(b"\t")
            if not tab:
                raise lines.fault(at, "it has no tab between the items and the target")
            seen, wanted = prefix.split(), target.split()
            if not seen or len(wanted) != 1:
                raise lines.fault(at, f"{len(seen)} items and {len(wanted)} targets; one target after some items")
            yield Question(seen, wanted[0])
