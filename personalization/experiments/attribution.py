"""What a decision earned: clicks, carts and orders find the decision they belong to, each once.

A click names its decision. A cart or an order belongs to the newest decision of each policy before it, within the
window (last touch); two policies that both decided on a page may therefore both learn from an order, one policy never
twice. State is kept by subject and folded in log order. A decision that is folded after the order it led to gets
nothing of it: shown lists join the log within 100 ms of the answer, and people are slower.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ingest.vocabulary.ids import OrderId

pending_max = 40  # of a subject: a page has some five decisions, and a window a few visits
credited_orders_max = 20  # refunds and repetitions come within weeks of the order
features_max = 64  # a context as numbers; the contextual policy's cost grows with the square


class Reward(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a decision earned so far: whether anything was clicked, put in the cart, ordered; and for how much."""

    clicked: bool = False
    added: bool = False
    ordered: bool = False
    value_e4: int = 0


NOTHING = Reward()


class Decision(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An arm that was shown, as drawn. `decision_id` is the request's; `features` are what a contextual policy saw."""

    decision_id: str
    policy: str
    arm: str
    at_ms: int
    features: tuple[float, ...] = ()


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


class Pending(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A decision that may still earn something. `orders` counts those that its value is of."""

    decision: Decision
    reward: Reward
    orders: int = 0  # that count towards it


class Attribution(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The newest decisions of a subject by (time, policy, id), and the newest orders with where they went."""

    pending: tuple[Pending, ...] = ()
    orders: Mapping[OrderId, Credit] = {}


EMPTY = Attribution()
Evolved = tuple[Attribution, tuple[Change, ...]]


def evolve_decided(state: Attribution, decision: Decision) -> Evolved:
    """An arm was shown. The same decision again changes nothing. The oldest goes when there are too many."""
    if len(decision.features) > features_max:
        raise ValueError(f"a decision has at most {features_max} features, got {len(decision.features)}")
    if any(_name(each) == (decision.policy, decision.decision_id) for each in state.pending):
        return state, ()
    kept = _newest((*state.pending, Pending(decision, NOTHING)))
    return msgspec.structs.replace(state, pending=kept), (Change(decision, None, NOTHING),)


def evolve_clicked(state: Attribution, decision_id: str, at_ms: int, window_ms: int) -> Evolved:
    """Something of a shown decision was clicked."""
    named = [
        each
        for each in state.pending
        if each.decision.decision_id == decision_id and 0 <= at_ms - each.decision.at_ms <= window_ms
    ]
    return _rewarded(state, {_name(each): msgspec.structs.replace(each.reward, clicked=True) for each in named})


def evolve_added(state: Attribution, at_ms: int, window_ms: int) -> Evolved:
    """Something was put in the cart."""
    touched = _last_touched(state, at_ms, window_ms)
    return _rewarded(state, {_name(each): msgspec.structs.replace(each.reward, added=True) for each in touched})


def evolve_ordered(state: Attribution, order_id: OrderId, value_e4: int, at_ms: int, window_ms: int) -> Evolved:
    """An order was completed, once: the same id again changes nothing. Several orders of a decision add up."""
    if order_id in state.orders:
        return state, ()
    touched = _last_touched(state, at_ms, window_ms)
    state, changes = _with_value(state, {_name(each): value_e4 for each in touched}, orders=1)
    credit = Credit(at_ms, value_e4, tuple(_name(each) for each in touched))
    return msgspec.structs.replace(state, orders=_newest_orders({**state.orders, order_id: credit})), changes


def evolve_called_off(state: Attribution, order_id: OrderId) -> Evolved:
    """An order was cancelled or sent back as a whole: what it earned is taken back, as far as it is remembered."""
    credit = state.orders.get(order_id)
    if credit is None or not credit.decisions:
        return state, ()
    state, changes = _with_value(state, dict.fromkeys(credit.decisions, -credit.value_e4), orders=-1)
    nowhere = Credit(credit.at_ms, 0, ())
    return msgspec.structs.replace(state, orders={**state.orders, order_id: nowhere}), changes


def merged(known: Attribution, absorbed: Attribution) -> Attribution:
    """A visitor turned out to be a known customer: both histories in one, in any order. No reward changes."""
    both = {_name(each): each for each in (*absorbed.pending, *known.pending)}
    return Attribution(_newest(tuple(both.values())), _newest_orders({**absorbed.orders, **known.orders}))


def _name(each: Pending) -> tuple[str, str]:
    return each.decision.policy, each.decision.decision_id


def _last_touched(state: Attribution, at_ms: int, window_ms: int) -> tuple[Pending, ...]:
    """The newest decision of each policy at or before a moment, if it is within the window."""
    by_policy = {each.decision.policy: each for each in state.pending if 0 <= at_ms - each.decision.at_ms <= window_ms}
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


def _newest(decisions: tuple[Pending, ...]) -> tuple[Pending, ...]:
    return tuple(sorted(decisions, key=lambda each: (each.decision.at_ms, *_name(each))))[-pending_max:]


def _newest_orders(orders: Mapping[OrderId, Credit]) -> dict[OrderId, Credit]:
    return dict(sorted(orders.items(), key=lambda item: (item[1].at_ms, item[0]))[-credited_orders_max:])
