"""`python -m tests.bench`: everything, an hour or more, most of it the training at size; `--quick` in a few minutes."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench import distributed, homepage, neighbours, serving, shop, steps, training_size
from tests.bench.machine import Row, described, table
from tests.bench.server import served
from tests.support.server_process import NotToBeHad

SEED = 7
LONG_RUNS = 2  # of what takes half a minute


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short run of each")
    parser.add_argument("--seed", type=int, default=SEED)
    chosen = parser.parse_args()
    plan = serving.Plan(1, 0.7, 20, chosen.seed) if chosen.quick else serving.Plan(3, 1.5, 200, chosen.seed)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to stop"))  # so that the server is ended too
    began = time.perf_counter()
    print(
        f"{described()}; seed {chosen.seed}; median [lowest–highest] of {plan.runs} runs "
        f"(of long ones at most {LONG_RUNS})\n",
        flush=True,
    )
    with tempfile.TemporaryDirectory(prefix="dangol-bench-") as name:
        folder = Path(name)
        _print(_imports(folder, plan, rows=20_000 if chosen.quick else 200_000))
        _print(_example(folder / "shop", plan))
        _print(_neighbours(plan, quick=chosen.quick))
        _print(training_size.rows(training_size.QUICK if chosen.quick else training_size.FULL, plan.seed))
        _print(homepage.rows(plan.runs, plan.seed))
        _print(_served(folder / "shop", plan))
        try:
            _print(distributed.rows(folder, plan))
        except NotToBeHad as error:
            print(f"The distributed deployment was not measured: {error}.\n")
    print(f"took {time.perf_counter() - began:.0f} s")


def _imports(folder: Path, plan: serving.Plan, *, rows: int) -> list[Row]:
    """One-line events: duplicates removed, folded, on disk."""
    file = folder / "clicks.csv"
    shop.write_clicks(file, rows, plan.seed)
    done = []
    runs = range(min(LONG_RUNS, plan.runs))
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
    trained = [steps.run("train", folder) for _ in range(min(LONG_RUNS, plan.runs))]
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


def _neighbours(plan: serving.Plan, *, quick: bool) -> list[Row]:
    """The item-item build against its peers."""
    if quick:
        return neighbours.rows(neighbours.QUICK, plan.runs, plan.seed)
    large = neighbours.rows(neighbours.LARGE, plan.runs, plan.seed)
    return [*large, *neighbours.rows(neighbours.LARGEST, 1, plan.seed)]


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


def _print(rows: Sequence[Row]) -> None:
    print(table(rows), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
