"""Laws of profiles, for any history."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ingest.vocabulary.context import Context, TrafficSource
from ingest.vocabulary.events import (
    CheckoutStarted,
    ConsentChanged,
    CustomerErased,
    CustomerIdentified,
    Event,
    Line,
    OrderCancelled,
    OrderCompleted,
    OrderRefunded,
    ProductAdded,
    ProductRemoved,
    ProductViewed,
    ProfileMerged,
    RankingShown,
    Recorded,
    WishlistAdded,
    WishlistRemoved,
)
from ingest.vocabulary.ids import Position
from personalization.customer import profile as bounds
from personalization.customer.merge import merged
from personalization.customer.profile import EMPTY, Profile, decode_profile, encode_profile
from personalization.customer.projection import ProfileProjection
from personalization.customer.reducer import evolve
from tests.support.history import CUSTOMER, VISITOR, fact, folded

PROJECTION = ProfileProjection()

products = st.integers(0, 400).map(lambda n: f"p{n:03d}")
moments = st.integers(0, 10_000_000)
quantities = st.integers(1, 5) | st.integers(1, 2**40)
prices = st.none() | st.decimals(0, 10**6, places=2) | st.decimals(allow_nan=True, allow_infinity=True)
order_ids = st.integers(0, 40).map(lambda n: f"o{n}")
words = st.none() | st.text("abc ", max_size=250)
contexts = st.none() | st.builds(
    lambda source: Context(traffic_source=source), st.none() | st.builds(TrafficSource, words, words, words)
)
purposes = st.dictionaries(st.text("abc", min_size=1, max_size=60), st.booleans(), max_size=30)


@st.composite
def lines(draw: st.DrawFn) -> tuple[object, ...]:
    size = draw(st.integers(0, 3) | st.integers(0, 130))
    first = draw(st.integers(0, 400))
    quantity, price = draw(quantities), draw(prices)
    return tuple(Line(f"p{(first + n) % 401:03d}", quantity, price) for n in range(size))


def facts() -> st.SearchStrategy[Event]:
    """Any fact about the visitor but identification, merge and erasure."""
    return st.one_of(
        st.builds(
            lambda at, product, told: fact(ProductViewed, at, product_id=product, context=told),
            moments,
            products,
            contexts,
        ),
        st.builds(
            lambda at, product, n: fact(ProductAdded, at, product_id=product, quantity=n), moments, products, quantities
        ),
        st.builds(
            lambda at, product, n: fact(ProductRemoved, at, product_id=product, quantity=n),
            moments,
            products,
            st.none() | quantities,
        ),
        st.builds(lambda at, product: fact(WishlistAdded, at, product_id=product), moments, products),
        st.builds(lambda at, product: fact(WishlistRemoved, at, product_id=product), moments, products),
        st.builds(lambda at, some: fact(CheckoutStarted, at, lines=some), moments, lines()),
        st.builds(
            lambda at, order_id, currency, some: fact(
                OrderCompleted, at, order_id=order_id, currency=currency, lines=some
            ),
            moments,
            order_ids,
            st.sampled_from([f"C{n:02d}" for n in range(12)]),
            lines(),
        ),
        st.builds(
            lambda at, order_id, some: fact(OrderRefunded, at, order_id=order_id, lines=some),
            moments,
            order_ids,
            lines(),
        ),
        st.builds(lambda at, order_id: fact(OrderCancelled, at, order_id=order_id), moments, order_ids),
        st.builds(lambda at, stated: fact(ConsentChanged, at, purposes=stated), moments, purposes),
    )


histories = st.lists(facts(), max_size=40)
many_views = st.lists(facts(), min_size=60, max_size=120)


def check_bounds(profile: Profile) -> None:
    for name, limit in (
        ("recents", bounds.recents_max),
        ("cart", bounds.cart_max),
        ("wishlist", bounds.wishlist_max),
        ("purchased", bounds.purchased_max),
        ("recent_orders", bounds.recent_orders_max),
    ):
        entries = getattr(profile, name)
        assert len(entries) <= limit
        order = [(entry.at_ms, key) for key, entry in entries.items()]
        assert order == sorted(order)
    assert sum(len(order.lines) for order in profile.recent_orders.values()) <= bounds.recent_order_lines_max
    assert len(profile.revenue_e4) <= bounds.currencies_max
    assert all(0 < amount <= bounds.revenue_e4_max for amount in profile.revenue_e4.values())
    assert len(profile.consent) <= bounds.consent_purposes_max
    assert len(profile.linked) <= bounds.linked_max
    assert all(0 < recent.weight <= bounds.weight_max for recent in profile.recents.values())
    assert all(0 < line.quantity <= bounds.quantity_max for line in profile.cart.values())
    assert profile.orders >= sum(order.counted for order in profile.recent_orders.values())
    assert len(encode_profile(profile)) <= 40_000


@given(histories | many_views)
@settings(max_examples=60, deadline=None)
def test_a_profile_keeps_its_bounds_whatever_happens(history: list[Event]) -> None:
    profile: Profile | None = None
    for event in history:
        profile = evolve(profile, event)
        check_bounds(profile or EMPTY)


@given(histories, st.integers(0, 40))
@settings(max_examples=60, deadline=None)
def test_a_fold_resumed_from_stored_bytes_equals_a_full_replay(history: list[Event], cut: int) -> None:
    halfway = folded(history[:cut])
    stored = None if halfway is None else decode_profile(encode_profile(halfway))
    resumed, replayed = folded(history[cut:], profile=stored), folded(history)
    assert resumed == replayed
    assert encode_profile(resumed or EMPTY) == encode_profile(replayed or EMPTY)


@given(histories)
@settings(max_examples=60, deadline=None)
def test_profiles_read_back_as_they_were_written(history: list[Event]) -> None:
    profile = folded(history) or EMPTY
    assert decode_profile(encode_profile(profile)) == profile


@given(histories, moments)
@settings(max_examples=40, deadline=None)
def test_a_shown_list_changes_nothing(history: list[Event], at: int) -> None:
    profile = folded(history)
    shown = fact(RankingShown, at, request_id="r", placement="home.popular", product_ids=("p001",))
    assert evolve(profile, shown) is profile


@given(histories, histories)
@settings(max_examples=60, deadline=None)
def test_a_merge_does_not_mind_which_history_comes_first_while_orders_are_distinct(
    one: list[Event], other: list[Event]
) -> None:
    apart = [
        replace(event, order_id=f"x{event.order_id}")
        if isinstance(event, OrderCompleted | OrderRefunded | OrderCancelled)
        else event
        for event in other
    ]
    mine, theirs = folded(one) or EMPTY, folded(apart) or EMPTY
    both = merged(mine, theirs, VISITOR)
    check_bounds(both)
    if len({**mine.revenue_e4, **theirs.revenue_e4}) <= bounds.currencies_max:
        assert encode_profile(both) == encode_profile(merged(theirs, mine, VISITOR))


@given(histories, histories)
@settings(max_examples=40, deadline=None)
def test_history_moves_once_however_often_the_identification_is_delivered(
    before: list[Event], known_before: list[Event]
) -> None:
    identification = Recorded(Position(1, 2, 99), fact(CustomerIdentified, 1, known=CUSTOMER))
    state = folded(before)
    first, again = (PROJECTION.consequences(state, identification) for _ in range(2))
    assert first == again
    appended = {event.event_id: event for event in (*first, *again)}
    customer = folded(known_before)
    for event in appended.values():
        assert isinstance(event, ProfileMerged)
        customer = evolve(customer, event)
    moved = state is not None and state != EMPTY
    assert len(appended) == moved
    if moved and state is not None:
        assert customer == merged(folded(known_before) or EMPTY, state, VISITOR)
    assert PROJECTION.evolve(state, identification) == Profile(merged_into=CUSTOMER)


@given(histories)
@settings(max_examples=20, deadline=None)
def test_who_is_erased_leaves_nothing(history: list[Event]) -> None:
    assert folded(history, fact(CustomerErased, 1)) is None


@given(histories, lines(), moments)
@settings(max_examples=60, deadline=None)
def test_a_cancelled_order_leaves_no_count_and_no_revenue(
    history: list[Event], some: tuple[object, ...], at: int
) -> None:
    before = folded(history) or EMPTY
    order = fact(OrderCompleted, at, order_id="fresh", currency="C00", lines=some)
    after = folded(order, fact(OrderCancelled, at, order_id="fresh"), profile=before) or EMPTY
    forgotten = "fresh" not in (evolve(before, order) or EMPTY).recent_orders
    assert after.orders == before.orders + forgotten
    if not forgotten:
        assert after.revenue_e4 == before.revenue_e4
        assert all(
            purchase.count == before.purchased[product].count
            for product, purchase in after.purchased.items()
            if product in before.purchased
        )
        assert set(after.purchased) <= set(before.purchased)


@given(st.lists(st.decimals(0, 10**6, places=4), min_size=1, max_size=20), st.integers(1, 100))
@settings(max_examples=60, deadline=None)
def test_revenue_is_the_exact_sum_of_the_lines(unit_prices: list[Decimal], quantity: int) -> None:
    order_lines = tuple(Line(f"p{n}", quantity, price) for n, price in enumerate(unit_prices))
    profile = folded(fact(OrderCompleted, 0, order_id="o", currency="GBP", lines=order_lines)) or EMPTY
    assert profile.revenue.get("GBP", Decimal(0)) == sum(price * quantity for price in unit_prices)
