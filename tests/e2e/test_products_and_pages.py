"""Hard rules and pages: what may not be shown is never shown, and no product stands in two rows."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import ids
from tests.support.service import Service, copy_of, events_of, serving
from tests.support.small_shop import MUGS, PLATES, PRODUCTS, REGULAR, order, product, view

PLACEMENTS = ("home.popular", "home.for-you", "product.bought-together", "product.similar", "cart.cross-sell")


@pytest.fixture(scope="module")
def service(small_shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The small shop, served for the tests of this file that change nothing."""
    with serving(copy_of(small_shop, tmp_path_factory.mktemp("pages") / "data")) as running:
        yield running


FILTERS: list[tuple[dict[str, Any], dict[str, Any], Any]] = [
    ({"category": ["Plates"]}, {"filter.category": "Plates"}, lambda each: "Plates" in each["category"]),
    ({"brand": ["Potter"]}, {"filter.brand": "Potter"}, lambda each: each["brand"] == "Potter"),
    (
        {"price": {"min": 10, "max": 20}},
        {"filter.price.min": 10, "filter.price.max": 20},
        lambda each: 10 <= float(each["price"]) <= 20,
    ),
    ({"price": {"max": 5}}, {"filter.price.max": 5}, lambda each: float(each["price"]) <= 5),
    (
        {"attributes": {"colour": ["red"]}},
        {"filter.attributes.colour": "red"},
        lambda each: each["attributes"]["colour"] == "red",
    ),
    (
        {"brand": ["Potter", "Weaver"], "category": ["Mugs"], "price": {"min": 6}},
        {"filter.brand": "Potter,Weaver", "filter.category": "Mugs", "filter.price.min": 6},
        lambda each: "Mugs" in each["category"] and float(each["price"]) >= 6,
    ),
    ({"brand": ["Nobody"]}, {"filter.brand": "Nobody"}, lambda _: False),
]


@pytest.mark.parametrize(
    ("body", "query", "fits"), FILTERS, ids=lambda each: str(each)[:40] if isinstance(each, dict) else "fits"
)
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_filter_lets_through_all_that_fits_and_nothing_else(
    service: Service, placement: str, body: dict[str, Any], query: dict[str, Any], fits: Any
) -> None:
    expected = {each["product_id"] for each in PRODUCTS if fits(each)}
    asked: dict[str, Any] = {"customer_id": REGULAR, "product_ids": ["mug-6"]}
    posted = ids(service.post(f"/v1/recommendations/{placement}", {**asked, "filter": body})["items"])
    assert posted == ids(service.row(placement, **asked, **query))
    assert set(posted) == expected - {"mug-6"}, "a product asked about is not shown"


def test_excluded_products_never_come(service: Service) -> None:
    excluded = [*MUGS[:3], PLATES[0]]
    for placement in PLACEMENTS:
        found = ids(service.row(placement, product_ids="mug-6", customer_id=REGULAR, exclude=",".join(excluded)))
        assert found
        assert not set(found) & set(excluded)
        assert ids(service.row(placement, product_ids="mug-6", customer_id=REGULAR, exclude=excluded)) == found
    assert service.row("home.popular", exclude=",".join(MUGS + PLATES)) == []


@pytest.mark.parametrize("who", [{}, {"customer_id": REGULAR}, {"anonymous_id": "a-1"}], ids=str)
def test_no_product_stands_in_two_rows_of_a_page(service: Service, who: dict[str, str]) -> None:
    asked = {"placements": [*PLACEMENTS, "home.recently-viewed"], "limit": 2, "product_ids": ["mug-6"], **who}
    rows = service.post("/v1/recommendations", asked)["rows"]
    assert [row["placement"] for row in rows] == asked["placements"]
    shown = [product_id for row in rows for product_id in ids(row["items"])]
    assert len(shown) == len(set(shown)) > 6


def test_what_fills_up_one_row_is_not_taken_from_what_another_is_about(live_small: Service) -> None:
    live_small.tell(*(view(f"v-{each}", each, anonymous_id="a-1") for each in ("mug-2", "mug-3")))
    rows = live_small.post(
        "/v1/recommendations",
        {"placements": ["home.buy-again", "home.recently-viewed"], "limit": 4, "anonymous_id": "a-1"},
    )["rows"]
    assert ids(rows[1]["items"])[:2] == ["mug-3", "mug-2"]
    shown = [product_id for row in rows for product_id in ids(row["items"])]
    assert len(shown) == len(set(shown)) == 8


def test_no_product_stands_in_two_rows_of_the_example_s_cart(example_service: Service) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    popular = ids(example_service.row("home.popular", limit=100))
    placements = ["home.for-you", "cart.cross-sell", "product.similar", "home.popular", "product.bought-together"]
    for _ in range(10):
        cart = rng.sample(popular, 5)
        rows = example_service.post(
            "/v1/recommendations",
            {"placements": rng.sample(placements, 5), "product_ids": cart, "customer_id": "17850", "limit": 20},
        )["rows"]
        shown = [product_id for row in rows for product_id in ids(row["items"])]
        assert len(shown) == len(set(shown)) == 100, seed


def test_the_placements_of_a_page_have_their_limits(service: Service) -> None:
    for placements in ([], ["home.popular"] * 21, "home.popular", [1], [""]):
        assert service.send_json("POST", "/v1/recommendations", {"placements": placements}).status == 400
    unknown = service.send_json("POST", "/v1/recommendations", {"placements": ["home.popular", "x"]})
    assert (unknown.status, unknown.json["code"]) == (404, "unknown_placement")


def never_shown(service: Service, product_id: str) -> bool:
    """Whether no row of any kind has a product."""
    asked = {"customer_id": REGULAR, "product_ids": ["mug-2", "plate-2"], "limit": 100}
    placements = service.send("GET", "/v1/recommendations/x").json["known"]
    rows = [service.post(f"/v1/recommendations/{placement}", asked)["items"] for placement in placements]
    assert any(rows)
    return all(product_id not in ids(row) for row in rows)


def test_a_sold_out_or_deleted_product_is_in_no_answer_from_the_next_one_on(live_small: Service) -> None:
    live_small.tell(view("v-1", "mug-1", customer_id=REGULAR), order("o-1", "mug-1", customer=REGULAR))
    assert not never_shown(live_small, "mug-1")
    change = "/v1/products/mug-1"
    for away, back in (
        ({"availability": "out_of_stock"}, {"availability": "in_stock"}),
        ({"stock": 0}, {"stock": 3}),
    ):
        assert live_small.send_json("PATCH", change, away).status == 200
        assert never_shown(live_small, "mug-1"), away
        assert live_small.send_json("PATCH", change, back).status == 200
        assert not never_shown(live_small, "mug-1"), back
    assert live_small.send_json("PUT", change, product("mug-1", availability="out_of_stock")).status == 200
    assert never_shown(live_small, "mug-1")
    assert live_small.send_json("PUT", change, product("mug-1")).status == 200
    assert not never_shown(live_small, "mug-1")

    assert live_small.send("DELETE", change).status == 204
    assert never_shown(live_small, "mug-1")
    assert live_small.send("GET", change).status == 404
    assert live_small.send("DELETE", change).status == 404
    assert live_small.send_json("PATCH", change, {"price": "1.00"}).status == 404
    live_small.tell(*(order(f"late-{number}", "mug-1", "mug-2") for number in range(5)))
    assert never_shown(live_small, "mug-1"), "orders that are still told bring nothing back"
    assert live_small.send_json("PUT", change, product("mug-1")).status == 200
    assert not never_shown(live_small, "mug-1")


def test_a_product_stated_now_can_be_recommended_and_a_changed_price_is_in_the_next_answer(live_small: Service) -> None:
    stated = live_small.send_json("PUT", "/v1/products/mug-7", product("mug-7"))
    assert (stated.status, stated.json["price"]) == (200, "35.00")
    live_small.tell(*(order(f"o-{number}", "mug-7", "plate-4", customer=f"c-{number}") for number in range(5)))
    (first, *_) = live_small.row("product.bought-together", product_ids="plate-4")
    assert (first["product_id"], first["price"], first["title"]) == ("mug-7", "35.00", "Mug number 7")
    live_small.send_json("PATCH", "/v1/products/mug-7", {"price": "30.00", "sale_price": "20.00"})
    (first, *_) = live_small.row("product.bought-together", product_ids="plate-4")
    assert first["price"] in ("20.00", "30.00")
    assert live_small.row("home.popular", **{"filter.price.min": 36}) == []
    live_small.send_json("PATCH", "/v1/products/mug-7", {"title": "The mug"})
    assert live_small.row("category.popular", category="Mugs", limit=1)[0]["title"] == "The mug"


def test_a_batch_of_products_is_answered_one_by_one(live_small: Service) -> None:
    batch = [product("mug-8"), {"title": "nameless"}, product("mug-9", price="-1"), product("plate-9")]
    results = live_small.post("/v1/products", {"products": batch})["results"]
    assert [result["status"] for result in results] == ["accepted", "refused", "refused", "accepted"]
    assert live_small.get("/v1/products/plate-9")["title"] == "Plate number 9"
    assert live_small.send("GET", "/v1/products/mug-9").status == 404


def test_an_anonymous_visitor_s_views_count_after_they_are_known(live_small: Service) -> None:
    live_small.tell(view("v-1", "mug-6", anonymous_id="a-1"), view("v-2", "plate-4", anonymous_id="a-1"))
    live_small.tell({"event_id": "i", "type": "customer_identified", "anonymous_id": "a-1", "customer_id": "ada"})
    for who in ({"customer_id": "ada"}, {"anonymous_id": "a-1"}, {"customer_id": "ada", "anonymous_id": "elsewhere"}):
        row = live_small.row("home.recently-viewed", **who)
        assert ids(row)[:2] == ["plate-4", "mug-6"], who
    live_small.tell(view("v-3", "mug-5", anonymous_id="a-1"))
    assert ids(live_small.row("home.recently-viewed", customer_id="ada"))[:3] == ["mug-5", "plate-4", "mug-6"]
    live_small.tell({"event_id": "i2", "type": "customer_identified", "anonymous_id": "a-2", "customer_id": "ada"})
    live_small.tell(view("v-4", "mug-4", anonymous_id="a-2"))
    assert ids(live_small.row("home.recently-viewed", anonymous_id="a-1"))[0] == "mug-4", "one customer, two browsers"
    other = live_small.row("home.recently-viewed", customer_id="bob")
    assert "recently_viewed" not in {item["reason"]["kind"] for item in other}


def test_a_visitor_who_does_not_agree_is_not_watched_and_still_orders(live_small: Service) -> None:
    consent = {"event_id": "k", "type": "consent_changed", "anonymous_id": "a-1", "purposes": {"analytics": False}}
    assert live_small.tell(consent) == ["accepted"]
    (result,) = live_small.post("/v1/events", {"events": [view("v-1", "mug-6", anonymous_id="a-1")]})["results"]
    assert (result["status"], result["code"]) == ("refused", "consent_denied")
    assert live_small.tell(order("o-1", "mug-6", anonymous_id="a-1")) == ["accepted"]


def test_every_shown_list_is_in_the_log_after_an_orderly_stop(live_small: Service) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def ask(number: int) -> list[tuple[str, list[str]]]:
        if number % 5 == 0:
            rows = live_small.post("/v1/recommendations", {"placements": ["home.popular", "home.for-you"], "limit": 3})
            return [(row["request_id"], ids(row["items"])) for row in rows["rows"]]
        answer = live_small.get("/v1/recommendations/home.for-you", customer_id=f"c-{number % 7}")
        return [(answer["request_id"], ids(answer["items"]))]

    with ThreadPoolExecutor(8) as pool:
        answered = dict(each for answers in pool.map(ask, range(200)) for each in answers)
    assert live_small.stop() == 0
    shown = {
        event.request_id: list(event.product_ids)
        for event in events_of(live_small.folder)
        if type(event).__name__ == "RankingShown"
    }
    assert shown == answered
    assert len(shown) == 240


def test_a_click_is_told_with_the_token_of_its_row_and_a_foreign_token_is_refused(live_small: Service) -> None:
    answer = live_small.get("/v1/recommendations/home.popular", anonymous_id="a-1")
    item = answer["items"][2]
    click = {
        "event_id": "k-1", "type": "ranking_clicked", "anonymous_id": "a-1", "request_id": answer["request_id"],
        "product_id": item["product_id"], "click_token": item["click_token"],
    }  # fmt: skip
    assert live_small.tell(click) == ["accepted"]
    other = {**click, "event_id": "k-2", "click_token": item["click_token"][:-2] + "AA"}
    assert live_small.tell(other) == ["refused"]


def test_a_product_moved_to_another_category_is_there_and_not_here_in_the_next_answer(live_small: Service) -> None:
    def popular_in(category: str) -> list[str]:
        items = live_small.row("category.popular", category=category)
        return ids([each for each in items if each["reason"]["kind"] == "popular"])

    assert "mug-2" in popular_in("Mugs")
    moves = {("Kitchen", "Plates"): ("Plates", "Mugs"), ("Garden", "Pots"): ("Pots", "Plates")}
    for category, (there, here) in moves.items():
        live_small.post("/v1/products", {"products": [product("mug-2", category=list(category))]})
        assert "mug-2" in popular_in(there)
        assert "mug-2" not in popular_in(here)
    assert live_small.stop() == 0
    with serving(live_small.folder) as again:
        live = ids(again.row("category.popular", category="Pots"))
        assert live[0] == "mug-2", "the catalogue, not the snapshot, says where a product is"
