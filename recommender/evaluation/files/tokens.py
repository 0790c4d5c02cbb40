"""Ids as numbers while a file is read, and as rows of the catalogue afterwards."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ingest.vocabulary.ids import ProductId
from ingest.vocabulary.ranking import IntVector
from recommender.evaluation.files.text import unusable
from recommender.questions import UNKNOWN


class Numbering:
    """Numbers for ids in order of appearance.

    Cost: up to 1 µs an id, some 150 bytes a different one.
    """

    def __init__(self) -> None:
        self._numbers: defaultdict[bytes, int] = defaultdict()
        self._numbers.default_factory = self._numbers.__len__

    def __len__(self) -> int:
        return len(self._numbers)

    def number(self, ids: Sequence[bytes]) -> IntVector:
        """A number for each id, a new one where it was never seen."""
        return np.fromiter(map(self._numbers.__getitem__, ids), np.int32, len(ids))

    def find(self, token: bytes) -> int:
        """The number of an id, or `UNKNOWN`."""
        return self._numbers.get(token, UNKNOWN)

    def names(self, path: Path) -> list[str]:
        """The ids by number.

        Raises:
            ConfigurationError: one is not UTF-8.
        """
        try:
            return [token.decode() for token in self._numbers]
        except UnicodeDecodeError as error:
            raise unusable(path, f"the id {error.object!r} is not UTF-8") from error


class Rows:
    """The rows of a trained catalogue by id."""

    def __init__(self, products: Sequence[ProductId]) -> None:
        self._rows = {product.encode(): row for row, product in enumerate(products)}

    def __len__(self) -> int:
        return len(self._rows)

    def find(self, ids: Iterable[bytes]) -> list[int]:
        """The row of each id, `UNKNOWN` for what was not trained on."""
        rows = self._rows
        return [rows.get(token, UNKNOWN) for token in ids]
