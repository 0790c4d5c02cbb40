"""`python -m tests.bench.accuracy`: docs/benchmarks.md anew, from the data in the folder DANGOL_BENCH_DATA names."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from recommender.configuration import TrainingConfiguration
from recommender.evaluation.bootstrap import differences, intervals
from recommender.evaluation.protocols import READERS
from recommender.evaluation.protocols.task import Task
from recommender.evaluation.run import Outcome, Settings, evaluate
from serving.wiring import DETERMINISTIC_ENVIRONMENT
from tests.bench.accuracy import peers
from tests.bench.accuracy.data_sets import DATA_SETS, SEED, missing
from tests.bench.accuracy.page import Measured, PeerFigures, page
from tests.bench.machine import described

FOLDER_VARIABLE = "DANGOL_BENCH_DATA"
PAGE = Path(__file__).resolve().parents[3] / "docs" / "benchmarks.md"
CUTOFFS = (10, 20)
MEASURING_S_MAX = 7_200.0


def main() -> None:
    """Measure what is there, one after the other, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.accuracy", description=__doc__)
    parser.add_argument("--only", choices=DATA_SETS, nargs="+", default=list(DATA_SETS), help="some of the data sets")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of the training")
    parser.add_argument("--limit-queries", type=int, help="ask a sample of so many, for a quick try")
    parser.add_argument("--to", type=Path, default=PAGE, help="the page")
    parser.add_argument("--measure", choices=DATA_SETS, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    folder = Path(os.environ.get(FOLDER_VARIABLE) or sys.exit(f"{FOLDER_VARIABLE} must name the folder of the data"))
    if chosen.measure:
        result = measure(chosen.measure, folder, chosen.threads, chosen.limit_queries)
        sys.stdout.buffer.write(msgspec.json.encode(result))
        return
    machine = f"Machine: {described()}; {chosen.threads} threads of training, one that asks"
    if chosen.limit_queries:
        machine += f"; a sample of {chosen.limit_queries} questions each"
    measured: dict[str, Measured] = {}
    absent: dict[str, str] = {}
    for name, data_set in DATA_SETS.items():
        if files := missing(data_set, folder):
            absent[name] = f"the folder has no {', no '.join(files)}"
        elif name not in chosen.only:
            absent[name] = "left out of this run"
        else:
            began = time.perf_counter()
            measured[name] = _in_a_process(name, sys.argv[1:])
            print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
    chosen.to.write_text(page(measured, absent, machine), encoding="utf-8")
    print(f"{chosen.to} has {len(measured)} of {len(DATA_SETS)} data sets")


def measure(name: str, folder: Path, threads: int, questions_max: int | None) -> Measured:
    """Train and ask one data set, and the libraries where it has any."""
    data_set = DATA_SETS[name]
    reports: dict[str, dict[str, Any]] = {}
    found: list[PeerFigures] = []
    with tempfile.TemporaryDirectory(prefix="dangol-benchmarks-") as scratch:
        files = data_set.prepared(tuple(folder / each for each in data_set.needs), Path(scratch))
        task = READERS[data_set.protocol](files)
    for model in data_set.models:
        configuration = TrainingConfiguration(threads=threads, model=model)
        outcome = evaluate(task, Settings(configuration, CUTOFFS, SEED, questions_max))
        reports[model] = outcome.report
    if data_set.has_peers and questions_max is None:
        found = [_beside(peer, task, outcome) for peer in peers.PEERS]
    return Measured(reports, tuple(found))


def _beside(name: str, task: Task, ours: Outcome) -> PeerFigures:
    judged = peers.tuned(peers.PEERS[name], task, SEED)
    recall = {peers.METRIC: judged.recall}
    lead = differences(recall, {peers.METRIC: np.asarray(ours.judged[peers.METRIC])}, SEED)[peers.METRIC]
    return PeerFigures(
        name=name,
        value=float(judged.recall.mean()),
        interval=intervals(recall, SEED)[peers.METRIC],
        lead=lead.difference,
        lead_interval=lead.interval,
        chosen=", ".join(f"{key} {value:g}" for key, value in judged.chosen.items()),
        fit_s=judged.fit_s,
        search_s=judged.search_s,
    )


def _in_a_process(name: str, arguments: list[str]) -> Measured:
    """In a child, so that its peak of memory is this data set's alone, with training's deterministic arithmetic."""
    command = [sys.executable, "-m", "tests.bench.accuracy", *arguments, "--measure", name]
    environment = {**os.environ, **DETERMINISTIC_ENVIRONMENT}
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=MEASURING_S_MAX, env=environment)
    return msgspec.json.decode(done.stdout, type=Measured)


if __name__ == "__main__":
    main()
