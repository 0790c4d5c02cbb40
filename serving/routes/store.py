"""The demo store: a small shop over the catalogue, whose rows come from the public API like those of any other shop.

The pages are plain HTML and work without rows; `dangol.js` fills the rows and tells what happens, `store.js` keeps the
cart in the browser. Nothing here calls a model: what a page knows it gets from the catalogue, through `StoreCatalogue`.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Protocol

from flask import Blueprint, Response, abort, render_template, request, url_for
from werkzeug.exceptions import HTTPException

from ingest.vocabulary.products import Product
from serving.routes.pictures import pictures_blueprint
from serving.routes.shelves import CategoryPath, Shelf, Shelves

PAGE_SIZE = 24
PAGE_NUMBER_MAX = 10_000
SEARCH_RESULTS_MAX = 60
SEARCH_LENGTH_MAX = 200
LISTED_MAX = 60  # Products named in an event about a list: what the page shows.
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' http: https:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)
CURRENCY_SIGNS = {"GBP": "£", "EUR": "€", "USD": "$"}
AVAILABILITY_TEXTS = {
    "in_stock": "In stock, ready to send",
    "out_of_stock": "Sold out for now",
    "preorder": "Order ahead",
    "backorder": "On its way to us",
}
TITLE_WORD = re.compile(r"(?<![\w'’])[^\W\d_]+")
SMALL_WORDS = frozenset(
    ["a", "and", "as", "at", "by", "for", "from", "in", "is", "of", "on", "or", "the", "to", "with"]
)
NOT_FOUND = "We looked on every shelf, and it is not there."


class StoreCatalogue(Protocol):
    """What the store asks the catalogue. All methods may be called from any thread, and answer what is for sale now."""

    def product(self, product_id: str) -> Product | None:
        """A product, sold out or not; None if there is none of this id."""
        ...

    def products_in(self, category: CategoryPath, limit: int, offset: int) -> tuple[Sequence[Product], int]:
        """A page of the products on a category and below it, () being all, in a stable order; and their total."""
        ...

    def categories(self) -> Sequence[tuple[CategoryPath, int]]:
        """Every category, ancestors included, with the number of products on it and below it."""
        ...

    def search(self, words: str, limit: int) -> Sequence[Product]:
        """Products that fit the words, best first."""
        ...


def store_blueprint(catalogue: StoreCatalogue, *, key: str | None = None, varied: bool = False) -> Blueprint:
    """The pages of the store under `/`, and the pictures of its products.

    Args:
        key: a publishable key, where the API asks for one.
        varied: whether the home is what `/v1/homepage` answers; else it has rows of its own.
    """
    blueprint = Blueprint("store", __name__, template_folder="../templates")
    pages = _Pages(catalogue, key, varied)
    blueprint.add_url_rule("/", "home", pages.home)
    blueprint.add_url_rule("/c/<path:slug>", "category", pages.category)
    blueprint.add_url_rule("/p/<path:product_id>", "product", pages.product)
    blueprint.add_url_rule("/search", "search", pages.search)
    blueprint.add_url_rule("/cart", "cart", pages.cart)
    blueprint.register_blueprint(pictures_blueprint(catalogue.product))
    blueprint.register_error_handler(404, pages.not_found)
    blueprint.after_request(_harden)
    blueprint.add_app_template_filter(calm_title)
    blueprint.add_app_template_filter(money)
    return blueprint


class _Pages:
    """The views: each looks things up and renders one template."""

    def __init__(self, catalogue: StoreCatalogue, key: str | None, varied: bool) -> None:
        self._catalogue = catalogue
        self._key = key
        self._varied = varied

    def home(self) -> str:
        _, total = self._catalogue.products_in((), 1, 0)
        shelves = self._shelves()
        departments = [(shelf, self._first_product(shelf)) for shelf in shelves.below(())]
        return self._render("home", shelves, departments=departments, total=total, varied=self._varied)

    def category(self, slug: str) -> str:
        shelves = self._shelves()
        shelf = shelves.at(slug)
        if shelf is None:
            abort(404, NOT_FOUND)
        number = _page_number()
        products, total = self._catalogue.products_in(shelf.path, PAGE_SIZE, (number - 1) * PAGE_SIZE)
        if not products and number > 1:
            abort(404, NOT_FOUND)
        event = {"type": "list_viewed", "list_id": "category", "category": shelf.path, "product_ids": _ids(products)}
        return self._render(
            "category",
            shelves,
            event,
            shelf=shelf,
            trail=shelves.trail(shelf.path),
            below=shelves.below(shelf.path),
            products=products,
            total=total,
            number=number,
            pages=max(1, -(-total // PAGE_SIZE)),
        )

    def product(self, product_id: str) -> str:
        product = self._catalogue.product(product_id)
        if product is None:
            abort(404, NOT_FOUND)
        shelves = self._shelves()
        event = {"type": "product_viewed", "product_id": product.product_id}
        return self._render(
            "product",
            shelves,
            event,
            product=product,
            trail=shelves.trail(product.category),
            availability=AVAILABILITY_TEXTS[product.availability if product.sellable else "out_of_stock"],
        )

    def search(self) -> str:
        words = " ".join(request.args.get("q", "").split())[:SEARCH_LENGTH_MAX]
        products = self._catalogue.search(words, SEARCH_RESULTS_MAX) if words else ()
        event = {"type": "searched", "query": words, "results": len(products), "product_ids": _ids(products)}
        return self._render("search", self._shelves(), event if words else None, words=words, products=products)

    def cart(self) -> str:
        return self._render("cart", self._shelves())

    def not_found(self, error: HTTPException) -> tuple[str, int]:
        return self._render("not_found", self._shelves(), sentence=error.description), 404

    def _render(self, page: str, shelves: Shelves, event: dict[str, Any] | None = None, **values: Any) -> str:
        return render_template(
            f"store/{page}.html",
            page=page,
            event=event,
            key=self._key,
            departments_of_shop=shelves.below(()),
            product_url=url_for("store.product", product_id="0").removesuffix("0") + "{product_id}",
            image_url=url_for("store.pictures.picture", product_id="0").removesuffix("0.svg") + "{product_id}.svg",
            **values,
        )

    def _shelves(self) -> Shelves:
        return Shelves(self._catalogue.categories())

    def _first_product(self, shelf: Shelf) -> Product | None:
        products, _ = self._catalogue.products_in(shelf.path, 1, 0)
        return products[0] if products else None


def calm_title(title: str | None) -> str:
    """A title written all in capitals, with capitals where a title has them; any other as it is."""
    text = " ".join((title or "").split())
    if not text.isupper():
        return text
    calm = TITLE_WORD.sub(lambda word: word[0] if word[0] in SMALL_WORDS else word[0].capitalize(), text.lower())
    return calm[:1].upper() + calm[1:]


def money(price: Decimal | None, currency: str | None) -> str:
    """A price for people: £2.95, or 2.95 CHF where we know no sign."""
    if price is None:
        return ""
    sign = CURRENCY_SIGNS.get(currency or "")
    return f"{sign}{price:,.2f}" if sign else f"{price:,.2f} {currency or ''}".strip()


def _ids(products: Sequence[Product]) -> list[str]:
    return [product.product_id for product in products[:LISTED_MAX]]


def _page_number() -> int:
    raw = request.args.get("page", "1")
    number = int(raw) if raw.isdecimal() and raw.isascii() and len(raw) < 6 else 0
    if not 1 <= number <= PAGE_NUMBER_MAX:
        abort(404, NOT_FOUND)
    return number


def _harden(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", CONTENT_POLICY)
    response.headers.setdefault("Referrer-Policy", "strict-origin-when-cross-origin")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    return response
