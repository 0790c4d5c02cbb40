"""Segment's tracking calls, live or from an archive of JSON lines; RudderStack speaks the same.

Source: Segment spec, "Common fields" and "E-commerce events v2".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from ingest.collector import Incoming
from ingest.dialects.cells import parse_currency
from ingest.dialects.product_facts import ProductFacts
from ingest.dialects.reading import Found, ImportOptions, Progress, Refused, Survey, Tally
from ingest.dialects.segment_calls import (
    CALL_BYTES_MAX,
    Call,
    Fields,
    context_of,
    decode_call,
    moment,
    money_of,
    occurred_at,
    product_id_of,
    text_of,
)
from ingest.dialects.segment_events import About, event_of
from ingest.privacy import Personal
from ingest.sources import OVERLONG_MARK, Source
from ingest.vocabulary.errors import ConfigurationError, MalformedEvent, OversizedInput
from ingest.vocabulary.events import OrderCompleted
from ingest.vocabulary.ids import EventId, content_id, parse_anonymous_id, parse_customer_id, parse_id
from ingest.vocabulary.products import TITLE_LENGTH_MAX, URL_LENGTH_MAX

SOURCE = "segment"
PROGRESS_LINES = 10_000


def parse_segment(
    raw: bytes,
    *,
    received_at: datetime,
    imported: bool = False,
    sent_at: datetime | None = None,
    kind: str | None = None,
) -> Sequence[Incoming]:
    """The facts in one call, as a line of an archive or the body of a request has it: one, or none for `group`.

    Args:
        received_at: when we got it.
        imported: it comes from an archive.
        sent_at: the batch's own `sentAt`.
        kind: the type that the path implies.

    Raises:
        MalformedEvent: with the reason.
    """
    call = decode_call(_within_limit(raw), kind)
    return facts_of(call, raw, received_at=received_at, imported=imported, sent_at=sent_at)


def facts_of(
    call: Call, raw: bytes, *, received_at: datetime, imported: bool = False, sent_at: datetime | None = None
) -> Sequence[Incoming]:
    """The facts in a decoded call; `raw` identifies it where it has no `messageId`."""
    if call.type == "group":
        return ()
    about = About(
        EventId(parse_id(call.message_id, "messageId")) if call.message_id else content_id("segment", _text(raw)),
        occurred_at(call, received_at, imported=imported, sent_at=sent_at),
        received_at,
        f"import:{SOURCE}" if imported else SOURCE,
        imported,
        context_of(call.context) if call.context else None,
    )
    customer_id = parse_customer_id(call.user_id, "userId") if call.user_id not in (None, "") else None
    anonymous_id = parse_anonymous_id(call.anonymous_id, "anonymousId") if call.anonymous_id not in (None, "") else None
    personal: Personal = _visit(call.context or {})
    event = event_of(call, about, personal)
    if call.type == "alias" and call.previous_id not in (None, ""):
        anonymous_id = parse_anonymous_id(call.previous_id, "previousId")
    return (Incoming(event, customer_id, anonymous_id, personal or None),)


class SegmentDialect:
    """Reads one archive, a call a line. Cost: about 12 µs a line."""

    name = "segment"

    def __init__(self, options: ImportOptions) -> None:
        if options.columns or options.constants:
            raise ConfigurationError("the dialect segment takes no --map and no --set", code="wrong_usage")
        self._products = ProductFacts(options.category_of)

    def survey(self, source: Source, *, with_times: bool, progress: Progress) -> Survey:
        """Count the lines."""
        number, newest = 0, None
        for number, line in enumerate(_lines(source), 1):
            if with_times:
                newest = _later(newest, line)
            if number % PROGRESS_LINES == 0:
                progress(number)
        return Survey(number, newest)

    def facts(
        self, source: Source, *, shift: timedelta, received_at: datetime, tally: Tally
    ) -> Iterator[Found | Refused]:
        """The facts in the file."""
        for number, line in enumerate(_lines(source), 1):
            if not line.strip():
                continue
            tally.rows += 1
            try:
                if line.endswith(OVERLONG_MARK):
                    raise OversizedInput("the line is longer than 1 MiB")
                call = decode_call(_within_limit(line))
                found = facts_of(call, line, received_at=received_at, imported=True)
            except MalformedEvent as error:
                yield Refused(number, line, error)
                continue
            if not found:
                tally.left_out[f"{call.type} calls"] += 1
            for incoming in found:
                shifted = _shifted(incoming, shift) if shift else incoming
                self._learn(call, shifted.event)
                if isinstance(shifted.event, OrderCompleted) and _nobody(incoming):
                    tally.noticed["orders of guests"] += 1
                yield shifted, number, line

    def product_facts(self, known: Callable[[Any], bool], received_at: datetime, tally: Tally) -> Iterator[Incoming]:
        """The products that the catalogue does not know, as the calls describe them; after `facts`."""
        return self._products.upserts(known, received_at, f"import:{SOURCE}", tally.noticed)

    def payload(self, raw: Any) -> str:
        """The line."""
        line: bytes = raw
        return line.strip().decode("utf-8", "backslashreplace")

    def letter_options(self) -> dict[str, str]:
        """Nothing but the dialect."""
        return {"dialect": self.name}

    def _learn(self, call: Call, event: Any) -> None:
        """What the call says about products; what of it cannot be read does not spoil the fact."""
        properties = call.properties
        if not properties or call.type != "track":
            return
        listed = properties.get("products")
        for each in listed if isinstance(listed, list) else [properties]:
            try:
                product_id = product_id_of(each, "")
                price, currency = money_of(each), parse_currency(text_of({**properties, **each}, "currency") or "")
            except (MalformedEvent, AttributeError, TypeError):
                continue
            told = self._products.sold if isinstance(event, OrderCompleted) else self._products.looked_at
            title = text_of(each, "name", "title", length=TITLE_LENGTH_MAX) or ""
            category = text_of(each, "category", length=TITLE_LENGTH_MAX) or ""
            told(product_id, event.occurred_at, title, price or None, currency, category)
            self._products.described(
                product_id,
                brand=text_of(each, "brand") or "",
                url=text_of(each, "url", length=URL_LENGTH_MAX) or "",
                image_url=text_of(each, "image_url", length=URL_LENGTH_MAX) or "",
            )


def _lines(source: Source) -> Iterator[bytes]:
    for block in source.whole_lines():
        yield from block.removesuffix(b"\n").split(b"\n")


def _within_limit(line: bytes) -> bytes:
    if len(line) > CALL_BYTES_MAX:
        raise OversizedInput(f"a call may have {CALL_BYTES_MAX} bytes, this one has {len(line)}")
    return line


def _shifted(incoming: Incoming, shift: timedelta) -> Incoming:
    event = incoming.event
    return incoming._replace(event=msgspec.structs.replace(event, occurred_at=event.occurred_at + shift))


def _nobody(incoming: Incoming) -> bool:
    return incoming.customer_id is None and incoming.anonymous_id is None


def _later(newest: datetime | None, line: bytes) -> datetime | None:
    try:
        found = moment(decode_call(line).timestamp, "timestamp")
    except MalformedEvent:
        return newest
    return newest if found is None or (newest is not None and found <= newest) else found


def _text(raw: bytes) -> str:
    return raw.strip().decode("utf-8", "replace")


def _visit(context: Fields) -> Personal:
    """What of a call's context identifies a person."""
    found: Personal = {}
    for name, plain in (("ip", "ip"), ("userAgent", "user_agent"), ("user_agent", "user_agent")):
        value = context.get(name)
        if isinstance(value, str) and value:
            found[plain] = value
    if isinstance(context.get("traits"), dict) and context["traits"]:
        found["traits"] = context["traits"]
    return found
