"""Products from the files that shops export: JSON lines, CSV, Google Merchant feeds, Shopify's product CSV."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from ingest.dialects.csv_table import (
    HEADER_ROW,
    column_indexes,
    open_table,
    require_text,
    require_width,
    unsplittable,
)
from ingest.dialects.merchant import merchant_names, read_merchant_xml
from ingest.dialects.product_fields import PRODUCT_FIELDS, parse_product
from ingest.dialects.reading import ImportOptions, Refused
from ingest.dialects.shopify_products import read_shopify
from ingest.sources import OVERLONG_MARK, Source
from ingest.vocabulary.errors import ConfigurationError, MalformedEvent
from ingest.vocabulary.ids import ProductId, parse_product_id
from ingest.vocabulary.products import Product

PRODUCT_BYTES_MAX = 65_536


class Removal(NamedTuple):
    """The shop does not sell this any more."""

    product_id: ProductId


CatalogueRow = tuple[int, Product | Removal] | Refused
Fields = dict[str, Any]


def read_catalogue(source: Source, dialect: str, options: ImportOptions) -> Iterator[CatalogueRow]:
    """The products in a file, each with its row (of XML, its number), and the rows that cannot be read.

    Args:
        dialect: `jsonl`, `csv`, `merchant` (tab or comma separated, RSS or Atom) or `shopify`.
        options: `columns` maps fields to columns; `constants` are fields for all products, such as the currency.

    Raises:
        ConfigurationError: the file or the mapping cannot be used.
    """
    if dialect not in CATALOGUE_DIALECTS:
        raise ConfigurationError(
            f"there is no dialect {dialect!r} of catalogues; there are {', '.join(CATALOGUE_DIALECTS)}",
            code="wrong_usage",
        )
    for field in options.constants:
        if field not in PRODUCT_FIELDS:
            raise ConfigurationError(
                f"there is no field {field!r}; fields are {', '.join(PRODUCT_FIELDS)}", code="wrong_usage"
            )
    return CATALOGUE_DIALECTS[dialect](source, options)


def _read_jsonl(source: Source, options: ImportOptions) -> Iterator[CatalogueRow]:
    number = 0
    for block in source.whole_lines():
        for line in block.removesuffix(b"\n").split(b"\n"):
            number += 1
            if not line.strip():
                continue
            try:
                yield number, _json_line(line, options)
            except MalformedEvent as error:
                yield Refused(number, line.decode("utf-8", "backslashreplace"), error)


def _json_line(line: bytes, options: ImportOptions) -> Product | Removal:
    if len(line) > PRODUCT_BYTES_MAX or line.endswith(OVERLONG_MARK):
        raise MalformedEvent(f"a product may have {PRODUCT_BYTES_MAX} bytes", code="product")
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedEvent(f"not JSON: {error}", code="not_json") from error
    if not isinstance(value, dict):
        raise MalformedEvent("a line must be an object", code="product")
    match value.get("op", "upsert"):
        case "delete":
            return Removal(parse_product_id(value.get("id", value.get("product_id"))))
        case "upsert":
            item = value.get("item", value) if "op" in value else value
            if not isinstance(item, dict):
                raise MalformedEvent("item must be an object", pointer="/item", code="product")
            return _product(item, options)
        case other:
            raise MalformedEvent(f"op {other!r} is not upsert or delete", pointer="/op", code="product")


def _read_csv(source: Source, options: ImportOptions) -> Iterator[CatalogueRow]:
    table = open_table(source)
    indexes = column_indexes(table.columns, PRODUCT_FIELDS, options.columns, options.constants)
    mapped = {index: field for field, index in indexes.items()}
    names = [mapped.get(index, name) for index, name in enumerate(table.columns)]
    for number, row in enumerate(table.rows(), HEADER_ROW + 1):
        if isinstance(row, csv.Error):
            yield Refused(number, [], unsplittable(row))
            continue
        try:
            require_text("".join(row))
            require_width(row, len(names))
            cells = {name: cell.strip() for name, cell in zip(names, row, strict=True) if cell.strip()}
            yield number, _product(_from_cells(cells), options)
        except MalformedEvent as error:
            yield Refused(number, row, error)


def _read_merchant(source: Source, options: ImportOptions) -> Iterator[CatalogueRow]:
    start = next(source.whole_lines(), b"").lstrip()
    if not start.startswith(b"<"):
        yield from _read_csv(source, options)
        return
    for number, fields in read_merchant_xml(source):
        try:
            yield number, _product(_from_cells(fields), options)
        except MalformedEvent as error:
            yield Refused(number, fields, error)


def _read_shopify(source: Source, options: ImportOptions) -> Iterator[CatalogueRow]:
    for number, found in read_shopify(source):
        if isinstance(found, MalformedEvent):
            yield Refused(number, [], found)
            continue
        active, fields = found
        try:
            product = parse_product({**options.constants, **fields})
            yield number, product if active else Removal(product.product_id)
        except MalformedEvent as error:
            yield Refused(number, fields, error)


def _product(fields: Fields, options: ImportOptions) -> Product:
    return parse_product({**options.constants, **merchant_names(fields)})


def _from_cells(cells: dict[str, str]) -> Fields:
    """Numbers, lists and attributes out of text cells; what a shop adds of its own is not ours to judge."""
    fields: Fields = {}
    attributes: Fields = {}
    for name, cell in cells.items():
        key = name.strip().lower().replace(" ", "_")
        if key.startswith(("attributes.", "attribute.")):
            attributes[key.partition(".")[2]] = cell
        elif key in ("stock", "quantity", "inventory", "quantity_to_sell_on_facebook"):
            fields["stock"] = max(int(cell), 0) if cell.lstrip("-").isdecimal() else cell
        elif key == "margin":
            fields["margin"] = _number(cell)
        elif key == "tags":
            fields["tags"] = [tag.strip() for tag in cell.split(",")]
        else:
            fields[key] = cell
    known = merchant_names(fields, others=False)
    if attributes:
        known["attributes"] = {**known.get("attributes", {}), **attributes}
    return known


def _number(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell


CATALOGUE_DIALECTS: dict[str, Callable[[Source, ImportOptions], Iterator[CatalogueRow]]] = {
    "jsonl": _read_jsonl,
    "csv": _read_csv,
    "merchant": _read_merchant,
    "shopify": _read_shopify,
}
