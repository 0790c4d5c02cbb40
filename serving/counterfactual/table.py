"""A comparison of two configurations as tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec
from rich.console import Console
from rich.table import Table

from ingest.vocabulary.ids import ProductId
from ingest.vocabulary.ranking import Item
from serving.counterfactual.comparison import Counterfactual, Hits, Row, Summary
from serving.counterfactual.explaining import Explained, RowAgain

NAMED_MAX = 3  # products in a cell; the rest is counted, and in the JSON
TITLE_LENGTH_MAX = 24
SUBJECT_LENGTH = 6  # enough to tell people apart in a table


def text_of(found: Counterfactual, rows_max: int, width: int) -> str:
    """The summary by placement, the newest rows that change, the notes."""
    tables = [_summaries(found)] if found.placements else []
    if found.rows and rows_max:
        tables.append(_rows(found.rows[:rows_max], found.titles))
    console = Console(width=width, color_system=None)
    lines = [
        "".join(segment.text for segment in line).rstrip() for table in tables for line in console.render_lines(table)
    ]
    return "\n".join([*lines, *_sentences(found, rows_max)])


def lines_of(found: Explained) -> Iterator[str]:
    """A decision, its rows product by product with reasons, how each row came about, the notes."""
    yield f"{found.kind} {found.request_id}, {found.record['occurred_at']}"
    for name, value in found.record.items():
        if name not in ("type", "event_id", "occurred_at", "request_id", "product_ids", "rows"):
            yield f"  {name}: {value if isinstance(value, str) else msgspec.json.encode(value).decode()}"
    for row in found.rows:
        yield f"{row.placement}: {_agreement(row)}"
        for item in row.items:
            yield told(item)
        for step in row.steps:
            refused = "".join(f", {count} {why}" for why, count in step.refused.items())
            category = f" in {step.category}" if step.category else ""
            yield f"  {step.strategy}{category} offered {step.offered}, {step.taken} taken{refused}"
    for note in found.notes:
        yield f"note: {note}"


def told(item: Item) -> str:
    """A product of a row in a line."""
    return f"{item.position:3}  {item.product_id:<12} {item.score:8.4f}  {item.title or ''}  ({item.reason.text})"


def _agreement(row: RowAgain) -> str:
    if row.shown is None:
        return "not recorded"
    return "as it was shown" if row.same else f"shown was {', '.join(row.shown) or 'nothing'}"


def _sentences(found: Counterfactual, rows_max: int) -> Iterator[str]:
    total = found.total
    yield (
        f"{total.changed:,} of {total.rows:,} rows change ({total.changed_share:.1%}), those of {total.people:,} "
        f"people; {found.elsewhere:,} rows of other placements stay as they are"
    )
    pages = found.homepages
    if pages.pages:
        moved = ", ".join(f"{words} {count:,}" for words, count in pages.variants.items())
        yield f"{len(pages.changed):,} of {pages.pages:,} homepages have another variant: {moved}"
    if found.found > total.rows:
        yield f"the newest {total.rows:,} of {found.found:,} decisions were made again: --limit"
    if len(found.rows) > rows_max > 0:
        yield f"the newest {rows_max:,} of {len(found.rows):,} changed rows are listed: --rows, or --json for all"
    for note in found.notes:
        yield f"note: {note}"


def _summaries(found: Counterfactual) -> Table:
    days = found.window_days
    table = Table(title=f"{found.present[:15]}… against {found.other[:15]}…", title_justify="left")
    table.add_column("placement", no_wrap=True)
    columns = ("rows", "changed", "people", "in", "out", "moved", f"bought in {days} d", f"looked at in {days} d")
    for name in columns:
        table.add_column(name, justify="right")
    for name, summary in found.placements.items():
        table.add_row(name, *_figures(summary))
    if len(found.placements) > 1:
        table.add_section()
        table.add_row("all", *_figures(found.total))
    return table


def _figures(summary: Summary) -> Iterator[str]:
    yield f"{summary.rows:,}"
    yield f"{summary.changed_share:.1%}"
    for count in (summary.people, summary.came, summary.went, summary.moved):
        yield f"{count:,}"
    yield _hits(summary.bought)
    yield _hits(summary.looked_at)


def _rows(rows: Iterable[Row], titles: Mapping[ProductId, str]) -> Table:
    table = Table(show_lines=True)
    for name in ("when", "who", "placement", "about", "in", "out", "moved", "bought"):
        table.add_column(name, overflow="fold", no_wrap=name == "placement")
    for row in rows:
        table.add_row(
            f"{row.at:%Y-%m-%d %H:%M}",
            row.subject[:SUBJECT_LENGTH],
            row.placement,
            _named(row.about, titles) or " > ".join(row.category),
            _named(row.came, titles),
            _named(row.went, titles),
            _listed(f"{move.product_id} {move.present}→{move.other}" for move in row.moved),
            _hits(row.bought),
        )
    return table


def _named(products: Iterable[ProductId], titles: Mapping[ProductId, str]) -> str:
    return _listed(f"{product} {titles.get(product, '')[:TITLE_LENGTH_MAX]}".rstrip() for product in products)


def _listed(words: Iterable[str]) -> str:
    every = list(words)
    more = [f"and {len(every) - NAMED_MAX} more"] if len(every) > NAMED_MAX else []
    return "\n".join([*every[:NAMED_MAX], *more])


def _hits(hits: Hits) -> str:
    """Under the present configuration, then under the other."""
    return f"{hits.present:,} → {hits.other:,}"
