"""Shopify's product CSV: the rows of a handle are one product's variants and images."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from decimal import Decimal
from html import unescape
from typing import Any

from ingest.dialects.cells import parse_money
from ingest.dialects.csv_table import (
    HEADER_ROW,
    column_indexes,
    open_table,
    require_text,
    require_width,
    unsplittable,
)
from ingest.sources import Source
from ingest.vocabulary.errors import MalformedEvent
from ingest.vocabulary.products import DESCRIPTION_LENGTH_MAX

OPTIONS = (1, 2, 3)
Variant = tuple[bool, dict[str, Any]]  # whether it is on sale at all, and its fields

_TAG = re.compile(r"<[^>]*>")


def read_shopify(source: Source) -> Iterator[tuple[int, Variant | MalformedEvent]]:
    """The variants in the file with their rows; rows that hold nothing but another image are passed over.

    The product id is the SKU, else the handle and the variant's number.
    """
    table = open_table(source)
    column_indexes(table.columns, ("Handle", "Title", "Variant Price"), {"Handle": "Handle", "Title": "Title"})
    head: dict[str, str] = {}
    variants = 0
    for number, row in enumerate(table.rows(), HEADER_ROW + 1):
        if isinstance(row, csv.Error):
            yield number, unsplittable(row)
            continue
        try:
            require_text("".join(row))
            require_width(row, len(table.columns))
            cells = {name: cell.strip() for name, cell in zip(table.columns, row, strict=True)}
            if cells["Handle"] != head.get("Handle") or cells["Title"]:
                head, variants = cells, 0
            if cells.get("Variant Price") or cells.get("Option1 Value") or cells is head:
                variants += 1
                yield number, (_on_sale(head), _variant(head, cells, variants))
        except MalformedEvent as error:
            yield number, error


def _on_sale(head: dict[str, str]) -> bool:
    return head.get("Status", "active").lower() in ("active", "") and head.get("Published", "true").lower() != "false"


def _variant(head: dict[str, str], cells: dict[str, str], number: int) -> dict[str, Any]:
    handle = head["Handle"]
    if not handle:
        raise MalformedEvent("Handle is empty", pointer="/Handle", code="product")
    price, sale_price = _prices(cells)
    availability, stock = _stock(cells)
    fields: dict[str, Any] = {
        "product_id": cells.get("Variant SKU", "").lstrip("'") or f"{handle}-{number}",
        "item_group_id": handle,
        "title": head["Title"],
        "description": _plain_text(head.get("Body (HTML)", "") or head.get("Body", "")),
        "category": head.get("Product Category") or head.get("Type") or None,
        "brand": head.get("Vendor") or None,
        "price": price,
        "sale_price": sale_price,
        "availability": availability,
        "stock": stock,
        "url": f"/products/{handle}",
        "image_url": cells.get("Variant Image") or head.get("Image Src") or None,
        "tags": [tag for each in head.get("Tags", "").split(",") if (tag := each.strip())],
        "attributes": _options(head, cells),
    }
    return {name: value for name, value in fields.items() if value not in (None, "", [], {})}


def _prices(cells: dict[str, str]) -> tuple[Decimal | None, Decimal | None]:
    """Shopify's price is what is paid now; a higher `Compare At Price` is the one struck through."""
    now = parse_money(cells["Variant Price"]) if cells.get("Variant Price") else None
    before = cells.get("Variant Compare At Price") or cells.get("Compare At Price")
    if now is not None and before and (full := parse_money(before)) > now:
        return full, now
    return now, None


def _stock(cells: dict[str, str]) -> tuple[str | None, int | None]:
    """Stock counts only where Shopify tracks it; the policy `continue` sells beyond it."""
    quantity = cells.get("Variant Inventory Qty", "")
    if not cells.get("Variant Inventory Tracker") or not quantity.lstrip("-").isdecimal():
        return None, None
    stock = max(int(quantity), 0)
    if stock > 0:
        return "in_stock", stock
    return ("backorder" if cells.get("Variant Inventory Policy") == "continue" else "out_of_stock"), stock


def _options(head: dict[str, str], cells: dict[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in OPTIONS:
        name, value = head.get(f"Option{each} Name", ""), cells.get(f"Option{each} Value", "")
        if name and value and value != "Default Title":
            found[name.lower()] = value
    return found


def _plain_text(html: str) -> str:
    return " ".join(unescape(_TAG.sub(" ", html)).split())[:DESCRIPTION_LENGTH_MAX]
