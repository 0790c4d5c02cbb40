"""A visitor's history moves to the customer they turn out to be."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ingest.vocabulary.errors import Corrupt
from ingest.vocabulary.events import (
    ConsentChanged,
    CustomerErased,
    CustomerIdentified,
    Event,
    OrderCancelled,
    ProductAdded,
    ProductUpserted,
    ProductViewed,
    ProfileMerged,
    RankingShown,
    Recorded,
    WishlistAdded,
)
from ingest.vocabulary.ids import Position, content_id
from ingest.vocabulary.products import Product
from personalization.customer.merge import merged, merged_consent
from personalization.customer.profile import EMPTY, CartLine, Profile, Purchase, Recent, Wish, encode_profile
from personalization.customer.projection import ProfileProjection
from tests.support.history import CUSTOMER, OPENED, VISITOR, fact, folded, known, line, ms, order

PROJECTION = ProfileProjection()
MINE = known(
    fact(ProductViewed, 1, product_id="a"),
    fact(ProductAdded, 2, product_id="c", quantity=3),
    fact(WishlistAdded, 3, product_id="w"),
    fact(ConsentChanged, purposes={"ads": True, "mail": True}),
    order("o1", line("a"), at=4),
)
THEIRS = known(
    fact(ProductViewed, 5, product_id="a"),
    fact(ProductAdded, 6, product_id="c", quantity=1),
    fact(WishlistAdded, 0, product_id="w"),
    fact(WishlistAdded, 7, product_id="v"),
    fact(ConsentChanged, purposes={"ads": False, "personalization": True}),
    order("o2", line("a", 2), line("d"), at=8),
)


def recorded(event: Event, offset: int = 7) -> Recorded:
    return Recorded(Position(1, 3, offset), event)


IDENTIFIED = recorded(fact(CustomerIdentified, 9, known=CUSTOMER, imported=True))


def test_two_histories_become_one() -> None:
    both = merged(MINE, THEIRS, VISITOR)
    assert list(both.recents.items()) == [
        ("w", Recent(40, ms(3))),
        ("c", Recent(60, ms(6))),
        ("v", Recent(20, ms(7))),
        ("a", Recent(120, ms(8))),
        ("d", Recent(50, ms(8))),
    ]
    assert both.cart == {"c": CartLine(3, ms(6))}
    assert list(both.wishlist.items()) == [("w", Wish(ms(3))), ("v", Wish(ms(7)))]
    assert (both.orders, both.revenue_e4) == (2, {"GBP": 40_000})
    assert list(both.recent_orders) == ["o1", "o2"]
    assert both.purchased == {"a": Purchase(2, ms(8)), "d": Purchase(1, ms(8))}
    assert (both.first_seen_ms, both.last_seen_ms, both.views, both.sessions) == (ms(0), ms(8), 2, 2)
    assert both.consent == {"ads": False, "mail": True, "personalization": True}
    assert both.linked == (VISITOR,)
    assert both.merged_into is None


def test_it_does_not_matter_which_history_comes_first() -> None:
    assert encode_profile(merged(MINE, THEIRS, VISITOR)) == encode_profile(merged(THEIRS, MINE, VISITOR))


def test_nothing_merges_into_nothing() -> None:
    assert merged(EMPTY, EMPTY, VISITOR) == Profile(linked=(VISITOR,))
    assert replace(merged(EMPTY, MINE, VISITOR), linked=()) == MINE
    assert replace(merged(MINE, EMPTY, VISITOR), linked=()) == MINE


def test_a_merge_keeps_the_pointer_of_the_profile_it_goes_to() -> None:
    assert merged(Profile(merged_into=CUSTOMER), Profile(merged_into=VISITOR), VISITOR).merged_into == CUSTOMER


def test_merged_weight_has_a_bound() -> None:
    heavy = Profile(recents={"a": Recent(600, 1)})
    assert merged(heavy, heavy, VISITOR).recents == {"a": Recent(1_000, 1)}


def test_an_order_that_the_other_side_knows_to_be_cancelled_is_taken_back() -> None:
    told, cancelled = known(order("o", line("a"), at=1)), known(fact(OrderCancelled, 2, order_id="o"))
    for both in (merged(told, cancelled, VISITOR), merged(cancelled, told, VISITOR)):
        assert (both.orders, both.revenue_e4, both.purchased) == (0, {}, {})
        assert not both.recent_orders["o"].counted
        assert both.recent_orders["o"].at_ms == ms(1)


def test_a_refusal_of_either_is_a_refusal() -> None:
    assert merged_consent({"b": True, "a": True}, {"a": False, "c": True}) == {"a": False, "b": True, "c": True}
    assert list(merged_consent({"b": True}, {"a": False})) == ["a", "b"]


def test_twenty_links_are_kept_and_the_latest_stand_last() -> None:
    mine = Profile(linked=tuple(f"s{n}" for n in range(20)))
    assert merged(mine, Profile(linked=("t", "s1")), VISITOR).linked == (
        *(f"s{n}" for n in range(3, 20)),
        "t",
        "s1",
        VISITOR,
    )


def test_ten_currencies_survive_a_merge() -> None:
    mine, theirs = ({f"{side}{n}": 1 for n in range(6)} for side in "AB")
    both = merged(Profile(revenue_e4=mine), Profile(revenue_e4=theirs), VISITOR)
    assert both.revenue_e4 == {**mine, "B0": 1, "B1": 1, "B2": 1, "B3": 1}


def test_an_identification_moves_the_history_once() -> None:
    (moved,) = PROJECTION.consequences(MINE, IDENTIFIED)
    event = IDENTIFIED.event
    assert moved == ProfileMerged(
        event_id=content_id("merged", "1", "3", "7"),
        occurred_at=event.occurred_at,
        received_at=event.received_at,
        source="dangol",
        imported=True,
        subject=CUSTOMER,
        absorbed=VISITOR,
        profile=encode_profile(MINE),
    )
    assert PROJECTION.evolve(MINE, IDENTIFIED) == Profile(merged_into=CUSTOMER)
    assert folded(moved, profile=THEIRS) == merged(THEIRS, MINE, VISITOR)
    assert folded(moved) == replace(MINE, linked=(VISITOR,))


def test_a_second_identification_moves_the_remainder_only() -> None:
    pointer = PROJECTION.evolve(MINE, IDENTIFIED)
    again = recorded(fact(CustomerIdentified, 12, known=CUSTOMER), offset=9)
    assert PROJECTION.consequences(pointer, again) == ()
    late = PROJECTION.evolve(pointer, recorded(fact(ProductViewed, 11, product_id="z"), offset=8))
    (moved,) = PROJECTION.consequences(late, again)
    assert isinstance(moved, ProfileMerged)
    assert moved.event_id == content_id("merged", "1", "3", "9")
    assert not moved.imported
    assert known(moved).recents == {"z": Recent(10, ms(11))}
    assert PROJECTION.evolve(late, again) == Profile(merged_into=CUSTOMER)


@pytest.mark.parametrize("state", [None, EMPTY, Profile(merged_into=CUSTOMER)])
def test_where_there_is_nothing_to_move_nothing_follows(state: Profile | None) -> None:
    assert PROJECTION.consequences(state, IDENTIFIED) == ()


def test_only_an_identification_of_somebody_else_has_consequences() -> None:
    assert PROJECTION.consequences(MINE, recorded(fact(CustomerIdentified, known=VISITOR))) == ()
    assert PROJECTION.consequences(MINE, recorded(fact(ProductViewed, product_id="a"))) == ()


def test_the_projection_is_keyed_by_the_subject() -> None:
    upserted = ProductUpserted(
        event_id="e", occurred_at=OPENED, received_at=OPENED, product_id="a", product=Product(product_id="a")
    )
    shown = fact(RankingShown, request_id="r", placement="p", product_ids=())
    assert PROJECTION.name == "profile"
    assert PROJECTION.keys(IDENTIFIED) == (VISITOR,)
    assert PROJECTION.keys(recorded(upserted)) == ()
    assert PROJECTION.keys(recorded(shown)) == ()


def test_the_projection_forgets_who_is_erased() -> None:
    assert PROJECTION.evolve(MINE, recorded(fact(CustomerErased))) is None


def test_the_projection_keeps_profiles_as_they_are_encoded() -> None:
    assert PROJECTION.encode(MINE) == encode_profile(MINE)
    assert PROJECTION.decode(PROJECTION.encode(MINE)) == MINE


def test_a_history_that_cannot_be_read_stops_the_fold() -> None:
    moved = fact(ProfileMerged, absorbed=VISITOR, profile=b"")
    with pytest.raises(Corrupt):
        folded(moved)
