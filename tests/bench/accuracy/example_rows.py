"""`python -m tests.bench.accuracy.example_rows`: docs/example-rows.md anew, from the example shop.

The shop is imported into a folder that is gone afterwards and trained as `dangol train` does; rows are answers of the
placements a product page asks for, with everything that filters and orders them. The history keeps its own times, so
that a second run writes the same page.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ingest.dialects.category_rules import load_category_rules
from ingest.dialects.reading import ImportOptions
from ingest.importer import import_file
from ingest.vocabulary.events import OrderCompleted
from ingest.vocabulary.ids import ProductId
from ingest.vocabulary.ranking import Item
from serving.ask import Ask
from serving.demo import CATEGORIES_FILE, COLUMNS, CONSTANTS, EXAMPLE_FOLDER, ORDERS_FILE
from serving.engine import Engine
from serving.wiring import DETERMINISTIC_ENVIRONMENT, open_engine

PAGE = Path(__file__).resolve().parents[3] / "docs" / "example-rows.md"
MOST_BOUGHT, DRAWN = 8, 12  # products of the page; the drawn ones are the greater part: they are what a shop is full of
ORDERS_MIN = 30  # of a drawn product: below it there is little to look at
LENGTH = 5
SEED = 7
PLACEMENTS = {"product.bought-together": "bought together", "product.similar": "similar"}

_HEAD = f"""# Rows of the example shop

Written by `python -m tests.bench.accuracy.example_rows`; do not edit. The {MOST_BOUGHT} most bought products of the
example shop and {DRAWN} that a seed drew from those in at least {ORDERS_MIN} orders, with the first {LENGTH} of the
rows that a product page shows. Behind a product of *bought together*: orders with both, and how many times more often
that is than by chance. Nothing here was picked by hand.
"""


def main() -> None:
    """Import, train, ask, write."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.accuracy.example_rows", description=__doc__)
    parser.add_argument("--to", type=Path, default=PAGE, help="the page")
    chosen = parser.parse_args()
    if any(os.environ.get(name) != value for name, value in DETERMINISTIC_ENVIRONMENT.items()):
        os.environ.update(DETERMINISTIC_ENVIRONMENT)
        os.execv(sys.executable, [sys.executable, "-m", "tests.bench.accuracy.example_rows", *sys.argv[1:]])
    with (
        tempfile.TemporaryDirectory(prefix="dangol-rows-") as folder,
        open_engine(Path(folder), None, create=True) as engine,
    ):
        prepare(engine)
        chosen.to.write_text("\n".join(lines(engine)), encoding="utf-8")
    print(chosen.to, file=sys.stderr)


def prepare(engine: Engine) -> None:
    """The example shop's orders, and a snapshot of them."""
    options = ImportOptions(
        columns=COLUMNS,
        constants=CONSTANTS,
        category_of=load_category_rules(EXAMPLE_FOLDER / CATEGORIES_FILE).category_of,
    )
    import_file(EXAMPLE_FOLDER / ORDERS_FILE, "csv", options, engine.import_targets())
    engine.train()


def lines(engine: Engine) -> Iterator[str]:
    """The page."""
    rows = {product: asked(engine, product) for product in chosen_products(engine)}
    in_both = sum(
        len({item.product_id for item in one} & {item.product_id for item in other}) for one, other in rows.values()
    )
    places = sum(len(one) for one, _ in rows.values())
    yield _HEAD
    yield f"Of the {places} products in the rows *bought together*, {in_both} are in the row *similar* beside it too.\n"
    for product, pair in rows.items():
        known = engine.catalogue.product(engine.catalogue.find(product) or 0)
        yield from section((known and known.title) or product, pair)


def chosen_products(engine: Engine) -> list[ProductId]:
    """The most bought ones, then drawn ones by how often they are bought."""
    orders: Counter[ProductId] = Counter()
    for event in engine.events(engine.store.positions(), None):
        if isinstance(event, OrderCompleted):
            orders.update({line.product_id for line in event.lines})
    ranked = sorted(orders, key=lambda each: (-orders[each], each))
    rest = [each for each in ranked[MOST_BOUGHT:] if orders[each] >= ORDERS_MIN]
    drawn = set(random.Random(SEED).sample(rest, min(DRAWN, len(rest))))
    return ranked[:MOST_BOUGHT] + [each for each in rest if each in drawn]


def asked(engine: Engine, product: ProductId) -> list[Sequence[Item]]:
    """The rows of a product, one for each placement."""
    ask = Ask(product_ids=(product,), limit=LENGTH)
    return [engine.recommendations.answer(placement, ask, record=False).items for placement in PLACEMENTS]


def section(title: str, rows: Sequence[Sequence[Item]]) -> Iterator[str]:
    """The rows of a product, side by side."""
    yield f"### {title}\n"
    yield f"| {' | '.join(PLACEMENTS.values())} |"
    yield f"|{'---|' * len(PLACEMENTS)}"
    yield from _lines(rows)
    yield ""


def _lines(rows: Sequence[Sequence[Item]]) -> Iterator[str]:
    for at in range(max(map(len, rows), default=0)):
        yield f"| {' | '.join(_shown(row[at]) if at < len(row) else '' for row in rows)} |"


def _shown(item: Item) -> str:
    """Title and evidence; what a fallback put there says what it is."""
    evidence = item.reason.evidence
    counted = f" ({evidence.orders} orders, ×{evidence.lift:.1f})" if evidence.orders and evidence.lift else ""
    other = "" if item.reason.kind in ("bought_together", "similar") else f" *[{item.reason.kind}]*"
    return f"{item.title} `{item.product_id}`{counted}{other}"


if __name__ == "__main__":
    main()
