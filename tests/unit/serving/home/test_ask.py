"""What a request for the homepage asks and says: body and query alike, bad ones refused with where."""

from __future__ import annotations

import pytest

from ingest.vocabulary.context import Context, Weather
from ingest.vocabulary.errors import MalformedEvent
from personalization.situation.consent import NOTHING_SAID, Consent
from serving.ask import Ask
from serving.home.ask import HomeAsk, Said, home_from_body, home_from_query, languages_of, said_by


def test_the_query_and_the_body_ask_the_same() -> None:
    query = (
        "customer_id=c&context.weather.condition=rain&url=https%3A%2F%2Fs.example%2F%3Futm_source%3Dnews&language=de"
        "&consent.personalization=false&consent.gdpr=1&consent.personalization_storage=denied&preview=x&key=pk_1"
    )
    body = (
        b'{"customer_id": "c", "context": {"weather": {"condition": "rain"}}, "language": "de", "preview": "x",'
        b'"url": "https://s.example/?utm_source=news",'
        b'"consent": {"personalization": false, "gdpr": 1, "personalization_storage": "denied"}}'
    )
    asked = home_from_query(query)
    assert asked == home_from_body(body)
    assert asked.rows.context == Context(weather=Weather("rain"))
    assert asked.consent == Consent(personalization=False, gdpr=1, personalization_storage="denied")
    assert home_from_query("") == home_from_body(b"") == HomeAsk(Ask(), None, None, None, NOTHING_SAID, None)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b"[]", None),
        (b"{", None),
        (b'{"consent": {"tcf": 1}}', "/consent/tcf"),
        (b'{"consent": {"gdpr": 2}}', "/consent/gdpr"),
        (b'{"consent": {"tfc": "x"}}', "/consent"),
        (b'{"preview": ""}', "/preview"),
        (b'{"context": {"weather": {"condition": "frogs"}}}', "/context/weather/condition"),
        (b'{"customer_id": ""}', "/customer_id"),
        (b'{"url": "' + b"x" * 9_000 + b'"}', "/url"),
        (b'{"placements": ["home.popular"]}', None),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(body: bytes, pointer: str | None) -> None:
    with pytest.raises(MalformedEvent) as caught:
        home_from_body(body)
    assert caught.value.pointer == pointer


@pytest.mark.parametrize("query", ["wether=rain", "consent=x", "consent.gdpr=7", "limit=0", "x=" + "y" * 20_000])
def test_a_query_that_cannot_be_read_is_refused(query: str) -> None:
    with pytest.raises(MalformedEvent):
        home_from_query(query)


def test_only_headers_of_interest_are_looked_at_and_others_only_if_trusted() -> None:
    environ = {
        "HTTP_USER_AGENT": "Firefox",
        "HTTP_SEC_CH_UA_MOBILE": "?1",
        "HTTP_COOKIE": "secret",
        "HTTP_AUTHORIZATION": "Bearer x",
        "HTTP_CF_IPCOUNTRY": "GB",
        "REMOTE_ADDR": "203.0.113.9",
    }
    assert said_by(environ, ()) == Said({"user-agent": "Firefox", "sec-ch-ua-mobile": "?1"}, "203.0.113.9")
    assert said_by(environ, ("cf-ipcountry",)).headers["cf-ipcountry"] == "GB"


@pytest.mark.parametrize(
    ("header", "languages"),
    [
        ("de-AT,de;q=0.9,en;q=0.5", ("de-AT", "de")),
        ("en-GB,en;q=0.9,de;q=0.5", ()),
        ("fr;q=0.4, de;q=0.8", ("de", "fr")),
        ("de;q=0, fr", ("fr",)),
        ("*, fr;q=0.1", ()),
        ("de;q=high, fr;q=2, it;level=1, ,;", ()),
        ("", ()),
        ("x" * 50 + ", de", ("de",)),
    ],
)
def test_a_page_is_read_in_what_is_wanted_more_than_what_it_is_written_in(
    header: str, languages: tuple[str, ...]
) -> None:
    assert languages_of(HomeAsk(), Said({"accept-language": header}), "en") == languages


def test_a_stated_language_goes_before_the_browsers() -> None:
    said = Said({"accept-language": "fr"})
    assert languages_of(HomeAsk(language="de-AT"), said, "en") == ("de-AT",)
    assert languages_of(HomeAsk(language="en"), said, "en-GB") == ()
