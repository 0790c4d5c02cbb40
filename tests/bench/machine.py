"""The machine, the processor time of other processes, and a table of medians."""

from __future__ import annotations

import contextlib
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

STOP_S = 30.0  # until what was asked to end is ended
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_UTIME, _STIME = 11, 12  # fields of /proc/<pid>/stat behind the name, from zero


class Row(NamedTuple):
    """A line of the table: what was measured, in several runs, and in which unit."""

    name: str
    unit: str
    values: Sequence[float]
    remark: str = ""


def described() -> str:
    """The processor, its cores, the load when we began, Python."""
    models = [line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    model = models[0] if models else platform.processor() or platform.machine()
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{model}, {os.cpu_count()} cores, load {load}; {platform.system()} {platform.release()}; {python}"


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def cpu_s(pids: Sequence[int]) -> float:
    """Processor time that processes have used, all threads, in steps of 10 ms."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[_UTIME]) + int(fields[_STIME])
    return ticks / _TICKS_A_SECOND


@contextlib.contextmanager
def running(command: Sequence[str], **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process, asked to end at the end."""
    process = subprocess.Popen(command, env=os.environ | environment)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def progress(what: str) -> None:
    """Tell what is being done now, with the time of day; the table is not where this goes."""
    print(f"{time.strftime('%H:%M:%S')}  {what}", file=sys.stderr, flush=True)


def table(rows: Sequence[Row]) -> str:
    """Median [lowest–highest] of each row."""
    shown = [
        (row.name, _number(statistics.median(row.values)), _range(row.values), row.unit, row.remark) for row in rows
    ]
    widths = [max(len(row[column]) for row in shown) for column in range(4)]
    return "\n".join(
        f"{name:<{widths[0]}}  {median:>{widths[1]}}  {spread:<{widths[2]}}  {unit:<{widths[3]}}  {remark}".rstrip()
        for name, median, spread, unit, remark in shown
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which a share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _range(values: Sequence[float]) -> str:
    return "" if len(values) < 2 else f"[{_number(min(values))}–{_number(max(values))}]"


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
