"""`dangol demo`: the example shop, imported, trained and served."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from ingest.dialects.category_rules import load_category_rules
from ingest.dialects.reading import ImportOptions
from ingest.importer import newest_time
from ingest.vocabulary.errors import ConfigurationError
from recommender.snapshot import SnapshotStore
from serving.commands.import_ import import_with_progress
from serving.commands.options import DEFAULT_FOLDER, Options
from serving.configuration import write_configuration
from serving.engine import Engine
from serving.server import serve
from serving.wiring import open_engine, with_deterministic_arithmetic

DEMO_FOLDER = Path("./demo-data")
EXAMPLE_FOLDER = Path(__file__).resolve().parent.parent / "examples" / "online-retail"
ORDERS_FILE = "online_retail.csv.gz"
CATEGORIES_FILE = "categories.toml"
HOMEPAGE_FILE = "homepage.toml"  # variants of the store's home, if the example has any
PRODUCT_TO_SHOW = "85123A"
CUSTOMER_TO_SHOW = "17850"

COLUMNS = {
    "order": "InvoiceNo",
    "customer": "CustomerID",
    "product": "StockCode",
    "quantity": "Quantity",
    "price": "UnitPrice",
    "timestamp": "InvoiceDate",
    "title": "Description",
}
CONSTANTS = {"event": "order", "currency": "GBP"}


def run_demo(options: Options, *, port: int, example: Path | None) -> None:
    """Import and train what is not there yet, then serve.

    History is moved by whole days so that it ends today: otherwise one live visitor would outweigh all of it. The shift
    is kept in the data folder, so that starting again changes nothing.

    Raises:
        ConfigurationError: the example's files are missing.
    """
    shop = example or EXAMPLE_FOLDER
    if not (shop / ORDERS_FILE).is_file():
        raise ConfigurationError(f"{shop / ORDERS_FILE} is missing: give the example's folder with --example")
    folder = DEMO_FOLDER if options.folder == Path(DEFAULT_FOLDER) else options.folder
    options = options._replace(folder=folder)
    homepage = shop / HOMEPAGE_FILE
    write_configuration(folder, b"\n" + homepage.read_bytes() if homepage.is_file() else b"")
    if not _is_prepared(folder):
        with_deterministic_arithmetic()
        with open_engine(folder, options.configuration) as engine:
            _import(options, engine, shop)
            if engine.snapshots.current() is None:
                _train(options, engine)
    serve(folder, options.configuration, host="127.0.0.1", port=port, greeting=_pages(port))


def _import(options: Options, engine: Engine, shop: Path) -> None:
    rules = load_category_rules(shop / CATEGORIES_FILE)
    plain = ImportOptions(columns=COLUMNS, constants=CONSTANTS, category_of=rules.category_of)
    shift = _shift(engine, shop, plain)
    read = ImportOptions(columns=COLUMNS, constants=CONSTANTS, category_of=rules.category_of, shift=shift)
    report = import_with_progress(options, engine, shop / ORDERS_FILE, "csv", read)
    click.echo("\n".join(report.lines()), err=True)


def _shift(engine: Engine, shop: Path, read: ImportOptions) -> timedelta:
    """Whole days from the end of the example's history to now, decided once for a data folder."""
    marker = _marker(engine.folder)
    if not marker.exists():
        newest = newest_time(shop / ORDERS_FILE, "csv", read)
        days = 0 if newest is None else (engine.clock.now() - newest).days
        temporary = marker.with_suffix(".tmp")
        temporary.write_text(f"{days}\n", encoding="ascii")
        temporary.replace(marker)
    return timedelta(days=int(marker.read_text(encoding="ascii")))


def _is_prepared(folder: Path) -> bool:
    """Whether an earlier start imported and trained to the end."""
    return _marker(folder).exists() and SnapshotStore(folder / "snapshots").current() is not None


def _marker(folder: Path) -> Path:
    return folder / "demo-shift-days"


def _train(options: Options, engine: Engine) -> None:
    with options.progress() as bar:
        task = bar.add_task("training", total=100)
        trained = engine.train(
            progress=lambda step, share: bar.update(task, description=f"training: {step}", completed=share * 100)
        )
    click.echo(f"trained {trained.products} products from {trained.orders} orders: {trained.snapshot_id}", err=True)


def _pages(port: int) -> str:
    here = f"http://127.0.0.1:{port}"
    return f"""
the store           {here}/
bought together     {here}/v1/recommendations/product.bought-together?product_ids={PRODUCT_TO_SHOW}
a rainy home        {here}/?weather=rain,9
for a customer      {here}/v1/recommendations/home.for-you?customer_id={CUSTOMER_TO_SHOW}
popular in Kitchen  {here}/v1/recommendations/category.popular?category=Kitchen
the interface       {here}/docs
"""
