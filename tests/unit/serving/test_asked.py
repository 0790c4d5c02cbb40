"""What was asked is recorded within its bounds, says what it leaves out, and can be asked again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.vocabulary.codec import encode_event
from ingest.vocabulary.events import Asked, Chosen, RankingShown, Terms
from ingest.vocabulary.ids import ProductId
from personalization.experiments.arms import ARM_NAME_LENGTH_MAX, arms_max
from personalization.page.request import Filter, PriceRange
from serving.ask import Ask
from serving.asked import (
    MARK_BYTES,
    asked_of,
    exclusions_then,
    filter_then,
    is_whole,
    part_beside_bytes_max,
    part_bytes_max,
)
from serving.recommendations import SHOWN_BESIDE_MAX, SHOWN_PRODUCTS_MAX, SHOWN_SEEDS_MAX
from tests.support.build import fact

marks_max = part_bytes_max // MARK_BYTES
ULID = "01JDF1ZV0000000000000000AA"
HASH = "sha256:" + 64 * "a"


class Shelf:
    """A shelf with some products."""

    def __init__(self, count: int) -> None:
        self.listed = np.ones(count, bool)

    def product_id(self, product_index: int) -> ProductId:
        """The id of one."""
        return ProductId(f"p-{product_index:05}")


SHELF: Any = Shelf(5_000)


def products(*numbers: int) -> tuple[ProductId, ...]:
    return tuple(SHELF.product_id(number) for number in numbers)


def test_what_asked_nothing_has_no_record() -> None:
    assert asked_of(Ask(product_ids=products(1))) is None
    assert (exclusions_then(None, SHELF), filter_then(None), is_whole(None)) == ((), None, True)


def test_a_few_exclusions_are_recorded_by_their_ids_and_more_by_marks() -> None:
    few = asked_of(Ask(exclude=products(1, 2, 3), limit=4))
    assert few == Asked(4, products(1, 2, 3))
    assert exclusions_then(few, SHELF) == products(1, 2, 3)
    many = asked_of(Ask(exclude=products(*range(marks_max))))
    assert many is not None
    assert (many.exclude, len(many.marks), many.left_out) == ((), 3 * marks_max, ())
    assert set(products(*range(marks_max))) <= set(exclusions_then(many, SHELF))
    assert len(exclusions_then(many, SHELF)) <= marks_max + 1, "hardly anything else has one of these marks"
    assert not is_whole(many)


def test_what_is_left_out_is_said() -> None:
    found = asked_of(
        Ask(
            exclude=products(*range(marks_max + 1)),
            filter=Filter(category=tuple("long" * 20 + str(n) for n in range(9))),
        )
    )
    assert found is not None
    assert (found.left_out, found.filter) == (("exclude", "filter"), b"")
    assert not is_whole(found)


filters = st.builds(
    Filter,
    category=st.lists(st.text(max_size=9), max_size=3).map(tuple),
    price=st.none() | st.builds(PriceRange, min=st.none() | st.floats(0, 99), max=st.none() | st.floats(0, 99)),
    attributes=st.dictionaries(st.text(max_size=5), st.lists(st.text(max_size=5), max_size=2).map(tuple), max_size=3),
)


@given(filters, st.lists(st.integers(0, 4_999), max_size=200, unique=True), st.none() | st.integers(1, 100))
def test_what_is_whole_is_asked_again_and_every_record_is_bounded(
    asked: Filter, excluded: list[int], limit: int | None
) -> None:
    found = asked_of(Ask(exclude=products(*excluded), filter=asked, limit=limit))
    assert found is not None
    assert found.limit == limit
    assert sum(map(len, found.exclude)) + len(found.marks) <= part_bytes_max
    assert len(found.filter) <= part_bytes_max
    if "filter" not in found.left_out:
        assert filter_then(found) == asked
    if is_whole(found):
        assert exclusions_then(found, SHELF) == products(*excluded)


def test_a_filter_of_another_version_is_none() -> None:
    assert filter_then(Asked(filter=b"\x81\xa3new\x01")) is None
    assert filter_then(Asked(filter=b"\xff\xff")) is None


def chosen(arms: int, name_length: int) -> Chosen:
    names = [f"{number}".ljust(name_length, "x") for number in range(arms)]
    eligible = dict.fromkeys(names, 1 / arms)
    return Chosen(names[0], "bandit", "home.for-you", Terms(), eligible, 1 / arms)


@pytest.mark.parametrize("arms", [0, 2, arms_max])
@pytest.mark.parametrize("excluded", [0, 5, 200])
def test_a_record_of_ordinary_ids_stays_below_a_kilobyte(arms: int, excluded: int) -> None:
    part_max = part_beside_bytes_max if arms else part_bytes_max
    ask = Ask(exclude=products(*range(excluded)), limit=12, filter=Filter(category=("x" * (part_max - 15),)))
    asked = asked_of(ask, part_max) if excluded else None
    assert asked is None or asked.filter
    count = SHOWN_BESIDE_MAX if arms or asked is not None else SHOWN_PRODUCTS_MAX
    shown = fact(
        RankingShown,
        event_id=ULID,
        subject="c3ViamVjdC1vZi1tYXJ5IQ",
        source="dangol",
        request_id=ULID,
        placement="product.bought-together",
        product_ids=products(*range(count)),
        seeds=products(*range(SHOWN_SEEDS_MAX)),
        snapshot=HASH,
        configuration=HASH,
        seed=2**47,
        catalogue_version=10**6,
        propensity=0.125,
        choice=chosen(arms, ARM_NAME_LENGTH_MAX) if arms else None,
        asked=asked,
    )
    assert len(encode_event(shown)) <= 1_024
