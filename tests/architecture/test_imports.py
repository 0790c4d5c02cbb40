"""Who may import whom: `ingest.vocabulary <- ingest, recommender, personalization <- serving`."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tests.architecture.source import PACKAGES, ROOT, Module, imports, is_standard_library, modules

MAY_IMPORT = {
    "ingest.vocabulary": ("ingest.vocabulary",),
    "ingest": ("ingest",),
    "recommender": ("ingest.vocabulary", "recommender"),
    "personalization": ("ingest.vocabulary", "personalization"),
    "serving": PACKAGES,
}
OF_THE_VOCABULARY = {"msgspec", "numpy"}
MAY_READ_THE_ENVIRONMENT = ("serving.wiring", "serving.commands")


def part_of(name: str) -> str:
    """The row of the table a module belongs to."""
    return "ingest.vocabulary" if within(name, "ingest.vocabulary") else name.split(".")[0]


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.name)
def test_a_module_imports_only_what_its_package_may(module: Module) -> None:
    allowed = MAY_IMPORT[part_of(module.name)]
    ours = [name for name in imports(module) if name.split(".")[0] in PACKAGES]
    assert [name for name in ours if not any(within(name, package) for package in allowed)] == []


def test_the_vocabulary_needs_nothing_but_msgspec_and_numpy() -> None:
    foreign = {
        name.split(".")[0]
        for module in modules("ingest/vocabulary")
        for name in imports(module)
        if not is_standard_library(name) and not within(name, "ingest.vocabulary")
    }
    assert foreign <= OF_THE_VOCABULARY


def test_the_vocabulary_loads_nothing_else_of_ours() -> None:
    names = [module.name for module in modules("ingest/vocabulary")]
    script = f"import sys, {', '.join(names)}; print(*(n for n in sys.modules if n.split('.')[0] in {PACKAGES!r}))"
    loaded = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(loaded.stdout.split()) == {"ingest", *names}


def test_what_answers_loads_nothing_that_only_training_needs() -> None:
    script = "import sys, recommender.live; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    heavy = {"implicit", "lightgbm", "threadpoolctl", "scipy.sparse", "scipy.linalg"}
    assert heavy & set(loaded.stdout.split()) == set()


def test_the_packages_themselves_are_docstrings() -> None:
    for module in modules():
        if module.name in PACKAGES:
            (only,) = module.tree.body
            assert isinstance(only, ast.Expr)
            assert isinstance(only.value, ast.Constant)
            assert isinstance(only.value.value, str)


def test_only_the_composition_root_and_the_command_line_read_the_environment() -> None:
    readers = {
        module.name
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.environ", "os.getenv", "os.environb")
    }
    readers |= {module.name for module in modules() if {"os.environ", "os.getenv"} & set(imports(module))}
    assert [name for name in readers if not any(within(name, each) for each in MAY_READ_THE_ENVIRONMENT)] == []
