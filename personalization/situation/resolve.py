"""The situation of a request, resolved: every part with its source, what the caller states before everything else.

Three kinds of parts are worth telling apart, by when they change: headers, address and weather count for this very
page; what a profile says counts from the page after; what an order adds counts as soon as its event is folded.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime, tzinfo

import msgspec

from ingest.vocabulary.clock import epoch_ms
from ingest.vocabulary.context import Context, Device, Place, TrafficSource, Weather, WeatherCondition
from personalization.customer.profile import Profile
from personalization.customer.touches import DIRECT, NO_TOUCHES, Touches, session_gap_ms, tidy
from personalization.situation.channels import Channel, channel_of
from personalization.situation.client_hints import Hints, read_hints
from personalization.situation.consent import NOTHING_SAID, refusal
from personalization.situation.days.ahead import NO_CALENDAR, NONE, Ahead, Calendar
from personalization.situation.parts import (
    COUNTED,
    ESTIMATED,
    FORM_FACTOR,
    GUESSED,
    HINTED,
    MEASURED,
    REGION_GUESSED,
    SNIFFED,
    Origin,
    Part,
    best,
    derived,
    given,
    unknown,
)
from personalization.situation.seasons import Season, hemisphere_of, season_of
from personalization.situation.traffic import touch_of
from personalization.situation.user_agent import Agent, read_user_agent
from personalization.situation.visitor import Acquaintance, PriceOf, visitor_of
from personalization.situation.weather import Comfort, Reading, above_normal, comfort_of, temperature

_DESKTOPS = frozenset({"windows", "macos", "linux", "chromeos"})
_NO_READING = Reading()
CALENDAR_DAYS_MAX = 366  # from now, either way: further away holidays are anybody's guess, and visitors are elsewhere


class Seen(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known when a request comes in; everything but the moment may be absent.

    Attributes:
        now: aware UTC.
        stated: the request's own context, from the caller.
        headers: the request's headers, their names in lower case.
        url, referrer: the landing page and what led to it.
        own_hosts: hosts of the shop, which are no source of a visit.
        found: the place that a database or a CDN's header tells, with its confidence and basis.
        latitude: of that place, to a tenth of a degree; it decides the hemisphere.
        zone: the time zone of that place; region: the part of its country, by the end of its ISO 3166-2 code.
        shop: where the shop sells, for what nothing else tells.
        shop_zone, shop_region: the shop's time zone and region.
        calendar: knows public holidays, and the shop's own days.
        reading: a provider's weather for the place and hour.
        at_shop: whether that is the shop's place, because nothing tells the visitor's.
        profile: what is known of whoever asks; None for nobody, and where they refused.
        touches: the first touch and the visit's, if they are kept.
        segment: of the customer, among the shop's buyers.
        price_of: current prices, for the value of a cart.
        refused: why the person must be left out, in words; empty where nothing speaks against it.
    """

    now: datetime
    stated: Context | None = None
    headers: Mapping[str, str] = {}
    url: str | None = None
    referrer: str | None = None
    own_hosts: Collection[str] = ()
    found: Part[Place] | None = None
    latitude: float | None = None
    zone: tzinfo | None = None
    shop: Place | None = None
    shop_zone: tzinfo | None = None
    region: str | None = None
    shop_region: str | None = None
    calendar: Calendar = NO_CALENDAR
    reading: Reading | None = None
    at_shop: bool = False
    profile: Profile | None = None
    touches: Touches = NO_TOUCHES
    segment: str | None = None
    price_of: PriceOf = lambda _: None
    refused: str = ""


class Situation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A resolved situation; `personal` is whether anything of a person is in it, and `impersonal` why not."""

    device: Part[Device]
    os: Part[str]
    browser: Part[str]
    traffic_source: Part[TrafficSource]
    channel: Part[Channel]
    first_channel: Part[Channel]
    place: Part[Place]
    local_time: Part[datetime]
    season: Part[Season]
    holiday: Part[str]
    next_holiday: Part[str]
    days_to_holiday: Part[int]
    occasion: Part[str]
    next_occasion: Part[str]
    days_to_occasion: Part[int]
    weather: Part[WeatherCondition]
    temperature_c: Part[float]
    comfort: Part[Comfort]
    above_normal_c: Part[float]
    acquaintance: Part[Acquaintance]
    visits: Part[int]
    orders: Part[int]
    session_depth: Part[int]
    cart_value: Part[float]
    engagement: Part[float]
    segment: Part[str]
    personal: bool
    impersonal: str


def resolve(seen: Seen) -> Situation:
    """The situation of a request. Total: what is impossible or unreadable is unknown.

    Global Privacy Control (`Sec-GPC: 1`) and a refusal of personalisation in the profile leave out the person: visitor,
    cart, segment and first touch are then unknown. Cost: about 40 µs with a tagged address and a browser seen lately,
    150 µs with a new one.
    """
    stated = seen.stated or Context()
    impersonal = _impersonal(seen)
    place = _place(seen, stated)
    local_time = _local_time(seen, stated)
    return Situation(
        **_machine(seen, stated),
        **_traffic(seen, stated, personal=not impersonal),
        place=place,
        local_time=local_time,
        season=_season(seen, place, local_time),
        **_days(seen, place, local_time),
        **_weather(seen, stated),
        **_person(seen, personal=not impersonal),
        personal=not impersonal,
        impersonal=impersonal,
    )


def as_context(situation: Situation) -> Context:
    """A situation as a request could have stated it, for whoever only knows of those: rows, and what is learned."""
    condition, degrees = situation.weather.value, situation.temperature_c.value
    return Context(
        device=situation.device.value,
        traffic_source=situation.traffic_source.value,
        weather=None if condition is None and degrees is None else Weather(condition, degrees),
        place=situation.place.value,
        local_time=situation.local_time.value,
    )


def _impersonal(seen: Seen) -> str:
    refused = seen.refused or refusal(NOTHING_SAID, seen.headers)
    if refused:
        return refused
    if seen.profile is None:
        return "nothing is known of a person"
    return "" if seen.profile.personalized else "personalisation was refused"


def _machine(seen: Seen, stated: Context) -> dict[str, Part]:  # type: ignore[type-arg]
    hints = read_hints(seen.headers)
    agent = read_user_agent(seen.headers.get("user-agent", ""))
    return {
        "device": best(given(stated.device, "context.device"), _hinted_device(hints, agent), _sniffed(agent.device)),
        "os": best(_of_header(hints.os, "sec-ch-ua-platform"), _sniffed(agent.os)),
        "browser": best(_of_header(hints.browser, "sec-ch-ua"), _sniffed(agent.browser)),
    }


def _hinted_device(hints: Hints, agent: Agent) -> Part[Device]:
    if hints.device is not None:
        return Part(hints.device, "header", FORM_FACTOR, "sec-ch-ua-form-factors")
    if agent.bot:
        return unknown()
    if hints.mobile and agent.device not in ("tablet", "tv"):
        return Part("mobile", "header", HINTED, "sec-ch-ua-mobile")
    if hints.mobile is False and agent.device is None:
        if hints.os in _DESKTOPS:
            return Part("desktop", "header", HINTED, "sec-ch-ua-mobile, sec-ch-ua-platform")
        if hints.os == "android":
            return Part("tablet", "header", SNIFFED, "sec-ch-ua-mobile, sec-ch-ua-platform")
    return unknown()


def _of_header(value: str | None, basis: str) -> Part[str]:
    return Part(value, "header", HINTED, basis) if value is not None else unknown()


def _sniffed(value: str | None) -> Part:  # type: ignore[type-arg]
    return Part(value, "header", SNIFFED, "user-agent") if value is not None else unknown()


def _traffic(seen: Seen, stated: Context, *, personal: bool) -> dict[str, Part]:  # type: ignore[type-arg]
    touched = touch_of(seen.url, seen.referrer, seen.own_hosts)
    source = best(given(tidy(stated.traffic_source), "context.traffic_source"), touched, _session_touch(seen))
    if source.value is None and (seen.url or seen.referrer):
        source = derived(DIRECT, SNIFFED, "no tag, no referrer")
    first = seen.touches.first if personal else None
    return {
        "traffic_source": source,
        "channel": _follows(None if source.value is None else channel_of(source.value), source),
        "first_channel": derived(None if first is None else channel_of(first.source), COUNTED, "first touch"),
    }


def _session_touch(seen: Seen) -> Part[TrafficSource]:
    """What the visit under way began with: the situation, not the person, so that it stands without consent too."""
    session, last_ms = seen.touches.session, seen.touches.last_ms
    if session is None or last_ms is None or epoch_ms(seen.now) - last_ms > session_gap_ms:
        return unknown()
    return derived(session.source, COUNTED, "the visit's first page")


def _place(seen: Seen, stated: Context) -> Part[Place]:
    stated_place = stated.place if stated.place != Place() else None
    return best(
        given(stated_place, "context.place"),
        seen.found if seen.found is not None else unknown(),
        _default(seen.shop, "the shop's place"),
    )


def _local_time(seen: Seen, stated: Context) -> Part[datetime]:
    return best(
        given(stated.local_time, "context.local_time"),
        derived(_in_zone(seen.now, seen.zone), COUNTED, "the place's time zone"),
        _default(_in_zone(seen.now, seen.shop_zone), "the shop's time zone"),
    )


def _in_zone(now: datetime, zone: tzinfo | None) -> datetime | None:
    """The local time; None at the end of the calendar, where a zone may lead beyond it."""
    try:
        return None if zone is None else now.astimezone(zone)
    except (OverflowError, ValueError):
        return None


def _season(seen: Seen, place: Part[Place], local_time: Part[datetime]) -> Part[Season]:
    if place.value is None or local_time.value is None:
        return unknown()
    latitude = seen.latitude if place is seen.found else None
    season = season_of(local_time.value.date(), hemisphere_of(place.value.country, latitude))
    confidence = min(place.confidence, local_time.confidence)
    return Part(season, _weaker(place.source), confidence, "month and hemisphere") if season else unknown()


def _days(seen: Seen, place: Part[Place], local_time: Part[datetime]) -> dict[str, Part]:  # type: ignore[type-arg]
    """Public holidays where the visitor is, and the shop's own days."""
    day = _near_day(seen, local_time)
    country = (place.value.country or "").upper() if place.value is not None else ""
    holidays: dict[str, Part] = _told_days("holiday", None, unknown())  # type: ignore[type-arg]
    if day is not None and country:
        region, sure = _region(seen, place, country)
        where = f"{country}-{region}" if region else country
        confidence = min(place.confidence, local_time.confidence, sure)
        source = "default" if "default" in (place.source, local_time.source) else _weaker(place.source)
        basis: Part[Place] = Part(place.value, source, confidence, f"public holidays of {where}")
        holidays = _told_days("holiday", seen.calendar.holiday(country, region, day), basis)
    own = None if day is None else seen.calendar.occasion(country or None, day)
    return holidays | _told_days("occasion", own, _follows(own, local_time))


def _near_day(seen: Seen, local_time: Part[datetime]) -> date | None:
    """The local day, if it is near enough to now."""
    if local_time.value is None:
        return None
    day = local_time.value.date()
    return day if abs((day - seen.now.date()).days) <= CALENDAR_DAYS_MAX else None


def _region(seen: Seen, place: Part[Place], country: str) -> tuple[str | None, float]:
    """The region of a country, and how sure it is that of the visitor: the shop's, for want of a better one."""
    found = seen.found.value if seen.found is not None else None
    if seen.region is not None and found is not None and found.country == country:
        return seen.region, 1.0
    if seen.shop_region is not None and seen.shop is not None and seen.shop.country == country:
        return seen.shop_region, REGION_GUESSED
    return None, 1.0


def _told_days(name: str, told: Ahead | None, basis: Part) -> dict[str, Part]:  # type: ignore[type-arg]
    """The three parts that a day among named ones makes."""
    if told is None:
        return {name: unknown(), f"next_{name}": unknown(), f"days_to_{name}": unknown()}
    coming = basis if told.sure else Part(basis.value, basis.source, min(basis.confidence, ESTIMATED), basis.basis)
    today = coming if told.today != NONE else basis
    values = ((name, told.today, today), (f"next_{name}", told.coming, coming), (f"days_to_{name}", told.days, coming))
    return {part: Part(value, sure.source, sure.confidence, sure.basis) for part, value, sure in values}


def _weather(seen: Seen, stated: Context) -> dict[str, Part]:  # type: ignore[type-arg]
    """What the caller states, else what was measured."""
    said, reading = stated.weather, seen.reading or _NO_READING
    condition = said.condition if said is not None else None
    warmth: Part[float] = best(
        given(temperature(said.temperature_c) if said is not None else None, "context.weather"),
        _measured(temperature(reading.temperature_c), seen),
    )
    day_mean_c = temperature(reading.day_mean_c) if warmth.source != "given" else None
    of_day = warmth.value if day_mean_c is None or warmth.value is None else day_mean_c
    return {
        "weather": best(
            given(condition if condition != "unknown" else None, "context.weather"),
            _measured(reading.condition if reading.condition != "unknown" else None, seen),
        ),
        "temperature_c": warmth,
        "comfort": _follows(comfort_of(warmth.value), warmth),
        "above_normal_c": _follows(above_normal(of_day, temperature(reading.normal_c)), warmth),
    }


def _measured(value: object, seen: Seen) -> Part:  # type: ignore[type-arg]
    if value is None or not seen.at_shop:
        return derived(value, MEASURED, "weather provider")
    return Part(value, "default", GUESSED, "weather provider, at the shop's place")


def _person(seen: Seen, *, personal: bool) -> dict[str, Part]:  # type: ignore[type-arg]
    if not personal or seen.profile is None:
        names = ("acquaintance", "visits", "orders", "session_depth", "cart_value", "engagement", "segment")
        return {name: unknown() for name in names}
    visitor = visitor_of(seen.profile, epoch_ms(seen.now), seen.price_of)
    parts = {name: derived(value, COUNTED, "profile") for name, value in msgspec.structs.asdict(visitor).items()}
    return {**parts, "segment": derived(seen.segment, COUNTED, "profile, among the shop's buyers")}


def _default(value: Place | datetime | None, basis: str) -> Part:  # type: ignore[type-arg]
    return Part(value, "default", GUESSED, basis) if value is not None else unknown()


def _follows(value: object, part: Part) -> Part:  # type: ignore[type-arg]
    """What follows from a part is as sure as that part."""
    return Part(value, "derived", part.confidence, part.basis) if value is not None else unknown()


def _weaker(source: Origin) -> Origin:
    return "default" if source == "default" else "derived"
