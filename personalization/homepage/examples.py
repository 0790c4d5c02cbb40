"""An example of a situation that a box allows, in which what follows from something else does follow from it.

Fields are not independent: a date has one weekday, a temperature one comfort, a source and medium one channel. An
example is searched among a few likely values; none found does not say that there is none. What is not looked at: which
season a country has in a month (both hemispheres' are tried), and which browser runs on which device.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from itertools import islice, product

from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.context import TrafficSource
from personalization.homepage.fields import FIELDS, MOMENT, PLACE_OF, Fact, Facts, calendar_of
from personalization.homepage.regions import Box, Numbers, Words, before
from personalization.situation.channels import channel_of
from personalization.situation.seasons import seasons_of_month
from personalization.situation.visitor import acquaintance_of
from personalization.situation.weather import comfort_of

NAMED_MAX = 20  # words of a condition that are tried
INTERVALS_MAX = 5
DAYS_MAX = 400  # a year has every month with every weekday
TRIED_DAY = date(2026, 1, 1)  # from where days are tried, if any would do

_DEGREES = (15.0, 5.0, -5.0, 24.0, 30.0)
_VISITS, _ORDERS = (1.0, 2.0), (0.0, 1.0, 2.0)
_SOURCES = ("google", "facebook", "youtube", "amazon", "partner")
_MEDIA = (
    "cpc",
    "organic",
    "email",
    "referral",
    "social",
    "video",
    "display",
    "affiliate",
    "audio",
    "sms",
    "push",
    "other",
)
_CAMPAIGNS = (None, "cross-network")

Chosen = dict[int, Fact]


def example_in(box: Box) -> Facts | None:
    """Facts in a box that go together, if some are found. Cost: some 100 µs, at most a few ms."""
    chosen: Chosen = {}
    for choices in (_warmth(box), _acquaintance(box), _calendar(box), _touch(box)):
        found = next(choices, None)
        if found is None:
            return None
        chosen |= found
    for place in range(len(FIELDS)):
        if place not in chosen:
            chosen[place] = next(iter(_candidates(box, place)))
    return tuple(chosen[place] for place in range(len(FIELDS)))


def _warmth(box: Box) -> Iterator[Chosen]:
    warmth, comfort = PLACE_OF["temperature_c"], PLACE_OF["comfort"]
    for degrees in _candidates(box, warmth, _DEGREES):
        felt = comfort_of(degrees) if not isinstance(degrees, str) else None
        if _allows(box, comfort, felt):
            yield {warmth: degrees, comfort: felt}


def _acquaintance(box: Box) -> Iterator[Chosen]:
    visits, orders, visitor = PLACE_OF["visits"], PLACE_OF["orders"], PLACE_OF["visitor"]
    for came, bought in product(_candidates(box, visits, _VISITS), _candidates(box, orders, _ORDERS)):
        if isinstance(came, float) and isinstance(bought, float):
            known: Fact = acquaintance_of(int(came), int(bought)) if came >= 1 else None
        else:
            known = None
        if (came is None) == (bought is None) == (known is None) and _allows(box, visitor, known):
            yield {visits: came, orders: bought, visitor: known}


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
    names = ("date", "month", "weekday", "season", "time")
    nothing: Chosen = dict.fromkeys((PLACE_OF[name] for name in names), None)
    if all(_allows(box, place, None) for place in nothing):
        yield {**nothing, MOMENT: next(iter(_candidates(box, MOMENT, (_noon(TRIED_DAY),))))}
    for day in _days(box):
        calendar: Chosen = {PLACE_OF[name]: str(value) for name, value in calendar_of(day).items()}
        seasons = [
            each for each in (None, *sorted(seasons_of_month(day.month))) if _allows(box, PLACE_OF["season"], each)
        ]
        moments = [each for each in _candidates(box, MOMENT, (_noon(day),)) if _near(each, day)]
        times = [each for each in _candidates(box, PLACE_OF["time"], (720.0,)) if each is not None]
        if seasons and moments and times and all(_allows(box, place, fact) for place, fact in calendar.items()):
            calendar |= {PLACE_OF["season"]: seasons[0], PLACE_OF["time"]: times[0], MOMENT: moments[0]}
            yield {**calendar, PLACE_OF["date"]: float(day.toordinal())}


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
        tried += sorted(word for word in islice(held.named, NAMED_MAX) if word is not None)
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
