"""What training learns of a shop's buyers: thresholds that follow from the facts alone, kept in its snapshot."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ingest.vocabulary.buyers import Thresholds
from ingest.vocabulary.clock import epoch_ms
from ingest.vocabulary.events import Event, Line, OrderCompleted
from ingest.vocabulary.ids import ProductId
from personalization.customer.profile import Profile
from personalization.customer.reducer import evolve
from personalization.customer.segments import SEGMENTS, segment_of
from recommender.buyers import arrays_of, thresholds_in, thresholds_of
from recommender.columns.gathering import gathered
from recommender.columns.stretches import together
from recommender.configuration import TrainingConfiguration
from recommender.interactions import assembled
from recommender.snapshot import Snapshot, SnapshotStore
from recommender.training import train
from tests.support.histories import cancelled, erased, identified, moment, online_retail, order, refunded, view


def sixty() -> list[Event]:
    """Sixty buyers: every fifth buys ten times, every second twice, the rest once; one order a fortnight."""
    found: list[Event] = []
    for number in range(60):
        times = 10 if number % 5 == 0 else 2 if number % 2 == 0 else 1
        found += [paid(f"{number}-{n}", n * 14 + number % 7, f"buyer {number}", 1 + number) for n in range(times)]
    return found


def paid(number: str, day: float, subject: str, pounds: int, currency: str = "GBP") -> OrderCompleted:
    line = Line(ProductId("p"), 2, Decimal(pounds) / 2)
    return replace(order(number, "", day, subject), currency=currency, lines=(line,))


def learned(facts: list[Event]) -> Thresholds | None:
    return thresholds_of(gathered(facts))


def test_thresholds_are_those_of_the_shops_own_buyers() -> None:
    found = learned(sixty())
    assert found is not None
    assert found.days == (14, 14, 14, 14)
    assert found.orders == (1, 1, 2, 2)
    assert (found.buyers, found.returns, found.currency) == (60, 12 * 9 + 24, "GBP")
    spent = sorted(10_000 * (1 + n) * (10 if n % 5 == 0 else 2 if n % 2 == 0 else 1) for n in range(60))
    assert found.spent_e4 == tuple(spent[int(60 * share) - 1] for share in (0.2, 0.4, 0.6, 0.8))


def test_too_few_buyers_or_too_few_who_came_back_part_nobody() -> None:
    facts = sixty()
    few = [fact for fact in facts if isinstance(fact, OrderCompleted) and int(fact.order_id.split("-")[0]) < 49]
    once = [paid(str(number), number, f"buyer {number}", 5) for number in range(200)]
    assert (learned([]), learned(few), learned(once)) == (None, None, None)


def test_what_was_called_off_sent_back_or_forgotten_does_not_count() -> None:
    facts = sixty()
    strange = [
        paid("x", 500, "buyer x", 1_000_000),
        cancelled("x", 501),
        paid("y", 500, "buyer y", 1_000_000),
        refunded("y", "", 501),
        paid("z", 500, "buyer z", 1_000_000),
        erased("buyer z", 502),
        replace(paid("0-0", 700, "buyer 0", 9), event_id="later"),  # the same order, told again
        view("p", 3, "buyer 9"),
    ]
    assert learned([*facts, *strange]) == learned(facts)
    assert learned([*strange, *facts]) == learned(facts)


def test_what_came_back_was_not_spent_at_the_lines_own_price() -> None:
    facts = sixty()
    half = learned([*facts, refunded("58-0", "p", 90)])
    whole = learned([*facts, refunded("59-0", "p", 90, quantity=2)])
    assert half != learned(facts)
    assert half == learned([*facts, refunded("58-0", "p", 90), refunded("58-0", "p", 90)]), "told twice"
    assert whole is not None
    assert whole.buyers == 59


def test_a_visitor_who_turned_out_to_be_a_customer_is_one_buyer() -> None:
    facts = sixty()
    found = learned([*facts, paid("v", 100, "visitor", 5), identified("visitor", "buyer 1", 101)])
    assert found is not None
    assert (found.buyers, found.returns) == (60, 12 * 9 + 24 + 1)
    circle = learned([*facts, identified("buyer 1", "buyer 3"), identified("buyer 3", "buyer 1")])
    assert circle is not None


@given(st.integers(0, 2**32))
def test_the_order_of_facts_does_not_matter(seed: int) -> None:
    facts: list[Event] = [
        *sixty(),
        cancelled("4-1"),
        refunded("6-0", "p", 40),
        refunded("6-0", "p", 41),
        identified("buyer 7", "buyer 8"),
        identified("buyer 7", "buyer 10"),
        erased("buyer 12"),
        replace(paid("4-0", 3, "buyer 4", 77), event_id="another report"),
    ]
    shuffled = list(facts)
    Random(seed).shuffle(shuffled)
    assert learned(shuffled) == learned(facts)


def test_the_example_shops_customers_are_spread_over_the_segments() -> None:
    facts = [fact for fact in online_retail() if isinstance(fact, OrderCompleted)]
    facts = [replace(fact, lines=tuple(replace(line, price=Decimal(2)) for line in fact.lines)) for fact in facts]
    named = [fact for fact in facts if not fact.subject.startswith("guest")]
    found = learned(list(named))
    assert found is not None
    assert found.buyers > 1_000
    profiles: dict[str, Profile | None] = {}
    for fact in named:
        profiles[fact.subject] = evolve(profiles.get(fact.subject), fact)
    now_ms = epoch_ms(max(fact.occurred_at for fact in named) + timedelta(days=1))
    counts = dict.fromkeys(SEGMENTS, 0)
    for profile in profiles.values():
        assert profile is not None
        counts[segment_of(profile, found, now_ms)] += 1
    assert counts.pop("prospect") == 0
    assert all(count > 0 for count in counts.values()), counts
    assert max(counts.values()) < 0.4 * len(profiles), counts


def test_what_training_learned_of_buyers_is_kept_in_its_snapshot(tmp_path: Path) -> None:
    store, facts = SnapshotStore(tmp_path), sixty()
    quick = TrainingConfiguration(ranker=False)
    trained = train(lambda: assembled(gathered(facts)), quick, store, more=arrays_of(learned(facts)))
    assert thresholds_in(store.open(trained.snapshot_id)) == learned(facts)
    without = train(lambda: assembled(gathered(facts)), quick, store, more=arrays_of(None))
    assert thresholds_in(store.open(without.snapshot_id)) is None
    assert thresholds_in(None) is None
    rubbish = Snapshot(trained.snapshot_id, {"buyers": np.frombuffer(b"\x01rubbish", np.uint8)})
    assert thresholds_in(rubbish) is None, "of another version"


def test_thresholds_of_a_moment_are_those_of_what_was_known_then() -> None:
    facts = sixty()
    later = [paid(f"later {n}", 400, f"newcomer {n}", 1_000) for n in range(60)]
    assert learned([*facts, *later]) != learned(facts)
    assert thresholds_of(gathered([*facts, *later]), moment(399)) == learned(facts)


def test_thresholds_do_not_mind_how_the_log_was_cut() -> None:
    facts = sixty()
    assert thresholds_of(together([gathered(facts[:40]), gathered([]), gathered(facts[40:])])) == learned(facts)


def test_a_moment_of_the_reference_is_of_no_consequence_for_thresholds() -> None:
    facts = sixty()
    moved = [replace(fact, occurred_at=later(fact.occurred_at), received_at=later(fact.received_at)) for fact in facts]
    assert learned(moved) == learned(facts)


def later(at: datetime) -> datetime:
    return at + (moment(1_000) - moment(0))
