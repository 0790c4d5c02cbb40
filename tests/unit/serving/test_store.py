"""The demo store's pages: what they show, what they ask to be told, and what they never let through."""

import json
import re
from collections.abc import Sequence
from decimal import Decimal
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient

from ingest.vocabulary.ids import ProductId
from ingest.vocabulary.products import Product
from serving.routes.store import CategoryPath, calm_title, money, store_blueprint

HOSTILE = '"><script>alert(1)</script>'


class SmallCatalogue:
    """Thirty mugs, a candle that is sold out, and one product with a hostile title."""

    def __init__(self) -> None:
        mugs = [self._made(f"M{number}", f"RED MUG {number}", ("Kitchen", "Mugs & Cups")) for number in range(30)]
        candle = Product(product_id=ProductId("a/b"), title="Candle", category=("Home",), availability="out_of_stock")
        self._products = [*mugs, candle, self._made("X", HOSTILE, ("Küche/Bad",))]

    def product(self, product_id: str) -> Product | None:
        return next((product for product in self._products if product.product_id == product_id), None)

    def products_in(self, category: CategoryPath, limit: int, offset: int) -> tuple[Sequence[Product], int]:
        found = [product for product in self._products if product.category[: len(category)] == category]
        return found[offset : offset + limit], len(found)

    def categories(self) -> Sequence[tuple[CategoryPath, int]]:
        return [(("Kitchen",), 30), (("Kitchen", "Mugs & Cups"), 30), (("Home",), 1), (("Küche/Bad",), 1)]

    def search(self, words: str, limit: int) -> Sequence[Product]:
        return [product for product in self._products if words.lower() in (product.title or "").lower()][:limit]

    @staticmethod
    def _made(product_id: str, title: str, category: CategoryPath) -> Product:
        price = Decimal("2.5")
        return Product(product_id=ProductId(product_id), title=title, category=category, price=price, currency="GBP")


@pytest.fixture
def client() -> FlaskClient:
    catalogue = SmallCatalogue()
    app = Flask("serving")
    app.register_blueprint(store_blueprint(catalogue, key="pk_test"))
    return app.test_client()


def told(page: str) -> dict[str, object]:
    found = re.search(r'data-event="([^"]*)"', page)
    assert found
    event: dict[str, object] = json.loads(unescape(found[1]))
    return event


def placements(page: str) -> list[str]:
    return re.findall(r'data-dangol-placement="([^"]*)"', page)


@pytest.mark.parametrize(
    ("address", "rows"),
    [
        ("/", ["home.for-you", "home.recently-viewed", "home.buy-again", "home.popular"]),
        ("/c/kitchen", ["category.popular"]),
        ("/p/M1", ["product.bought-together", "product.similar"]),
        ("/cart", ["cart.cross-sell"]),
        ("/search?q=nothing+like+it", ["search.no-results"]),
        ("/search?q=mug", []),
    ],
)
def test_each_page_has_its_rows(client: FlaskClient, address: str, rows: list[str]) -> None:
    response = client.get(address)
    assert response.status_code == 200
    assert placements(response.text) == rows


def test_a_product_page_shows_the_product_and_tells_of_the_view(client: FlaskClient) -> None:
    page = client.get("/p/M1").text
    assert "Red Mug 1" in page
    assert "£2.50" in page
    assert told(page) == {"type": "product_viewed", "product_id": "M1"}
    assert 'href="/c/kitchen/mugs-and-cups"' in page


def test_a_sold_out_product_cannot_be_put_in_the_basket(client: FlaskClient) -> None:
    page = client.get("/p/a/b").text
    assert "Sold out" in page
    assert re.search(r'<button type="submit" class="button" disabled', page)


def test_a_category_is_paged_and_tells_what_it_shows(client: FlaskClient) -> None:
    first, second = client.get("/c/kitchen/mugs-and-cups").text, client.get("/c/kitchen/mugs-and-cups?page=2").text
    assert "Page 1 of 2" in first
    event = told(second)
    assert event["category"] == ["Kitchen", "Mugs & Cups"]
    assert event["product_ids"] == [f"M{number}" for number in range(24, 30)]
    assert placements(second) == []


def test_a_row_of_a_category_names_its_path(client: FlaskClient) -> None:
    page = client.get("/c/kitchen/mugs-and-cups").text
    found = re.search(r'data-category="([^"]*)"', page)
    assert found
    assert json.loads(unescape(found[1])) == ["Kitchen", "Mugs & Cups"]


def test_a_category_with_a_slash_and_an_umlaut_has_a_page(client: FlaskClient) -> None:
    assert "<h1>Küche/Bad</h1>" in client.get("/c/küche-bad").text


def test_every_product_has_a_picture(client: FlaskClient) -> None:
    address = re.findall(r'<img class="product-picture" src="([^"]*)"', client.get("/p/a/b").text)
    assert client.get(unescape(address[0])).mimetype == "image/svg+xml"


def test_a_search_tells_its_words_and_what_it_found(client: FlaskClient) -> None:
    event = told(client.get("/search?q=+red++mug+1 ").text)
    assert (event["type"], event["query"], event["results"]) == ("searched", "red mug 1", 11)
    assert "data-event" not in client.get("/search").text


@pytest.mark.parametrize(
    "address",
    ["/p/none", "/c/none", "/c/kitchen?page=3", "/c/kitchen?page=0", "/c/kitchen?page=x", "/c/kitchen?page=²"],
)
def test_what_is_not_there_is_a_friendly_404(client: FlaskClient, address: str) -> None:
    response = client.get(address)
    assert response.status_code == 404
    assert "The Regular" in response.text


@pytest.mark.parametrize("address", ["/p/X", "/c/küche-bad", "/search?q=" + HOSTILE.replace('"', "%22"), "/"])
def test_a_hostile_title_stays_text(client: FlaskClient, address: str) -> None:
    assert "<script>alert" not in client.get(address).text


def test_pages_need_no_inline_script_or_style(client: FlaskClient) -> None:
    response = client.get("/p/M1")
    assert "script-src 'self'" in response.headers["Content-Security-Policy"]
    assert not re.search(r"<script(?![^>]*\bsrc=)|\bstyle=|\son\w+=", response.text)
    assert 'data-key="pk_test"' in response.text


def test_titles_in_capitals_are_calmed_and_others_left_alone() -> None:
    assert calm_title("WHITE HANGING HEART  T-LIGHT HOLDER") == "White Hanging Heart T-Light Holder"
    assert calm_title("POPPY'S CUP OF TEA 11 PC") == "Poppy's Cup of Tea 11 Pc"
    assert calm_title("iPhone case by ACME") == "iPhone case by ACME"
    assert calm_title(None) == ""


def test_money_has_a_sign_where_we_know_one() -> None:
    assert money(Decimal("1234.5"), "GBP") == "£1,234.50"
    assert money(Decimal(3), "CHF") == "3.00 CHF"
    assert money(None, "GBP") == ""


def test_a_home_of_variants_waits_for_the_homepage_and_works_without_it() -> None:
    app = Flask("serving")
    app.register_blueprint(store_blueprint(SmallCatalogue(), varied=True))
    page = app.test_client().get("/").text
    assert placements(page) == [""], "the pattern of a row, which is filled by what is answered"
    assert "Lovely to see you again." in page
    for part in ("hero", "over", "headline", "text", "picture", "rows", "row", "waiting", "panel", "why"):
        assert f'data-home="{part}"' in page
