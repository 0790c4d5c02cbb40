"""Category addresses: readable, one each, and the way back."""

from hypothesis import given
from hypothesis import strategies as st

from serving.routes.shelves import Shelves

names = st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)
paths = st.lists(
    names | st.sampled_from(["A & B", "a and b", "A/B", "A-B", "é", "e\u0301", "단골", "&", "/"]),
    min_size=1,
    max_size=3,
)


def test_addresses_are_readable_by_people() -> None:
    shelves = Shelves([(("Kitchen",), 5), (("Kitchen", "Mugs & Teapots"), 2), (("Küche/Bad", "Gläser"), 1)])
    assert shelves.of(("Kitchen", "Mugs & Teapots")).slug == "kitchen/mugs-and-teapots"  # type: ignore[union-attr]
    assert shelves.of(("Küche/Bad", "Gläser")).slug == "küche-bad/gläser"  # type: ignore[union-attr]


@given(st.lists(paths.map(tuple), max_size=12))
def test_every_address_leads_back_to_its_category(categories: list[tuple[str, ...]]) -> None:
    shelves = Shelves((path, 1) for path in categories)
    found = [shelves.of(path) for path in categories]
    assert [shelves.at(shelf.slug) for shelf in found if shelf] == found


def test_names_that_come_out_alike_keep_addresses_of_their_own_in_any_order() -> None:
    one, other = (("A & B",), 1), (("A and B",), 1)
    assert Shelves([one, other]).of(one[0]).slug == Shelves([other, one]).of(one[0]).slug  # type: ignore[union-attr]
    assert len({shelf.slug for shelf in Shelves([one, other]).below(())}) == 2


def test_an_ancestor_that_was_not_counted_is_a_page() -> None:
    shelves = Shelves([(("Home", "Clocks"), 3)])
    assert [shelf.path for shelf in shelves.below(())] == [("Home",)]
    assert [shelf.name for shelf in shelves.trail(("Home", "Clocks"))] == ["Home", "Clocks"]
    assert shelves.at("nowhere") is None
