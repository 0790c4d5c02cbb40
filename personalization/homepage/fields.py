"""What conditions may speak of: the fields, what each may be, and the facts of a situation in their order.

Facts are a plain tuple, a text, a number or None for unknown at the place of each field, so that equal situations are
equal facts and a choice looks nothing up by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from typing import Any, Literal, NamedTuple, get_args

from ingest.vocabulary.context import TEXT_LENGTH_MAX, Device
from personalization.customer.engagement import POINTS_A_VIEW, points_max
from personalization.customer.segments import SEGMENTS
from personalization.situation.channels import CHANNELS
from personalization.situation.days.ahead import AHEAD_DAYS_MAX
from personalization.situation.parts import within
from personalization.situation.resolve import Situation
from personalization.situation.seasons import MONTHS, SEASONS, WEEKDAYS
from personalization.situation.user_agent import BROWSERS, OPERATING_SYSTEMS
from personalization.situation.visitor import ACQUAINTANCES, CART_VALUE_MAX
from personalization.situation.weather import COMFORTS, CONDITIONS, TEMPERATURE_MAX_C, TEMPERATURE_MIN_C

Kind = Literal["choice", "word", "number", "count", "time", "date", "moment"]
Fact = str | float | None
Facts = tuple[Fact, ...]

UNKNOWN = "unknown"
MINUTES_A_DAY = 1_440
COUNT_MAX = 1_000_000  # of visits, orders, products; a typing mistake must not outgrow a float's whole numbers
ENGAGEMENT_MAX = points_max / POINTS_A_VIEW
_FIRST_DAY, _LAST_DAY = date(1970, 1, 1).toordinal(), date(2999, 12, 31).toordinal()
_LAST_MOMENT = datetime(2999, 12, 31, tzinfo=UTC).timestamp()


class Field(NamedTuple):
    """Something a condition may speak of.

    Attributes:
        values: all it may be, if `kind` is choice, besides unknown.
        low, high: the smallest and the largest number it may be; both may be had.
        meaning: for people.
    """

    name: str
    kind: Kind
    meaning: str
    values: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0

    @property
    def numeric(self) -> bool:
        """Whether it is asked for by ranges."""
        return self.kind not in ("choice", "word")

    @property
    def whole(self) -> bool:
        """Whether it is a whole number: a count, a minute, a day."""
        return self.kind in ("count", "time", "date")


def _choice(name: str, values: tuple[str, ...], meaning: str) -> Field:
    return Field(name, "choice", meaning, tuple(value.lower() for value in values if value != UNKNOWN))


def _count(name: str, meaning: str) -> Field:
    return Field(name, "count", meaning, (), 0, COUNT_MAX)


FIELDS = (
    _choice("device", get_args(Device), "device class"),
    _choice("os", OPERATING_SYSTEMS, "operating system"),
    _choice("browser", BROWSERS, "browser family"),
    _choice("channel", CHANNELS, "GA4's default channel group of this visit"),
    _choice("first_channel", CHANNELS, "the same of the first visit ever"),
    Field("source", "word", "traffic source, as in utm_source"),
    Field("medium", "word", "medium, as in utm_medium"),
    Field("campaign", "word", "campaign, as in utm_campaign"),
    Field("country", "word", "ISO 3166-1 alpha-2 code of the country"),
    Field("city", "word", "city"),
    _choice("weather", CONDITIONS, "weather where the visitor is"),
    Field("temperature_c", "number", "degrees Celsius", (), TEMPERATURE_MIN_C, TEMPERATURE_MAX_C),
    _choice("comfort", COMFORTS, "what that feels like: below 0, 10, 20, 28 degrees, and hotter"),
    Field("above_normal_c", "number", "degrees warmer than normal for the season", (), -150.0, 150.0),
    _choice("season", SEASONS, "meteorological season of the place"),
    Field("date", "date", "local date", (), _FIRST_DAY, _LAST_DAY),
    _choice("month", MONTHS, "local month"),
    _choice("weekday", WEEKDAYS, "local day of the week"),
    Field("time", "time", "local time of day, in minutes", (), 0, MINUTES_A_DAY - 1),
    Field("holiday", "word", "the public holiday it is where the visitor is; none on other days"),
    Field("next_holiday", "word", "the same, or the next one"),
    Field("days_to_holiday", "count", "days until that; 0 on the day", (), 0, AHEAD_DAYS_MAX),
    Field("occasion", "word", "the shop's own day or season that it is; none on other days"),
    Field("next_occasion", "word", "the same, or the next one"),
    Field("days_to_occasion", "count", "days until that begins; 0 within it", (), 0, AHEAD_DAYS_MAX),
    _choice("visitor", ACQUAINTANCES, "how well the shop knows the visitor"),
    _count("visits", "visits, this one included"),
    _count("orders", "orders that were kept"),
    _count("session_depth", "products looked at in this visit"),
    Field("engagement", "number", "how busy the visitor is now, in views that fade", (), 0, ENGAGEMENT_MAX),
    Field("cart_value", "number", "what the cart is worth, in the shop's currency", (), 0, CART_VALUE_MAX),
    _choice("segment", SEGMENTS, "RFM segment among the shop's buyers"),
    Field("moment", "moment", "the moment, in Unix seconds: schedules only", (), 0, _LAST_MOMENT),
)
PLACE_OF = {field.name: place for place, field in enumerate(FIELDS)}
MOMENT = PLACE_OF["moment"]


def facts_from(values: Mapping[str, object]) -> Facts:
    """The facts of a pretended situation, by the names of fields. Total: what a field cannot be is unknown.

    Numbers of `date` and `time` may be given as such (`date`, `time`) or as text. Cost: about 10 µs.
    """
    return tuple([None if (value := values.get(name)) is None else read(value) for name, read in _READERS])


def facts_of(situation: Situation, now: datetime) -> Facts:
    """The facts of a situation at a moment. Cost: about 15 µs."""
    source, place, local = situation.traffic_source.value, situation.place.value, situation.local_time.value
    values: dict[str, Any] = {name: getattr(situation, name).value for name in _SAME_NAME}
    values["visitor"] = situation.acquaintance.value
    if source is not None:
        values |= {"source": source.source, "medium": source.medium, "campaign": source.campaign}
    if place is not None:
        values |= {"country": place.country, "city": place.city}
    if local is not None:
        values |= calendar_of(local.date()) | {"date": local.date(), "time": local.time()}
    return facts_from({**values, "moment": now.timestamp()})


def calendar_of(day: date) -> dict[str, object]:
    """What follows from a date."""
    return {"month": MONTHS[day.month - 1], "weekday": WEEKDAYS[day.weekday()]}


def shown(place: int, fact: Fact) -> str:
    """A fact as a person writes it."""
    if not isinstance(fact, int | float):
        return UNKNOWN if fact is None else fact
    match FIELDS[place].kind:
        case "date":
            return date.fromordinal(int(fact)).isoformat()
        case "time":
            return f"{int(fact) // 60:02}:{int(fact) % 60:02}"
        case "moment":
            return datetime.fromtimestamp(fact, UTC).isoformat()
    return f"{fact:g}"


def plain(text: str) -> str:
    """A word as facts and conditions hold it: case and outer blanks do not matter."""
    return text.strip().casefold()


def _word(value: object) -> str | None:
    if not isinstance(value, str) or len(value) > TEXT_LENGTH_MAX:
        return None
    word = plain(value)
    return word if word and word != UNKNOWN else None


def _choice_of(field: Field) -> Callable[[object], str | None]:
    """A reader of what may be chosen; how our own vocabularies spell it is looked up, anything else tidied first."""
    known = {spelling: plain(spelling) for spelling in (*field.values, *CHANNELS) if plain(spelling) in field.values}

    def read(value: object) -> str | None:
        if not isinstance(value, str):
            return None
        return known.get(value) or known.get(plain(value))

    return read


def _number_of(field: Field) -> Callable[[object], float | None]:
    whole = field.whole

    def read(value: object) -> float | None:
        found = within(number_of(field, value), field.low, field.high)
        return None if found is None or (whole and not found.is_integer()) else found

    return read


def _reader(field: Field) -> Callable[[object], Fact]:
    if field.numeric:
        return _number_of(field)
    return _choice_of(field) if field.kind == "choice" else _word


def number_of(field: Field, value: object) -> object:
    """Dates as day numbers and times as minutes; whatever else it is, as it is."""
    try:
        if field.kind == "date":
            day = date.fromisoformat(value) if isinstance(value, str) else value
            return day.toordinal() if isinstance(day, date) else value
        if field.kind == "time":
            moment = time.fromisoformat(value) if isinstance(value, str) else value
            return moment.hour * 60 + moment.minute if isinstance(moment, time) else value
    except ValueError:
        return None
    return value


_SAME_NAME = tuple(field.name for field in FIELDS if field.name in Situation.__struct_fields__)
_READERS = tuple((field.name, _reader(field)) for field in FIELDS)
