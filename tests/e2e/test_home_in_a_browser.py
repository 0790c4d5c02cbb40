"""The demo store's home in a real browser: it differs for weather, device, source, time and visitor, to the eye."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingest.vocabulary.context import TrafficSource
from ingest.vocabulary.events import HomepageShown, ProductViewed, RankingClicked
from tests.support.browser import Browser, browsers
from tests.support.home_pictures import REGULAR, SCENES, Scene, seen, with_variants
from tests.support.service import Service, dangol, events_of, serving, told


@pytest.fixture
def browser_of(tmp_path: Path) -> Iterator[Callable[[], Browser]]:
    """Opens windows."""
    with browsers(tmp_path) as new:
        yield new


@pytest.fixture
def store(example_shop: Path, tmp_path: Path) -> Iterator[Service]:
    """The example shop with its variants, served."""
    with serving(with_variants(example_shop, tmp_path / "data")) as service:
        yield service


def test_the_examples_variants_have_nothing_wrong_with_them(example_shop: Path, tmp_path: Path) -> None:
    folder = with_variants(example_shop, tmp_path / "data")
    assert told("homepage", "lint", data=folder) == {"findings": [], "undecided": []}
    assert dangol("homepage", "preview", "--weather", "rain", data=folder).stdout.startswith("rain: ")


def test_the_home_differs_for_every_situation(store: Service, browser_of: Callable[[], Browser]) -> None:
    browser = browser_of()
    homes = {name: seen(browser, store.url, scene) for name, scene in SCENES.items()}
    assert not browser.complaints()
    assert {name: home["variant"] for name, home in homes.items()} == {
        "sun": "sun",
        "rain": "rain",
        "snow": "snow",
        "phone": "phone",
        "desktop": "new",
        "newsletter": "newsletter",
        "search-ad": "search-ad",
        "evening": "evening",
        "gifts": "gifts",
        "rain-on-a-phone": "rain",
        "regular": "regular",
    }
    differing = [home for name, home in homes.items() if name != "rain-on-a-phone"]
    assert len({home["headline"] for home in differing}) == len(differing)
    assert len({home["colour"] for home in differing}) == len(differing)
    first_rows = {name: next(iter(home["rows"].values())) for name, home in homes.items()}
    assert all(first_rows.values()), "every home has products"
    for home in homes.values():
        products = [product for row in home["rows"].values() for product in row]
        assert len(products) == len(set(products)), "no product twice"
    dry, wet = homes["sun"]["rows"]["Out of doors"], homes["rain"]["rows"]["For the way there"]
    for products, category in ((wet, "Hair, Scarves & Umbrellas"), (homes["snow"]["rows"]["Warm by morning"], "Home")):
        assert category in store.get(f"/v1/products/{products[0]}")["category"]
    assert not set(dry) & set(wet)


def test_what_brought_a_visitor_and_what_they_clicked_is_told(
    store: Service, browser_of: Callable[[], Browser]
) -> None:
    browser = browser_of()
    seen(browser, store.url, Scene("utm_source=letter&utm_medium=email&utm_campaign=may"))
    assert browser.run("return document.body.dataset.variant") == "newsletter"
    browser.click('[data-home="rows"] [data-product-id] a')
    browser.wait("return document.body.dataset.page === 'product' && document.readyState === 'complete'")
    browser.wait("return JSON.parse(localStorage.getItem('dangol.queue') || '[]').length === 0")
    store.stop()
    facts = events_of(store.folder)
    (home,) = [fact for fact in facts if isinstance(fact, HomepageShown)]
    (click,) = [fact for fact in facts if isinstance(fact, RankingClicked)]
    (view,) = [fact for fact in facts if isinstance(fact, ProductViewed)]
    assert click.request_id in home.rows
    assert view.request_id == click.request_id
    assert click.context is not None
    assert click.context.traffic_source == TrafficSource("letter", "email", "may")
    assert view.context is not None
    assert view.context.traffic_source is None, "within the visit nothing new brought them"
    assert home.facts["channel"] == "email"
    assert home.facts["visitor"] == "new"


def test_the_panel_pretends_and_says_why(store: Service, browser_of: Callable[[], Browser]) -> None:
    browser = browser_of()
    seen(browser, store.url, Scene("time=13:00&day=06-10&device=desktop"))
    browser.run("document.querySelector('[data-home=panel]').open = true")
    browser.run(
        "const field = document.querySelector('[data-home=panel] select[name=weather]'); field.value = 'snow,-2';"
        "field.dispatchEvent(new Event('change', { bubbles: true }))"
    )
    browser.wait("return location.search.includes('snow') && document.body.dataset.variant === 'snow'")
    why = browser.run("return document.querySelector('[data-home=why]').textContent")
    assert why.startswith("“snow”, because: weather is snow")
    assert browser.run("return document.querySelector('[data-home=panel] select[name=time]').value") == "13:00"
    browser.run("window.dangol.identify(arguments[0]); return window.dangol.flush()", REGULAR)
    browser.open(f"{store.url}/?device=desktop&time=13:00&day=06-10")
    browser.wait("return document.body.dataset.variant === 'regular'")
    assert not browser.complaints()
