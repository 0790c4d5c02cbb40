"""Learning from the log: clicks, carts and orders find their homepage; states that are folded give the tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.folding.fold import encode_states, fold
from ingest.vocabulary import events as facts
from ingest.vocabulary.events import Event, Line, Recorded, Terms
from ingest.vocabulary.ids import GENERATION, Position, partition_of
from ingest.vocabulary.ports import AnyProjection
from personalization.experiments.attributing import AttributionProjection
from personalization.experiments.attribution import MOVED_KEPT_MS
from personalization.experiments.counting import LearnedProjection
from personalization.experiments.learning import Goal, LearningSettings
from personalization.homepage.features import FEATURE_NAMES
from serving.learned import Learner, Learners
from tests.support.build import NOON, fact

PROJECTIONS: tuple[AnyProjection, ...] = (AttributionProjection(), LearnedProjection())
VARIANTS = ("default", "rain", "sun")
WET = tuple(float(name in ("one", "wet")) for name in FEATURE_NAMES)
DRY = tuple(float(name in ("one", "bright")) for name in FEATURE_NAMES)


class States:
    """What is folded of the facts it is told, as a projector folds them; a fact that follows is told as well."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], bytes] = {}
        self.log: list[Recorded] = []
        self.scans = 0
        self._ends: dict[int, int] = defaultdict(int)

    def tell(self, events: Iterable[Event], at_once: int = 7) -> States:
        """Fold some facts, a few of a partition at a time, and then what follows from them."""
        waiting = list(events)
        while waiting:
            batch, waiting = waiting[:at_once], waiting[at_once:]
            for partition in sorted({partition_of(event.key) for event in batch}):
                waiting[:0] = self._fold([event for event in batch if partition_of(event.key) == partition])
        return self

    def _fold(self, events: Sequence[Event]) -> list[Event]:
        places = [self._recorded(event) for event in events]
        self.log += places
        return self.fold(places)

    def fold(self, places: Sequence[Recorded]) -> list[Event]:
        """Fold facts of one partition; what follows."""
        folded = fold(PROJECTIONS, places, self.load)
        assert folded.poison == []
        for place, stored in encode_states(PROJECTIONS, folded.states).items():
            if stored is None:
                self.kept.pop(place, None)
            else:
                self.kept[place] = stored
        return folded.consequences

    def load(self, projection: str, keys: Collection[str]) -> dict[str, bytes]:
        return {key: self.kept[projection, key] for key in keys if (projection, key) in self.kept}

    def scan(self, projection: str) -> list[tuple[str, bytes]]:
        self.scans += 1
        return sorted((key, stored) for (name, key), stored in self.kept.items() if name == projection)

    def keys(self, projection: str) -> list[str]:
        return [key for key, _ in self.scan(projection)]

    def _recorded(self, event: Event) -> Recorded:
        partition = partition_of(event.key)
        self._ends[partition] += 1
        return Recorded(Position(GENERATION, partition, self._ends[partition] - 1), event)


def configured(**changed: Any) -> LearningSettings:
    return LearningSettings(**{"policy": "thompson", "goal": "click", "half_life_days": 1.0, **changed})


def learner(states: States | None = None, **changed: Any) -> Learner:
    its = configured(**changed)
    learners = Learners((states or States()).scan, lambda: True, [its])
    learners.refresh()
    return learners.of(its)


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


def tell(events: Iterable[Event], **changed: Any) -> Learner:
    return learner(States().tell(events), **changed)


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
    found = shares(tell(pages("rain", 3)))
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
    assert shares(tell(told, goal=goal))["sun"] > 0.9
    assert shares(tell(told, goal="click" if goal != "click" else "order"))["sun"] < 0.5


@pytest.mark.parametrize(("days", "least", "most"), [(1, 0.0, 0.5), (2, 0.9, 1.0)])
def test_what_comes_after_the_window_earns_nothing(days: int, least: float, most: float) -> None:
    on = Terms(window_s=days * 86_400)
    told = [shown(n, VARIANTS[n % 3], f"s-{n}", n, terms=on) for n in range(240)]
    told += [ordered(n, f"s-{n}", n + 90_000) for n in range(240) if VARIANTS[n % 3] == "sun"]
    assert least <= shares(tell(told, goal="order", window_days=days))["sun"] <= most


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
    nothing = shares(tell([event for event in told if isinstance(event, facts.HomepageShown)], goal="order"))
    assert shares(tell(told, goal="order"))["sun"] > 0.9
    assert shares(tell(told + back, goal="order")) == nothing


def test_an_order_after_signing_in_finds_the_homepage_of_before() -> None:
    told: list[Event] = []
    for n in range(240):
        told.append(shown(n, VARIANTS[n % 3], f"visitor-{n}", n))
        told.append(fact(facts.CustomerIdentified, **at(n + 1), subject=f"visitor-{n}", known=f"customer-{n}"))
        if VARIANTS[n % 3] == "sun":
            told.append(ordered(n, f"customer-{n}", n + 2))
    assert shares(tell(told, goal="order"))["sun"] > 0.9


def test_an_order_that_is_told_before_who_placed_it_finds_the_homepage_too() -> None:
    told: list[Event] = []
    for n in range(240):
        told.append(shown(n, VARIANTS[n % 3], f"visitor-{n}", n))
        if VARIANTS[n % 3] == "sun":
            told.append(ordered(n, f"customer-{n}", n + 2))
        told.append(fact(facts.CustomerIdentified, **at(n + 3), subject=f"visitor-{n}", known=f"customer-{n}"))
    assert shares(tell(told, goal="order"))["sun"] > 0.9


def test_a_page_that_joins_the_log_after_the_visitor_signed_in_goes_to_the_customer() -> None:
    identified = fact(facts.CustomerIdentified, **at(1), subject="visitor", known="customer")
    states = States().tell([identified, shown(1, "sun", "visitor", 2), ordered(1, "customer", 3)], at_once=1)
    (stored,) = states.load("attribution", ["customer"]).values()
    (pending,) = AttributionProjection().decode(stored).pending
    assert (pending.decision.arm, pending.reward.ordered) == ("sun", True)
    late = shown(2, "sun", "visitor", MOVED_KEPT_MS / 1_000 + 60)
    states.tell([late])
    (stored,) = states.load("attribution", ["visitor"]).values()
    assert len(AttributionProjection().decode(stored).pending) == 1, "a name that is used again is somebody again"


def test_decisions_that_teach_nothing_or_another_learner_are_passed_over() -> None:
    told = [shown(n, VARIANTS[n % 3], f"s-{n}", n, learner=("other", None)[n % 2]) for n in range(60)]
    told += [clicked(n, f"s-{n}", n + 1) for n in range(60)]
    states = States().tell(told)
    assert shares(learner(states)) == pytest.approx(dict.fromkeys(VARIANTS, 1 / 3), abs=1e-6)
    assert {key.rsplit(":", 1)[1] for key in states.keys("learned")} == {"other"}
    assert len(states.keys("attribution")) == 30


@pytest.mark.parametrize(
    "terms",
    [Terms(period_s=0), Terms(window_s=-5), Terms(value_e4_max=0), Terms(window_s=91 * 86_400)],
)
def test_a_decision_on_terms_that_cannot_be_teaches_nothing(terms: Terms) -> None:
    assert States().tell([shown(1, "sun", terms=terms), clicked(1)]).kept == {}


def test_history_that_is_imported_teaches_nothing() -> None:
    assert States().tell([shown(1, "sun", imported=True)]).kept == {}


def test_who_is_erased_is_dropped_and_their_counts_name_nobody() -> None:
    states = States().tell([shown(1, "sun"), fact(facts.CustomerErased, **at(5), subject="mary")])
    assert states.keys("attribution") == []
    assert states.keys("learned") != []
    assert not any(b"mary" in stored for stored in states.kept.values())


def test_a_table_stays_the_same_between_two_refreshes() -> None:
    states = States().tell(pages("rain", 3))
    its = configured()
    learners = Learners(states.scan, lambda: True, [its])
    learners.refresh()
    before = learners.of(its).table(VARIANTS, ())
    states.tell([shown(1_000 + n, "sun", f"t-{n}", 400 + n) for n in range(90)])
    assert learners.of(its).table(VARIANTS, ()) is before
    learners.refresh()
    assert learners.of(its).table(VARIANTS, ()) != before


def test_while_lost_states_come_back_the_tables_stay_as_they_were() -> None:
    states, complete = States().tell(pages("rain", 3)), [True]
    its = configured()
    learners = Learners(states.scan, lambda: complete[0], [its])
    learners.refresh()
    before = learners.of(its).table(VARIANTS, ())
    states.kept.clear()
    complete[0] = False
    learners.refresh()
    assert learners.of(its).table(VARIANTS, ()) == before
    complete[0] = True
    learners.refresh()
    assert learners.of(its).table(VARIANTS, ()) != before


def test_other_terms_begin_anew_and_another_goal_does_not() -> None:
    states = States().tell(pages("rain", 3))
    even = pytest.approx(dict.fromkeys(VARIANTS, 1 / 3), abs=1e-6)
    assert shares(learner(states, half_life_days=2.0, floor=0.05))["rain"] > 0.8
    for changed in ({"window_days": 2.0}, {"period_hours": 3}, {"value_max": 100.0}, {"name": "else"}):
        assert shares(learner(states, **changed)) == even


def test_the_contextual_policy_learns_what_works_where() -> None:
    told: list[Event] = []
    for n in range(600):
        variant, features = VARIANTS[n % 3], (WET, DRY)[n // 3 % 2]
        told.append(shown(n, variant, f"s-{n}", n, features=features))
        if (variant == "rain") == (features == WET) and n % 4:
            told.append(clicked(n, f"s-{n}", n + 1))
    made = tell(told, policy="contextual")
    assert shares(made, WET)["rain"] > 0.9
    assert shares(made, DRY)["rain"] < 0.1
    assert shares(made, WET) == shares(made, WET)


def test_decisions_of_before_there_were_these_features_teach_nothing() -> None:
    made = tell([shown(1, "sun", features=(1.0, 2.0))], policy="contextual")
    assert shares(made) == shares(tell([], policy="contextual"))


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


@given(days(), st.integers(1, 40), st.sampled_from(["click", "order", "value"]))
@settings(max_examples=60, deadline=None)
def test_a_replay_of_the_log_in_any_batches_gives_the_same_tables(told: list[Event], at_once: int, goal: str) -> None:
    live = States().tell(told, at_once=3)
    anew = States()
    by_partition = defaultdict(list)
    for recorded in live.log:
        by_partition[recorded.position.partition].append(recorded)
    for places in by_partition.values():
        for start in range(0, len(places), at_once):
            anew.fold(places[start : start + at_once])
    assert anew.kept == live.kept
    for policy in ("thompson", "contextual"):
        tables = [learner(each, policy=policy, goal=goal).table(VARIANTS, WET) for each in (live, anew)]
        assert tables[0] == tables[1]
