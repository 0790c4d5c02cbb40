"""The catalogue: what a product is after its facts, and the columns that filters read."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from ingest.catalog import (
    NO_CODE,
    CatalogueEntry,
    CatalogueProjection,
    CatalogueView,
    evolve_entry,
)
from ingest.vocabulary import events as facts
from ingest.vocabulary.events import Event
from ingest.vocabulary.products import CATEGORY_DEPTH_MAX, Product
from tests.support.build import fact, product
from tests.support.embedded import embedded, temporary_folder
from tests.support.strategies import recorded


def after(*history: Event) -> CatalogueEntry:
    """The entry of the one product these facts are about."""
    entry = None
    for event in history:
        entry = evolve_entry(entry, event)
    assert entry is not None
    return entry


def view_of(*history: Event) -> CatalogueView:
    view = CatalogueView()
    view.follow(recorded(list(history)))
    return view


def row_of(view: CatalogueView, product_id: str) -> int:
    row = view.index.find(product_id)  # type: ignore[arg-type]
    assert row is not None
    return row


def deleted(product_id: str = "p") -> Event:
    return fact(facts.ProductDeleted, product_id=product_id)


def priced(product_id: str = "p", price: str | None = "3", **fields: Any) -> Event:
    return fact(facts.PriceChanged, product_id=product_id, price=None if price is None else Decimal(price), **fields)


def stocked(product_id: str = "p", **fields: Any) -> Event:
    return fact(facts.StockChanged, **{"product_id": product_id, "stock": None} | fields)


def test_an_upsert_replaces_all_of_a_product() -> None:
    entry = after(product("p", title="Old", brand="B"), product("p", title="New"))
    assert entry == CatalogueEntry(Product(product_id="p", title="New"), deleted=False)


def test_a_deleted_product_stays_known_as_deleted() -> None:
    assert after(product("p", title="T"), deleted()) == CatalogueEntry(Product(product_id="p", title="T"), deleted=True)
    assert after(deleted()) == CatalogueEntry(Product(product_id="p"), deleted=True)


def test_an_upsert_brings_a_deleted_product_back() -> None:
    assert after(deleted(), product("p")).deleted is False


def test_a_price_change_replaces_both_prices() -> None:
    changed = after(product("p", title="T", sale_price=Decimal(1), currency="GBP"), priced(price="5")).product
    assert (changed.price, changed.sale_price, changed.currency, changed.title) == (Decimal(5), None, "GBP", "T")
    reduced = after(product("p"), priced(price="5", sale_price=Decimal(4), currency="EUR")).product
    assert (reduced.price, reduced.sale_price, reduced.currency) == (Decimal(5), Decimal(4), "EUR")
    assert reduced.current_price == Decimal(4)


def test_a_stock_change_leaves_what_it_does_not_say() -> None:
    stated = product("p", title="T", stock=5, availability="backorder")
    assert after(stated, stocked(stock=0)).product.stock == 0
    assert after(stated, stocked(stock=0)).product.availability == "backorder"
    assert after(stated, stocked(availability="out_of_stock")).product.stock == 5
    assert after(stated, stocked(availability="out_of_stock")).product.availability == "out_of_stock"
    assert after(stated, stocked()).product == after(stated).product


@pytest.mark.parametrize("change", [priced(), stocked(stock=1)])
def test_a_change_keeps_a_deleted_product_deleted(change: Event) -> None:
    assert after(product("p"), deleted(), change).deleted is True
    assert after(product("p"), change).deleted is False


@pytest.mark.parametrize("change", [priced(price="3"), stocked(stock=3)])
def test_a_change_of_an_unknown_product_makes_it_known(change: Event) -> None:
    entry = after(change)
    assert entry.product.product_id == "p"
    assert entry.deleted is False


def test_a_fact_of_another_kind_changes_no_entry() -> None:
    entry = CatalogueEntry(Product(product_id="p"))
    assert evolve_entry(entry, fact(facts.ProductViewed, product_id="p")) is entry
    assert evolve_entry(None, fact(facts.ProductViewed, product_id="p")) is None


def test_the_projection_folds_catalogue_facts_by_product() -> None:
    projection = CatalogueProjection()
    history = [product("p"), deleted("q"), priced("r"), stocked("s"), fact(facts.ProductViewed, product_id="t")]
    assert [projection.keys(each) for each in recorded(history)] == [("p",), ("q",), ("r",), ("s",), ()]
    (first,) = recorded([product("p", title="T")])
    assert projection.evolve(None, first) == CatalogueEntry(Product(product_id="p", title="T"))
    assert projection.consequences(None, first) == ()
    assert projection.name == "product"


def test_equal_entries_have_equal_bytes() -> None:
    projection = CatalogueProjection()
    one = CatalogueEntry(Product(product_id="p", attributes={"a": "1", "b": 2.5}, price=Decimal("2.50")), deleted=True)
    other = CatalogueEntry(
        Product(product_id="p", attributes={"b": 2.5, "a": "1"}, price=Decimal("2.50")), deleted=True
    )
    assert projection.encode(one) == projection.encode(other)
    assert projection.decode(projection.encode(one)) == one


def test_an_empty_view_knows_nothing() -> None:
    view = CatalogueView()
    assert len(view) == 0
    assert view.version == 0
    assert view.products() == []
    assert view.product(0) is None
    assert view.find("p") is None  # type: ignore[arg-type]
    assert not view.knows("p")  # type: ignore[arg-type]
    assert view.stated("p") is None  # type: ignore[arg-type]
    assert view.category_paths("Kitchen") == []
    assert view.brand_code("B") is None
    assert NO_CODE == -1


def test_a_stated_product_fills_its_row() -> None:
    view = view_of(
        product("p", price=Decimal("2.50"), brand="Acme", item_group_id="g", category=("Home", "Mugs"), stock=0),
        product("q", sale_price=Decimal(1), price=Decimal(2), brand="ACME", item_group_id="h"),
        product("r", item_group_id="g"),
    )
    p, q, r = (row_of(view, each) for each in "pqr")
    assert [p, q, r] == [0, 1, 2]
    assert len(view) == 3
    assert view.sellable[[p, q, r]].tolist() == [False, True, True]
    assert view.listed[[p, q, r]].tolist() == [True, True, True]
    assert view.price[[p, q]].tolist() == [2.5, 1.0]
    assert np.isnan(view.price[r])
    assert view.brand[p] == view.brand[q] == view.brand_code(" acme ") != NO_CODE
    assert view.brand[r] == NO_CODE
    assert view.item_group[p] == view.item_group[r] != view.item_group[q]
    assert NO_CODE not in view.item_group[[p, q, r]]
    assert (view.ancestors[p, :2] >= 0).all()
    assert (view.ancestors[p, 2:] == NO_CODE).all()
    assert (view.ancestors[q] == NO_CODE).all()


def test_a_product_that_lost_its_parts_has_an_empty_row() -> None:
    view = view_of(
        product("p", price=Decimal(2), brand="Acme", item_group_id="g", category=("Home", "Mugs"), stock=0),
        product("p"),
    )
    assert view.sellable[0]
    assert np.isnan(view.price[0])
    assert (view.brand[0], view.item_group[0]) == (NO_CODE, NO_CODE)
    assert (view.ancestors[0] == NO_CODE).all()


def test_rows_that_nobody_filled_are_open() -> None:
    view = CatalogueView()
    assert view.sellable.all()
    assert not view.listed.any()
    assert np.isnan(view.price).all()
    assert view.price.dtype == np.float64
    for codes in (view.brand, view.item_group, view.category, view.ancestors):
        assert (codes == NO_CODE).all()
        assert codes.dtype == np.int32


def test_a_deleted_product_is_not_listed_and_not_found_but_known() -> None:
    view = view_of(product("p", title="T"), product("q"), deleted("p"))
    assert not view.listed[0]
    assert view.stated("p") is None  # type: ignore[arg-type]
    assert view.find("p") == 0  # type: ignore[arg-type]
    assert view.knows("p")  # type: ignore[arg-type]
    assert [each.product_id for each in view.products()] == ["q"]
    stated = view.product(0)
    assert stated is not None
    assert stated.title == "T"


def test_a_product_is_found_as_last_stated() -> None:
    view = view_of(product("p", title="T"), priced("p", "7"), stocked("p", availability="out_of_stock"))
    found = view.stated("p")  # type: ignore[arg-type]
    assert found is not None
    assert (found.title, found.price) == ("T", Decimal(7))
    assert view.price[0] == 7.0
    assert not view.sellable[0]


def test_every_level_of_a_category_is_a_node() -> None:
    view = view_of(
        product("mug", category=("Home", "Kitchen", "Mugs")),
        product("pan", category=("Home", "Kitchen")),
        product("sale-mug", category=("Sale", "Mugs")),
    )
    mug, pan, sale = (row_of(view, each) for each in ("mug", "pan", "sale-mug"))
    home, kitchen, under_home = view.ancestors[mug, :3].tolist()
    sales, under_sale = view.ancestors[sale, :2].tolist()
    assert view.ancestors[pan, :2].tolist() == [home, kitchen]
    assert len({home, kitchen, sales, under_home, under_sale}) == 5
    assert view.category[[mug, pan, sale]].tolist() == [under_home, kitchen, under_sale]
    assert view.category_paths("mugs") == [("Home", "Kitchen", "Mugs"), ("Sale", "Mugs")]
    rows = np.array([mug, pan, sale], dtype=np.int32)
    assert view.in_category("Mugs", rows).tolist() == [True, False, True]
    assert view.in_category("home > kitchen", rows).tolist() == [True, True, False]
    assert view.in_category("Sale", rows).tolist() == [False, False, True]
    assert view.in_category("Nowhere", rows).tolist() == [False, False, False]


def test_a_category_is_found_by_path_and_whatever_its_case() -> None:
    view = view_of(product("mug", category=("Home", "Kitchen", "Mugs")), product("sale-mug", category=("Sale", "Mugs")))
    path = ("Home", "Kitchen", "Mugs")
    assert view.category_paths("home > kitchen > MUGS") == [path]
    assert view.category_paths("Home>Kitchen>Mugs") == [path]
    assert view.category_paths("  home >kitchen>  mugs ") == [path]
    assert path in view.category_paths(" mUGS ")
    assert view.category_paths("kitchen > mugs") == []
    streets = view_of(product("map", category=("Straße",)))
    assert streets.category_paths("STRASSE") == [("Straße",)]


def test_a_name_spelt_in_two_cases_finds_both() -> None:
    view = view_of(product("a", category=("Kitchen",)), product("b", category=("KITCHEN",)))
    assert view.category_paths("kitchen") == [("Kitchen",), ("KITCHEN",)]
    assert view.in_category("KITCHEN", np.array([0, 1], dtype=np.int32)).all()


def test_a_category_deeper_than_the_limit_is_cut() -> None:
    path = tuple(f"level-{depth}" for depth in range(CATEGORY_DEPTH_MAX + 3))
    view = view_of(product("p", category=path), product("q", category=path[:CATEGORY_DEPTH_MAX]))
    assert view.ancestors[0].tolist() == view.ancestors[1].tolist()
    assert NO_CODE not in view.ancestors[0]


def test_attributes_are_compared_as_text_whatever_their_case() -> None:
    view = view_of(
        product("a", attributes={"colour": "Red", "size": 4, "new": True}),
        product("b", attributes={"colour": ["blue", "RED"], "size": 4.5, "new": False}),
        product("c"),
    )
    rows = np.array([0, 1, 2], dtype=np.int32)
    assert view.has_attribute("colour", ("red",), rows).tolist() == [True, True, False]
    assert view.has_attribute("colour", ("BLUE", "green"), rows).tolist() == [False, True, False]
    assert view.has_attribute("size", ("4",), rows).tolist() == [True, False, False]
    assert view.has_attribute("size", ("4.5",), rows).tolist() == [False, True, False]
    assert view.has_attribute("new", ("true",), rows).tolist() == [True, False, False]
    assert view.has_attribute("new", ("FALSE",), rows).tolist() == [False, True, False]
    assert view.has_attribute("brand", ("x",), rows).tolist() == [False, False, False]
    assert view.has_attribute("size", ("4",), np.array([9], dtype=np.int32)).tolist() == [False]


def test_products_that_were_ordered_are_on_the_shelf_and_those_merely_seen_are_not() -> None:
    view = view_of(
        fact(facts.ProductViewed, product_id="seen"),
        fact(facts.OrderCompleted, lines=(facts.Line("bought"), facts.Line("bought too"))),
    )
    view.hear_of(["heard of", "bought"])  # type: ignore[list-item]
    assert [view.product_id(row) for row in range(len(view))] == ["bought", "bought too", "heard of"]
    assert view.listed[:4].tolist() == [True, True, True, False]
    assert view.find("seen") is None  # type: ignore[arg-type]
    assert not view.knows("bought")  # type: ignore[arg-type]
    assert view.stated("bought") is None  # type: ignore[arg-type]
    assert view.version == 0


def test_hearing_of_a_deleted_product_does_not_bring_it_back() -> None:
    view = view_of(product("p"), deleted("p"))
    view.hear_of(["p"])  # type: ignore[list-item]
    assert not view.listed[0]


def test_the_version_rises_with_every_change() -> None:
    assert view_of(product("p"), product("p"), deleted("p")).version == 3


def test_rows_beyond_the_first_ones_are_open_and_the_first_keep_their_values() -> None:
    view = CatalogueView()
    first = len(view.sellable)
    view.follow(recorded([product("p", price=Decimal(2), brand="B", category=("C",), availability="out_of_stock")]))
    view.hear_of([f"v-{number}" for number in range(first - 1)])  # type: ignore[misc]
    assert len(view.sellable) == first
    view.follow(recorded([product("q", price=Decimal(3), availability="out_of_stock")]))
    assert len(view) == first + 1
    columns = (view.sellable, view.listed, view.price, view.brand, view.item_group, view.category, view.ancestors)
    assert [len(column) for column in columns] == [2 * first] * len(columns)
    assert view.ancestors.shape == (2 * first, CATEGORY_DEPTH_MAX)
    assert view.price[[0, first]].tolist() == [2.0, 3.0]
    assert view.sellable.sum() == 2 * first - 2
    assert view.listed.sum() == first + 1
    assert (view.brand[0], view.category[0], view.ancestors[0, 0]) == (0, 0, 0)
    for codes in (view.brand[1:], view.item_group, view.category[1:], view.ancestors[1:]):
        assert (codes == NO_CODE).all()
        assert codes.dtype == np.int32
    assert np.isnan(view.price[first + 1 :]).all()
    assert [column.dtype for column in (view.sellable, view.listed)] == [np.bool_] * 2


def test_rows_of_products_far_ahead_are_made_in_one_step() -> None:
    view = CatalogueView()
    first = len(view.sellable)
    for number in range(5 * first):
        view.index.add(f"x-{number}")  # type: ignore[arg-type]
    view.follow(recorded([product("p", availability="out_of_stock")]))
    assert len(view.sellable) == 5 * first + 1
    assert not view.sellable[5 * first]


def test_a_view_loaded_from_the_store_equals_one_that_followed() -> None:
    history = [
        product("p", price=Decimal(2), brand="B", category=("Home", "Mugs")),
        product("q", category=("Home",)),
        deleted("q"),
        priced("r", "9"),
    ]
    with temporary_folder() as folder, embedded(folder) as dangol:
        followed, loaded = CatalogueView(), CatalogueView()
        dangol.projector.attach(followed, since=[-1] * 16)
        dangol.log.append(history)
        loaded.load(dangol.store)
        assert {each.product_id: each for each in loaded.products()} == {
            each.product_id: each for each in followed.products()
        }
        assert loaded.version == 3
        for product_id in ("p", "q", "r"):
            here, there = row_of(loaded, product_id), row_of(followed, product_id)
            assert loaded.listed[here] == followed.listed[there]
            assert loaded.product(here) == followed.product(there)
