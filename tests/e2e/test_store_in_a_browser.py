"""The demo store in a real browser: rows filled by the endpoint, clicks that come back as facts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.vocabulary.events import OrderCompleted, RankingClicked
from tests.support.browser import Browser, browser
from tests.support.service import Service, copy_of, events_of, serving, wait_for

MUGS = ("21868", "21877", "22303")


@pytest.fixture(scope="module")
def store(example_shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The example shop, served."""
    with serving(copy_of(example_shop, tmp_path_factory.mktemp("store") / "data")) as service:
        yield service


@pytest.fixture
def window(tmp_path: Path) -> Iterator[Browser]:
    """A visitor nobody has seen before."""
    with browser(tmp_path / "profile") as opened:
        yield opened


def clicks_of(store: Service) -> list[RankingClicked]:
    """The clicks on recommendations in the log."""
    return [event for event in events_of(store.folder) if isinstance(event, RankingClicked)]


def order_of(store: Service, order_id: str) -> OrderCompleted | None:
    """An order in the log."""
    orders = (event for event in events_of(store.folder) if isinstance(event, OrderCompleted))
    return next((order for order in orders if order.order_id == order_id), None)


def test_a_new_visitor_sees_rows_filled_by_the_endpoint(store: Service, window: Browser) -> None:
    window.go(store.url)
    assert len(window.products("home.for-you")) == 6
    assert len(window.products("home.popular")) == 6
    assert window.products("home.recently-viewed") == [], "nothing was looked at yet, and nothing else is shown instead"
    window.go(f"{store.url}/p/85123A")
    assert "21733" in window.products("product.bought-together")
    assert window.products("product.similar")
    reason = window.run(
        "return document.querySelector('[data-dangol-placement=\"product.bought-together\"] .card-reason').textContent"
    )
    assert reason.startswith("Often bought with")


def test_three_mugs_looked_at_change_the_home_page_on_the_next_load(store: Service, window: Browser) -> None:
    window.go(store.url)
    before = window.products("home.for-you")
    for mug in MUGS:
        window.go(f"{store.url}/p/{mug}")
        window.products("product.similar")
    window.go(store.url)
    after = window.products("home.for-you")
    assert set(after) != set(before)
    assert set(window.products("home.recently-viewed")) <= set(MUGS)
    assert window.products("home.recently-viewed")
    titles = window.run(
        "return [...document.querySelectorAll('[data-dangol-placement=\"home.for-you\"] .card-title')]"
        ".map(node => node.textContent.toLowerCase())"
    )
    assert any("mug" in title for title in titles), titles


def test_a_click_on_a_recommendation_becomes_a_fact_and_leads_to_the_product(store: Service, window: Browser) -> None:
    window.go(f"{store.url}/p/85123A")
    first = window.products("product.bought-together")[0]
    window.click('[data-dangol-placement="product.bought-together"] a')
    wait_for(lambda: window.address().endswith(f"/p/{first}"), "the product's page")
    clicks = wait_for(lambda: clicks_of(store), "the click in the log")
    assert (clicks[-1].placement, clicks[-1].position) == ("product.bought-together", 1)
    assert clicks[-1].product_id == first


def test_an_order_from_the_basket_reaches_the_log(store: Service, window: Browser) -> None:
    window.go(f"{store.url}/p/22423")
    window.click('[data-cart="add"] button')
    window.go(f"{store.url}/cart")
    assert "22423" not in window.products("cart.cross-sell")
    window.click('[data-cart="checkout"]')
    window.click('[data-cart="order"]')
    order_id = window.wait_for(
        "const id = document.querySelector('[data-cart=\"order-id\"]').textContent; return id", "the thanks"
    )
    order = wait_for(lambda: order_of(store, order_id), "the order in the log")
    assert [(line.product_id, line.quantity) for line in order.lines] == [("22423", 1)]
