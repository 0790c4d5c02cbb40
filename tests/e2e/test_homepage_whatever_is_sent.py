"""The homepage through the real application: whatever a request claims is answered, and nothing fine is kept of it."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import Client

from ingest.vocabulary.events import HomepageShown, ProductViewed, RankingShown
from serving.app import create_app
from serving.wiring import open_engine
from tests.support.mmdb import write_database
from tests.support.service import copy_of, events_of, serving, wait_for
from tests.support.small_shop import view

EVERY_FIELD = """
[[holidays]]
name = "Gift season"
from = "11-20"
to = "12-24"

[homepage.variants.{name}]
priority = {priority}
when = {{ {when} }}
rows = [{{ placement = "home.popular", limit = 2 }}]

[homepage.variants.default]
rows = [{{ placement = "home.for-you", limit = 3 }}]

[places]
country_header = "X-Country"
region_header = "X-Region"
city_header = "X-City"
latitude_header = "X-Latitude"
longitude_header = "X-Longitude"
time_zone_header = "X-Zone"
address_header = "X-Address"
database = "{database}"
country = "GB"
region = "ENG"
time_zone = "Europe/London"
"""
WHEN = (
    'any = [{ holiday = "christmas day" }, { occasion = "gift season", engagement = { above = 3 } }, '
    '{ segment = ["champions", "lost"] }, { season = "winter", time = { from = "22:00", to = "06:00" } }]'
)
LEEDS = {
    "country": {"iso_code": "GB"},
    "subdivisions": [{"iso_code": "ENG"}],
    "city": {"names": {"en": "Leeds"}},
    "location": {"latitude": 53.796481, "longitude": -1.547851, "time_zone": "Europe/London"},
    "postal": {"code": "LS1 4DY"},
}
ADDRESS = "203.0.113.9"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where addresses are, beside the data folder and not in it."""
    return write_database(tmp_path_factory.mktemp("places") / "city.mmdb", {ADDRESS: LEEDS})


@pytest.fixture(scope="module")
def folder(small_shop: Path, database: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small shop, which believes every header there is."""
    made = copy_of(small_shop, tmp_path_factory.mktemp("sent") / "data")
    configuration = EVERY_FIELD.format(name="some", priority=5, when=WHEN, database=database)
    (made / "dangol.toml").write_text(configuration, encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def caller(folder: Path) -> Iterator[Client]:
    """Sends requests to the application as it is served."""
    with open_engine(folder, None) as engine:
        app = create_app(engine)
        yield Client(lambda environ, start: app({**environ, "REMOTE_ADDR": "127.0.0.1"}, start))


garbled = st.text(st.characters(min_codepoint=1, max_codepoint=255, exclude_characters="\r\n\0"), max_size=40)
telling = st.sampled_from(
    [
        *("GB", "xx", "ENG", "53.79", "-1e999", "nan", "181", "Europe/London", "Mars/Base", "../x", "1", "?1"),
        *('"Android"', ADDRESS, "::1", "999.1.1.1", "de-AT;q=0.9,*", "http://[x"),
        "https://a.example/?utm_source=%FF&gclid=" + "x" * 99,
    ]
)
moments = st.sampled_from(["2026-12-25T12:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
HEADERS = [
    *("X-Country", "X-Region", "X-City", "X-Latitude", "X-Longitude", "X-Zone", "X-Address", "User-Agent", "Referer"),
    *("Sec-CH-UA", "Sec-CH-UA-Mobile", "Sec-CH-UA-Platform", "Sec-CH-UA-Form-Factors", "Sec-GPC", "Accept-Language"),
]
headers = st.dictionaries(st.sampled_from(HEADERS), garbled | telling, max_size=8)
NAMES = [
    *("context.device", "context.weather.condition", "context.weather.temperature_c", "context.place.country"),
    *("context.place.city", "context.local_time", "context.traffic_source.source", "context.utc_offset_min", "url"),
    *("referrer", "language", "consent.tcf", "consent.gpc", "consent.gdpr", "consent.personalization", "preview"),
    *("customer_id", "anonymous_id", "limit", "exclude", "filter.price.max", "explain", "context", "context.", "."),
]
values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | garbled
    | telling
    | moments
    | st.sampled_from(["rain", "mobile"])
)
asked = st.dictionaries(st.sampled_from(NAMES), values, max_size=8)


def assert_answered(response: Any) -> None:
    """Either a homepage, or a problem that is the sender's."""
    assert response.status_code in (200, 400, 404, 413), (response.status_code, response.data[:500])
    if response.status_code == 200:
        told = response.get_json()
        assert told["variant"] in ("some", "default")
        for part in told["context"].values():
            assert (part["value"] is None) == (part["confidence"] == 0)
    else:
        assert response.content_type == "application/problem+json"
        assert response.get_json()["code"]


@settings(max_examples=250, deadline=None)
@given(asked, headers)
def test_any_address_and_any_headers_are_answered(
    caller: Client, asked: dict[str, Any], headers: dict[str, str]
) -> None:
    query = urlencode({name: str(value) for name, value in asked.items()})
    assert_answered(caller.get("/v1/homepage", query_string=query, headers=headers))


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    """Dotted names as objects in objects; a name that is taken by something else stays as it is."""
    found: dict[str, Any] = {}
    for name, value in flat.items():
        at, parts = found, name.split(".")
        for part in parts[:-1]:
            inner = at.setdefault(part, {})
            at = inner if isinstance(inner, dict) else found
        at[parts[-1]] = value
    return found


@settings(max_examples=250, deadline=None)
@given(asked, headers)
def test_any_body_and_any_headers_are_answered(caller: Client, asked: dict[str, Any], headers: dict[str, str]) -> None:
    told = {"Content-Type": "application/json", **headers}
    assert_answered(caller.post("/v1/homepage", data=json.dumps(nested(asked)), headers=told))


@settings(deadline=None)
@given(st.binary(max_size=200), headers)
def test_any_bytes_are_answered(caller: Client, body: bytes, headers: dict[str, str]) -> None:
    assert_answered(caller.post("/v1/homepage", data=body, headers=headers))


def test_coordinates_and_addresses_reach_no_byte_of_the_folder(
    small_shop: Path, database: Path, tmp_path: Path
) -> None:
    folder = copy_of(small_shop, tmp_path / "data")
    configuration = EVERY_FIELD.format(name="some", priority=5, when=WHEN, database=database)
    (folder / "dangol.toml").write_text(configuration, encoding="utf-8")
    spoken = {"X-Country": "GB", "X-City": "York", "X-Latitude": "53.958331", "X-Longitude": "-1.080272"}
    agent = "Mozilla/5.0 (Windows NT 10.0) Chrome/131.0 Zq7TellTale/1.0"
    with serving(folder) as service:
        for sent in ({"X-Address": ADDRESS}, spoken):
            answered = service.send("GET", "/v1/homepage?anonymous_id=visitor-1", headers={**sent, "User-Agent": agent})
            assert answered.status == 200
            assert answered.json["context"]["place"]["value"]["city"] in ("Leeds", "York")
        service.tell(view("v-1", "mug-1", anonymous_id="visitor-1"))
        wait_for(lambda: sum(isinstance(fact, HomepageShown) for fact in events_of(folder)) == 2, "what was shown")
    facts = events_of(folder)
    shown = [fact for fact in facts if isinstance(fact, HomepageShown)]
    assert {fact.facts["city"] for fact in shown} == {"leeds", "york"}
    assert any(isinstance(fact, RankingShown) for fact in facts)
    assert any(isinstance(fact, ProductViewed) for fact in facts)
    every = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert b"leeds" in b"".join(every.values()), "the city is there, in clear"
    numbers = (53.796481, -1.547851, 53.958331, -1.080272, 53.8)
    needles = [ADDRESS, "53.79", "-1.547", "53.95", "-1.08", "53.8", "LS1 4DY", "Zq7TellTale"]
    sought = [text.encode() for text in needles] + [bytes(map(int, ADDRESS.split(".")))]
    sought += [struct.pack(order, number) for number in numbers for order in ("<d", ">d")]
    assert [(needle, path.name) for needle in sought for path, held in every.items() if needle in held] == []


@pytest.mark.parametrize(
    ("said", "headers", "why"),
    [
        ({}, {"Sec-GPC": "1"}, "Sec-GPC"),
        ({"consent": {"gpc": True}}, {}, "Sec-GPC"),
        ({"consent": {"tcf": "CQgarbage"}}, {}, "TCF"),
        ({"consent": {"personalization_storage": "denied"}}, {}, "Consent Mode"),
        ({"consent": {"personalization": False}}, {}, "refused"),
    ],
)
def test_without_consent_the_situation_alone_decides_and_the_answer_says_so(
    caller: Client, said: dict[str, Any], headers: dict[str, str], why: str
) -> None:
    christmas = {"local_time": "2026-12-25T12:00:00+00:00", "place": {"country": "GB"}}
    asked = {"anonymous_id": "visitor-2", "context": {**christmas, "device": "mobile"}, **said}
    told = caller.post("/v1/homepage", json=asked, headers=headers).get_json()
    assert why in told["impersonal"]
    context = told["context"]
    person = ("acquaintance", "visits", "orders", "session_depth", "engagement", "cart_value", "segment")
    assert [context[name]["value"] for name in person] == [None] * 7
    assert (context["device"]["value"], context["occasion"]["value"]) == ("mobile", "none")
    assert context["next_occasion"]["value"] == "gift season"
