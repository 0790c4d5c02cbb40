"""How demand shifts with the situation: known truths come out, few sales and habits of a few do not."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ingest.vocabulary.events import Event, HomepageShown, Line, OrderCompleted, RankingShown
from ingest.vocabulary.ids import ProductId, SnapshotId, Subject
from ingest.vocabulary.situations import Part, Parts
from recommender.affinity import Affinities
from recommender.configuration import AffinityConfiguration, TrainingConfiguration
from recommender.interactions import Interactions, interactions_of
from recommender.models import affinity
from recommender.models.affinity import shrunk
from recommender.sightings import LASTS_S
from recommender.snapshot import Snapshot
from recommender.training import fit_in_memory
from tests.support.build import fact
from tests.support.histories import consented, moment, order, view
from tests.support.situated import RAINY_SHARE, World, situation

RAIN: Part = ("weather", "rain")
MOBILE: Part = ("device", "mobile")
DAYS, DAILY = 200, 30
OTHERS = {f"other{number}": 4 for number in range(8)}


def learned(interactions: Interactions, lift_max: float = 3.0) -> Affinities:
    arrays = affinity.fit(interactions, AffinityConfiguration(lift_max))
    snapshot = Snapshot(SnapshotId("sha256:x"), {f"affinity.{name}": array for name, array in arrays.items()})
    return Affinities(snapshot, np.arange(len(interactions.products), dtype=np.int32))


def lift_of(found: Affinities, interactions: Interactions, product: str, *parts: Part) -> float:
    known, row = found.known(parts), interactions.products.index(ProductId(product))
    return float(found.lifts(known, np.array([row], np.int32))[0]) if known else 1.0


def lifts_in(world: World, *parts: Part, seed: int = 1, people: int | None = None) -> dict[str, float]:
    history = interactions_of([*world.catalogue(), *world.orders(DAYS, DAILY, seed, people=people)])
    found = learned(history)
    return {product: lift_of(found, history, product, *parts) for product in history.products}


def as_usual(times: float, share: float, weight: float, all_weight: float) -> float:
    """How many times as much as usual something sells where it weighs `times` as much a `share` of the time."""
    there = times * weight / (all_weight + (times - 1) * weight)
    elsewhere = weight / all_weight
    return there / (share * there + (1 - share) * elsewhere)


def test_a_category_that_sells_more_in_rain_gets_that_lift_and_others_lose_a_little() -> None:
    found = lifts_in(World({"rain": 4, **OTHERS}, rain={"rain": 4.0}), RAIN)
    truth = as_usual(4.0, RAINY_SHARE, 1.0, 9.0)
    assert truth == pytest.approx(1.875)
    assert [found[f"rain-{number}"] for number in range(4)] == pytest.approx([truth] * 4, rel=0.08)
    others = [lift for product, lift in found.items() if not product.startswith("rain")]
    assert max(others) == 1.0
    assert 0.75 < float(np.mean(others)) < 1.0, "their share of what is sold is smaller then"


def test_a_product_may_differ_from_its_category() -> None:
    found = lifts_in(World({"wear": 4, **OTHERS}, rain={"wear-0": 6.0}), RAIN)
    assert found["wear-0"] > 1.8
    assert max(found[f"wear-{number}"] for number in (1, 2, 3)) < found["wear-0"] - 0.5


def test_what_was_hardly_sold_does_not_move_by_its_own_sales_whatever_its_few_sales_were() -> None:
    world = World({"rare": 1, **OTHERS}, weight={"rare": 0.008}, rain={"rare": 3.0})
    events = world.orders(DAYS, DAILY, seed=3)
    sold = [each for each in events if each.lines[0].product_id == "rare-0"]
    assert 2 <= len(sold) <= 12
    history = interactions_of([*world.catalogue(), *events])
    assert lift_of(learned(history), history, "rare-0", RAIN) == 1.0


def test_what_was_never_sold_in_a_situation_is_as_its_category() -> None:
    world = World({"rain": 4, **OTHERS}, rain={"rain": 4.0})
    events = [each for each in world.orders(DAYS, DAILY, seed=1) if each.lines[0].product_id != "rain-3"]
    history = interactions_of([*world.catalogue(), *events])
    found = learned(history)
    assert lift_of(found, history, "rain-3", RAIN) == lift_of(found, history, "rain-0", RAIN) > 1.4


@pytest.mark.parametrize("seed", range(5))
def test_where_the_situation_makes_no_difference_none_is_learned(seed: int) -> None:
    lifts = lifts_in(World(OTHERS), RAIN, MOBILE, seed=seed)
    assert max(abs(np.log(lift)) for lift in lifts.values()) < np.log(1.05)


def test_the_habits_of_a_few_people_are_not_those_of_a_device() -> None:
    habit = World(OTHERS)
    fond_of = np.random.default_rng(5).integers(7, size=100)
    of_habit = [
        replace(each, lines=(Line(ProductId(f"other{fond_of[int(each.subject.split()[1])]}-0")),))
        for each in habit.orders(DAYS, DAILY, 1, people=100)
    ]
    history = interactions_of([*habit.catalogue(), *of_habit])
    found = learned(history)
    lifts = [lift_of(found, history, f"other{number}-0", MOBILE) for number in range(7)]
    by_product = [[each for each in of_habit if each.lines[0].product_id == f"other{n}-0"] for n in range(7)]
    on_mobile = [np.mean([_is_mobile(each) for each in some]) for some in by_product]
    assert max(on_mobile) > 0.6, "the device seems to matter, by chance: seven habits of a hundred people"
    assert lifts == [1.0] * 7


def test_a_season_does_not_pass_for_the_weather() -> None:
    """Coats in a wet half of the year, hats in a dry one: within each, the weather makes no difference."""
    wet, dry = World({"coat": 1, **OTHERS}, weight={"coat": 9.0}), World({"hat": 1, **OTHERS}, weight={"hat": 9.0})
    history = interactions_of(
        [*wet.catalogue(), *dry.catalogue()]
        + [each for each in wet.orders(224, DAILY, 1) if _day(each) < 112 and (_rainy(each) or _day(each) % 3 == 0)]
        + [each for each in dry.orders(224, DAILY, 2) if _day(each) >= 112 and not (_rainy(each) and _day(each) % 3)]
    )
    found = learned(history)
    assert lift_of(found, history, "coat-0", RAIN) == pytest.approx(1.0, abs=0.05)
    assert lift_of(found, history, "hat-0", RAIN) == pytest.approx(1.0, abs=0.05)


def _day(event: Event) -> int:
    return (event.occurred_at - moment(0)).days


def _is_mobile(placed: OrderCompleted) -> bool:
    return placed.context is not None and placed.context.device == "mobile"


def _rainy(event: object) -> bool:
    return event.context.weather.condition == "rain"  # type: ignore[attr-defined, no-any-return]


def test_several_parts_are_multiplied_and_stay_within_the_bounds() -> None:
    world = World({"both": 1, **OTHERS}, rain={"both": 9.0}, mobile={"both": 9.0})
    history = interactions_of([*world.catalogue(), *world.orders(DAYS, DAILY, seed=1)])
    found = learned(history, lift_max=2.0)
    rain, mobile = (lift_of(found, history, "both-0", part) for part in (RAIN, MOBILE))
    assert 1.0 < mobile < rain <= 2.0
    assert lift_of(found, history, "both-0", RAIN, MOBILE) == pytest.approx(2.0)
    assert lift_of(found, history, "both-0") == 1.0
    assert lift_of(found, history, "both-0", ("weather", "snow")) == 1.0
    newer = np.array([len(history.products), 10**6], np.int32)
    assert found.lifts((RAIN,), newer).tolist() == [1.0, 1.0]
    here = np.array([history.products.index(ProductId("both-0")), newer[0]], np.int32)
    place, lifts = found.strongest((MOBILE, RAIN), here)
    assert place.tolist()[0] == 1
    assert lifts.tolist() == pytest.approx([rain, 1.0])


def test_nothing_is_learned_with_a_greatest_lift_of_one_or_from_facts_without_a_situation() -> None:
    world = World({"rain": 4, **OTHERS}, rain={"rain": 4.0})
    events = world.orders(DAYS, DAILY, seed=1)
    assert learned(interactions_of(events), lift_max=1.0).known((RAIN,)) == ()
    bare = [replace(each, context=None) for each in events]
    assert learned(interactions_of(bare)).known((RAIN,)) == ()
    assert Affinities(None, np.empty(0, np.int32)).known((RAIN,)) == ()


def test_whoever_refuses_is_not_learned_from() -> None:
    world = World({"rain": 4, **OTHERS}, rain={"rain": 4.0})
    events = world.orders(DAYS, DAILY, seed=1)
    refused = [consented(each.subject, personalization=False) for each in events]
    assert learned(interactions_of([*events, *refused])).known((RAIN,)) == ()


@given(st.permutations(range(len(OTHERS) * 4 + 4)))
@settings(max_examples=5, deadline=None)
def test_renaming_products_renames_their_lifts_and_the_order_of_facts_does_not_matter(renamed: list[int]) -> None:
    world = World({"rain": 4, **OTHERS}, rain={"rain": 4.0})
    events: list[Event] = [*world.catalogue(), *world.orders(60, DAILY, seed=1)]
    names = [name for _, name in world.products]
    new_name = {name: f"renamed-{renamed[number]:03}" for number, name in enumerate(names)}
    before, after = interactions_of(events), interactions_of(reversed([_renamed(each, new_name) for each in events]))
    found, found_after = learned(before), learned(after)
    for name in names:
        assert lift_of(found, before, name, RAIN) == lift_of(found_after, after, new_name[name], RAIN)


def _renamed(event: Event, names: dict[str, str]) -> Event:
    if hasattr(event, "product"):
        name = ProductId(names[event.product_id])  # type: ignore[attr-defined]
        return replace(event, product_id=name, product=replace(event.product, product_id=name))
    (line,) = event.lines  # type: ignore[attr-defined]
    return replace(event, lines=(replace(line, product_id=ProductId(names[line.product_id])),))


@given(
    seen=st.floats(0, 5_000),
    expected=st.floats(0, 5_000),
    base=st.floats(0.2, 5.0),
)
def test_a_shrunk_lift_lies_between_what_was_seen_and_where_it_began(seen: float, expected: float, base: float) -> None:
    found = float(shrunk(*(np.array([[each]]) for each in (seen, expected, base)))[0, 0])
    raw = seen / expected if expected else base
    assert min(raw, base) * (1 - 1e-9) <= found <= max(raw, base) * (1 + 1e-9)


@pytest.mark.parametrize(("seen", "expected", "low", "high"), [(5, 2.5, 1.0, 1.0), (1000, 500, 1.9, 2.0)])
def test_five_sales_do_not_move_and_a_thousand_do(seen: float, expected: float, low: float, high: float) -> None:
    """Beside ninety-nine things that are as expected."""
    rest = np.full((1, 99), 300.0)
    table, means = np.insert(rest, 0, seen, axis=1), np.insert(rest, 0, expected, axis=1)
    assert low <= shrunk(table, means, np.ones((1, 100)))[0, 0] <= high


def situations(*events: Event) -> list[Parts]:
    found = interactions_of(events)
    return [found.situations[row] if row >= 0 else () for row in found.situation.tolist()]


def test_an_order_is_in_the_situation_its_visit_last_told() -> None:
    soon, late = LASTS_S / 86_400, (LASTS_S + 1) / 86_400
    seen = replace(view("p", 1.0, "s"), context=situation("rain", "mobile"))
    mobile_rain = (RAIN, MOBILE)
    assert situations(seen, order("o", "q", 1.0 + soon, "s")) == [mobile_rain, mobile_rain]
    assert situations(seen, order("o", "q", 1.0 + late, "s")) == [mobile_rain, ()]
    assert situations(seen, order("o", "q", 1.0, "other")) == [mobile_rain, ()]
    assert situations(seen, order("o", "q", 0.9, "s")) == [(), mobile_rain]


@pytest.mark.parametrize(
    "shown",
    [
        fact(RankingShown, subject=Subject("s"), context=situation("rain")),
        fact(HomepageShown, subject=Subject("s"), facts={"weather": "rain", "temperature_c": 3.0, "time": 1_200.0}),
    ],
)
def test_what_was_asked_for_tells_the_situation_too(shown: Event) -> None:
    placed = replace(order("o", "q", 0.0, "s"), occurred_at=shown.occurred_at, received_at=shown.received_at)
    (parts,) = situations(shown, placed)
    assert RAIN in parts


def test_a_snapshot_has_the_lifts_and_its_models_know_them() -> None:
    world = World({"rain": 4, **OTHERS}, rain={"rain": 4.0})
    events: Iterable[Event] = [*world.catalogue(), *world.orders(60, DAILY, seed=1)]
    snapshot = fit_in_memory(events, TrainingConfiguration(ranker=False))
    rows = np.arange(len(world.products), dtype=np.int32)[::-1].copy()
    assert Affinities(snapshot, rows).known((RAIN, MOBILE, ("weather", "snow"))) == (RAIN,)
    names = snapshot.unpack("products", list[str])
    found = Affinities(snapshot, rows).lifts((RAIN,), rows)
    assert {name for name, lift in zip(names, found.tolist(), strict=True) if lift > 1} == {
        f"rain-{number}" for number in range(4)
    }
