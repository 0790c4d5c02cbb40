"""Laws of rows, for any shop, any models and any request."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.vocabulary.events import Event, ProductAdded, ProductViewed
from ingest.vocabulary.ids import ProductId
from personalization.customer.profile import EMPTY, Profile
from personalization.page.feed import Ranking, rank, rank_page
from personalization.page.filters import allowed
from personalization.page.placements import DEFAULT_PLACEMENTS, STRATEGIES, Pin, Placement
from personalization.page.reasons import items
from personalization.page.request import Filter, PriceRange, RowRequest
from tests.support.history import fact, folded, line, order
from tests.support.shop import PlainModels, PlainShelf, product

IDS = [ProductId(f"p{n:02d}") for n in range(40)]
product_ids = st.sampled_from(IDS)
some_ids = st.lists(product_ids, max_size=8, unique=True)


@st.composite
def shelves(draw: st.DrawFn) -> PlainShelf:
    size = draw(st.integers(0, 40))
    products = [
        product(
            IDS[n],
            category=draw(st.sampled_from([(), ("A",), ("A", "B"), ("C",)])),
            brand=draw(st.sampled_from([None, "x", "y"])),
            price=draw(st.sampled_from([None, Decimal(1), Decimal(5)])),
            availability=draw(st.sampled_from(["in_stock", "in_stock", "out_of_stock"])),
            item_group_id=draw(st.sampled_from([None, None, "g", "h"])),
            attributes=draw(st.sampled_from([{}, {"colour": "red"}])),
        )
        for n in range(size)
    ]
    shelf = PlainShelf(products, deleted=draw(some_ids))
    for product_id in IDS:  # the index knows more products than the shelf does
        shelf.index.add(product_id)
    return shelf


ASKED = (
    "bought_together",
    "similar",
    "other_styles",
    "for_you",
    "next_item",
    "basket",
    "trending",
    "popular",
)
kinds_of_things = st.lists(st.integers(0, 5), min_size=len(IDS), max_size=len(IDS)).map(
    lambda kinds: [[each for each, of in zip(IDS, kinds, strict=True) if of == kind] for kind in range(4)]
)
offers = st.fixed_dictionaries(
    {**dict.fromkeys(ASKED, some_ids), "commonplace": some_ids, "of_a_kind": kinds_of_things}
)
filters = st.none() | st.builds(
    Filter,
    category=st.sampled_from([(), ("A",), ("A > B", "C")]),
    brand=st.sampled_from([(), ("x",), ("x", "y")]),
    price=st.sampled_from([None, PriceRange(min=2), PriceRange(1, 5)]),
    attributes=st.sampled_from([{}, {"colour": ("red",)}]),
)
requests = st.builds(
    RowRequest,
    product_ids=st.lists(product_ids, max_size=2).map(tuple),
    category=st.sampled_from([None, "A", "nowhere"]),
    limit=st.none() | st.integers(1, 30),
    exclude=some_ids.map(tuple),
    filter=filters,
    explain=st.booleans(),
)
placements = st.sampled_from(list(DEFAULT_PLACEMENTS.values())) | st.builds(
    Placement,
    name=st.just("x"),
    chain=st.lists(st.sampled_from(STRATEGIES), min_size=1, max_size=4, unique=True).map(tuple),
    limit=st.integers(1, 20),
    exclude_seeds=st.booleans(),
    exclude_purchased_days=st.sampled_from([None, 1, 400]),
    same_category=st.booleans(),
    one_per_group=st.booleans(),
    complements_first=st.booleans(),
    category_max=st.sampled_from([None, 1, 2]),
    brand_max=st.sampled_from([None, 1, 2]),
    pins=st.lists(
        st.builds(Pin, product_ids, st.integers(1, 20)),
        max_size=3,
        unique_by=(lambda p: p.product_id, lambda p: p.position),
    ).map(tuple),
    exclude=some_ids.map(tuple),
)
facts: st.SearchStrategy[Event] = st.one_of(
    st.builds(lambda at, pid: fact(ProductViewed, at, product_id=pid), st.integers(0, 10**6), product_ids),
    st.builds(lambda at, pid: fact(ProductAdded, at, product_id=pid), st.integers(0, 10**6), product_ids),
    st.builds(lambda at, pid: order(f"o{at}", line(pid), at=at), st.integers(0, 10**6), product_ids),
)
profiles = st.lists(facts, max_size=12).map(folded)


def shown(ranking: Ranking) -> list[int]:
    return [pick.product_index for pick in ranking.picks]


def showable(shelf: PlainShelf, request: RowRequest, placement: Placement, profile: Profile | None) -> list[int]:
    """What the hard filters leave of the whole shop."""
    everything = np.arange(len(shelf.products), dtype=np.int32)
    blocked = {*request.product_ids, *request.exclude, *placement.exclude}
    if placement.exclude_seeds:
        blocked |= set((profile or EMPTY).cart)
    passing = everything[allowed(everything, shelf, request.filter)].tolist()
    return [row for row in passing if shelf.product_id(row) not in blocked]


@given(shelves(), offers, requests, placements, profiles)
@settings(max_examples=120, deadline=None)
def test_a_row_breaks_no_hard_filter_repeats_nothing_and_is_full_when_it_can_be(
    shelf: PlainShelf, offered: dict[str, Any], request: RowRequest, placement: Placement, profile: Profile | None
) -> None:
    ranking = rank(request, placement, profile, shelf, PlainModels(shelf, **offered))
    row, may_show = shown(ranking), showable(shelf, request, placement, profile)
    limit = placement.limit if request.limit is None else request.limit
    assert set(row) <= set(may_show)
    assert len(set(row)) == len(row)
    groups = [shelf.item_group.item(each) for each in row]
    distinct = {(shelf.item_group.item(each), -1 if shelf.item_group.item(each) >= 0 else each) for each in may_show}
    if placement.one_per_group:
        grouped = [group for group in groups if group >= 0]
        assert len(set(grouped)) == len(grouped)
        assert len(row) == min(limit, len(distinct))
    else:
        assert len(row) == min(limit, len(may_show))
    assert ranking == rank(request, placement, profile, shelf, PlainModels(shelf, **offered))
    scores = [pick.score for pick in ranking.picks]
    assert scores == sorted(scores, reverse=True)
    assert bool(ranking.steps) <= request.explain
    if request.explain:
        pinned = sum(pick.kind == "pinned" for pick in ranking.picks)
        assert sum(step.taken for step in ranking.steps) == len(row) - pinned


@given(shelves(), offers, requests, placements, profiles)
@settings(max_examples=30, deadline=None)
def test_items_stand_for_their_picks(
    shelf: PlainShelf, offered: dict[str, Any], request: RowRequest, placement: Placement, profile: Profile | None
) -> None:
    ranking = rank(request, placement, profile, shelf, PlainModels(shelf, **offered))
    row = items(ranking.picks, profile, shelf)
    assert [item.product_id for item in row] == [shelf.product_id(each) for each in shown(ranking)]
    assert [item.position for item in row] == list(range(1, len(row) + 1))
    assert all(item.reason.text for item in row)


@given(shelves(), offers, requests, st.lists(placements, max_size=4), profiles)
@settings(max_examples=30, deadline=None)
def test_no_product_is_in_two_rows_of_any_page(
    shelf: PlainShelf, offered: dict[str, Any], request: RowRequest, page: list[Placement], profile: Profile | None
) -> None:
    rows = rank_page(request, page, profile, shelf, PlainModels(shelf, **offered))
    everything = [each for ranking in rows for each in shown(ranking)]
    assert len(rows) == len(page)
    assert len(set(everything)) == len(everything)


@given(st.lists(product_ids, max_size=40, unique=True), kinds_of_things, some_ids, st.integers(1, 30), product_ids)
@settings(max_examples=200, deadline=None)
def test_complements_first_is_an_order_of_the_same_products(
    offered: list[ProductId], of_a_kind: list[list[str]], commonplace: list[ProductId], limit: int, asked: ProductId
) -> None:
    shelf = PlainShelf([product(each) for each in IDS])
    models = PlainModels(shelf, bought_together=offered, of_a_kind=of_a_kind, commonplace=commonplace)
    placement = Placement(name="x", chain=("bought_together",), limit=limit, complements_first=True)
    request = RowRequest(product_ids=(asked,))
    row = rank(request, placement, None, shelf, models, filled_up=False)
    found = [shelf.product_id(each) for each in shown(row)]
    candidates = [each for each in offered if each != asked]
    assert len(found) == min(limit, len(candidates)), "nothing is removed"
    assert set(found) <= set(candidates)
    like_asked = {each for kind in of_a_kind if asked in kind for each in kind}
    stand_ins = [each for each in found if each in like_asked]
    assert found[len(found) - len(stand_ins) :] == stand_ins == [each for each in offered if each in stand_ins]
    others = [each for each in candidates if each not in like_asked]
    assert len(stand_ins) <= max(limit // 10, limit - len(others))
