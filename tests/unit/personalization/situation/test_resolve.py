"""A situation put together from what is stated, found and known, on literal examples."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from ingest.vocabulary.clock import epoch_ms
from ingest.vocabulary.context import Context, Place, TrafficSource, Weather
from ingest.vocabulary.ids import ProductId
from personalization.customer.profile import CartLine, Profile, Recent
from personalization.customer.touches import NO_TOUCHES, evolve_touches
from personalization.situation.parts import Part
from personalization.situation.resolve import Seen, as_context, resolve
from personalization.situation.visitor import visitor_of
from personalization.situation.weather import (
    Reading,
)

NOON = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
MINUTE_MS = 60_000
SAFARI = "AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1"
IPHONE = f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) {SAFARI}"
CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0"
WINDOWS = f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36"


def test_a_visitor_is_new_returning_or_regular() -> None:
    ms = 1_000_000 * MINUTE_MS
    seen = Profile(first_seen_ms=ms, last_seen_ms=ms, sessions=1)
    assert visitor_of(Profile(), ms, lambda _: None).acquaintance == "new"
    assert visitor_of(seen, ms + 30 * MINUTE_MS, lambda _: None).acquaintance == "new"
    later = visitor_of(seen, ms + 31 * MINUTE_MS, lambda _: None)
    assert (later.acquaintance, later.visits, later.session_depth) == ("returning", 2, 0)
    bought = Profile(first_seen_ms=ms, last_seen_ms=ms, sessions=1, orders=2)
    assert visitor_of(bought, ms, lambda _: None).acquaintance == "regular"


def test_the_visit_under_way_has_a_depth_and_the_cart_a_value() -> None:
    a, b, c = ProductId("a"), ProductId("b"), ProductId("c")
    moments = {a: 0, b: 100 * MINUTE_MS, c: 120 * MINUTE_MS}
    profile = Profile(
        recents={product: Recent(10, at_ms) for product, at_ms in moments.items()},
        cart={b: CartLine(2, 0), c: CartLine(1, 0)},
        last_seen_ms=125 * MINUTE_MS,
        sessions=2,
    )
    prices = {b: 5.0, c: 7.5}
    visitor = visitor_of(profile, 126 * MINUTE_MS, prices.get)
    assert (visitor.session_depth, visitor.cart_value, visitor.visits) == (2, 17.5, 2)
    assert visitor_of(profile, 126 * MINUTE_MS, {b: 5.0}.get).cart_value is None


def test_what_the_caller_states_wins_and_headers_come_next() -> None:
    headers = {"user-agent": WINDOWS, "sec-ch-ua-mobile": "?1", "sec-ch-ua-platform": '"Android"'}
    found = resolve(Seen(now=NOON, headers=headers, stated=Context(device="tv")))
    assert found.device == Part("tv", "given", 1.0, "context.device")
    assert (found.os.value, found.os.basis) == ("android", "sec-ch-ua-platform")
    assert (found.browser.value, found.browser.basis) == ("chrome", "user-agent")
    assert resolve(Seen(now=NOON, headers=headers)).device.basis == "sec-ch-ua-mobile"
    assert resolve(Seen(now=NOON, headers={"user-agent": WINDOWS, "sec-ch-ua-mobile": "?0"})).device.value == "desktop"
    assert resolve(Seen(now=NOON)).device == Part(None, "default", 0.0)


@pytest.mark.parametrize(
    ("headers", "device"),
    [
        ({"sec-ch-ua-mobile": "?1", "user-agent": "Mozilla/5.0 (Linux; Android 14; Tablet)"}, "tablet"),
        ({"sec-ch-ua-mobile": "?1", "user-agent": "Googlebot/2.1"}, "other"),
        ({"sec-ch-ua-mobile": "?0", "sec-ch-ua-platform": '"Windows"'}, "desktop"),
        ({"sec-ch-ua-mobile": "?0", "sec-ch-ua-platform": '"Android"'}, "tablet"),
        ({"sec-ch-ua-mobile": "?0", "sec-ch-ua-platform": '"Fuchsia"'}, None),
        ({"sec-ch-ua-form-factors": '"Desktop"', "user-agent": IPHONE}, "desktop"),
    ],
)
def test_hints_and_user_agent_settle_the_device_together(headers: dict[str, str], device: str | None) -> None:
    assert resolve(Seen(now=NOON, headers=headers)).device.value == device


def test_place_time_and_season_fall_back_on_the_shop() -> None:
    shop = Seen(now=NOON, shop=Place("GB"), shop_zone=UTC)
    found = resolve(shop)
    assert (found.place.source, found.local_time.source, found.season.source) == ("default",) * 3
    assert (found.season.value, found.season.confidence) == ("winter", 0.3)
    sydney = timezone(timedelta(hours=11))
    there = resolve(
        Seen(now=NOON, shop=Place("GB"), found=Part(Place("AU", "Sydney"), "header", 0.8, "cdn"), zone=sydney)
    )
    assert (there.season.value, there.season.source, there.local_time.value) == ("summer", "derived", NOON)
    assert there.local_time.value is not None
    assert there.local_time.value.hour == 23
    told = resolve(Seen(now=NOON, stated=Context(place=Place("SG")), shop_zone=UTC))
    assert (told.place.source, told.season.value) == ("given", None)
    end = resolve(Seen(now=datetime.max.replace(tzinfo=UTC), zone=sydney))
    assert end.local_time.value is None


def test_weather_is_given_or_read_and_unknown_is_not_weather() -> None:
    reading = Reading("rain", 4.0, 7.0)
    read = resolve(Seen(now=NOON, reading=reading))
    assert (read.weather.value, read.weather.source) == ("rain", "derived")
    assert (read.comfort.value, read.above_normal_c.value) == ("cold", -3.0)
    said = resolve(Seen(now=NOON, reading=reading, stated=Context(weather=Weather("unknown", 500.0))))
    assert (said.weather.value, said.temperature_c.value) == ("rain", 4.0)
    given = resolve(Seen(now=NOON, reading=reading, stated=Context(weather=Weather("snow", -2.0))))
    assert (given.weather.source, given.comfort.value) == ("given", "freezing")
    assert resolve(Seen(now=NOON, reading=Reading())).weather.value is None
    guessed = resolve(Seen(now=NOON, reading=reading, at_shop=True)).weather
    assert (guessed.value, guessed.source, guessed.confidence) == ("rain", "default", 0.3)


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (Seen(now=NOON, profile=Profile(orders=3), headers={"sec-gpc": "1"}), "Sec-GPC"),
        (Seen(now=NOON, profile=Profile(orders=3, consent={"personalization": False})), "refused"),
        (Seen(now=NOON), "nothing is known"),
    ],
)
def test_without_consent_the_situation_has_no_person_in_it(seen: Seen, why: str) -> None:
    touches = evolve_touches(NO_TOUCHES, TrafficSource("news", "email"), epoch_ms(NOON))
    found = resolve(Seen(**{name: getattr(seen, name) for name in Seen.__struct_fields__} | {"touches": touches}))
    person = (found.acquaintance, found.visits, found.orders, found.session_depth, found.cart_value, found.segment)
    assert [part.value for part in (*person, found.first_channel)] == [None] * 7
    assert why in found.impersonal
    assert (found.personal, found.channel.value) == (False, "Email")


def test_only_a_header_of_exactly_one_is_global_privacy_control() -> None:
    profile = Profile(orders=3)
    assert resolve(Seen(now=NOON, profile=profile, headers={"sec-gpc": "0"}, segment="loyal")).segment.value == "loyal"
    assert resolve(Seen(now=NOON, profile=profile)).acquaintance == Part("regular", "derived", 0.9, "profile")


def test_a_page_without_tag_and_referrer_is_direct_and_without_an_address_nothing_is_known() -> None:
    assert resolve(Seen(now=NOON, url="https://s.example/")).channel.value == "Direct"
    assert resolve(Seen(now=NOON)).channel.value is None
    visit = evolve_touches(NO_TOUCHES, TrafficSource("news", "email"), epoch_ms(NOON) - 29 * MINUTE_MS)
    within_visit = resolve(Seen(now=NOON, url="https://s.example/p/1", touches=visit))
    assert (within_visit.channel.value, within_visit.channel.source) == ("Email", "derived")
    later = Seen(now=NOON + timedelta(minutes=2), url="https://s.example/p/1", touches=visit)
    assert resolve(later).channel.value == "Direct", "the visit has ended"


def test_a_situation_as_a_context_says_the_same_when_it_is_stated() -> None:
    seen = Seen(
        now=NOON,
        headers={"user-agent": IPHONE},
        url="https://shop.example/?utm_source=letter&utm_medium=email",
        found=Part(Place("GB", "Leeds"), "header", 1.0, "a header"),
        reading=Reading("rain", 7.5),
        zone=timezone(timedelta(hours=1)),
    )
    found = resolve(seen)
    stated = as_context(found)
    assert stated.device == "mobile"
    assert stated.weather == Weather("rain", 7.5)
    again = resolve(Seen(now=NOON, stated=stated))
    for name in ("device", "traffic_source", "place", "local_time", "weather", "temperature_c"):
        assert getattr(again, name).value == getattr(found, name).value is not None, name
    assert as_context(resolve(Seen(now=NOON))).weather is None
