"""However a history is cut into files, and wherever an import dies, the log ends up the same."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import importer
from ingest.collector import Incoming, Outcome
from ingest.dialects.reading import ImportOptions
from ingest.vocabulary.errors import Unavailable
from ingest.vocabulary.events import CustomerEvent, ProductUpserted
from tests.support.import_shop import ImportShop, import_shop

HEADER = "timestamp,customer,event,product,order,quantity\n"
CUSTOMERS, PRODUCTS = st.sampled_from(["", "7", "8"]), st.sampled_from("ABC")

clicks = st.builds(
    lambda second, customer, event, product: [f"2020-01-01T00:00:{second:02},{customer},{event},{product},,"],
    st.integers(0, 59),
    st.sampled_from(["7", "8"]),
    st.sampled_from(["view", "addtocart", "wishlist"]),
    PRODUCTS,
)
orders = st.builds(
    lambda customer, lines: [(customer, product, quantity) for product, quantity in lines],
    CUSTOMERS,
    st.lists(st.tuples(PRODUCTS, st.integers(-2, 5)), min_size=1, max_size=4),
)


@st.composite
def histories(draw: st.DrawFn) -> list[list[str]]:
    """Pieces of a history: clicks, no two alike, and orders, each of which stays whole."""
    pieces = draw(st.lists(clicks, max_size=12, unique_by=lambda rows: rows[0]))
    for number, order in enumerate(draw(st.lists(orders, max_size=5))):
        rows = [f"2020-01-02,{customer},order,{product},o{number},{count}" for customer, product, count in order]
        pieces.insert(draw(st.integers(0, len(pieces))), rows)
    return pieces


def content(shop: ImportShop) -> set[tuple[object, ...]]:
    """What the log says, apart from subjects, which are random; products aside, which are told when first seen."""
    found = {
        (event.event_id, event.occurred_at, type(event), str(getattr(event, "lines", "")), *shop.owner(event))
        for event in shop.events()
        if isinstance(event, CustomerEvent)
    }
    assert len(found) == sum(isinstance(event, CustomerEvent) for event in shop.events())
    return found


def run(shop: ImportShop, pieces: Sequence[list[str]], name: str = "a.csv") -> None:
    shop.run(HEADER + "".join(f"{row}\n" for piece in pieces for row in piece), options=ImportOptions(), name=name)


@settings(max_examples=15, deadline=None)
@given(histories(), st.data())
def test_any_split_into_files_gives_the_same_log(pieces: list[list[str]], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(pieces)))
    overlap = data.draw(st.integers(0, cut))
    with (
        tempfile.TemporaryDirectory() as folder,
        import_shop(Path(folder) / "whole") as whole,
        import_shop(Path(folder) / "split") as split,
    ):
        run(whole, pieces)
        run(split, pieces[:cut], "1.csv")
        run(split, pieces[overlap:], "2.csv")
        assert content(split) == content(whole)
        products = [{event.key for event in shop.all_of(ProductUpserted)} for shop in (whole, split)]
        assert products[0] == products[1]


class _DyingCollector:
    """Collects a number of batches, then dies; sometimes after the batch was written, as a crash may."""

    def __init__(self, shop: ImportShop, batches: int, *, after_writing: bool) -> None:
        self._collector, self._left, self._after_writing = shop.targets.collector, batches, after_writing

    def collect(self, facts: Sequence[Incoming]) -> list[Outcome]:
        """As the real one, until it dies."""
        self._left -= 1
        if self._left < 0:
            if self._after_writing:
                self._collector.collect(facts)
            raise Unavailable("the disk is gone")
        return self._collector.collect(facts)


@settings(max_examples=15, deadline=None)
@given(histories(), st.integers(0, 12), st.booleans())
def test_an_import_that_died_is_continued_by_the_same_command(
    pieces: list[list[str]], batches: int, after_writing: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(importer, "BATCH_FACTS", 2)
        with import_shop(Path(folder) / "whole") as whole, import_shop(Path(folder) / "died") as died:
            run(whole, pieces)
            targets = died.targets
            died.targets = targets._replace(collector=_DyingCollector(died, batches, after_writing=after_writing))  # type: ignore[arg-type]
            try:
                run(died, pieces)
            except Unavailable:
                died.targets = targets
                run(died, pieces)
            assert content(died) == content(whole)
            assert {event.event_id for event in died.events()} == {event.event_id for event in whole.events()}
