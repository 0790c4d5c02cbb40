"""Calls that are banned, and the few places that may make them, each with its reason."""

from __future__ import annotations

import ast
import re

from tests.architecture.source import Module, calls, imports, modules

ALLOWED = {
    "time.sleep": {
        "ingest.embedded": "SQLite does not wait for a lock when a file becomes WAL",
        "serving.folder": "a server that was just killed needs a moment until its lock is free",
    },
    "print": {"recommender.kernels.__main__": "a step of the installation says what it did"},
    "datetime.now": {"ingest.vocabulary.clock": "the one clock"},
    "datetime.utcnow": {},
    "datetime.today": {},
    "date.today": {},
    "time.time": {},
    "eval": {},
    "exec": {},
    "os.system": {},
}
BANNED_IMPORTS = {"pickle", "shelve", "marshal", "dill", "cloudpickle", "joblib"}
CORES = ("ingest", "recommender", "personalization")
SEEDED = re.compile(r"(np|numpy)\.random\.(default_rng|Generator|SeedSequence|PCG64|Philox)$|random\.Random$")


def test_banned_calls_are_made_only_where_a_reason_is_written_down() -> None:
    found = [
        f"{module.shown}:{call.lineno} {name}"
        for module in modules()
        for name, call in calls(module)
        for banned, allowed in ALLOWED.items()
        if (name == banned or name.endswith("." + banned)) and module.name not in allowed
    ]
    assert found == []


def test_every_written_reason_is_still_needed() -> None:
    made = {(name, module.name) for module in modules() for name, _ in calls(module)}
    assert [
        (banned, place) for banned, allowed in ALLOWED.items() for place in allowed if (banned, place) not in made
    ] == []


def test_nothing_is_unpickled_or_built_from_text() -> None:
    assert [
        (module.shown, name) for module in modules() for name in imports(module) if name.split(".")[0] in BANNED_IMPORTS
    ] == []


def unseeded(module: Module) -> list[str]:
    """Uses of randomness that no seed decides."""
    return [
        f"{module.shown}:{call.lineno} {name}"
        for name, call in calls(module)
        if re.match(r"(np|numpy)\.random\.|random\.", name)
        and not (SEEDED.match(name) and (call.args or call.keywords))
    ]


def test_randomness_in_the_cores_comes_from_a_seed() -> None:
    assert [each for module in modules(*CORES) for each in unseeded(module)] == []


def test_a_use_of_randomness_without_a_seed_would_be_found() -> None:
    text = "random.random(); np.random.default_rng(); np.random.default_rng(7); np.random.rand(3); random.Random(1)"
    module = Module("m", modules()[0].path, text, ast.parse(text))
    assert [each.split()[-1] for each in unseeded(module)] == [
        "random.random",
        "np.random.default_rng",
        "np.random.rand",
    ]
