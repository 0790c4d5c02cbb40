"""`python -m tests.bench`: everything, most of it the training at size; `--quick` in a few minutes, `--only` in parts.

The table goes to the output, what is being done to the error stream, so that nobody takes a long row for a standstill.
"""

from __future__ import annotations

import argparse
import functools
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench import columns, distributed, homepage, neighbours, serving, shop, steps, training_size
from tests.bench.machine import Row, described, progress, table
from tests.bench.server import served
from tests.support.server_process import NotToBeHad

SEED = 7
LONG_RUNS = 2  # of what takes half a minute


class Part(NamedTuple):
    """Some rows that are measured together; a part that fails ends no other."""

    name: str
    takes: str
    rows: Callable[[], Sequence[Row]]


def main() -> None:
    """Measure and print; the exit status is 1 if a part could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short run of each")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", metavar="PART,…", help="some of: " + ", ".join(_NAMES))
    chosen = parser.parse_args()
    wanted = chosen.only.split(",") if chosen.only else _NAMES
    if unknown := set(wanted) - set(_NAMES):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; parts are {', '.join(_NAMES)}")
    plan = serving.Plan(1, 0.7, 20, chosen.seed) if chosen.quick else serving.Plan(3, 1.5, 200, chosen.seed)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to stop"))  # so that the server is ended too
    began = time.perf_counter()
    print(
        f"{described()}; seed {chosen.seed}; median [lowest–highest] of {plan.runs} runs "
        f"(of long ones at most {LONG_RUNS}, of the longest one)\n",
        flush=True,
    )
    with tempfile.TemporaryDirectory(prefix="dangol-bench-") as name:
        parts = _parts(Path(name), plan, wanted, quick=chosen.quick)
        failed = [part.name for number, part in enumerate(parts, 1) if not _measured(part, f"{number} of {len(parts)}")]
    print(f"took {time.perf_counter() - began:.0f} s")
    if failed:
        sys.exit(f"not measured: {', '.join(failed)}")


def _parts(folder: Path, plan: serving.Plan, wanted: Sequence[str], *, quick: bool) -> list[Part]:
    """The wanted parts, in order; those of a server need the example shop first."""
    example = functools.cache(functools.partial(_example, folder / "shop", plan))
    rows: dict[str, Callable[[], Sequence[Row]]] = {
        "imports": lambda: _imports(folder, plan, rows=20_000 if quick else 200_000),
        "example": example,
        "columns": lambda: columns.rows(columns.QUICK if quick else columns.FULL, plan.seed),
        "neighbours": lambda: neighbours.rows(neighbours.QUICK if quick else neighbours.LARGE, _long(plan), plan.seed),
        "neighbours-of-many": lambda: neighbours.rows(neighbours.LARGEST, 1, plan.seed),
        "training-at-size": lambda: training_size.rows(training_size.QUICK if quick else training_size.FULL, plan.seed),
        "homepage": lambda: homepage.rows(plan.runs, plan.seed),
        "served": lambda: example() and _served(folder / "shop", plan),
        "distributed": lambda: example() and distributed.rows(folder, plan),
    }
    left_out = {"neighbours-of-many"} if quick else set()
    return [Part(name, _NAMES[name], rows[name]) for name in _NAMES if name in wanted and name not in left_out]


_NAMES = {
    "imports": "two minutes",
    "example": "half a minute",
    "columns": "a minute",
    "neighbours": "four minutes",
    "neighbours-of-many": "five minutes",
    "training-at-size": "a quarter of an hour or more",
    "homepage": "half a minute",
    "served": "three minutes",
    "distributed": "two minutes",
}
"""The parts in their order, with what they are expected to take on a quiet machine of two cores; no promise."""


def _measured(part: Part, which: str) -> bool:
    """Print a part's rows, or why there are none; whether they could be measured."""
    progress(f"{which}: {part.name}, some {part.takes}")
    began = time.perf_counter()
    try:
        print(table(part.rows()), end="\n\n", flush=True)
    except NotToBeHad as error:
        print(f"{part.name} was not measured: {error}.\n", flush=True)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other parts are measured
        traceback.print_exc()
        print(f"{part.name} FAILED: {type(error).__name__}: {error}\n", flush=True)
        return False
    progress(f"{part.name} took {time.perf_counter() - began:.0f} s")
    return True


def _long(plan: serving.Plan) -> int:
    return min(LONG_RUNS, plan.runs)


def _imports(folder: Path, plan: serving.Plan, *, rows: int) -> list[Row]:
    """One-line events: duplicates removed, folded, on disk."""
    file = folder / "clicks.csv"
    shop.write_clicks(file, rows, plan.seed)
    done = []
    runs = range(_long(plan))
    for number in runs:
        done.append(steps.run("import-clicks", folder / f"clicks-{number}", file))
        if number:
            shutil.rmtree(folder / f"clicks-{number}")
    remark = f"{rows:,} generated views, carts, orders of {shop.CUSTOMERS:,} customers and {shop.PRODUCTS:,} products"
    clicks = folder / "clicks-0"
    folds = [steps.run("fold", clicks) for _ in runs]
    replays = [steps.run("replay", clicks) for _ in runs]
    one_by_one = [steps.run("commit", clicks) for _ in runs]
    return [
        Row("import, one-line events", "events/CPU-s", [each.count / each.cpu_s for each in done], remark),
        Row("", "events/s", [each.count / each.wall_s for each in done], "wall"),
        Row("", "log bytes/event", [each.more["log_bytes_per_event"] for each in done[:1]]),
        Row("fold alone, in memory", "events/CPU-s", [each.count / each.cpu_s for each in folds]),
        Row("full replay, into the file", "events/CPU-s", [each.count / each.cpu_s for each in replays]),
        Row("one view, one commit", "CPU µs", [1e6 * each.cpu_s / each.count for each in one_by_one], "without HTTP"),
    ]


def _example(folder: Path, plan: serving.Plan) -> list[Row]:
    """The example shop: lines of orders in, a snapshot out."""
    imported = steps.run("import-example", folder)
    trained = [steps.run("train", folder) for _ in range(_long(plan))]
    sizes = steps.run("sizes", folder).more
    return [
        Row("import, order lines", "lines/CPU-s", [imported.count / imported.cpu_s], "the example shop"),
        Row("", "lines/s", [imported.count / imported.wall_s], "wall"),
        Row("", "log bytes/event", [imported.more["log_bytes_per_event"]], "an order is one event"),
        Row("training", "CPU s", [each.cpu_s for each in trained], f"{trained[0].count:,} interactions"),
        Row("", "s", [each.wall_s for each in trained], "wall"),
        Row("", "MB at most", [each.peak_mb for each in trained], "resident, whole process"),
        Row("snapshot", "bytes/product", [trained[0].more["bytes_per_product"]]),
        *(Row("profile" if not row else "", "bytes", [sizes[name]], name) for row, name in enumerate(sizes)),
    ]


def _served(folder: Path, plan: serving.Plan) -> list[Row]:
    """The server of the example shop."""
    customers, products = steps.people_and_products(folder)
    with served(folder) as server:
        return [
            serving.idle(server, 2 * plan.seconds),
            *serving.rows_above_hello(server, plan, customers, products),
            *serving.freshness(server, server, plan, products),
            *serving.events_per_second(server, plan, customers, products, durable="on disk"),
        ]


if __name__ == "__main__":
    main()
