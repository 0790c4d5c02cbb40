"""Which facts say what about decisions: one fold for a person, and the projection that keeps it by subject.

When a visitor turns out to be a known customer, what they were shown moves to the customer's partition with one
`DecisionsMerged`, as profiles do. What a fact changed is told on as a `DecisionEarned`, which is never stored; counts
(`counting.py`) are folded from it in the same step. So a state follows from the facts of its partition alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from ingest.vocabulary.clock import DAY_S, epoch_ms
from ingest.vocabulary.errors import Corrupt
from ingest.vocabulary.events import (
    Chosen,
    CustomerErased,
    CustomerEvent,
    CustomerIdentified,
    DecisionsMerged,
    Event,
    HomepageShown,
    OrderCancelled,
    OrderCompleted,
    OrderRefunded,
    ProductAdded,
    ProductViewed,
    RankingClicked,
    RankingShown,
    Recorded,
    Terms,
)
from ingest.vocabulary.ids import EventId, RequestId, Subject, content_id, partition_of
from personalization.customer.orders import order_lines
from personalization.experiments.attribution import (
    EMPTY,
    NOTHING,
    Attribution,
    Change,
    Decision,
    Evolved,
    Pending,
    evolve_added,
    evolve_called_off,
    evolve_clicked,
    evolve_decided,
    evolve_merged,
    evolve_ordered,
    features_max,
    pruned,
    row_mark,
    rows_max,
)

SOURCE = "dangol"
WINDOW_S_MAX = 90 * DAY_S  # as the settings have it
TEACHING = (  # the kinds of facts that say anything about decisions
    HomepageShown,
    RankingShown,
    RankingClicked,
    ProductViewed,
    ProductAdded,
    OrderCompleted,
    OrderCancelled,
    OrderRefunded,
    CustomerIdentified,
    DecisionsMerged,
    CustomerErased,
)
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Attribution] = msgspec.msgpack.Decoder(Attribution)


class DecisionEarned(Event, frozen=True, kw_only=True):
    """A decision was made, or earned more or less: what follows from a fact, at its place; never stored."""

    change: Change

    @property
    def key(self) -> str:
        """The decision's policy."""
        return self.change.decision.policy


def decisions_of(event: Event) -> tuple[Decision, ...]:
    """What a fact says was decided and is to be learned from: of a homepage its variant, and the order of its rows."""
    match event:
        case RankingShown(choice=Chosen() as choice):
            return _learned_from(choice, event, ())
        case HomepageShown():
            rows = _marks(event.rows)
            order = () if event.order is None else _learned_from(event.order, event, rows)
            chosen = Chosen(event.variant, learner=event.learner, terms=event.terms, features=event.features)
            return (*_learned_from(chosen, event, rows), *order)
    return ()


def _learned_from(choice: Chosen, event: RankingShown | HomepageShown, rows: tuple[str, ...]) -> tuple[Decision, ...]:
    terms = choice.terms or Terms()
    usable = min(msgspec.structs.astuple(terms)) >= 1 and terms.window_s <= WINDOW_S_MAX
    if choice.learner is None or not usable:  # nobody but Dangol says terms, and yet
        return ()
    at_ms, features = epoch_ms(event.occurred_at), _usable(choice.features)
    return (Decision(event.request_id, choice.learner, choice.arm, at_ms, features, terms, rows),)


def shown_decision(event: RankingShown | HomepageShown, policy: str, arm: str, terms: Terms) -> Decision:
    """Something that was shown, as a decision of whatever policy one likes, to see what it earned."""
    rows = _marks(event.rows) if isinstance(event, HomepageShown) else ()
    return Decision(event.request_id, policy, arm, epoch_ms(event.occurred_at), (), terms, rows)


def teaches(event: Event) -> bool:
    """Whether a fact may say anything about a decision: most views name no row that led to them."""
    if event.imported or not isinstance(event, TEACHING):
        return False
    match event:
        case RankingShown():
            return event.choice is not None and event.choice.learner is not None
        case HomepageShown():
            return bool(decisions_of(event))
        case ProductViewed():
            return event.request_id is not None
        case OrderRefunded():
            return not event.lines
        case CustomerIdentified():
            return event.known != event.subject
    return True


def evolve_did(state: Attribution, event: Event) -> Evolved:
    """What something that somebody did changes about what they were shown. Cost: 5 to 20 µs."""
    at_ms = epoch_ms(event.occurred_at)
    match event:
        case RankingClicked(request_id=row) | ProductViewed(request_id=row) if row is not None:
            return evolve_clicked(state, row, at_ms)
        case ProductAdded():
            return evolve_added(state, at_ms)
        case OrderCompleted(order_id=order_id, lines=lines):
            return evolve_ordered(state, order_id, order_lines(lines)[1], at_ms)
        case OrderCancelled(order_id=order_id) | OrderRefunded(order_id=order_id, lines=()):
            return evolve_called_off(state, order_id, at_ms)
    return state, ()


def evolve_all(state: Attribution, decisions: Iterable[Decision]) -> Evolved:
    """Several decisions were made at once."""
    changes: tuple[Change, ...] = ()
    for decision in decisions:
        state, changed = evolve_decided(state, decision)
        changes += changed
    return state, changes


class AttributionProjection:
    """What every subject was shown lately and may still earn something; a `Projection`.

    A state ends by itself: what `pruned` leaves nothing of may be dropped, and nothing changes by that.
    """

    name = "attribution"

    def keys(self, recorded: Recorded) -> tuple[str, ...]:
        """The subject of a fact that may say something about a decision."""
        event = recorded.event
        return (event.subject,) if teaches(event) and isinstance(event, CustomerEvent) else ()

    def partition_of_key(self, key: str) -> int:
        """The partition of the facts about the subject."""
        return partition_of(key)

    def evolve(self, state: Attribution | None, recorded: Recorded) -> Attribution | None:
        """What is left to be earned after the fact; None where there is nothing."""
        after = self._evolved(state, recorded.event)[0]
        return None if after == EMPTY else after

    def derived(self, before: Attribution | None, recorded: Recorded) -> tuple[Event, ...]:
        """What decisions earned by the fact."""
        event = recorded.event
        return tuple(
            DecisionEarned(
                event_id=EventId(""), occurred_at=event.occurred_at, received_at=event.received_at, change=change
            )
            for change in self._evolved(before, event)[1]
        )

    def consequences(self, state: Attribution | None, recorded: Recorded) -> tuple[Event, ...]:
        """The move of what a visitor was shown to the customer they turned out to be, if there is any to move."""
        event = recorded.event
        if isinstance(event, CustomerIdentified):
            kept = EMPTY if state is None else pruned(state, epoch_ms(event.received_at))
            if not kept.pending and not kept.orders:
                return ()
            moved = Attribution(kept.pending, kept.orders)
            return (_moved(recorded, event.subject, event.known, moved),)
        if state is None or state.moved_to is None or not isinstance(event, CustomerEvent):
            return ()
        late = tuple(Pending(each, NOTHING) for each in decisions_of(event))
        if not late:
            return ()  # else it was asked for before, and joined the log after the identification
        return (_moved(recorded, event.subject, state.moved_to, Attribution(late)),)

    def encode(self, state: Attribution) -> bytes:
        """The state as MessagePack: 120 bytes a page that was shown, twice that with features; 10 KB at most."""
        return _encoder.encode(state)

    def decode(self, stored: bytes) -> Attribution:
        """The inverse of `encode`.

        Raises:
            Corrupt: the bytes are no such state; replay.
        """
        try:
            return _decoder.decode(stored)
        except msgspec.MsgspecError as error:
            raise Corrupt(f"what somebody was shown cannot be read: {error}") from error

    def _evolved(self, state: Attribution | None, event: Event) -> Evolved:
        now_ms = epoch_ms(event.received_at)
        before = EMPTY if state is None else pruned(state, now_ms)
        match event:
            case CustomerErased():
                return EMPTY, ()
            case CustomerIdentified(known=known):
                return Attribution(moved_to=known, moved_ms=now_ms), ()
            case DecisionsMerged(decisions=decisions):
                absorbed = pruned(self.decode(decisions), now_ms)
                return (before, ()) if before.moved_to is not None else evolve_merged(before, absorbed)
        made = decisions_of(event)
        if not made:
            return evolve_did(before, event)
        if before.moved_to is not None:
            return before, tuple(Change(each, None, NOTHING) for each in made)
        return evolve_all(before, made)


def _marks(rows: tuple[RequestId, ...]) -> tuple[str, ...]:
    return tuple(row_mark(row) for row in rows[:rows_max])


def _usable(features: tuple[float, ...]) -> tuple[float, ...]:
    return features if len(features) <= features_max and all(map(math.isfinite, features)) else ()


def _moved(recorded: Recorded, visitor: Subject, known: Subject, moved: Attribution) -> DecisionsMerged:
    event, position = recorded.event, recorded.position
    place = (str(position.generation), str(position.partition), str(position.offset))
    return DecisionsMerged(
        event_id=content_id("decisions merged", *place),
        occurred_at=event.occurred_at,
        received_at=event.received_at,
        source=SOURCE,
        subject=known,
        absorbed=visitor,
        decisions=_encoder.encode(moved),
    )
