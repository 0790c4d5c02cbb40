"""What becomes of the rows of a CSV, oddity by oddity."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from ingest.dialects.reading import ImportOptions
from ingest.importer import import_file, newest_time, replay_letter
from ingest.vocabulary.errors import ConfigurationError, MalformedEvent
from ingest.vocabulary.events import (
    Line,
    ListViewed,
    OrderCompleted,
    OrderRefunded,
    ProductAdded,
    ProductRemoved,
    ProductUpserted,
    ProductViewed,
    Searched,
    WishlistAdded,
)
from ingest.vocabulary.ids import content_id, order_event_id
from tests.support.import_shop import NOW, ImportShop, import_shop

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID\n"
CLICKS = ImportOptions(columns={"anonymous": "visitorid", "product": "itemid", "order": "transactionid"})
CLICK_HEADER = "timestamp,visitorid,event,itemid,transactionid\n"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[ImportShop]:
    with import_shop(tmp_path) as opened:
        yield opened


def test_lines_of_an_order_make_one_event_wherever_they_stand(shop: ImportShop) -> None:
    shop.run(
        HEADER
        + "1,A,APPLE,6,2010-12-01 08:27:00,2.55,17850\n"
        + "2,B,BEAR,1,2010-12-01 08:30:00,1,13047\n"
        + "1,C,CUP,2,2010-12-01 08:26:00,3.39,17850\n"
    )
    first, second = shop.all_of(OrderCompleted)
    assert first.event_id == order_event_id("1")
    assert first.lines == (Line("A", 6, Decimal("2.55")), Line("C", 2, Decimal("3.39")))
    assert first.occurred_at == first.known_at == datetime(2010, 12, 1, 8, 26, tzinfo=UTC)
    assert (first.currency, first.imported) == ("GBP", True)
    assert shop.owner(first) == ["17850"]
    assert shop.owner(second) == ["13047"]


def test_a_negative_quantity_is_a_return(shop: ImportShop) -> None:
    report = shop.run(HEADER + "C536379,A,APPLE,-2,2010-12-01 09:41:00,27.50,14527\n")
    (refund,) = shop.all_of(OrderRefunded)
    assert refund.event_id == content_id("refund", "C536379", "2010-12-01T09:41:00+00:00")
    assert refund.lines == (Line("A", 2, Decimal("27.50")),)
    assert report.accepted == {"order_refunded": 1}
    assert report.noticed["refunds"] == 1


def test_an_order_without_a_customer_is_a_guests(shop: ImportShop) -> None:
    report = shop.run(HEADER + "1,A,APPLE,1,2010-12-01 08:26,1.5,\n2,A,APPLE,1,2010-12-01 08:26,1.5,\n")
    first, second = shop.all_of(OrderCompleted)
    assert first.subject != second.subject
    assert shop.owner(first) == []
    assert report.noticed["orders of guests"] == 2


def test_the_first_of_several_customers_owns_the_order(shop: ImportShop) -> None:
    report = shop.run(HEADER + "1,A,APPLE,1,2010-12-01,1,\n1,B,BEAR,1,2010-12-01,1,7\n1,C,CUP,1,2010-12-01,1,8\n")
    (order,) = shop.all_of(OrderCompleted)
    assert shop.owner(order) == ["7"]
    assert report.noticed["order lines that name another customer"] == 1


def test_a_return_that_a_later_file_adds_is_taken_and_the_earlier_one_is_not_taken_twice(shop: ImportShop) -> None:
    sold = HEADER + "1,A,APPLE,6,2010-12-01 08:26:00,2.55,17850\n"
    first = sold + "1,A,APPLE,-1,2010-12-03 10:00:00,2.55,17850\n"
    second = first + "1,A,APPLE,-2,2010-12-09 10:00:00,2.55,17850\n"
    assert shop.run(first).accepted["order_refunded"] == 1
    report = shop.run(second)
    assert (report.accepted, report.repeated["order_refunded"]) == ({"order_refunded": 1}, 1)
    assert sorted(line.quantity for event in shop.all_of(OrderRefunded) for line in event.lines) == [1, 2]


def test_zero_quantities_and_stock_adjustments_are_counted_and_left_out(shop: ImportShop) -> None:
    report = shop.run(
        HEADER
        + "1,A,APPLE,0,2010-12-01,1,7\n"
        + "2,A,damaged,-19,2010-12-01,0,\n"
        + "3,A,APPLE,-1,2010-12-01,0,7\n"
        + "4,A,APPLE,1,2010-12-01,0,\n"
    )
    assert report.left_out == {"zero quantity": 1, "stock adjustment": 1}
    assert report.refused == {}
    assert report.accepted == {"order_completed": 1, "order_refunded": 1}
    assert shop.all_of(OrderCompleted)[0].lines == (Line("A", 1, Decimal(0)),)


def test_service_lines_are_left_out_by_their_title(shop: ImportShop) -> None:
    titles = ["POSTAGE", "Discount", " Bank  Charges ", "Dotcomgiftshop Gift Voucher £40.00", "POSTAGE STAMP TIN"]
    report = shop.run(HEADER + "".join(f'1,P{n},"{title}",1,2010-12-01,1,7\n' for n, title in enumerate(titles)))
    assert report.left_out == {"not a product": 4}
    assert shop.all_of(OrderCompleted)[0].lines == (Line("P4", 1, Decimal(1)),)


def test_a_service_line_may_have_a_negative_price(shop: ImportShop) -> None:
    report = shop.run(HEADER + "A5,B,Adjust bad debt,1,2011-08-12,-11062.06,\n1,A,APPLE,1,2011-08-12,-1,\n")
    assert report.left_out == {"not a product": 1}
    assert report.refused["price"].count == 1


def test_repeated_products_and_repeated_rows_stay_in_the_order(shop: ImportShop) -> None:
    report = shop.run(HEADER + "1,A,APPLE,1,2010-12-01,1,7\n" * 2)
    assert shop.all_of(OrderCompleted)[0].lines == (Line("A", 1, Decimal(1)),) * 2
    assert report.noticed["rows that repeat a row"] == 1


def test_the_case_of_product_ids_is_kept(shop: ImportShop) -> None:
    shop.run(HEADER + "1,85123a,HEART,1,2010-12-01,1,7\n1,85123A,HEART,1,2010-12-01,1,7\n")
    assert {event.product_id for event in shop.all_of(ProductUpserted)} == {"85123a", "85123A"}


def test_the_most_frequent_title_of_sales_wins_over_junk(shop: ImportShop) -> None:
    report = shop.run(
        HEADER
        + "1,A,wrong code,5,2010-12-01,0,\n2,A,wrong code,5,2010-12-01,0,\n3,A,?,-3,2010-12-01,0,\n"
        + "4,A,RED  APPLE ,1,2010-12-02,2.5,7\n5,A,RED APPLE,1,2010-12-04,2.1,7\n6,A,GREEN APPLE,1,2010-12-03,9,7\n"
        + "7,B,ebay,1,2010-12-03,0,\n"
    )
    (fact,) = shop.all_of(ProductUpserted)
    assert (fact.product.title, fact.product.price, fact.product.currency) == ("RED APPLE", Decimal("2.1"), "GBP")
    assert fact.occurred_at == datetime(2010, 12, 2, tzinfo=UTC)
    assert fact.imported
    assert report.noticed["products with more than one title"] == 1
    assert report.noticed["products without a usable title"] == 1
    assert report.products == 1


def test_categories_come_from_the_column_or_from_rules(shop: ImportShop) -> None:
    options = ImportOptions(constants={"event": "order"}, category_of=lambda title: ("By rule", title))
    shop.run(
        "order;timestamp;product;customer;title;category;price\n"
        "1;2020-01-01;A;7;Mug;Home > Kitchen/Tea;1,50\n1;2020-01-01;B;7;Jug;;2\n",
        options=options,
    )
    products = {event.product_id: event.product for event in shop.all_of(ProductUpserted)}
    assert products["A"].category == ("Home", "Kitchen/Tea")
    assert products["A"].price == Decimal("1.50")
    assert products["B"].category == ("By rule", "Jug")


def test_clicks_of_every_kind_become_facts(shop: ImportShop) -> None:
    shop.run(
        "event,timestamp,customer,product,quantity,query,category\n"
        "Product Viewed,2020-01-01T10:00:00+02:00,7,A,,,\n"
        "list_view,2020-01-01 10:01,7,,,,Home > Kitchen\n"
        "search,1577873000,7,,,red mug,\n"
        "addtocart,1577873000123,7,A,2,,\n"
        "remove_from_cart,2020-01-01 10:04,7,A,,,\n"
        "wishlist,2020-01-01 10:05,7,A,,,\n",
        options=ImportOptions(),
    )
    assert shop.all_of(ProductViewed)[0].occurred_at == datetime(2020, 1, 1, 8, tzinfo=UTC)
    assert shop.all_of(ListViewed)[0].category == ("Home", "Kitchen")
    (search,) = shop.all_of(Searched)
    assert shop.keyring.open(search.subject, search.personal) == {"query": "red mug"}
    (added,) = shop.all_of(ProductAdded)
    assert (added.quantity, added.occurred_at.microsecond) == (2, 123_000)
    assert shop.all_of(ProductRemoved)[0].quantity is None
    assert shop.all_of(WishlistAdded)[0].product_id == "A"


def test_equal_clicks_of_one_file_are_different_facts(shop: ImportShop) -> None:
    report = shop.run(CLICK_HEADER + "1433221332117,1,view,355908,\n" * 3, options=CLICKS)
    assert report.accepted["product_viewed"] == 3
    assert len({event.event_id for event in shop.all_of(ProductViewed)}) == 3


def test_purchases_without_an_order_column_are_orders_of_a_person_and_a_moment(shop: ImportShop) -> None:
    report = shop.run(
        "timestamp,customer,event,product\n"
        "1433221332117,1,transaction,A\n1433221332117,1,transaction,B\n1433221332118,1,transaction,A\n"
        "1433221332118,,transaction,A\n",
        options=ImportOptions(),
    )
    assert [len(order.lines) for order in shop.all_of(OrderCompleted)] == [2, 1]
    assert report.refused["identity_missing"].row == 5


def test_a_file_imported_twice_changes_nothing(shop: ImportShop) -> None:
    content = HEADER + "1,A,APPLE,1,2010-12-01,1,7\n"
    first = shop.run(content)
    again = shop.run(content, name="renamed.csv.gz")
    assert again.already_imported == NOW
    assert (again.accepted, again.repeated) == ({}, first.accepted)
    assert "already imported on 2026-11-22" in again.lines()[0]
    assert len(shop.events()) == 2


def test_a_longer_export_adds_only_what_is_new(shop: ImportShop) -> None:
    content = CLICK_HEADER + "1433221332117,1,view,A,\n1433221332117,1,view,A,\n"
    shop.run(content, options=CLICKS)
    report = shop.run(content + "1433221332117,1,view,A,\n1433221332119,1,transaction,A,9\n", options=CLICKS)
    assert report.accepted == {"product_viewed": 1, "order_completed": 1}
    assert report.repeated == {"product_viewed": 2}


BAD_ROWS = {
    "not_utf8": b"1433221332117,1,view,\xff\xfe,\n",
    "nul_byte": b"1433221332117,1,view,A\0B,\n",
    "cell_count": b"1433221332117,1,view\n",
    "timestamp": b"yesterday,1,view,A,\n",
    "event": b"1433221332117,1,teleport,A,\n",
    "product": b"1433221332117,1,view,,\n",
    "malformed": b"1433221332117,1,view," + b"x" * 101 + b",\n",
    "identity_missing": b"1433221332117,,view,A,\n",
    "future_dated": b"2030-01-01,1,view,A,\n",
    "order": b"1433221332117,1,transaction,A,\n",
    "not_csv": b"1433221332117,1,view," + b"x" * 200_000 + b",\n",
    "line_too_long": b"1433221332117,1,view," + b"x" * 3_000_000 + b",\n",
}


@pytest.mark.parametrize("code", BAD_ROWS)
def test_a_bad_row_is_a_dead_letter_with_its_reason_and_spoils_no_other(shop: ImportShop, code: str) -> None:
    good = b"1433221332117,1,view,A,\n"
    report = shop.run(CLICK_HEADER.encode() + good + BAD_ROWS[code] + good, options=CLICKS)
    assert report.accepted["product_viewed"] == 2
    assert {name: refusals.count for name, refusals in report.refused.items()} == {code: 1}
    (letter,) = shop.dead_letters()
    assert (letter.code, letter.source) == (code, "import:csv")
    assert "a.csv, row 3" in letter.place
    assert letter.options["map product"] == "itemid"


def test_an_unclosed_quote_costs_rows_but_no_crash(shop: ImportShop) -> None:
    report = shop.run(CLICK_HEADER + '1,1,view,"A,\n' + "1433221332117,1,view,A,\n" * 20_000, options=CLICKS)
    assert report.refused["not_csv"].count == 1
    assert report.accepted["product_viewed"] > 10_000


def test_a_refused_line_does_not_keep_its_order_open(shop: ImportShop) -> None:
    report = shop.run(HEADER + "1,A,APPLE,1,2010-12-01,1,7\n1,B,BEAR,x,2010-12-01,1,7\n")
    assert [len(order.lines) for order in shop.all_of(OrderCompleted)] == [1]
    assert report.refused["quantity"].example.startswith('[{"InvoiceNo":"1"')


def test_a_mended_letter_can_be_replayed(shop: ImportShop) -> None:
    shop.run(CLICK_HEADER + "2030-01-01,1,view,A,\n", options=CLICKS)
    (letter,) = shop.dead_letters()
    later = datetime(2031, 1, 1, tzinfo=UTC)
    (fact,) = replay_letter(letter, received_at=later)
    assert (fact.event.product_id, fact.anonymous_id) == ("A", "1")
    shop.run(HEADER + "1,A,APPLE,1,2030-12-01,1,7\n1,B,BEAR,1,2030-12-01,1,7\n")
    (order,) = replay_letter(shop.dead_letters()[1], received_at=later)
    assert len(order.event.lines) == 2
    assert order.event.event_id == order_event_id("1")


def test_a_letter_that_is_still_wrong_stays_wrong(shop: ImportShop) -> None:
    shop.run(CLICK_HEADER.encode() + b"1,1,view,\xff,\n1,1,view\n", options=CLICKS)
    for letter in shop.dead_letters():
        with pytest.raises(MalformedEvent):
            replay_letter(letter, received_at=NOW)


def test_letters_are_kept_once_when_an_import_is_repeated(shop: ImportShop) -> None:
    content = CLICK_HEADER + "x,1,view,A,\n"
    shop.run(content, options=CLICKS)
    shop.run(content + "x,2,view,A,\n", options=CLICKS)
    assert len(shop.dead_letters()) == 2


def test_a_file_nothing_of_which_can_be_read_is_refused_as_a_whole(shop: ImportShop) -> None:
    with pytest.raises(ConfigurationError, match="is the mapping right"):
        shop.run(CLICK_HEADER + "x,1,view,A,\n" * 1_000, options=CLICKS)
    assert shop.dead_letters() == []


def test_an_order_of_too_many_lines_is_cut_and_told(shop: ImportShop) -> None:
    report = shop.run(HEADER + "1,A,APPLE,1,2010-12-01,1,7\n" * 10_002)
    assert report.refused["order_too_long"].count == 2


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_in_the_header(shop: ImportShop, delimiter: str) -> None:
    rows = "\ufefftimestamp,customer,event,product\r\n2020-01-01,7,view,A\r\n\r\n".replace(",", delimiter)
    assert shop.run(rows, options=ImportOptions()).accepted["product_viewed"] == 1


def test_cells_may_be_quoted_and_span_lines(shop: ImportShop) -> None:
    shop.run(HEADER + '1,A,"RED,\n""BIG"" APPLE",1,2010-12-01,1,7\n')
    assert shop.all_of(ProductUpserted)[0].product.title == 'RED, "BIG" APPLE'


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (ImportOptions(columns={"colour": "x"}), "no field 'colour'; fields are event, timestamp"),
        (ImportOptions(constants={"colour": "x"}), "no field 'colour'"),
        (ImportOptions(columns={"product": "sku"}), "no column 'sku' for product; columns are timestamp, visitorid"),
        (ImportOptions(columns={"timestamp": "event"}), None),
    ],
)
def test_a_wrong_mapping_is_told_with_what_there_is(
    shop: ImportShop, options: ImportOptions, message: str | None
) -> None:
    if message is None:
        shop.run(CLICK_HEADER, options=options)
    else:
        with pytest.raises(ConfigurationError, match=message) as caught:
            shop.run(CLICK_HEADER, options=options)
        assert caught.value.code == "wrong_usage"


def test_event_and_timestamp_are_needed(shop: ImportShop) -> None:
    with pytest.raises(ConfigurationError, match="the field event is needed"):
        shop.run("timestamp,product\n", options=ImportOptions())


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"\n\n", "it has no header"),
        (gzip.compress(b"a,b\n" * 100_000, mtime=0)[:-20], "damaged or cut short"),
        (gzip.compress(b"event,timestamp\nview,2020-01-01\n" * 9, mtime=0)[:-8] + b"12345678", "damaged or cut short"),
        (b"PK\x03\x04....", "zip archive"),
        ("a,b\n".encode("utf-16"), "UTF-16"),
    ],
)
def test_an_unreadable_file_is_refused_before_anything_is_taken(shop: ImportShop, content: bytes, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        shop.run(content, options=ImportOptions(constants={"event": "view", "timestamp": "2020-01-01"}))
    assert shop.events() == []


def test_a_missing_file_and_a_folder_are_refused(shop: ImportShop, tmp_path: Path) -> None:
    for path, why in ((tmp_path / "none.csv", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigurationError, match=why):
            import_file(path, "csv", ImportOptions(), shop.targets)


def test_standard_input_is_read_too(shop: ImportShop) -> None:
    stream = io.BytesIO(gzip.compress(b"timestamp,customer,event,product\n2020-01-01,7,view,A\n", mtime=0))
    report = import_file(None, "csv", ImportOptions(), shop.targets, stream=stream)
    assert (report.file, report.rows) == ("standard input", 1)


def test_an_unknown_dialect_lists_the_known_ones(shop: ImportShop) -> None:
    with pytest.raises(ConfigurationError, match="there are csv, segment"):
        shop.run("x\n", dialect="morse")


def test_times_can_be_shifted_so_that_history_ends_now(shop: ImportShop, tmp_path: Path) -> None:
    rows = HEADER + "1,A,APPLE,1,2010-12-01,1,7\n2,A,APPLE,1,2010-12-03,1,7\n"
    moved = ImportOptions(columns={"order": "InvoiceNo"}, constants={"event": "view"}, shift=timedelta(days=1))
    options = ImportOptions(
        columns={"order": "InvoiceNo", "product": "StockCode", "timestamp": "InvoiceDate", "customer": "CustomerID"},
        constants={"event": "order"},
        shift_to=NOW,
    )
    shop.run(rows, options=options)
    assert [order.occurred_at for order in shop.all_of(OrderCompleted)] == [NOW - timedelta(days=2), NOW]
    assert newest_time(tmp_path / "a.csv", "csv", options) == datetime(2010, 12, 3, tzinfo=UTC)
    assert moved.shift == timedelta(days=1)
