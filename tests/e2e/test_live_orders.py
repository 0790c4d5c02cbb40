"""What happens now is in the next answer: orders, cancellations and views, without any training in between."""

from __future__ import annotations

import random
import time

import pytest

from tests.e2e.test_contract_calls import invoices_by_product
from tests.support.client import ids
from tests.support.service import Service, wait_for
from tests.support.small_shop import MUGS, PLATES, order, view

FRESH_WITHIN_S = 1.0
CUSTOMERS = 30


def orders_in_common(service: Service, product: str, other: str) -> int | None:
    """The evidence for a pair in an answer of standard length; None where the pair is not in it."""
    for item in service.row("product.bought-together", product_ids=product):
        if item["product_id"] == other and item["reason"]["kind"] == "bought_together":
            orders: int = item["reason"]["evidence"]["orders"]
            return orders
    return None


def strangers(rng: random.Random, count: int) -> list[tuple[str, str]]:
    """Pairs never bought together: the most popular product with one hardly anybody buys, and others by chance."""
    invoices = invoices_by_product()
    known = sorted(product for product in invoices if product[:5].isdigit())
    popular = max(known, key=lambda product: len(invoices[product]))
    rare = [product for product in known if len(invoices[product]) <= 3]
    pairs = [(popular, rng.choice([other for other in rare if not invoices[other] & invoices[popular]]))]
    while len(pairs) < count:
        one, other = rng.sample(known, 2)
        if not invoices[one] & invoices[other] and not {one, other} & {each for pair in pairs for each in pair}:
            pairs.append((one, other))
    return pairs


def test_thirty_orders_of_strangers_are_bought_together_within_a_second(live_example: Service) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    for number, (one, other) in enumerate(strangers(random.Random(seed), 4)):
        assert orders_in_common(live_example, one, other) is None
        placed = [order(f"live-{number}-{each}", one, other, customer=f"new-{each}") for each in range(CUSTOMERS)]
        for each in placed:
            assert live_example.tell(each) == ["accepted"]
        told_at = time.monotonic()
        for product, partner in ((one, other), (other, one)):
            assert orders_in_common(live_example, product, partner) == CUSTOMERS, (product, partner, seed)
        print(f"{one} and {other}: answered {time.monotonic() - told_at:.3f} s after the last order")

        assert live_example.tell(*placed) == ["repeated"] * CUSTOMERS
        again = {**placed[0], "event_id": "another-id", "customer_id": "somebody-else"}
        assert live_example.tell(again) == ["repeated"], "an order counts once, whoever reports it"
        assert orders_in_common(live_example, one, other) == CUSTOMERS

        cancelled = {"event_id": f"c-{number}", "type": "order_cancelled", "order_id": f"live-{number}-7"}
        assert live_example.tell({**cancelled, "customer_id": "new-7"}) == ["accepted"]
        assert orders_in_common(live_example, one, other) == CUSTOMERS - 1
        assert live_example.tell({**cancelled, "customer_id": "new-7"}) == ["repeated"]
        assert orders_in_common(live_example, other, one) == CUSTOMERS - 1


def test_the_cancellation_of_an_order_that_was_imported_takes_it_away(live_example: Service) -> None:
    (item,) = live_example.row("product.bought-together", product_ids="85123A", limit=1)
    before, partner = item["reason"]["evidence"]["orders"], item["product_id"]
    invoices = invoices_by_product()
    invoice = min(invoices["85123A"] & invoices[partner])
    cancelled = {"event_id": "c-1", "type": "order_cancelled", "order_id": invoice}
    assert live_example.tell(cancelled) == ["accepted"], "shops often send nothing but the order's id"
    assert orders_in_common(live_example, "85123A", partner) == before - 1


def test_a_view_changes_the_next_page_of_that_customer_and_of_nobody_else(live_example: Service) -> None:
    live_example.tell(view("v-0", "22423", anonymous_id="passer-by"))  # the present: fifteen years after the history
    mine, theirs = (ids(live_example.row("home.for-you", customer_id=customer)) for customer in ("17850", "13047"))
    assert live_example.tell(view("v-1", "22423", customer_id="17850")) == ["accepted"]
    viewed = live_example.row("home.recently-viewed", customer_id="17850")
    assert viewed[0]["product_id"] == "22423"
    assert viewed[0]["reason"]["kind"] == "recently_viewed"
    assert ids(live_example.row("home.for-you", customer_id="17850")) != mine
    assert ids(live_example.row("home.for-you", customer_id="13047")) == theirs
    stranger = live_example.row("home.recently-viewed", customer_id="13047")
    assert "recently_viewed" not in {item["reason"]["kind"] for item in stranger}


def test_many_customers_at_once_each_see_their_own_last_view(live_small: Service) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def shop(number: int) -> None:
        for step in range(8):
            product = (MUGS + PLATES)[(number + step) % 10]
            told = live_small.tell(view(f"v-{number}-{step}", product, anonymous_id=f"visitor-{number}"))
            assert told == ["accepted"]
            (newest, *_) = live_small.row("home.recently-viewed", anonymous_id=f"visitor-{number}")
            assert newest["product_id"] == product

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(shop, range(12)))


def test_a_new_snapshot_is_taken_up_by_the_running_server_and_live_orders_stay_counted(live_small: Service) -> None:
    from tests.support.service import told

    before = live_small.get("/v1/recommendations/home.popular")["snapshot"]
    mug, plate = "mug-6", "plate-4"  # never bought before
    for number in range(3):
        live_small.tell(order(f"live-{number}", mug, plate, customer=f"c-{number}"))
    trained = told("train", data=live_small.folder)["snapshot_id"]
    assert trained != before
    for number in range(3, 6):
        live_small.tell(order(f"live-{number}", mug, plate, customer=f"c-{number}"))
    wait_for(
        lambda: live_small.get("/v1/recommendations/home.popular")["snapshot"] == trained, "the new snapshot to answer"
    )
    assert orders_in_common(live_small, mug, plate) == 6


@pytest.mark.parametrize("order_of_arrival", ["order first", "cancellation first"])
def test_a_cancelled_order_does_not_count_whichever_arrives_first(live_small: Service, order_of_arrival: str) -> None:
    placed = order("o-1", "mug-6", "plate-4", customer="c-1")
    cancelled = {"event_id": "c-1", "type": "order_cancelled", "order_id": "o-1", "customer_id": "c-1"}
    first, second = (placed, cancelled) if order_of_arrival == "order first" else (cancelled, placed)
    live_small.tell(first)
    live_small.tell(second)
    assert orders_in_common(live_small, "mug-6", "plate-4") is None
