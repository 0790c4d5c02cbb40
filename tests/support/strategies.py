"""Hypothesis strategies for every event type, read off the types themselves, and for histories of a small shop."""

from __future__ import annotations

import functools
import types
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import strategies as st

from ingest.vocabulary import events as facts
from ingest.vocabulary.events import Event, Recorded
from ingest.vocabulary.ids import GENERATION, Position, partition_of
from tests.support.build import EVENT_TYPES, NOON, fact, product

moments = st.datetimes(
    min_value=datetime(1971, 1, 1),  # noqa: DTZ001 - Hypothesis wants naive bounds and adds the zone
    max_value=datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
money = st.decimals(min_value=0, max_value=10**9, allow_nan=False, allow_infinity=False, places=2)
texts = st.text(max_size=12)
ids = st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=12)
_SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: texts,
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False),
    bool: st.booleans(),
    bytes: st.binary(max_size=40),
    datetime: moments,
    Decimal: money,
    type(None): st.none(),
}

_BOUNDED: dict[str, st.SearchStrategy[Any]] = {"utc_offset_min": st.none() | st.integers(-1_439, 1_439)}


def of_type(annotation: Any) -> st.SearchStrategy[Any]:
    """Values of a type as it is written in a struct."""
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if hasattr(annotation, "__supertype__"):
        return ids
    if origin in (Union, types.UnionType):
        return st.one_of([of_type(argument) for argument in arguments])
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (tuple, list):
        return st.lists(of_type(arguments[0]), max_size=4).map(origin)
    if origin is dict:
        return st.dictionaries(of_type(arguments[0]), of_type(arguments[1]), max_size=4)
    return of_struct(annotation)


@functools.cache
def of_struct(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Any value of a struct; fields with a default may be left out."""
    hints = get_type_hints(kind)
    needed, optional = {}, {}
    for field in msgspec.structs.fields(kind):
        values = _BOUNDED[field.name] if field.name in _BOUNDED else of_type(hints[field.name])
        (needed if field.required else optional)[field.name] = values
    return st.fixed_dictionaries(needed, optional=optional).map(lambda fields: kind(**fields))


def any_event() -> st.SearchStrategy[Event]:
    """Any fact of any type."""
    return st.sampled_from(EVENT_TYPES).flatmap(of_struct)


SUBJECTS = tuple(f"subject-{number}" for number in range(5))
PRODUCTS = tuple(f"p-{number}" for number in range(6))
_KINDS = (
    facts.ProductViewed,
    facts.ProductAdded,
    facts.OrderCompleted,
    facts.OrderCancelled,
    facts.CustomerIdentified,
    facts.CustomerErased,
    facts.Custom,
    facts.ProductUpserted,
    facts.ProductDeleted,
    facts.PriceChanged,
    facts.StockChanged,
    facts.ExperimentStarted,
    facts.ExperimentStopped,
    facts.HomepageShown,
    facts.HomepageShown,
    facts.RankingClicked,
)


@st.composite
def _one_of_a_history(draw: st.DrawFn, number: int) -> Event:
    kind = draw(st.sampled_from(_KINDS))
    at = NOON + timedelta(seconds=number)
    fields: dict[str, Any] = {"event_id": f"h-{number}", "occurred_at": at}
    if issubclass(kind, facts.CustomerEvent):
        fields["subject"] = draw(st.sampled_from(SUBJECTS))
    if "product_id" in kind.__struct_fields__:
        fields["product_id"] = draw(st.sampled_from(PRODUCTS))
    if kind is facts.ProductUpserted:
        price = draw(st.none() | money)
        return product(fields["product_id"], event_id=f"h-{number}", price=price)
    if kind is facts.OrderCompleted:
        fields["order_id"] = f"o-{draw(st.integers(0, 9))}"
    if kind is facts.CustomerIdentified:
        fields["known"] = draw(st.sampled_from(SUBJECTS))
    if kind is facts.HomepageShown:
        arm = draw(st.sampled_from("ab"))
        fields |= {"request_id": f"r-{number}", "variant": arm, "features": (1.0, 0.3), "rows": (f"row-{number}",)}
        fields["learner"] = draw(st.sampled_from(["homepage", "other", None]))
    if kind is facts.RankingClicked:
        fields["request_id"] = f"row-{draw(st.integers(0, 39))}"
    if kind is facts.Custom:
        fields["name"] = draw(st.sampled_from(["other", "echo"]))
    return fact(kind, **fields)


@st.composite
def histories(draw: st.DrawFn, *, most: int = 40) -> list[Event]:
    """The facts of a small shop in the order they came in; ids are their own, and orders may be told twice."""
    return [draw(_one_of_a_history(number)) for number in range(draw(st.integers(0, most)))]


def recorded(events: list[Event]) -> list[Recorded]:
    """The places facts take in an empty log."""
    ends: dict[int, int] = {}
    places = []
    for event in events:
        partition = partition_of(event.key)
        ends[partition] = ends.get(partition, -1) + 1
        places.append(Recorded(Position(GENERATION, partition, ends[partition]), event))
    return places
