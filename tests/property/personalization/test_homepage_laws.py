"""Laws of conditions, of the choice and of the linter, for any variants and any situation."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.vocabulary.clock import epoch_ms
from ingest.vocabulary.context import Context, Place, TrafficSource, Weather
from ingest.vocabulary.ids import ProductId
from personalization.customer.engagement import Engagement
from personalization.customer.profile import CartLine, Profile, Recent
from personalization.customer.touches import NO_TOUCHES, evolve_touches
from personalization.homepage.choosing import read_homepage
from personalization.homepage.conditions import NEVER, Not, boxes, holds
from personalization.homepage.examples import example_in
from personalization.homepage.fields import FIELDS, PLACE_OF, Facts, facts_from, facts_of
from personalization.homepage.language import read_condition
from personalization.homepage.linting import lint
from personalization.homepage.regions import EVERYTHING, contains, meet, minus
from personalization.situation.channels import channel_of
from personalization.situation.days.ahead import Ahead
from personalization.situation.parts import Part
from personalization.situation.resolve import Seen, Situation, resolve
from personalization.situation.weather import Reading
from tests.support.strategies import of_struct

COVERED = ("weather", "device", "city", "temperature_c", "orders", "time")  # few, so that conditions often meet
VALUES: dict[str, list[Any]] = {
    "weather": ["rain", "snow", "sunny", "unknown"],
    "device": ["mobile", "tv", "unknown"],
    "city": ["leeds", "york", "unknown"],
    "temperature_c": [-90, 0, 9.5, 15, 60, "unknown"],
    "orders": [0, 1, 2, 1_000_000, "unknown"],
    "time": ["00:00", "06:30", "23:59", "unknown"],
}
ranges = st.lists(st.integers(0, 2), min_size=2, max_size=2).map(sorted)
bounds = st.sampled_from([("from", "to"), ("above", "to"), ("from", "below"), ("above", "below")])


@st.composite
def leaves(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(st.sampled_from(COVERED))
    if name in ("weather", "device", "city") or draw(st.booleans()):
        return {name: draw(st.lists(st.sampled_from(VALUES[name]), min_size=1, max_size=3))}
    low, high = draw(ranges)
    begin, end = draw(bounds)
    return {name: {begin: VALUES[name][low], end: VALUES[name][high + 1]}}


conditions = st.recursive(
    leaves(),
    lambda inner: st.one_of(
        inner.map(lambda part: {"not": part}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"any": parts}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"all": parts}),
    ),
    max_leaves=6,
)
variants = st.fixed_dictionaries({"when": conditions, "priority": st.integers(0, 2)})
configurations = st.dictionaries(st.sampled_from("abcdef"), variants, max_size=6)
pretended = st.fixed_dictionaries(
    {name: st.sampled_from(VALUES[name]) for name in COVERED}
    | {
        "temperature_c": st.one_of(st.sampled_from(VALUES["temperature_c"]), st.floats(-90, 60)),
        "orders": st.integers(0, 4),
    }
).map(facts_from)
GRID = [
    facts_from({"weather": weather, "device": device, "city": city, "temperature_c": degrees, "orders": orders})
    for weather in ("rain", "snow", "sunny", "fog", None)
    for device in ("mobile", "tv", "desktop", None)
    for city in ("leeds", "york", "bath", None)
    for degrees in (-90, -1, 0, 0.5, 9.5, 12, 15, 20, 60, None)
    for orders in (0, 1, 2, None)
]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(COVERED),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=4)
            | st.sampled_from([*COVERED, "any", "all", "not", "from", "to", "above", "below", "date", "moment"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


def readable(configured: dict[str, Any]) -> dict[str, Any]:
    """The variants whose ranges have something in them."""
    kept = {}
    for name, settings_ in configured.items():
        problems: list[str] = []
        read_condition(settings_["when"], "when", problems)
        if not problems:
            kept[name] = settings_
    return kept


@given(anything, st.dictionaries(st.sampled_from([field.name for field in FIELDS]), anything))
def test_anything_is_a_condition_or_a_problem_and_never_an_exception(raw: object, values: dict[str, object]) -> None:
    problems: list[str] = []
    condition = read_condition(raw, "when", problems)
    facts = facts_from(values)
    assert holds(condition, facts) in (True, False)
    assert holds(Not(condition), facts) is not holds(condition, facts)
    if not isinstance(raw, dict):
        assert problems
        assert condition == NEVER
    for field, fact in zip(FIELDS, facts, strict=True):
        assert fact is None or isinstance(fact, float if field.numeric else str)


@given(conditions, pretended)
def test_a_condition_holds_exactly_in_its_boxes(raw: dict[str, Any], facts: Facts) -> None:
    condition = read_condition(raw, "when", [])
    found = boxes(condition)
    assert found is not None
    assert any(contains(box, facts) for box in found) is holds(condition, facts)


@given(conditions, conditions, pretended)
def test_what_is_in_a_box_is_in_the_other_or_in_the_rest_but_never_in_both(
    one: dict[str, Any], other: dict[str, Any], facts: Facts
) -> None:
    for a in boxes(read_condition(one, "when", [])) or ():
        for b in boxes(read_condition(other, "when", [])) or ():
            pieces = [contains(piece, facts) for piece in minus(a, b)]
            met = meet(a, b)
            common = met is not None and contains(met, facts)
            assert sum(pieces) + common == contains(a, facts)


@given(st.tuples(leaves(), leaves(), leaves()), pretended)
def test_what_is_left_of_everything_is_in_pieces_apart(parts: tuple[dict[str, Any], ...], facts: Facts) -> None:
    for taken in boxes(read_condition({"all": list(parts)}, "when", [])) or ():
        assert sum(contains(piece, facts) for piece in minus(EVERYTHING, taken)) == (not contains(taken, facts))


@given(configurations, conditions)
def test_the_boxes_that_meet_a_box_are_found_all_and_only_those(
    configured: dict[str, Any], raw: dict[str, Any]
) -> None:
    page = read_homepage(readable(configured), ())
    for own in boxes(read_condition(raw, "when", [])) or ():
        every = [(owner, box) for owner, rule in enumerate(page.rules) for box in rule.boxes]
        assert page.meeting([own]) == [(owner, box) for owner, box in every if meet(own, box) is not None]


@given(configurations, pretended, st.randoms())
def test_the_choice_is_the_first_that_holds_whatever_the_order_of_the_file(
    configured: dict[str, Any], facts: Facts, chance: Any
) -> None:
    configured = readable(configured)
    names = list(configured)
    chance.shuffle(names)
    page = read_homepage(configured, ())
    shuffled = read_homepage({name: configured[name] for name in names}, ())
    fitting = [
        name
        for name in sorted(configured, key=lambda name: (-configured[name]["priority"], name))
        if holds(read_condition(configured[name]["when"], "when", []), facts)
    ]
    assert [variant.name for variant in page.eligible(facts)] == [*fitting, "default"]
    assert page.choose(facts) == shuffled.choose(facts)
    assert page.choose(facts).variant.name == (fitting[0] if fitting else "default")


@settings(max_examples=60)
@given(configurations)
def test_what_the_linter_says_is_true(configured: dict[str, Any]) -> None:
    configured = readable(configured)
    page = read_homepage(configured, ())
    report = lint(page)
    assert report.undecided == ()
    chosen = {page.choose(facts).variant.name for facts in GRID}
    unreachable = {finding.variant for finding in report.findings if finding.kind == "unreachable"}
    assert unreachable & chosen == set()
    for finding in report.findings:
        if finding.kind == "overlap":
            assert finding.example is not None
            (first,) = finding.others
            fitting = [variant.name for variant in page.eligible(finding.example)]
            assert fitting.index(first) < fitting.index(finding.variant)
            assert configured[first]["priority"] == configured[finding.variant]["priority"]


@settings(max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from("abc"),
        st.fixed_dictionaries(
            {
                "when": st.dictionaries(st.sampled_from(["weather", "device", "city"]), st.none(), max_size=3),
                "priority": st.integers(0, 1),
            }
        ),
        max_size=3,
    ),
    st.data(),
)
def test_the_linter_finds_every_unreachable_variant_of_independent_fields(
    configured: dict[str, Any], data: st.DataObject
) -> None:
    for settings_ in configured.values():
        settings_["when"] = {
            name: data.draw(st.lists(st.sampled_from(VALUES[name]), min_size=1, max_size=4))
            for name in settings_["when"]
        }
    page = read_homepage(configured, ())
    unreachable = {finding.variant for finding in lint(page).findings if finding.kind == "unreachable"}
    assert unreachable == set(configured) - {page.choose(facts).variant.name for facts in GRID}


OF_EVERY_KIND: dict[str, list[Any]] = {
    "device": ["mobile", "unknown"],
    "channel": ["email", "direct", "paid search", "organic video", "unknown"],
    "first_channel": ["email", "unknown"],
    "source": ["google", "youtube", "unknown"],
    "medium": ["cpc", "email", "unknown"],
    "campaign": ["spring", "unknown"],
    "country": ["gb", "au", "sg", "unknown"],
    "weather": ["rain", "unknown"],
    "temperature_c": [{"below": 3}, {"from": 12, "to": 13}, "unknown"],
    "comfort": ["freezing", "hot", "unknown"],
    "above_normal_c": [{"above": 2}, "unknown"],
    "season": ["winter", "summer", "unknown"],
    "holiday": ["christmas day", "none", "unknown"],
    "next_holiday": ["christmas day", "easter", "unknown"],
    "days_to_holiday": [0, {"from": 1, "to": 30}, "unknown"],
    "occasion": ["gifts", "none", "unknown"],
    "next_occasion": ["gifts", "unknown"],
    "days_to_occasion": [{"below": 2}, {"from": 100}, "unknown"],
    "date": [{"from": "2026-12-21", "to": "2026-12-24"}, {"from": "2027-02-01"}, "unknown"],
    "month": ["december", "july", "unknown"],
    "weekday": ["monday", "sunday", "unknown"],
    "time": [{"from": "22:00", "to": "06:00"}, "unknown"],
    "visitor": ["new", "returning", "regular", "unknown"],
    "visits": [1, {"from": 3}, "unknown"],
    "orders": [0, {"from": 1}, "unknown"],
    "session_depth": [0, {"from": 2, "to": 5}, "unknown"],
    "engagement": [0, {"from": 5}, {"below": 2}, "unknown"],
    "cart_value": [{"from": 50}, {"to": 0}, "unknown"],
    "segment": ["champions", "new", "prospect", "unknown"],
}
TOUCHES = {
    channel_of(touch).lower(): touch
    for source in ("(direct)", "google", "facebook", "youtube", "amazon", "x")
    for medium in ("(none)", "cpc", "display", "referral", "email", "affiliate", "audio", "sms", "push", "x")
    for touch in (TrafficSource(source, medium), TrafficSource(source, medium, "cross-network"))
}
entries = st.sampled_from(sorted(OF_EVERY_KIND)).flatmap(
    lambda name: st.lists(st.sampled_from(OF_EVERY_KIND[name]), min_size=1, max_size=2).map(lambda held: {name: held})
)
negations = st.builds(lambda entry, negated: {"not": entry} if negated else entry, entries, st.booleans())


class Almanac:
    """A calendar in which every day is among named ones as some facts have it."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._told = told

    def holiday(self, country: str, region: str | None, day: date) -> Ahead | None:
        """As a `Calendar`."""
        return self._among("holiday")

    def occasion(self, country: str | None, day: date) -> Ahead | None:
        """As a `Calendar`."""
        return self._among("occasion")

    def _among(self, name: str) -> Ahead | None:
        today, coming, days = (self._told[each] for each in (name, f"next_{name}", f"days_to_{name}"))
        return None if today is None else Ahead(today, coming, int(days))


def realised(facts: Facts) -> Facts:
    """The facts of a request made so that its situation has these."""
    told = dict(zip((field.name for field in FIELDS), facts, strict=True))
    now = datetime.fromtimestamp(float(told["moment"] or 0), UTC)
    at_ms = epoch_ms(now)
    local_time = None
    if told["date"] is not None:
        hour, minute = divmod(int(told["time"]), 60)
        local_time = datetime.combine(date.fromordinal(int(told["date"])), time(hour, minute), UTC)
    profile, touches = None, NO_TOUCHES
    if told["visits"] is not None:
        products = [ProductId(f"p{n}") for n in range(int(told["session_depth"] or 0))]
        profile = Profile(
            recents={product: Recent(10, at_ms) for product in products},
            cart={ProductId("c"): CartLine(1, at_ms)},
            orders=int(told["orders"] or 0),
            sessions=int(told["visits"]),
            last_seen_ms=at_ms,
            engagement=Engagement(round(1_000 * float(told["engagement"])), at_ms),
        )
        if told["first_channel"] is not None:
            touches = evolve_touches(NO_TOUCHES, TOUCHES[str(told["first_channel"])], at_ms)
    source = TrafficSource(told["source"], told["medium"], told["campaign"])
    degrees, above = told["temperature_c"], told["above_normal_c"]
    stated = Context(
        device=told["device"],
        traffic_source=source,
        weather=Weather(told["weather"], degrees),
        place=Place(told["country"], told["city"]),
        local_time=local_time,
    )
    reading = Reading(normal_c=None if above is None else float(degrees or 0) - float(above))
    if told["channel"] is None:
        touches = msgspec.structs.replace(touches, session=None)
    return facts_of(
        resolve(
            Seen(
                now=now,
                stated=stated,
                profile=profile,
                touches=touches,
                reading=reading,
                segment=told["segment"],
                price_of=lambda _: told["cart_value"],
                calendar=Almanac(told),
            )
        ),
        now,
    )


@settings(max_examples=300)
@given(st.lists(negations, min_size=1, max_size=4))
def test_an_example_is_in_its_box_and_a_request_can_have_it(raws: list[dict[str, Any]]) -> None:
    for box in boxes(read_condition({"all": raws}, "when", [])) or ():
        example = example_in(box)
        if example is not None:
            assert contains(box, example)
            assert contains(box, realised(example))


garbled = st.text(max_size=60)
headers = st.dictionaries(
    st.sampled_from(
        ["user-agent", "sec-ch-ua", "sec-ch-ua-mobile", "sec-ch-ua-platform", "sec-ch-ua-form-factors", "sec-gpc"]
    ),
    st.one_of(garbled, st.sampled_from(["?1", "?0", '"Android"', '"Tablet"', "1", "Mozilla/5.0 (Windows NT 10.0)"])),
)
addresses = st.none() | garbled | garbled.map(lambda text: f"https://a.example/?{text}") | st.just("http://[x")


@given(
    st.none() | of_struct(Context),
    headers,
    addresses,
    addresses,
    st.datetimes(timezones=st.just(UTC)),
    st.lists(st.none() | of_struct(Context), max_size=3),
)
def test_any_request_has_a_situation_and_facts(
    stated: Context | None,
    headers_: dict[str, str],
    url: str | None,
    referrer: str | None,
    now: datetime,
    past: list[Any],
) -> None:
    touches = NO_TOUCHES
    for at_ms, context in enumerate(past):
        touches = evolve_touches(touches, None if context is None else context.traffic_source, at_ms)
    seen = Seen(
        now=now,
        stated=stated,
        headers=headers_,
        url=url,
        referrer=referrer,
        touches=touches,
        profile=Profile(),
        zone=UTC,
    )
    situation = resolve(seen)
    assert situation == resolve(seen)
    for name in Situation.__struct_fields__:
        part = getattr(situation, name)
        if isinstance(part, Part):
            assert (part.value is None) == (part.confidence == 0)
            assert 0 <= part.confidence <= 1
    facts = facts_of(situation, now)
    if stated is not None and stated.device is not None:
        assert facts[PLACE_OF["device"]] == stated.device
    assert (facts[PLACE_OF["comfort"]] is None) == (facts[PLACE_OF["temperature_c"]] is None)
