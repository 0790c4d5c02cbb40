"""Learning from the log: clicks, carts and orders find their homepage, and every reading of a log gives one table."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.vocabulary import events as facts
from ingest.vocabulary.events import Event, Line, Recorded
from ingest.vocabulary.ids import GENERATION, Position, partition_of
from personalization.experiments.learning import Goal
from personalization.homepage.features import FEATURE_NAMES
from serving.home import learning as bounds
from serving.home.learning import Learner
from serving.home.settings import LearningSettings
from tests.support.build import NOON, HandClock, fact

VARIANTS = ("default", "rain", "sun")
WET = tuple(float(name in ("one", "wet")) for name in FEATURE_NAMES)
DRY = tuple(float(name in ("one", "bright")) for name in FEATURE_NAMES)


def learner(clock: HandClock | None = None, **changed: Any) -> Learner:
    configured = LearningSettings(**{"policy": "thompson", "goal": "click", "half_life_days": 1.0, **changed})
    return Learner(configured, configured.learning, clock or HandClock(NOON + timedelta(hours=1)))


def at(seconds: float, **fields: Any) -> dict[str, Any]:
    moment = NOON + timedelta(seconds=seconds)
    return {"occurred_at": moment, "received_at": moment, **fields}


def shown(number: int, variant: str, who: str = "mary", seconds: float = 0, **fields: Any) -> Event:
    given = {"request_id": f"h-{number}", "rows": (f"row-{number}",), "learner": "homepage", "features": WET, **fields}
    return fact(facts.HomepageShown, **at(seconds), subject=who, event_id=f"h-{number}", variant=variant, **given)


def clicked(number: int, who: str = "mary", seconds: float = 1) -> Event:
    return fact(facts.RankingClicked, **at(seconds), subject=who, request_id=f"row-{number}", event_id=f"c-{number}")


def ordered(number: int, who: str = "mary", seconds: float = 2, price: str = "20.00") -> Event:
    lines = (Line("p-1", 1, Decimal(price)),)
    return fact(facts.OrderCompleted, **at(seconds), subject=who, order_id=f"o-{number}", lines=lines)


def tell(made: Learner, events: Sequence[Event]) -> Learner:
    offsets: dict[int, int] = defaultdict(int)
    for event in events:
        partition = partition_of(event.key)
        made.follow([Recorded(Position(GENERATION, partition, offsets[partition]), event)])
        offsets[partition] += 1
    made.refresh()
    return made


def shares(made: Learner, features: Sequence[float] = WET) -> dict[str, float]:
    table = made.table(VARIANTS, features)
    return dict(zip(table.arms, table.probabilities, strict=True))


def pages(good: str, rate: int, number: int = 300) -> list[Event]:
    """Every variant is shown alike; of the good one every `rate`-th visit ends in a click, of the others a tenth."""
    told: list[Event] = []
    for each in range(number):
        variant = VARIANTS[each % 3]
        told.append(shown(each, variant, f"s-{each}", each))
        if (each // 3) % (rate if variant == good else 10 * rate) == 0:
            told.append(clicked(each, f"s-{each}", each + 1))
    return told


def test_before_anything_is_known_all_variants_are_alike() -> None:
    assert shares(learner()) == pytest.approx(dict.fromkeys(VARIANTS, 1 / 3), abs=1e-6)


def test_the_variant_whose_rows_are_clicked_is_shown_more() -> None:
    found = shares(tell(learner(), pages("rain", 3)))
    assert found["rain"] > 0.9
    assert min(found.values()) >= 0.02, "and the others a little"


@pytest.mark.parametrize(
    ("goal", "doing"),
    [
        ("cart", lambda n: fact(facts.ProductAdded, **at(n + 1), subject=f"s-{n}")),
        ("order", lambda n: ordered(n, f"s-{n}", n + 1)),
        ("value", lambda n: ordered(n, f"s-{n}", n + 1)),
        ("click", lambda n: fact(facts.ProductViewed, **at(n + 1), subject=f"s-{n}", request_id=f"row-{n}")),
    ],
)
def test_carts_orders_and_views_that_a_row_led_to_count_for_their_goal(goal: Goal, doing: Any) -> None:
    told = [shown(n, VARIANTS[n % 3], f"s-{n}", n) for n in range(240)]
    told += [doing(n) for n in range(240) if VARIANTS[n % 3] == "sun" and n % 2]
    assert shares(tell(learner(goal=goal), told))["sun"] > 0.9
    assert shares(tell(learner(goal="click" if goal != "click" else "order"), told))["sun"] < 0.5


def test_what_comes_after_the_window_earns_nothing() -> None:
    told = [shown(n, VARIANTS[n % 3], f"s-{n}", n) for n in range(240)]
    told += [ordered(n, f"s-{n}", n + 90_000) for n in range(240) if VARIANTS[n % 3] == "sun"]
    late = HandClock(NOON + timedelta(days=2))
    assert shares(tell(learner(late, goal="order", window_days=1), told))["sun"] < 0.5
    assert shares(tell(learner(late, goal="order", window_days=2), told))["sun"] > 0.9


def test_an_order_that_is_called_off_is_taken_back() -> None:
    told = [shown(n, VARIANTS[n % 3], f"s-{n}", n) for n in range(240)]
    told += [ordered(n, f"s-{n}", n + 1) for n in range(240) if VARIANTS[n % 3] == "sun"]
    back = [
        fact(facts.OrderCancelled, **at(n + 500), subject=f"s-{n}", order_id=f"o-{n}")
        if n % 2
        else fact(facts.OrderRefunded, **at(n + 500), subject=f"s-{n}", order_id=f"o-{n}")
        for n in range(240)
        if VARIANTS[n % 3] == "sun"
    ]
    nothing = shares(tell(learner(goal="order"), [event for event in told if isinstance(event, facts.HomepageShown)]))
    assert shares(tell(learner(goal="order"), told))["sun"] > 0.9
    assert shares(tell(learner(goal="order"), told + back)) == nothing


def test_an_order_after_signing_in_finds_the_homepage_of_before() -> None:
    told: list[Event] = []
    for n in range(240):
        told.append(shown(n, VARIANTS[n % 3], f"visitor-{n}", n))
        told.append(fact(facts.CustomerIdentified, **at(n + 1), subject=f"visitor-{n}", known=f"customer-{n}"))
        if VARIANTS[n % 3] == "sun":
            told.append(ordered(n, f"customer-{n}", n + 2))
    assert shares(tell(learner(goal="order"), told))["sun"] > 0.9


def test_decisions_that_teach_nothing_or_another_learner_are_passed_over() -> None:
    told = [shown(n, VARIANTS[n % 3], f"s-{n}", n, learner=("other", None)[n % 2]) for n in range(60)]
    told += [clicked(n, f"s-{n}", n + 1) for n in range(60)]
    made = tell(learner(), told)
    assert shares(made) == pytest.approx(dict.fromkeys(VARIANTS, 1 / 3), abs=1e-6)
    assert len(made._lessons) == 0


def test_who_is_erased_is_dropped_and_their_counts_name_nobody() -> None:
    made = tell(learner(), [shown(1, "sun"), fact(facts.CustomerErased, **at(5), subject="mary")])
    assert len(made._lessons) == 0
    assert "mary" not in repr(made._learned._state)  # type: ignore[attr-defined]


def test_people_who_can_earn_nothing_any_more_are_let_go_of() -> None:
    clock = HandClock(NOON + timedelta(hours=1))
    made = tell(learner(clock, window_days=1), [shown(1, "sun")])
    assert len(made._lessons) == 1
    clock.forward(days=2)
    made.refresh()
    assert len(made._lessons) == 0


def test_what_has_not_settled_waits_for_the_next_minute() -> None:
    clock = HandClock(NOON + timedelta(seconds=300))
    made = tell(learner(clock), pages("rain", 3, 300))
    before = shares(made)
    assert len(made._gathered) > 0
    clock.forward(seconds=60)
    made.refresh()
    assert made._gathered == []
    assert shares(made) != before


def test_a_table_stays_the_same_between_two_refreshes() -> None:
    made = tell(learner(), pages("rain", 3))
    before = made.table(VARIANTS, ())
    for event in pages("sun", 1):
        made.follow([Recorded(Position(GENERATION, 0, 0), event)])
    assert made.table(VARIANTS, ()) is before
    made.refresh()
    assert made.table(VARIANTS, ()) != before


def test_the_contextual_policy_learns_what_works_where() -> None:
    told: list[Event] = []
    for n in range(600):
        variant, features = VARIANTS[n % 3], (WET, DRY)[n // 3 % 2]
        told.append(shown(n, variant, f"s-{n}", n, features=features))
        if (variant == "rain") == (features == WET) and n % 4:
            told.append(clicked(n, f"s-{n}", n + 1))
    made = tell(learner(policy="contextual"), told)
    assert shares(made, WET)["rain"] > 0.9
    assert shares(made, DRY)["rain"] < 0.1
    assert shares(made, WET) == shares(made, WET)


def test_decisions_of_before_there_were_these_features_teach_nothing() -> None:
    made = tell(learner(policy="contextual"), [shown(1, "sun", features=(1.0, 2.0))])
    assert shares(made) == shares(tell(learner(policy="contextual"), []))


def by_partition(told: Sequence[Event], seed: int) -> list[Event]:
    """The same facts as a log gives them back: partition after partition, each in its order."""
    partitions: dict[int, list[Event]] = defaultdict(list)
    for event in told:
        partitions[partition_of(event.key)].append(event)
    order = sorted(partitions)
    random.Random(seed).shuffle(order)
    return [event for partition in order for event in partitions[partition]]


@st.composite
def days(draw: st.DrawFn) -> list[Event]:
    """What a few people were shown and did, in the order of reception."""
    told: list[Event] = []
    for number in range(draw(st.integers(1, 30))):
        who, seconds = f"s-{draw(st.integers(0, 5))}", number * 10.0
        doing = draw(st.integers(0, 5))
        if doing <= 1:
            told.append(shown(number, draw(st.sampled_from(VARIANTS)), who, seconds))
        elif doing == 2:
            told.append(clicked(draw(st.integers(0, number)), who, seconds))
        elif doing == 3:
            told.append(ordered(number, who, seconds, f"{draw(st.integers(1, 900))}.50"))
        elif doing == 4:
            cancelled = draw(st.integers(0, number))
            told.append(fact(facts.OrderCancelled, **at(seconds), subject=who, order_id=f"o-{cancelled}"))
        else:
            known = f"s-{draw(st.integers(0, 5))}"
            told.append(fact(facts.CustomerIdentified, **at(seconds), subject=who, known=known))
    return told


@given(days(), st.integers(0, 1_000), st.sampled_from(["click", "order", "value"]), st.integers(0, 30))
@settings(max_examples=60, deadline=None)
def test_every_reading_of_a_log_gives_the_same_tables(told: list[Event], seed: int, goal: str, cut: int) -> None:
    for policy in ("thompson", "contextual"):
        anew = tell(learner(policy=policy, goal=goal), by_partition(told, seed))
        live = learner(HandClock(NOON), policy=policy, goal=goal)
        live._clock.moment = NOON + timedelta(seconds=cut * 10)  # type: ignore[attr-defined]
        tell(live, told[:cut])
        live._clock.moment = NOON + timedelta(hours=1)  # type: ignore[attr-defined]
        tell(live, told[cut:])
        assert live.table(VARIANTS, WET) == anew.table(VARIANTS, WET)


def test_more_facts_than_memory_holds_are_folded_before_the_minute_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "gathered_max", 50)
    made = learner()
    for event in pages("rain", 3):
        made.follow([Recorded(Position(GENERATION, 0, 0), event)])
        assert len(made._gathered) < 50
    made.refresh()
    assert shares(made)["rain"] > 0.9
