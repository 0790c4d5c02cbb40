"""Where a visit came from, by its address and its referrer, on literal examples."""

from __future__ import annotations

import pytest

from ingest.vocabulary.context import TrafficSource
from personalization.customer.touches import DIRECT, NO_TOUCHES, Touch, evolve_touches, tidy
from personalization.situation.channels import CHANNELS, channel_of, kind_of
from personalization.situation.traffic import touch_of

MINUTE_MS = 60_000


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
