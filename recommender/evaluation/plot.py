"""A backtest as a table for the terminal and as a drawing (SVG 1.1, no scripts, no fonts to fetch)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from xml.sax.saxutils import escape

from recommender.evaluation.run import Report

COLOURS = ("#1b6ca8", "#c8553d", "#588157", "#7b4b94", "#8d6a00", "#444444")
WIDTH, HEIGHT, MARGIN, GAP = 360, 200, 48, 28
_NAMES = {"next_order": "next order of a known customer", "next_view": "next view of a visit"}


class Point(NamedTuple):
    """A figure at a cut, with its interval; shares."""

    at: int
    value: float
    low: float
    high: float


def table(report: Report) -> str:
    """Lines of figures in per cent: a row a cut and model."""
    metrics = _metrics(report)
    if not metrics:
        return "nothing happened after any of the cuts that could be asked for"
    header = ["until", "model", *metrics]
    rows = [
        [f"{cut['until']:%Y-%m-%d}", model, *(_percent(figures, metric) for metric in metrics)]
        for cut in report["cuts"]
        for model, figures in cut["models"].items()
    ]
    widths = [max(len(line[at]) for line in (header, *rows)) for at in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at < 2 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in (header, *rows)
    )


def drawn(report: Report) -> str:
    """A panel for each metric, a line for each model, a bar for each interval."""
    metrics = _metrics(report)
    columns = max(1, min(2, len(metrics)))
    rows = max(1, -(-len(metrics) // columns))
    width, height = columns * (WIDTH + GAP) + GAP, rows * (HEIGHT + GAP) + GAP + 24
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        *_legend(report),
    ]
    for at, metric in enumerate(metrics):
        left, top = GAP + at % columns * (WIDTH + GAP), 24 + GAP + at // columns * (HEIGHT + GAP)
        parts.append(f'<g transform="translate({left} {top})">')
        parts.extend(_panel(report, metric))
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def _metrics(report: Report) -> list[str]:
    """Whether a target was in the list and how well it was ranked, at the last cut-off, for all that was asked."""
    last = report["cutoffs"][-1]
    asked = {name: None for cut in report["cuts"] for name, n in cut["questions"].items() if n}
    return [f"{name}.{metric}@{last}" for name in asked for metric in ("hit_rate", "ndcg")]


def _percent(figures: Report, metric: str) -> str:
    return f"{100 * figures[metric]:.2f}" if metric in figures else ""


def _legend(report: Report) -> Iterator[str]:
    for at, model in enumerate(report["models"]):
        left = GAP + MARGIN + 130 * at
        yield f'<rect x="{left}" y="14" width="14" height="4" fill="{_colour(at)}"/>'
        yield f'<text x="{left + 20}" y="20">{escape(model)}</text>'


def _panel(report: Report, metric: str) -> Iterator[str]:
    cuts = report["cuts"]
    lines = [_points(report, model, metric) for model in report["models"]]
    top = max((point.high for line in lines for point in line), default=0.0) or 1.0
    name, _, measure = metric.rpartition(".")
    yield f'<text x="{MARGIN}" y="-6" font-weight="bold">{escape(f"{measure}: {_NAMES[name]}")}</text>'
    for step in range(5):
        height = _height(top * step / 4, top)
        yield f'<line x1="{MARGIN}" x2="{WIDTH}" y1="{height:.1f}" y2="{height:.1f}" stroke="#dddddd"/>'
        yield f'<text x="{MARGIN - 6}" y="{height + 4:.1f}" text-anchor="end">{100 * top * step / 4:.1f} %</text>'
    for at, cut in enumerate(cuts):
        place = _place(at, len(cuts))
        yield f'<text x="{place:.1f}" y="{HEIGHT - 14}" text-anchor="middle">{cut["until"]:%Y-%m-%d}</text>'
    for number, line in enumerate(lines):
        yield from _drawn_line(line, _colour(number), len(cuts), top)


def _points(report: Report, model: str, metric: str) -> list[Point]:
    points = []
    for at, cut in enumerate(report["cuts"]):
        figures = cut["models"].get(model, {})
        if metric in figures:
            points.append(Point(at, figures[metric], *figures["interval"][metric]))
    return points


def _drawn_line(line: list[Point], colour: str, cuts: int, top: float) -> Iterator[str]:
    places = [(_place(point.at, cuts), _height(point.value, top)) for point in line]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
    for point, (x, y) in zip(line, places, strict=True):
        low, high = _height(point.low, top), _height(point.high, top)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}" stroke="{colour}" stroke-opacity="0.5"/>'
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'


def _place(at: int, cuts: int) -> float:
    return MARGIN + (WIDTH - MARGIN) * (at + 0.5) / cuts


def _height(value: float, top: float) -> float:
    return (HEIGHT - 32) * (1 - value / top)


def _colour(at: int) -> str:
    return COLOURS[at % len(COLOURS)]
