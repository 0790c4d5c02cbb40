"""Products from the files that shops export."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ingest.dialects.catalogue import Removal, read_catalogue
from ingest.dialects.product_fields import parse_product
from ingest.dialects.reading import ImportOptions, Refused
from ingest.sources import opened
from ingest.vocabulary.errors import ConfigurationError, MalformedEvent
from ingest.vocabulary.products import Product

FEED = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel><title>Shop</title><link>https://s.example</link>
<item><g:id>P10-RED-M</g:id><title>Linen shirt, red</title><g:link>https://s.example/p/10</g:link>
<g:image_link>https://cdn.example/10.jpg</g:image_link><g:availability>in stock</g:availability>
<g:price>39.90 EUR</g:price><g:sale_price>29.90 EUR</g:sale_price><g:item_group_id>P10</g:item_group_id>
<g:product_type>Men &gt; Shirts</g:product_type><g:color>red</g:color><g:shipping><g:price>1 EUR</g:price></g:shipping>
<g:mystery>x</g:mystery></item>
<item><g:title>No id</g:title></item></channel></rss>
"""
SHIRT = Product(
    product_id="P10-RED-M",
    title="Linen shirt, red",
    url="https://s.example/p/10",
    image_url="https://cdn.example/10.jpg",
    price=Decimal("39.90"),
    sale_price=Decimal("29.90"),
    currency="EUR",
    item_group_id="P10",
    category=("Men", "Shirts"),
    attributes={"color": "red"},
)


def read(folder: Path, dialect: str, content: str, options: ImportOptions | None = None) -> list[Any]:
    """What a file holds, row by row; refusals as their codes."""
    path = folder / "products"
    path.write_text(content, encoding="utf-8")
    with opened(path) as source:
        rows = list(read_catalogue(source, dialect, options or ImportOptions()))
    return [f"{row.row} {row.error.pointer}" if isinstance(row, Refused) else row[1] for row in rows]


def test_native_json_lines_are_products_and_operations(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "jsonl",
        '{"product_id":"A","title":"Mug","price":"12.50","sale_price":null,"currency":"gbp","category":["Home","Kitchen"],'
        '"stock":12,"attributes":{"colour":["red","blue"]},"tags":["new"],"published_at":"2026-01-01","margin":0.4}\n'
        '\n{"op":"delete","id":"B"}\n{"op":"upsert","item":{"id":7,"name":"Jug"}}\n',
    )
    assert found == [
        Product(
            product_id="A",
            title="Mug",
            price=Decimal("12.50"),
            currency="GBP",
            category=("Home", "Kitchen"),
            stock=12,
            attributes={"colour": ["red", "blue"]},
            tags=("new",),
            published_at=datetime(2026, 1, 1, tzinfo=UTC),
            margin=0.4,
        ),
        Removal("B"),
        Product(product_id="7", title="Jug"),
    ]


def test_json_lines_may_use_the_names_of_merchant_center(tmp_path: Path) -> None:
    (found,) = read(
        tmp_path,
        "jsonl",
        '{"id":"P10-RED-M","item_group_id":"P10","title":"Linen shirt, red","link":"https://s.example/p/10",'
        '"image_link":"https://cdn.example/10.jpg","price":{"amount":"39.90","currency":"EUR"},'
        '"sale_price":"29.90 EUR","availability":"in stock","categories":["Men > Shirts"],"color":"red"}\n',
    )
    assert found == SHIRT


def test_bad_json_lines_are_refused_one_by_one(tmp_path: Path) -> None:
    content = (
        'x\n[]\n{"op":"drop"}\n{"title":"no id"}\n{"id":"A","flavour":"red"}\n{"id":"A","price":"-1"}\n{"id":"B"}\n'
    )
    assert read(tmp_path, "jsonl", content) == [
        "1 None",
        "2 None",
        "3 /op",
        "4 /product_id",
        "5 /flavour",
        "6 /price",
        Product(product_id="B"),
    ]


def test_a_merchant_feed_is_read_as_rss(tmp_path: Path) -> None:
    assert read(tmp_path, "merchant", FEED) == [SHIRT, "2 /product_id"]


def test_a_merchant_feed_is_read_as_atom(tmp_path: Path) -> None:
    feed = (
        '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="http://base.google.com/ns/1.0"><entry><g:id>A</g:id>'
        '<title>Mug</title><link href="https://s.example/a"/><g:availability>out of stock</g:availability>'
        "</entry></feed>"
    )
    assert read(tmp_path, "merchant", feed) == [
        Product(product_id="A", title="Mug", url="https://s.example/a", availability="out_of_stock")
    ]


def test_a_merchant_feed_is_read_as_tab_separated_text(tmp_path: Path) -> None:
    feed = (
        "id\ttitle\tlink\timage_link\tprice\tsale_price\tavailability\titem_group_id\tproduct_type\tcolor\tshipping\n"
        "P10-RED-M\tLinen shirt, red\thttps://s.example/p/10\thttps://cdn.example/10.jpg\t39.90 EUR\t29.90 EUR\t"
        "in_stock\tP10\tMen > Shirts\tred\tGB:::5 GBP\n"
    )
    assert read(tmp_path, "merchant", feed) == [SHIRT]


@pytest.mark.parametrize(
    "start",
    [
        '<!DOCTYPE rss [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>',
        '<!DOCTYPE rss SYSTEM "file:///etc/passwd">',
    ],
)
def test_a_feed_that_declares_a_document_type_is_refused(tmp_path: Path, start: str) -> None:
    with pytest.raises(ConfigurationError, match="DOCTYPE"):
        read(tmp_path, "merchant", start + "<rss><item><id>&b;</id></item></rss>")


def test_a_broken_feed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not well-formed"):
        read(tmp_path, "merchant", FEED[:-20])


def test_shopify_variants_share_a_group(tmp_path: Path) -> None:
    header = (
        "Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,"
        "Variant Inventory Tracker,Variant Inventory Qty,Variant Inventory Policy,Variant Price,"
        "Variant Compare At Price,Image Src,Status\n"
    )
    found = read(
        tmp_path,
        "shopify",
        header
        + 'tee,Tee,"<p>Soft &amp; <b>warm</b></p>",Acme,Shirts,"new, cotton",true,Size,S,TEE-S,shopify,3,deny,15,20,'
        "https://cdn.example/t.jpg,active\n"
        + "tee,,,,,,,,M,,shopify,0,continue,15,,,\n"
        + "tee,,,,,,,,,,,,,,,https://cdn.example/t2.jpg,\n"
        + "old,Old,,,,,false,Title,Default Title,OLD,,,,1,,,\n"
        + "bad,Bad,,,,,true,,,BAD,,,,free,,,\n",
        ImportOptions(constants={"currency": "EUR"}),
    )
    small, medium, old, bad = found
    assert (small.product_id, small.item_group_id, small.title) == ("TEE-S", "tee", "Tee")
    assert (small.price, small.sale_price, small.currency) == (Decimal(20), Decimal(15), "EUR")
    assert (small.description, small.attributes, small.tags) == ("Soft & warm", {"size": "S"}, ("new", "cotton"))
    assert (medium.product_id, medium.availability, medium.price) == ("tee-2", "backorder", Decimal(15))
    assert medium.image_url == "https://cdn.example/t.jpg"
    assert old == Removal("OLD")
    assert bad == "6 /price"


def test_csv_columns_are_fields_or_mapped_to_them(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "csv",
        "sku;title;price;category;tags;stock;attributes.colour;internal note\n"
        "A;Mug;1.5;Home > Kitchen;a, b;-3;red;x\n;No id;;;;;;\n",
        ImportOptions(columns={"product_id": "sku"}, constants={"currency": "EUR"}),
    )
    assert found == [
        Product(
            product_id="A",
            title="Mug",
            price=Decimal("1.5"),
            currency="EUR",
            category=("Home", "Kitchen"),
            tags=("a", "b"),
            stock=0,
            attributes={"colour": "red"},
        ),
        "3 /product_id",
    ]


def test_an_unknown_catalogue_dialect_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="jsonl, csv, merchant, shopify"):
        read(tmp_path, "morse", "x")


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({}, "/product_id"),
        ({"product_id": ""}, "/product_id"),
        ({"product_id": "A", "title": 7}, "/title"),
        ({"product_id": "A", "title": "x" * 501}, "/title"),
        ({"product_id": "A", "title": "\ud800"}, "/title"),
        ({"product_id": "A", "price": "1.1234567"}, "/price"),
        ({"product_id": "A", "price": "1000000000"}, "/price"),
        ({"product_id": "A", "price": "NaN"}, "/price"),
        ({"product_id": "A", "price": "1" * 5_000}, "/price"),
        ({"product_id": "A", "price": True}, "/price"),
        ({"product_id": "A", "currency": "EURO"}, "/currency"),
        ({"product_id": "A", "availability": "maybe"}, "/availability"),
        ({"product_id": "A", "availability": ["in_stock"]}, "/availability"),
        ({"product_id": "A", "stock": -1}, "/stock"),
        ({"product_id": "A", "stock": 1.5}, "/stock"),
        ({"product_id": "A", "url": "javascript:alert(1)"}, "/url"),
        ({"product_id": "A", "category": ["a"] * 11}, "/category"),
        ({"product_id": "A", "tags": "a,b"}, "/tags"),
        ({"product_id": "A", "attributes": {"a": {"b": 1}}}, "/attributes/a"),
        ({"product_id": "A", "attributes": {str(n): n for n in range(101)}}, "/attributes"),
        ({"product_id": "A", "published_at": "soon"}, "/published_at"),
        ({"product_id": "A", "margin": 40}, "/margin"),
        ({"product_id": "A", "a/b": 1}, "/a~1b"),
    ],
)
def test_a_wrong_field_is_named_by_its_pointer(fields: dict[str, Any], pointer: str) -> None:
    with pytest.raises(MalformedEvent) as caught:
        parse_product(fields)
    assert caught.value.pointer == pointer
