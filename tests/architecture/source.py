"""The source of the four packages, parsed once, for tests that own a rule of the house."""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PACKAGES = ("ingest", "recommender", "personalization", "serving")


class Module(NamedTuple):
    """A source file and what is in it."""

    name: str
    path: Path
    text: str
    tree: ast.Module

    @property
    def shown(self) -> str:
        """Its path as people name it."""
        return str(self.path.relative_to(ROOT))


@functools.cache
def modules(*folders: str) -> tuple[Module, ...]:
    """Every module below some folders, the four packages unless told otherwise."""
    found = []
    for folder in folders or PACKAGES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text()
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found.append(Module(name, path, text, ast.parse(text)))
    return tuple(found)


def imports(module: Module) -> Iterator[str]:
    """Every module it imports, wherever in the file; the names of a `from` import are added to their module."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module.shown}:{node.lineno} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def functions(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method."""
    return (node for node in ast.walk(module.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def calls(module: Module) -> Iterator[tuple[str, ast.Call]]:
    """Every call by the dotted name it is written with."""
    return ((ast.unparse(node.func), node) for node in ast.walk(module.tree) if isinstance(node, ast.Call))


def is_standard_library(name: str) -> bool:
    """Whether a module comes with Python."""
    return name.split(".")[0] in sys.stdlib_module_names
