"""The page of figures: tables of Markdown from reports. Pure, so that a test can read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tests.bench.accuracy.data_sets import DATA_SETS, DataSet


class PeerFigures(msgspec.Struct, frozen=True):
    """What a tuned library reached: its metric, the interval of it and of our lead over it, in shares."""

    name: str
    value: float
    interval: tuple[float, float]
    lead: float
    lead_interval: tuple[float, float]
    chosen: str
    fit_s: float
    search_s: float


class Measured(msgspec.Struct, frozen=True):
    """One data set: the report of each model by name, and the libraries beside it."""

    reports: dict[str, dict[str, Any]]
    peers: tuple[PeerFigures, ...] = ()


def page(measured: Mapping[str, Measured], missing: Mapping[str, str], machine: str) -> str:
    """The whole of docs/benchmarks.md.

    Args:
        measured: by the name of the data set; missing: why the others are not, likewise.
    """
    parts = [_HEAD.format(machine=machine)]
    for name, data_set in DATA_SETS.items():
        parts.append(f"## {data_set.title}: `{data_set.protocol}`\n")
        if name in measured:
            parts.append("\n".join(section(data_set, measured[name])))
        else:
            parts.append(f"Not measured: {missing[name]}.\n")
    return "\n".join(parts)


def section(data_set: DataSet, measured: Measured) -> Iterator[str]:
    """The lines of one data set."""
    first = next(iter(measured.reports.values()))
    yield (
        f"{first['n']:,} questions; trained on {first['interactions']:,} interactions with {first['products']:,} "
        f"products. {data_set.remark}".rstrip()
        + "\n"
    )
    yield from _table(
        ("", *(f"{metric}, %" for metric in data_set.metrics), "source"),
        [
            *(_ours(data_set, name, report) for name, report in measured.reports.items()),
            *(_peer(each) for each in measured.peers),
            *((each.name, *(f"{figure:.2f}" for figure in each.figures), each.source) for each in data_set.published),
        ],
    )
    if measured.peers:
        yield from _table(
            ("beside", f"lead in {data_set.metrics[0]}, relative", "chosen", "fit s", "search s"),
            [_lead(each) for each in measured.peers],
        )
    yield from _table(
        ("model", "fit_s, search included", "query ms, median", "query ms, p99", "peak MB", "snapshot MB"),
        [_cost(name, report) for name, report in measured.reports.items()],
    )
    yield from _table(
        ("model", "shown at all, %", "Gini", *(f"{metric}, {kind}, %" for metric, kind in _apart(data_set))),
        [row for name, report in measured.reports.items() for row in _beyond(data_set, name, report)],
    )


def _ours(data_set: DataSet, model: str, report: Mapping[str, Any]) -> tuple[str, ...]:
    figures = [_with_interval(report[metric], report["interval"][metric]) for metric in data_set.metrics]
    return (f"**Dangol, `{model}`**", *figures, "this run")


def _peer(peer: PeerFigures) -> tuple[str, ...]:
    return (peer.name, _with_interval(peer.value, peer.interval), "this run, tuned")


def _lead(peer: PeerFigures) -> tuple[str, ...]:
    base = peer.value or 1.0
    relative = [f"{100 * each / base:+.1f}" for each in (peer.lead, *peer.lead_interval)]
    shown = f"{relative[0]} % [{relative[1]} – {relative[2]}]"
    return (peer.name, shown, peer.chosen, f"{peer.fit_s:.1f}", f"{peer.search_s:.0f}")


def _cost(model: str, report: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        f"`{model}`",
        f"{report['fit_s']:.1f}",
        f"{report['query_ms_p50']:.2f}",
        f"{report['query_ms_p99']:.2f}",
        f"{report['peak_rss_mb']:,.0f}",
        f"{report['snapshot_mb']:,.1f}",
    )


def _apart(data_set: DataSet) -> list[tuple[str, str]]:
    """Figures of new and of repeated targets: of the protocols whose targets can be either."""
    if data_set.protocol not in ("next-item", "held-out"):
        return []
    return [(data_set.metrics[0], "new"), (data_set.metrics[0], "repeated")]


def _beyond(data_set: DataSet, model: str, report: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    beyond = report["beyond"]
    parts = {f"`{model}`": beyond} if "coverage" in beyond else {f"`{model}`, {name}": beyond[name] for name in beyond}
    for name, part in parts.items():
        apart = [f"{100 * part[f'{kind}_targets'].get(metric, 0.0):.2f}" for metric, kind in _apart(data_set)]
        yield (name, f"{100 * part['coverage']:.1f}", f"{part['gini']:.2f}", *apart)


def _with_interval(value: float, ends: Sequence[float]) -> str:
    return f"{100 * value:.2f} [{100 * ends[0]:.2f} – {100 * ends[1]:.2f}]"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


_HEAD = """# Benchmarks

Written by `make benchmarks`; do not edit. {machine}.

Every data set is trained and asked in a process of its own, through the code of `dangol evaluate`, with nothing set:
`auto` chooses its models and their numbers on a slice of the training data. All questions are asked, all products are
candidates. In brackets the 95 % interval of 1,000 bootstrap samples of the questions; [evaluation.md](evaluation.md)
says what each protocol asks and what an interval does not know. Published figures are copied from where the source
says, not run here. Speed is `make bench`.
"""
