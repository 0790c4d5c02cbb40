"""The bytes of every event are pinned: what any version wrote is read for ever, and this version writes the same.

`event_bytes_v1.json` is never regenerated; a new version gets a file of its own beside it.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ingest.vocabulary import codec
from ingest.vocabulary import events as facts
from ingest.vocabulary.codec import decode_event, encode_event
from ingest.vocabulary.context import Context, Place, TrafficSource, Weather
from ingest.vocabulary.errors import Corrupt, NewerVersion
from ingest.vocabulary.events import Event, Line
from ingest.vocabulary.products import Product

AT = datetime(2026, 11, 22, 10, 0, 0, 250_000, UTC)
SOON = datetime(2026, 11, 22, 10, 0, 1, tzinfo=UTC)
ENVELOPE: dict[str, Any] = {"event_id": "e-1", "occurred_at": AT, "received_at": SOON}
PERSON: dict[str, Any] = ENVELOPE | {"subject": "c3ViamVjdC1vZi1tYXJ5IQ"}
CONTEXT = Context(
    device="mobile",
    traffic_source=TrafficSource("google", "cpc", "spring"),
    weather=Weather("rain", 7.5),
    place=Place("GB", "Leeds"),
    local_time=AT,
)
LINES = (Line("85123A", 6, Decimal("2.55")), Line("71053"))
PRODUCT = Product(
    product_id="85123A",
    title="White hanging heart",
    description="A heart",
    category=("Home", "Décor"),
    brand="Heartwares",
    price=Decimal("2.55"),
    sale_price=Decimal("2.00"),
    currency="GBP",
    availability="backorder",
    stock=12,
    item_group_id="heart",
    url="https://shop.example/85123A",
    image_url="https://shop.example/85123A.jpg",
    attributes={"colour": "white", "sizes": ["S", "M"], "depth": 3, "weight": 0.5, "fragile": True},
    tags=("gift",),
    published_at=AT,
    expires_at=SOON,
    margin=0.4,
)
PINNED: tuple[Event, ...] = (
    facts.ProductViewed(
        **PERSON | {"source": "store", "imported": True},
        product_id="85123A",
        list_id="hearts",
        request_id="r-1",
        context=CONTEXT,
        personal=b"\x00sealed",
    ),
    facts.ListViewed(**PERSON, list_id="hearts", category=("Home",), product_ids=("85123A",)),
    facts.Searched(**PERSON, results=3, product_ids=("85123A",)),
    facts.ProductAdded(
        **PERSON, product_id="85123A", quantity=2, price=Decimal("2.50"), currency="GBP", request_id="r-1"
    ),
    facts.ProductRemoved(**PERSON, product_id="85123A", quantity=1),
    facts.WishlistAdded(**PERSON, product_id="85123A"),
    facts.WishlistRemoved(**PERSON, product_id="85123A"),
    facts.CheckoutStarted(**PERSON, order_id="o-9", lines=LINES),
    facts.OrderCompleted(**PERSON, order_id="o-9", currency="GBP", lines=LINES),
    facts.OrderRefunded(**PERSON, order_id="o-9", currency="GBP", lines=LINES[:1]),
    facts.OrderCancelled(**PERSON, order_id="o-9"),
    facts.ProductReviewed(**PERSON, product_id="85123A", rating=4.5),
    facts.CustomerIdentified(**PERSON, known="a25vd24tc3ViamVjdC0hIQ"),
    facts.ConsentChanged(**PERSON, purposes={"analytics": True, "ads": False}),
    facts.RankingShown(
        **PERSON,
        request_id="r-1",
        placement="product.bought-together",
        product_ids=("21733", "71053"),
        seeds=("85123A",),
        category=("Home",),
        snapshot="sha256:aa",
        configuration="sha256:bb",
        seed=2**40,
        profile_offset=17,
        catalogue_version=3,
        propensity=0.25,
        degraded=("tail",),
    ),
    facts.HomepageShown(
        **PERSON,
        request_id="r-2",
        variant="rainy-day",
        policy="bandit",
        rule="the bandit",
        learner="homepage",
        eligible={"default": 0.25, "rainy-day": 0.75},
        propensity=0.75,
        held_out=True,
        experiment="rain",
        arm="b",
        features=(1.0, 0.5),
        facts={"weather": "rain", "temperature_c": 7.5},
        rows=("r-3",),
        configuration="sha256:bb",
        degraded=("profiles",),
    ),
    facts.RankingClicked(**PERSON, request_id="r-1", product_id="21733", placement="home.popular", position=1),
    facts.EmailSent(**PERSON, campaign="spring"),
    facts.EmailOpened(**PERSON, campaign="spring"),
    facts.EmailClicked(**PERSON, campaign="spring", product_id="85123A"),
    facts.Custom(**PERSON, name="quiz", properties={"score": 3.5, "done": True, "note": None, "who": "me"}),
    facts.ProfileMerged(**PERSON, absorbed="YW5vbnltb3VzLXN1YmplY3Q", profile=b"\x01profile"),
    facts.DecisionsMerged(**PERSON, absorbed="YW5vbnltb3VzLXN1YmplY3Q", decisions=b"\x94\x90\x80\xc0\x00"),
    facts.CustomerErased(**PERSON),
    facts.VisitorExpired(**PERSON, last_seen_at=AT),
    facts.ProductUpserted(**ENVELOPE, product_id="85123A", product=PRODUCT),
    facts.ProductDeleted(**ENVELOPE, product_id="85123A"),
    facts.PriceChanged(
        **ENVELOPE, product_id="85123A", price=Decimal("2.55"), sale_price=Decimal("1.99"), currency="GBP"
    ),
    facts.StockChanged(**ENVELOPE, product_id="85123A", availability="out_of_stock", stock=0),
    facts.ExperimentStarted(
        **ENVELOPE, experiment="rain", arms={"bold": 1.0, "rules": 2.0}, control="rules", ends=0.5, admitted=0.25
    ),
    facts.ExperimentChanged(
        **ENVELOPE,
        experiment="rain",
        arms={"bold": 1.0, "rules": 1.0},
        control="bold",
        layer="home",
        begins=0.25,
        ends=0.75,
        admitted=0.5,
        grew_only=False,
    ),
    facts.ExperimentStopped(**ENVELOPE, experiment="rain"),
)
WIDENED: tuple[Event, ...] = (  # what was added to facts of this version; nothing that was written before has it
    facts.RankingShown(
        **PERSON,
        request_id="r-1",
        placement="home.popular",
        product_ids=("21733",),
        choice=facts.Chosen(
            "novel",
            "bandit",
            learner="home.popular",
            terms=facts.Terms(86_400, 3_600, 1_000_000),
            eligible={"novel": 0.25, "rules": 0.75},
            propensity=0.25,
            held_out=True,
            experiment="copy",
            features=(1.0, 0.5),
        ),
        asked=facts.Asked(4, ("22423",), b"\x01\x02\x03", b"\x80", ("filter",)),
    ),
    facts.HomepageShown(
        **PERSON,
        request_id="r-2",
        variant="rainy-day",
        learner="homepage",
        terms=facts.Terms(),
        order=facts.Chosen("turned", eligible={"turned": 1.0}),
    ),
)
WIDENED_BYTES: dict[str, str] = json.loads((Path(__file__).parent / "event_bytes_v1_widened.json").read_text())
BYTES: dict[str, str] = json.loads((Path(__file__).parent / "event_bytes_v1.json").read_text())


def named(event: Event) -> str:
    return str(event.__struct_config__.tag)


def test_every_type_of_event_is_pinned_once() -> None:
    assert [type(event) for event in PINNED] == list(facts.AnyEvent.__args__)
    assert list(BYTES) == [named(event) for event in PINNED]


@pytest.mark.parametrize("event", PINNED, ids=named)
def test_pinned_bytes_are_read_as_the_event_they_were(event: Event) -> None:
    assert decode_event(bytes.fromhex(BYTES[named(event)])) == event


@pytest.mark.parametrize("event", PINNED, ids=named)
def test_an_event_is_still_written_as_the_pinned_bytes(event: Event) -> None:
    assert encode_event(event).hex() == BYTES[named(event)]


@pytest.mark.parametrize("event", WIDENED, ids=named)
def test_what_was_added_to_a_fact_is_pinned_as_well(event: Event) -> None:
    assert encode_event(event).hex() == WIDENED_BYTES[named(event)]
    assert decode_event(bytes.fromhex(WIDENED_BYTES[named(event)])) == event


def test_a_row_that_depends_on_nobody_says_so_in_one_key_more() -> None:
    plain, said = (
        msgspec.msgpack.decode(encode_event(event)[1:])
        for row in PINNED
        if isinstance(row, facts.RankingShown)
        for event in (row, msgspec.structs.replace(row, impersonal=True))
    )
    assert "impersonal" not in plain
    assert said == plain | {"impersonal": True}


def test_a_record_of_a_newer_version_asks_for_an_upgrade() -> None:
    stored = bytes([codec.VERSION + 1]) + encode_event(PINNED[0])[1:]
    with pytest.raises(NewerVersion, match="a record has version 2; this Dangol reads up to 1: upgrade it"):
        decode_event(stored)


def test_an_empty_record_is_corrupt() -> None:
    with pytest.raises(Corrupt, match=r"^an empty record is not a fact$"):
        decode_event(b"")


def older(event: Event, version: int, **changes: object) -> bytes:
    plain = msgspec.msgpack.decode(encode_event(event)[1:])
    plain.update(changes)
    return bytes([version]) + msgspec.msgpack.encode(plain)


def test_a_record_of_an_older_version_passes_through_every_step_between() -> None:
    steps = {
        1: lambda plain: plain | {"campaign": plain.pop("mailing") + "+1"},
        2: lambda plain: plain | {"campaign": plain["campaign"] + "+2"},
    }
    event = facts.EmailSent(**PERSON)
    assert decode_event(older(event, 1, mailing="spring"), steps, 3) == facts.EmailSent(**PERSON, campaign="spring+1+2")
    assert decode_event(older(event, 2, campaign="spring"), steps, 3) == facts.EmailSent(**PERSON, campaign="spring+2")
    assert decode_event(older(event, 3, campaign="spring"), steps, 3) == facts.EmailSent(**PERSON, campaign="spring")
    with pytest.raises(NewerVersion):
        decode_event(older(event, 4), steps, 3)


@pytest.mark.parametrize("event", PINNED, ids=named)
def test_every_type_can_be_read_from_an_older_version(event: Event) -> None:
    assert decode_event(older(event, 1), {1: lambda plain: plain}, 2) == event


def test_a_step_that_is_missing_or_wrong_is_corrupt() -> None:
    with pytest.raises(Corrupt, match="a record of version 1 cannot be read"):
        decode_event(older(PINNED[0], 1), {}, 2)
    with pytest.raises(Corrupt):
        decode_event(older(PINNED[0], 1), {1: lambda plain: plain | {"type": "unheard_of"}}, 2)
