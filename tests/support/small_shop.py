"""A shop of a dozen products and a few regulars, small enough to be made anew for every test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.service import dangol

MUGS = [f"mug-{number}" for number in range(1, 7)]
PLATES = [f"plate-{number}" for number in range(1, 5)]
REGULAR = "cust-7f3a-unique"


def product(product_id: str, **changes: Any) -> dict[str, Any]:
    """A product as it is stated over HTTP."""
    kind, _, number = product_id.partition("-")
    return {
        "product_id": product_id,
        "title": f"{kind.title()} number {number}",
        "category": ["Kitchen", f"{kind.title()}s"],
        "brand": "Potter" if int(number) % 2 else "Weaver",
        "price": f"{int(number) * 5}.00",
        "currency": "GBP",
        "availability": "in_stock",
        "attributes": {"colour": "red" if int(number) < 3 else "blue"},
        **changes,
    }


PRODUCTS = [product(each) for each in (*MUGS, *PLATES)]


def order(order_id: str, *products: str, customer: str | None = None, **fields: Any) -> dict[str, Any]:
    """An order as it is posted."""
    lines = [{"product_id": each, "quantity": 1, "price": "5.00"} for each in products]
    told = {"event_id": f"e-{order_id}", "type": "order_completed", "order_id": order_id, "currency": "GBP", **fields}
    return {**told, "lines": lines, **({} if customer is None else {"customer_id": customer})}


def view(event_id: str, product_id: str, **who: Any) -> dict[str, Any]:
    """A product page that was looked at."""
    return {"event_id": event_id, "type": "product_viewed", "product_id": product_id, **who}


def orders_file(folder: Path) -> Path:
    """Fifty orders of the past as a CSV: mugs are bought with plates, and one customer comes every week."""
    lines = ["order,customer,product,quantity,price,timestamp"]
    for number in range(50):
        customer = REGULAR if number % 5 == 0 else f"customer-{number % 7}"
        when = f"2026-0{1 + number // 25}-{1 + number % 25:02d} 10:00:00"
        bought = (MUGS[number % 4], PLATES[number % 3], MUGS[(number + 1) % 4])
        lines += [f"past-{number},{customer},{each},2,5.00,{when}" for each in bought]
    path = folder / "orders.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


SMALL_IMPORT = ["--dialect", "csv", "--set", "event=order", "--set", "currency=GBP"]


def make_small_shop(folder: Path, *, trained: bool = True) -> Path:
    """The shop in a data folder, by the command line."""
    catalogue = folder.with_name(f"{folder.name}-products.jsonl")
    catalogue.parent.mkdir(parents=True, exist_ok=True)
    catalogue.write_text("".join(json.dumps(each) + "\n" for each in PRODUCTS), encoding="utf-8")
    dangol("init", folder, check=True)
    dangol("catalog", "import", catalogue, "--dialect", "jsonl", data=folder, check=True)
    dangol("import", orders_file(folder.parent), *SMALL_IMPORT, data=folder, check=True)
    if trained:
        dangol("train", data=folder, check=True, fresh=True)
    return folder
