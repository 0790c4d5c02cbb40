"""The shape of files and functions: lengths, names, docstrings."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Iterator

from tests.architecture.source import Module, functions, modules

FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
FUNCTION_LINES_MEDIAN_MAX = 10
BANNED_NAMES = {"utils", "util", "helpers", "helper", "manager", "common", "data", "misc"}
WORDS_OF_A_SENTENCE_MIN = 4


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring, which may be as long as it needs."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def test_no_file_is_longer_than_anyone_reads() -> None:
    lengths = {module.shown: module.text.count("\n") for module in (*modules(), *modules("tests"))}
    assert {shown: lines for shown, lines in lengths.items() if lines > FILE_LINES_MAX} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    long = [
        f"{module.shown}:{function.lineno} {function.name} has {length(function)} lines"
        for module in (*modules(), *modules("tests"))
        for function in functions(module)
        if length(function) > FUNCTION_LINES_MAX
    ]
    assert long == []


def test_most_functions_are_short() -> None:
    assert statistics.median(length(each) for module in modules() for each in functions(module)) < (
        FUNCTION_LINES_MEDIAN_MAX
    )


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [module.name for module in modules() if BANNED_NAMES & set(module.name.split("."))] == []


def undocumented(module: Module) -> Iterator[str]:
    """Public modules, classes, functions and methods without a docstring; what is private may explain itself."""
    if not ast.get_docstring(module.tree):
        yield module.shown
    open_nodes: list[tuple[ast.Module | ast.ClassDef, str]] = [(module.tree, module.name)]
    for node, name in open_nodes:
        for child in node.body:
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                if child.name.startswith("_"):
                    continue
                if not ast.get_docstring(child) and not is_overload_or_setter(child):
                    yield f"{name}.{child.name}"
                if isinstance(child, ast.ClassDef):
                    open_nodes.append((child, f"{name}.{child.name}"))


def is_overload_or_setter(node: ast.AST) -> bool:
    """Whether the docstring sits on another definition of the same name."""
    return any(
        ast.unparse(each).endswith(("overload", ".setter", ".deleter")) for each in getattr(node, "decorator_list", ())
    )


def test_everything_public_has_a_docstring() -> None:
    assert [name for module in modules() for name in undocumented(module)] == []


def test_every_tests_name_is_a_sentence() -> None:
    names = [
        f"{module.shown} {function.name}"
        for module in modules("tests")
        if module.path.name.startswith("test_")
        for function in functions(module)
        if function.name.startswith("test_")
        and len(re.findall(r"[^_]+", function.name.removeprefix("test_"))) < WORDS_OF_A_SENTENCE_MIN
    ]
    assert names == []


def test_no_test_has_the_name_of_another_in_its_file() -> None:
    for module in modules("tests"):
        names = [function.name for function in functions(module) if function.name.startswith("test_")]
        assert len(names) == len(set(names)), module.shown
