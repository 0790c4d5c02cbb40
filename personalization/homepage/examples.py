"""An example of a situation that a box allows, in which what follows from something else does follow from it.

Fields are not independent: a date has one weekday, a temperature one comfort, a source and medium one channel. An
example is searched among a few likely values; none found does not say that there is none. What is not looked at: which
browser runs on which system and device, and which holiday falls on which day.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from itertools import product

from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.context import TrafficSource
from personalization.customer.segments import OF_ONE_ORDER, SEGMENTS
from personalization.homepage.fields import FIELDS, MOMENT, PLACE_OF, Fact, Facts, calendar_of
from personalization.homepage.regions import Box, Numbers, Words, before
from personalization.situation.channels import channel_of
from personalization.situation.days.ahead import NONE
from personalization.situation.seasons import hemisphere_of, season_of
from personalization.situation.visitor import acquaintance_of
from personalization.situation.weather import comfort_of, temperature

NAMED_MAX = 20  # words of a condition that are tried
INTERVALS_MAX = 5
DAYS_MAX = 400  # a year has every month with every weekday
TRIED_DAY = date(2026, 1, 1)  # from where days are tried, if any would do

_DEGREES = (15.0, 5.0, -5.0, 24.0, 30.0)
_DIFFERENCES = (0.0, 5.0, -5.0)
_VISITS, _ORDERS = (1.0, 2.0), (0.0, 1.0, 2.0)
_SOURCES = ("(direct)", "google", "facebook", "youtube", "amazon", "partner")
_MEDIA = (
    *("(none)", "cpc", "organic", "email", "referral", "social", "video"),
    *("display", "affiliate", "audio", "sms", "push", "other"),
)
_CAMPAIGNS = (None, "cross-network")
_COUNTRIES = ("gb", "au")
_NAMED_DAYS = (
    ("holiday", "next_holiday", "days_to_holiday"),
    ("occasion", "next_occasion", "days_to_occasion"),
)
_OF_PERSON = tuple(PLACE_OF[name] for name in ("cart_value", "first_channel"))
_OF_VISIT = tuple(PLACE_OF[name] for name in ("session_depth", "engagement"))
_SEGMENT = PLACE_OF["segment"]

Chosen = dict[int, Fact]


def example_in(box: Box) -> Facts | None:
    """Facts in a box that go together, if some are found. Cost: some 100 µs, at most a few ms."""
    chosen: Chosen = {}
    for choices in (_warmth(box), _person(box), _calendar(box), _touch(box)):
        found = next(choices, None)
        if found is None:
            return None
        chosen |= found
    for place in range(len(FIELDS)):
        if place not in chosen:
            chosen[place] = next(iter(_candidates(box, place)))
    return tuple(chosen[place] for place in range(len(FIELDS)))


def _warmth(box: Box) -> Iterator[Chosen]:
    """Comfort follows from the temperature, and only of a known one it is known how normal it is."""
    warmth, comfort, above = (PLACE_OF[name] for name in ("temperature_c", "comfort", "above_normal_c"))
    for degrees in _candidates(box, warmth, _DEGREES):
        felt = comfort_of(degrees) if not isinstance(degrees, str) else None
        differences = [each for each in _candidates(box, above, _DIFFERENCES) if _can_differ(degrees, each)]
        if differences and _allows(box, comfort, felt):
            yield {warmth: degrees, comfort: felt, above: differences[0]}


def _can_differ(degrees: Fact, difference: Fact) -> bool:
    """Whether some normal temperature makes that difference."""
    if difference is None:
        return True
    return (
        isinstance(degrees, float) and isinstance(difference, float) and temperature(degrees - difference) is not None
    )


def _person(box: Box) -> Iterator[Chosen]:
    """All counts of a visitor are known or none is; the rest of a person is known only where they are."""
    visits, orders, visitor = (PLACE_OF[name] for name in ("visits", "orders", "visitor"))
    for came, bought in product(_candidates(box, visits, _VISITS), _candidates(box, orders, _ORDERS)):
        known = isinstance(came, float) and isinstance(bought, float) and came >= 1
        kind = acquaintance_of(int(came or 0), int(bought or 0)) if known else None
        if not known and (came is not None or bought is not None):
            continue
        now = [[each for each in _counts(box, place) if (each is not None) == known] for place in _OF_VISIT]
        rest = {place: [each for each in _candidates(box, place) if known or each is None] for place in _OF_PERSON}
        rest[_SEGMENT] = [each for each in _candidates(box, _SEGMENT, SEGMENTS) if _may_be(each, bought)]
        if all(now) and all(rest.values()) and _allows(box, visitor, kind):
            counts: Chosen = {visits: came, orders: bought, visitor: kind}
            counts |= {place: each[0] for place, each in zip(_OF_VISIT, now, strict=True)}
            yield counts | {place: each[0] for place, each in rest.items()}


def _counts(box: Box, place: int) -> list[Fact]:
    """What is counted in a visit may be, in the thousandths that it is kept in."""
    held = box.get(place)
    lowest = held.cuts[::2] if isinstance(held, Numbers) else ()
    return _candidates(box, place, (0.0, *(math.ceil(1_000 * low) / 1_000 for low in lowest)))


def _may_be(segment: Fact, orders: Fact) -> bool:
    """Whether somebody with so many orders may be in a segment."""
    if segment is None or orders is None:
        return segment is None
    if orders == 0:
        return segment == "prospect"
    return segment in OF_ONE_ORDER if orders == 1 else segment != "prospect"


def _touch(box: Box) -> Iterator[Chosen]:
    places = [PLACE_OF[name] for name in ("source", "medium", "campaign")]
    hints: tuple[Iterable[Fact], ...] = (_SOURCES, _MEDIA, _CAMPAIGNS)
    channel = PLACE_OF["channel"]
    for texts in product(*(_candidates(box, place, hint) for place, hint in zip(places, hints, strict=True))):
        source, medium, campaign = (text if isinstance(text, str) else None for text in texts)
        touch = TrafficSource(source, medium, campaign)
        group = channel_of(touch).lower() if touch != TrafficSource() else None
        if _allows(box, channel, group):
            yield {**dict(zip(places, texts, strict=True)), channel: group}


def _calendar(box: Box) -> Iterator[Chosen]:
    """What follows from a date, and the season from date and country; without a local date nothing does."""
    country = PLACE_OF["country"]
    nothing: Chosen = dict.fromkeys((PLACE_OF[name] for name in ("date", "month", "weekday", "season", "time")), None)
    countries = _candidates(box, country, _COUNTRIES)
    unnamed = _unnamed(box)
    with_holidays, without_holidays = (_named(box, country_known=known) for known in (True, False))
    if unnamed is not None and all(_allows(box, place, None) for place in nothing):
        nothing |= unnamed
        yield {**nothing, country: countries[0], MOMENT: _candidates(box, MOMENT, (_noon(TRIED_DAY),))[-1]}
    times = [each for each in _candidates(box, PLACE_OF["time"], (720.0,)) if each is not None]
    for day, code in product(_days(box) if times else (), countries):
        moments = [each for each in _candidates(box, MOMENT, (_noon(day),)) if _near(each, day)]
        named = with_holidays if isinstance(code, str) else without_holidays
        found: Chosen = {PLACE_OF[name]: str(value) for name, value in calendar_of(day).items()}
        found[PLACE_OF["season"]] = season_of(day, hemisphere_of(code if isinstance(code, str) else None))
        if moments and named is not None and all(_allows(box, place, fact) for place, fact in found.items()):
            found |= {PLACE_OF["date"]: float(day.toordinal()), PLACE_OF["time"]: times[0]}
            yield {**found, **named, country: code, MOMENT: moments[0]}


def _unnamed(box: Box) -> Chosen | None:
    """Nothing is known of named days, if the box allows it: as where the day is not known."""
    every = [PLACE_OF[name] for names in _NAMED_DAYS for name in names]
    return dict.fromkeys(every, None) if all(_allows(box, place, None) for place in every) else None


def _named(box: Box, *, country_known: bool) -> Chosen | None:
    """Public holidays, which need a country, and the shop's own days: three parts each that go together."""
    chosen: Chosen = {}
    for names in _NAMED_DAYS:
        known = country_known or names[0] != "holiday"
        found = next((parts for parts in _name_and_days(box, names) if known or set(parts.values()) == {None}), None)
        if found is None:
            return None
        chosen |= found
    return chosen


def _name_and_days(box: Box, names: tuple[str, str, str]) -> Iterator[Chosen]:
    """What a day is called, what the next one is, and how far away: all known or none, and 0 days within it."""
    today, coming, days = (PLACE_OF[name] for name in names)
    if all(_allows(box, place, None) for place in (today, coming, days)):
        yield {today: None, coming: None, days: None}
    away = next((each for each in _candidates(box, days, (1.0,)) if each), None)
    for name in [each for place in (coming, today) for each in _candidates(box, place, ("a day",))]:
        if name in (None, NONE) or not _allows(box, coming, name):
            continue
        if _allows(box, today, name) and _allows(box, days, 0.0):
            yield {today: name, coming: name, days: 0.0}
        if away is not None and _allows(box, today, NONE):
            yield {today: NONE, coming: name, days: away}


def _days(box: Box) -> Iterator[date]:
    """Days that the box allows: from the beginning of each of its intervals, or of its schedule, or this year's."""
    held, scheduled = box.get(PLACE_OF["date"]), box.get(MOMENT)
    begins = [TRIED_DAY.toordinal()]
    if isinstance(held, Numbers):
        begins = [int(cut) for cut in held.cuts[::2]]
    elif isinstance(scheduled, Numbers) and scheduled.cuts:
        begins = [datetime.fromtimestamp(scheduled.cuts[0], UTC).date().toordinal()]
    for begin in begins[:INTERVALS_MAX]:
        for ordinal in range(begin, min(begin + DAYS_MAX, date.max.toordinal())):
            if not _allows(box, PLACE_OF["date"], float(ordinal)):
                break
            yield date.fromordinal(ordinal)


def _candidates(box: Box, place: int, hints: Iterable[Fact] = ()) -> list[Fact]:
    """A few things that a field may be in a box, unknown first; never none, for no set of a box is empty."""
    held = box.get(place)
    tried: list[Fact] = [None, *hints]
    if isinstance(held, Words):
        tried += sorted(word for word in held.named if word is not None)[:NAMED_MAX]
        tried.append(next(word for n in range(len(held.named) + 1) if (word := f"other-{n}") not in held.named))
    elif isinstance(held, Numbers):
        for low, beyond in zip(held.cuts[::2], held.cuts[1::2], strict=True):
            tried += [low, before(FIELDS[place], beyond)]
    return [each for each in tried if held is None or held.has(each)]


def _allows(box: Box, place: int, fact: Fact) -> bool:
    return place not in box or box[place].has(fact)


def _noon(day: date) -> float:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()


def _near(moment: Fact, day: date) -> bool:
    """Whether it may be that day somewhere: zones lie up to 14 hours from UTC."""
    return isinstance(moment, int | float) and abs(moment - _noon(day)) < DAY_S
