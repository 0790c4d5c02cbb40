"""The categories of the demo store as a tree of pages with readable addresses.

An address is made of the names: Kitchen > Mugs & Teapots is `kitchen/mugs-and-teapots`. Siblings whose names come out
alike get a few digits of a hash each, so that every category has an address of its own and keeps it.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

CategoryPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shelf:
    """A category: its path from the root, the number of products on it and below it, its address."""

    path: CategoryPath
    products: int
    slug: str

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path[-1]


class Shelves:
    """All categories of a catalogue, looked up by path or address."""

    def __init__(self, counted: Iterable[tuple[CategoryPath, int]]) -> None:
        counts: dict[CategoryPath, int] = {path: products for path, products in counted if path}
        for path in list(counts):
            for depth in range(1, len(path)):  # An ancestor that was not counted is still a page.
                counts.setdefault(path[:depth], 0)
        self._by_path = {path: Shelf(path, counts[path], slug) for path, slug in _slugs(counts).items()}
        self._by_slug = {shelf.slug: shelf for shelf in self._by_path.values()}

    def at(self, slug: str) -> Shelf | None:
        """The shelf with an address, or None."""
        return self._by_slug.get(unicodedata.normalize("NFC", slug))

    def of(self, path: CategoryPath) -> Shelf | None:
        """The shelf of a path, or None."""
        return self._by_path.get(path)

    def below(self, path: CategoryPath) -> Sequence[Shelf]:
        """The shelves directly below a path, in the order of the catalogue; () has the departments."""
        return [shelf for shelf in self._by_path.values() if shelf.path[:-1] == path]

    def trail(self, path: CategoryPath) -> Sequence[Shelf]:
        """The shelves from the root to a path, for breadcrumbs."""
        found = (self._by_path.get(path[:depth]) for depth in range(1, len(path) + 1))
        return [shelf for shelf in found if shelf is not None]


def _slugs(paths: Iterable[CategoryPath]) -> dict[CategoryPath, str]:
    siblings: dict[tuple[CategoryPath, str], list[CategoryPath]] = {}
    ordered = list(paths)
    for path in ordered:
        siblings.setdefault((path[:-1], _readable(path[-1])), []).append(path)
    parts = {}
    for (_, readable), alike in siblings.items():
        for path in alike:
            parts[path] = readable if readable and len(alike) == 1 else _with_digits(readable, path[-1])
    return {path: "/".join(parts[path[:depth]] for depth in range(1, len(path) + 1)) for path in ordered}


def _readable(name: str) -> str:
    words = unicodedata.normalize("NFC", name).casefold().replace("&", " and ").replace("'", "")
    return unicodedata.normalize("NFC", "-".join(re.findall(r"\w+", words)))


def _with_digits(readable: str, name: str) -> str:
    digits = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    return f"{readable}-{digits}" if readable else digits
