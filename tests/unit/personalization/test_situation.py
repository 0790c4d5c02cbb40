"""What headers, addresses, profiles and weather codes say of a situation, on literal examples."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from ingest.vocabulary.clock import epoch_ms
from ingest.vocabulary.context import Context, Place, TrafficSource, Weather
from ingest.vocabulary.ids import ProductId
from personalization.customer.profile import CartLine, Profile, Recent
from personalization.customer.touches import DIRECT, NO_TOUCHES, Touch, evolve_touches, tidy
from personalization.situation.channels import CHANNELS, channel_of, kind_of
from personalization.situation.client_hints import Hints, read_hints
from personalization.situation.parts import Part, within
from personalization.situation.resolve import Seen, as_context, resolve
from personalization.situation.seasons import hemisphere_of, season_of
from personalization.situation.traffic import touch_of
from personalization.situation.user_agent import Agent, read_user_agent
from personalization.situation.visitor import visitor_of
from personalization.situation.weather import (
    Reading,
    above_normal,
    comfort_of,
    condition_of_openweather,
    condition_of_wmo,
    normal_on,
    temperature,
)

NOON = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
MINUTE_MS = 60_000
SAFARI = "AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1"
IPHONE = f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) {SAFARI}"
CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0"
WINDOWS = f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36"


@pytest.mark.parametrize(
    ("source", "medium", "campaign", "channel"),
    [
        (None, None, None, "Direct"),
        ("(direct)", "(none)", None, "Direct"),
        ("(direct)", "(not set)", None, "Direct"),
        ("(direct)", "else", None, "Unassigned"),
        ("google", "cpc", "Cross-Network", "Cross-network"),
        ("amazon", "cpc", None, "Paid Shopping"),
        ("partner", "cpc", "spring-shop", "Paid Shopping"),
        ("partner", "paid", "workshop", "Paid Other"),  # the rule wants no letter but e before shop
        ("partner", "paid", "eshop", "Paid Shopping"),
        ("Google", "CPC", "spring", "Paid Search"),
        ("bing", "ppc", None, "Paid Search"),
        ("google", "cpm", None, "Paid Search"),
        ("partner", "cpm", None, "Display"),
        ("facebook", "paid social", None, "Paid Social"),
        ("youtube", "retargeting", None, "Paid Video"),
        ("partner", "banner", None, "Display"),
        ("google", "display", None, "Display"),
        ("partner", "ppc", None, "Paid Other"),
        ("etsy", "referral", None, "Organic Shopping"),
        ("google", "organic", "black friday shopping", "Organic Shopping"),
        ("instagram", None, None, "Organic Social"),
        ("partner", "social-network", None, "Organic Social"),
        ("vimeo", "referral", None, "Organic Video"),
        ("partner", "myvideos", None, "Organic Video"),
        ("duckduckgo", "referral", None, "Organic Search"),
        ("partner", "organic", None, "Organic Search"),
        ("partner.example", "referral", None, "Referral"),
        ("partner", "app", None, "Referral"),
        ("newsletter", "email", None, "Email"),
        ("e-mail", "weekly", None, "Email"),
        ("partner", "affiliate", None, "Affiliates"),
        ("spotify", "audio", None, "Audio"),
        ("sms", "text", None, "SMS"),
        ("partner", "sms", None, "SMS"),
        ("app-x", "web-push", None, "Mobile Push Notifications"),
        ("app-x", "mobile_banner_x", None, "Mobile Push Notifications"),
        ("firebase", "x", None, "Mobile Push Notifications"),
        ("partner", "flyer", None, "Unassigned"),
    ],
)
def test_the_channel_is_that_of_ga4s_first_rule_that_fits(
    source: str | None, medium: str | None, campaign: str | None, channel: str
) -> None:
    assert channel_of(TrafficSource(source, medium, campaign)) == channel
    assert channel in CHANNELS


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("google.de", "search"),
        ("google.co.uk", "search"),
        ("uk.search.yahoo.com", "search"),
        ("shopping.yahoo.com", "shopping"),
        ("amazon.co.jp", "shopping"),
        ("l.facebook.com", "social"),
        ("old.reddit.com", "social"),
        ("t.co", "social"),
        ("m.youtube.com", "video"),
        ("mail.google.com", None),
        ("google.example.com", None),
        ("notgoogle.com", None),
        ("co.uk", None),
        (".", None),
    ],
)
def test_a_host_is_on_a_list_by_its_own_label(host: str, kind: str | None) -> None:
    assert kind_of(host) == kind


@pytest.mark.parametrize(
    ("url", "referrer", "expected", "basis"),
    [
        ("https://s.example/?utm_source=news&utm_medium=email&utm_campaign=x", None, ("news", "email", "x"), "utm"),
        ("https://s.example/?UTM_Source=news", None, ("news", None, None), "utm"),
        ("https://s.example/?utm_campaign=x&gclid=1", None, ("google", "cpc", "x"), "utm"),
        ("https://s.example/?utm_source=bing&gclid=1", None, ("bing", "cpc", None), "utm"),
        ("https://s.example/?fbclid=1&msclkid=2", "https://google.com/", ("bing", "cpc", None), "msclkid"),
        ("https://s.example/?ScCid=1", None, ("snapchat", None, None), "sccid"),
        ("https://s.example/?gclid=", "https://www.google.com/x", ("google.com", "organic", None), "referrer"),
        ("https://s.example/", "https://blog.example/post", ("blog.example", "referral", None), "referrer"),
    ],
)
def test_tags_win_over_click_ids_and_those_over_the_referrer(
    url: str, referrer: str | None, expected: tuple[str | None, ...], basis: str
) -> None:
    touch = touch_of(url, referrer)
    assert (touch.value, touch.source, touch.basis) == (TrafficSource(*expected), "header", basis)
    assert 0 < touch.confidence < 1


@pytest.mark.parametrize(
    ("url", "referrer"),
    [
        (None, None),
        ("https://s.example/?utm_source=%20", None),
        ("https://s.example/?utm_source=unknown", None),
        ("https://s.example/", "https://checkout.s.example/pay"),
        ("https://s.example/", "https://www.paypal.com/x"),
        ("http://[broken", "http://[broken"),
        ("https://s.example/?" + "a=1&" * 200 + "utm_source=news", None),
        ("https://s.example/?utm_source=news&x=" + "y" * 9_000, None),
    ],
)
def test_addresses_that_tell_no_source_leave_it_unknown(url: str | None, referrer: str | None) -> None:
    assert touch_of(url, referrer, ("www.s.example",)).value is None


def test_the_first_touch_is_the_earliest_and_a_visits_is_the_one_it_began_with() -> None:
    news, ad = TrafficSource("news", "email"), TrafficSource("google", "cpc")
    touches = evolve_touches(NO_TOUCHES, DIRECT, 10 * MINUTE_MS)
    assert touches.session == Touch(DIRECT, 10 * MINUTE_MS)
    touches = evolve_touches(touches, ad, 40 * MINUTE_MS)
    assert touches.session == Touch(DIRECT, 10 * MINUTE_MS)  # half an hour of silence is still the same visit
    touches = evolve_touches(touches, ad, 71 * MINUTE_MS)
    assert (touches.session, touches.last_ms) == (Touch(ad, 71 * MINUTE_MS), 71 * MINUTE_MS)
    late = evolve_touches(touches, news, 5 * MINUTE_MS)
    assert (late.first, late.session, late.last_ms) == (Touch(news, 5 * MINUTE_MS), touches.session, touches.last_ms)
    untold = evolve_touches(touches, None, 500 * MINUTE_MS)
    assert (untold.first, untold.session, untold.last_ms) == (touches.first, None, 500 * MINUTE_MS)
    assert evolve_touches(untold, news, 501 * MINUTE_MS).session == Touch(news, 501 * MINUTE_MS)


def test_a_source_that_says_nothing_is_none() -> None:
    assert tidy(TrafficSource(" ", "Unknown", "")) is None
    assert tidy(TrafficSource("x" * 300)) == TrafficSource("x" * 200)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (IPHONE, Agent("mobile", "ios", "safari")),
        (WINDOWS, Agent("desktop", "windows", "chrome")),
        (f"{WINDOWS} Edg/130.0", Agent("desktop", "windows", "edge")),
        (f"{WINDOWS} OPR/110.0", Agent("desktop", "windows", "opera")),
        (f"Mozilla/5.0 (Linux; Android 14) {CHROME} Mobile Safari/537.36", Agent("mobile", "android", "chrome")),
        (f"Mozilla/5.0 (Linux; Android 14; SM-X700) {CHROME} Safari/537.36", Agent("tablet", "android", "chrome")),
        ("Mozilla/5.0 (iPad; CPU OS 12_0) Version/12.0 Mobile Safari/604.1", Agent("tablet", "ios", "safari")),
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0",
            Agent("desktop", "linux", "firefox"),
        ),
        (f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {CHROME} Safari/537.36", Agent("desktop", "chromeos", "chrome")),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/17.0 Safari/605.1",
            Agent("desktop", "macos", "safari"),
        ),
        (
            "Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) SamsungBrowser/3.0 TV Safari/537.36",
            Agent("tv", "other", "samsung"),
        ),
        ("Mozilla/5.0 (Linux; Android 9; AFTSSS) Chrome/100 Mobile Safari", Agent("tv", "android", "chrome")),
        ("Mozilla/5.0 (compatible; Googlebot/2.1)", Agent("other", "other", "other", bot=True)),
        ("curl/8.5.0", Agent("other", "other", "other", bot=True)),
        ("something", Agent("other", "other", "other")),
        ("  ", Agent()),
        ("Windows NT " * 200, Agent()),
    ],
)
def test_a_user_agent_tells_families(text: str, expected: Agent) -> None:
    assert read_user_agent(text) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"sec-ch-ua-mobile": "?1", "sec-ch-ua-platform": '"Android"'}, Hints(None, True, "android", None)),
        ({"sec-ch-ua": '"Not?A;B";v="8", "Chromium";v="130", "Microsoft Edge";v="130"'}, Hints(browser="edge")),
        ({"sec-ch-ua": '"Chromium";v="130"'}, Hints(browser="chrome")),
        ({"sec-ch-ua": '"Else";v="Microsoft Edge"'}, Hints()),  # a parameter is no brand
        ({"sec-ch-ua-form-factors": '"Mobile", "Tablet"'}, Hints("tablet")),
        ({"sec-ch-ua-form-factors": '"mobile"'}, Hints()),  # case-sensitive
        ({"sec-ch-ua-form-factors": '"Watch"', "sec-ch-ua-mobile": "1"}, Hints("other")),
        ({"sec-ch-ua-platform": "Android"}, Hints()),
        ({"sec-ch-ua": '"Chromium' * 200}, Hints()),
        ({}, Hints()),
    ],
)
def test_client_hints_are_read_as_structured_fields(headers: dict[str, str], expected: Hints) -> None:
    assert read_hints(headers) == expected


@pytest.mark.parametrize(
    ("code", "day", "night"),
    [
        *((code, "sunny", "clear") for code in (0, 1)),
        *((code, "cloudy", "cloudy") for code in (2, 3)),
        *((code, "fog", "fog") for code in (45, 48)),
        *((code, "rain", "rain") for code in (51, 53, 55, 61, 63, 65, 80, 81, 82)),
        *((code, "sleet", "sleet") for code in (56, 57, 66, 67)),
        *((code, "snow", "snow") for code in (71, 73, 75, 77, 85, 86)),
        *((code, "storm", "storm") for code in (95, 96, 99)),
        *((code, "unknown", "unknown") for code in (4, 100, -1, 1.5, None, "61", True, 10**400)),
    ],
)
def test_a_wmo_code_is_a_condition_of_the_contract(code: object, day: str, night: str) -> None:
    assert (condition_of_wmo(code), condition_of_wmo(code, day=False)) == (day, night)


@pytest.mark.parametrize(
    ("code", "condition"),
    [
        *((code, "storm") for code in (200, 232, 771, 781)),
        *((code, "rain") for code in (300, 321, 500, 531)),
        *((code, "sleet") for code in (511, 611, 616)),
        *((code, "snow") for code in (600, 622)),
        *((code, "fog") for code in (701, 741)),
        *((code, "sunny") for code in (800, 801)),
        *((code, "cloudy") for code in (802, 804)),
        *((code, "unknown") for code in (731, 761, 400, 805, 199, "800", None)),
    ],
)
def test_an_openweather_id_is_a_condition_of_the_contract(code: object, condition: str) -> None:
    assert condition_of_openweather(code) == condition
    assert condition_of_openweather(800, day=False) == "clear"


def test_comfort_goes_by_degrees_and_impossible_temperatures_are_unknown() -> None:
    bands = [comfort_of(degrees) for degrees in (-0.1, 0, 9.9, 10, 19.9, 20, 27.9, 28)]
    assert bands == ["freezing", "cold", "cold", "mild", "mild", "warm", "warm", "hot"]
    assert [temperature(value) for value in (-91, 61, float("nan"), "7", None, True, 10**400)] == [None] * 7
    assert within(7, 0, 10) == 7.0


def test_the_normal_lies_between_the_means_of_two_months() -> None:
    months = [0.0, 2.0, 6.0, 10.0, 14.0, 18.0, 20.0, 20.0, 16.0, 10.0, 6.0, 2.0]
    assert normal_on(months, date(2026, 3, 15)) == 6.0
    assert 2.0 < (normal_on(months, date(2026, 3, 1)) or 0) < 6.0
    assert 0.0 < (normal_on(months, date(2026, 1, 1)) or 0) < 2.0  # between December and January
    assert normal_on(months[:11], date(2026, 3, 15)) is None
    assert normal_on([*months[:11], 99.0], date(2026, 3, 15)) is None
    assert (above_normal(9.0, 6.0), above_normal(None, 6.0), above_normal(9.0, None)) == (3.0, None, None)


def test_seasons_turn_with_the_hemisphere() -> None:
    northern = [season_of(date(2026, month, 1), "north") for month in (2, 3, 6, 9, 12)]
    assert northern == ["winter", "spring", "summer", "autumn", "winter"]
    assert season_of(date(2026, 12, 24), hemisphere_of("au")) == "summer"
    assert season_of(date(2026, 12, 24), hemisphere_of("SG")) is None
    assert season_of(date(2026, 12, 24), None) is None
    assert (hemisphere_of("GB"), hemisphere_of("BR", -33.0), hemisphere_of("X1"), hemisphere_of(None)) == (
        "north",
        "south",
        None,
        None,
    )


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
