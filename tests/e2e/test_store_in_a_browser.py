"""The demo store in a real browser: rows come from the interface, and what a visitor does changes the next page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import Browser, browsers
from tests.support.service import Service, events_of, told

FILLED = """
const rows = [...document.querySelectorAll("[data-dangol-placement]")];
const waiting = rows.filter((row) => !row.hidden && row.querySelector(".ghost"));
if (!rows.length || waiting.length || document.readyState !== "complete") return null;
return Object.fromEntries(rows.map((row) => [row.dataset.dangolPlacement, row.hidden ? [] :
    [...row.querySelectorAll("[data-dangol-items] > [data-product-id]")].map((card) => card.dataset.productId)]));
"""


@pytest.fixture
def browser_of(tmp_path: Path) -> Iterator[Callable[[], Browser]]:
    """Opens windows."""
    with browsers(tmp_path) as new:
        yield new


def rows_of_page(browser: Browser, url: str) -> dict[str, list[str]]:
    """The products of every row of a page, once all are filled."""
    browser.open(url)
    rows: dict[str, list[str]] = browser.wait(FILLED, what=f"the rows of {url}")
    return rows


def waiting(browser: Browser) -> bool:
    """Whether events wait to be sent."""
    return bool(browser.run("return JSON.parse(localStorage.getItem('dangol.queue') || '[]').length"))


def events(folder: Path, kind: str) -> list[Any]:
    return [event for event in events_of(folder) if type(event).__name__ == kind]


def test_a_visitor_looks_at_mugs_buys_one_and_the_shop_remembers(
    live_example: Service, browser_of: Callable[[], Browser]
) -> None:
    browser = browser_of()
    home = rows_of_page(browser, f"{live_example.url}/")
    assert len(home["home.for-you"]) == len(home["home.popular"]) == 6
    assert home["home.recently-viewed"] == home["home.buy-again"] == [], "a stranger has not looked at anything"
    shown = [product for row in home.values() for product in row]
    assert len(shown) == len(set(shown))
    assert not browser.complaints()

    found = live_example.row("category.popular", category="Kitchen", limit=40)
    mugs = [item["product_id"] for item in found if "CUP" in item["title"] or "MUG" in item["title"]][:3]
    assert len(mugs) == 3
    for mug in mugs:
        rows = rows_of_page(browser, f"{live_example.url}/p/{mug}")
        assert len(rows["product.bought-together"]) == len(rows["product.similar"]) == 6
    after = rows_of_page(browser, f"{live_example.url}/")
    assert after["home.for-you"] != home["home.for-you"]
    assert after["home.recently-viewed"] == [mug for mug in mugs[::-1] if mug not in after["home.for-you"]] != []

    rows_of_page(browser, f"{live_example.url}/p/{mugs[0]}")
    browser.click('[data-cart="add"] button')
    browser.wait("return document.querySelector('[data-cart=\"count\"]').textContent === '1'")
    cart = rows_of_page(browser, f"{live_example.url}/cart")
    assert len(cart["cart.cross-sell"]) == 6
    assert mugs[0] not in cart["cart.cross-sell"]
    browser.click('[data-cart="checkout"]')
    browser.click('[data-cart="order"]')
    browser.wait("return !document.querySelector('[data-cart=\"thanks\"]').hidden")
    browser.wait("return !JSON.parse(localStorage.getItem('dangol.queue') || '[]').length", what="the order to be sent")
    assert not browser.complaints()

    visitor = browser.run("return dangol.visitor().anonymous_id")
    again = live_example.row("home.buy-again", anonymous_id=visitor)
    assert (again[0]["product_id"], again[0]["reason"]["kind"]) == (mugs[0], "buy_again")
    live_example.stop()
    views = [event.product_id for event in events(live_example.folder, "ProductViewed")]
    assert views == [*mugs, mugs[0]]
    (placed,) = [event for event in events(live_example.folder, "OrderCompleted") if not event.imported]
    assert [line.product_id for line in placed.lines] == [mugs[0]]
    assert len(events(live_example.folder, "ProductAdded")) == len(events(live_example.folder, "CheckoutStarted")) == 1


def test_a_click_on_a_recommendation_arrives_in_the_log_with_the_row_it_came_from(
    live_example: Service, browser_of: Callable[[], Browser]
) -> None:
    browser = browser_of()
    home = rows_of_page(browser, f"{live_example.url}/")
    clicked = home["home.popular"][2]
    browser.click(f'[data-dangol-placement="home.popular"] [data-product-id="{clicked}"] a')
    browser.wait("return location.pathname.startsWith('/p/')", what="the product's page")
    browser.wait(FILLED, what="the rows of the product's page")
    browser.wait("return !JSON.parse(localStorage.getItem('dangol.queue') || '[]').length", what="events to be sent")
    live_example.stop()
    (click,) = events(live_example.folder, "RankingClicked")
    assert click.product_id == clicked
    shown = {event.request_id: event for event in events(live_example.folder, "RankingShown")}
    assert shown[click.request_id].placement == "home.popular"
    assert shown[click.request_id].product_ids[2] == clicked
    (view,) = events(live_example.folder, "ProductViewed")
    assert (view.product_id, view.request_id) == (clicked, click.request_id), "the view names the row that led there"
    assert "difference" not in told("replay", "--verify", data=live_example.folder)


def test_two_browsers_of_one_customer_share_what_was_viewed(
    live_example: Service, browser_of: Callable[[], Browser]
) -> None:
    first, second = browser_of(), browser_of()
    rows_of_page(first, f"{live_example.url}/p/22423")
    for browser in (first, second):
        rows_of_page(browser, f"{live_example.url}/")
        browser.run("dangol.identify('17850')")
        browser.wait(
            "return !JSON.parse(localStorage.getItem('dangol.queue') || '[]').length", what="the identification"
        )
    rows = rows_of_page(second, f"{live_example.url}/")
    everywhere = [product for row in rows.values() for product in row]
    assert "22423" in everywhere
    assert rows["home.buy-again"], "17850 is a regular"
    assert not first.complaints()
    assert not second.complaints()
