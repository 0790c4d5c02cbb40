"""What a decision earned: clicks, carts and orders find the decision they belong to, each once.

A click names its decision, or a row of the page that was decided about. A cart or an order belongs to the newest
decision of each policy before it, within that decision's window (last touch); two policies that both decided on a page
may therefore both learn from an order, one policy never twice. State is kept by subject and folded in log order. A
decision that is folded after the order it led to gets nothing of it: shown lists join the log within 100 ms of the
answer, and people are slower. Only what a visitor was shown may follow the order of the customer they turn out to be.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec

from ingest.vocabulary.events import Terms
from ingest.vocabulary.ids import OrderId, RequestId, Subject

pending_max = 40  # of a subject: a page has some five decisions, and a window a few visits
credited_orders_max = 20  # refunds and repetitions come within weeks of the order
features_max = 64  # a context as numbers; the contextual policy's cost grows with the square
rows_max = 20  # of a page
UNCREDITED_KEPT_MS = 3_600_000  # an order waits so long for what a visitor was shown before it: projectors lag seconds
MOVED_KEPT_MS = 86_400_000  # facts under the name of a visitor who became a customer end within minutes
_MARK = 12  # characters of a request id that tell the rows of a person apart: 60 random bits


class Reward(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a decision earned so far: whether anything was clicked, put in the cart, ordered; and for how much."""

    clicked: bool = False
    added: bool = False
    ordered: bool = False
    value_e4: int = 0


NOTHING = Reward()


class Decision(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An arm that was shown, as drawn.

    Attributes:
        decision_id: the request's.
        features: what a contextual policy saw.
        terms: what happens within their window counts.
        rows: marks of the rows of a page; a click on one of them is the decision's.
    """

    decision_id: str
    policy: str
    arm: str
    at_ms: int
    features: tuple[float, ...] = ()
    terms: Terms = Terms()
    rows: tuple[str, ...] = ()

    @property
    def window_ms(self) -> int:
        """What happens so long after the decision counts."""
        return 1_000 * self.terms.window_s

    def awaits(self, at_ms: int) -> bool:
        """Whether something that happens at a moment counts."""
        return 0 <= at_ms - self.at_ms <= 1_000 * self.terms.window_s


class Change(msgspec.Struct, frozen=True, gc=False):
    """A decision earned more, or less; `before` is None when it was only just made."""

    decision: Decision
    before: Reward | None
    after: Reward


class Credit(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where the value of an order went; nowhere once it was called off, and it never counts again."""

    at_ms: int
    value_e4: int
    decisions: tuple[tuple[str, str], ...]  # (policy, decision id)
    is_called_off: bool = False


class Pending(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A decision that may still earn something. `orders` counts those that its value is of."""

    decision: Decision
    reward: Reward
    orders: int = 0  # that count towards it


class Attribution(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The newest decisions of a subject by (time, policy, id), and the newest orders with where they went.

    Attributes:
        moved_to: who the visitor turned out to be, and when.
    """

    pending: tuple[Pending, ...] = ()
    orders: Mapping[OrderId, Credit] = {}
    moved_to: Subject | None = None
    moved_ms: int = 0


EMPTY = Attribution()
Evolved = tuple[Attribution, tuple[Change, ...]]


def row_mark(request_id: RequestId) -> str:
    """What a row is recognised by among those a person was shown."""
    return request_id[-_MARK:]


def evolve_decided(state: Attribution, decision: Decision) -> Evolved:
    """An arm was shown. The same decision again changes nothing. The oldest goes when there are too many."""
    if len(decision.features) > features_max:
        raise ValueError(f"a decision has at most {features_max} features, got {len(decision.features)}")
    if any(_name(each) == (decision.policy, decision.decision_id) for each in state.pending):
        return state, ()
    kept = _newest((*state.pending, Pending(decision, NOTHING)))
    return msgspec.structs.replace(state, pending=kept), (Change(decision, None, NOTHING),)


def evolve_clicked(state: Attribution, request_id: RequestId, at_ms: int) -> Evolved:
    """Something of a shown decision, or of a row of its page, was clicked."""
    mark = row_mark(request_id)
    named = [
        each
        for each in state.pending
        if (each.decision.decision_id == request_id or mark in each.decision.rows) and each.decision.awaits(at_ms)
    ]
    return _rewarded(state, {_name(each): msgspec.structs.replace(each.reward, clicked=True) for each in named})


def evolve_added(state: Attribution, at_ms: int) -> Evolved:
    """Something was put in the cart."""
    touched = _last_touched(state.pending, at_ms)
    return _rewarded(state, {_name(each): msgspec.structs.replace(each.reward, added=True) for each in touched})


def evolve_ordered(state: Attribution, order_id: OrderId, value_e4: int, at_ms: int) -> Evolved:
    """An order was completed, once: the same id again changes nothing. Several orders of a decision add up."""
    if order_id in state.orders:
        return state, ()
    touched = _last_touched(state.pending, at_ms)
    state, changes = _with_value(state, {_name(each): value_e4 for each in touched}, orders=1)
    credit = Credit(at_ms, value_e4, tuple(_name(each) for each in touched))
    return msgspec.structs.replace(state, orders=_newest_orders({**state.orders, order_id: credit})), changes


def evolve_called_off(state: Attribution, order_id: OrderId, at_ms: int) -> Evolved:
    """An order was cancelled or sent back as a whole: what it earned within the last window is taken back."""
    credit = state.orders.get(order_id)
    if credit is None or credit.is_called_off:
        return state, ()
    age_ms = at_ms - credit.at_ms
    back = [_name(each) for each in state.pending if age_ms <= each.decision.window_ms]
    values_e4 = dict.fromkeys((name for name in back if name in credit.decisions), -credit.value_e4)
    if credit.decisions and not values_e4:
        return state, ()
    state, changes = _with_value(state, values_e4, orders=-1)
    nowhere = Credit(credit.at_ms, 0, (), is_called_off=True)
    return msgspec.structs.replace(state, orders={**state.orders, order_id: nowhere}), changes


def evolve_merged(known: Attribution, absorbed: Attribution) -> Evolved:
    """A visitor turned out to be a known customer: both histories in one.

    An order of the customer that no decision of a policy was there for goes to the visitor's newest one: at a checkout
    the order and who placed it come at once, and in any order.
    """
    state = merged(known, absorbed)
    changes: list[Change] = []
    mine = {_name(each) for each in absorbed.pending}
    for order_id, credit in state.orders.items():
        if credit.is_called_off:
            continue
        policies = {policy for policy, _ in credit.decisions}
        last = _last_touched(state.pending, credit.at_ms)
        late = [_name(each) for each in last if _name(each) in mine and each.decision.policy not in policies]
        if late:
            state, changed = _with_value(state, dict.fromkeys(late, credit.value_e4), orders=1)
            went = msgspec.structs.replace(credit, decisions=(*credit.decisions, *late))
            state = msgspec.structs.replace(state, orders={**state.orders, order_id: went})
            changes += changed
    return state, tuple(changes)


def merged(known: Attribution, absorbed: Attribution) -> Attribution:
    """Both histories in one, in any order. No reward changes."""
    both = {_name(each): each for each in (*absorbed.pending, *known.pending)}
    orders = _newest_orders({**absorbed.orders, **known.orders})
    return msgspec.structs.replace(known, pending=_newest(both.values()), orders=orders)


def pruned(state: Attribution, now_ms: int) -> Attribution:
    """What of a state may still change anything; `EMPTY` where nothing may.

    A decision counts for its window, and an order that it led to may be called off for as long again.
    """
    pending = tuple(each for each in state.pending if now_ms - each.decision.at_ms <= 2 * each.decision.window_ms)
    moved = state.moved_to is not None and now_ms - state.moved_ms <= MOVED_KEPT_MS
    orders = state.orders
    if not pending:
        orders = {name: each for name, each in orders.items() if now_ms - each.at_ms <= UNCREDITED_KEPT_MS}
    if (
        len(pending) == len(state.pending)
        and len(orders) == len(state.orders)
        and moved == (state.moved_to is not None)
    ):
        return state
    return Attribution(pending, orders, *((state.moved_to, state.moved_ms) if moved else (None, 0)))


def _name(each: Pending) -> tuple[str, str]:
    return each.decision.policy, each.decision.decision_id


def _last_touched(pending: Collection[Pending], at_ms: int) -> tuple[Pending, ...]:
    """The newest decision of each policy at or before a moment, if it still awaits something then."""
    by_policy = {each.decision.policy: each for each in pending if each.decision.awaits(at_ms)}
    return tuple(by_policy.values())


def _with_value(state: Attribution, values_e4: Mapping[tuple[str, str], int], orders: int) -> Evolved:
    changed = []
    rewards = {}
    for each in state.pending:
        value_e4 = values_e4.get(_name(each))
        if value_e4 is not None:
            counted = each.orders + orders
            rewards[_name(each)] = msgspec.structs.replace(
                each.reward, ordered=counted > 0, value_e4=each.reward.value_e4 + value_e4
            )
            each = msgspec.structs.replace(each, orders=counted)
        changed.append(each)
    return _rewarded(msgspec.structs.replace(state, pending=tuple(changed)), rewards)


def _rewarded(state: Attribution, rewards: Mapping[tuple[str, str], Reward]) -> Evolved:
    changes = tuple(
        Change(each.decision, each.reward, after)
        for each in state.pending
        if (after := rewards.get(_name(each), each.reward)) != each.reward
    )
    if not changes:
        return state, ()
    kept = tuple(
        msgspec.structs.replace(each, reward=rewards[_name(each)]) if _name(each) in rewards else each
        for each in state.pending
    )
    return msgspec.structs.replace(state, pending=kept), changes


def _newest(decisions: Iterable[Pending]) -> tuple[Pending, ...]:
    return tuple(sorted(decisions, key=lambda each: (each.decision.at_ms, *_name(each))))[-pending_max:]


def _newest_orders(orders: Mapping[OrderId, Credit]) -> dict[OrderId, Credit]:
    return dict(sorted(orders.items(), key=lambda item: (item[1].at_ms, item[0]))[-credited_orders_max:])
