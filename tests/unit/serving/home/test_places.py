"""Where a request comes from: only who is trusted is believed, and nothing finer than a city leaves."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.vocabulary.context import Place
from ingest.vocabulary.errors import ConfigurationError
from personalization.situation.parts import Part
from serving.home.places import VisitorPlaces, places_of
from serving.home.settings import PlacesSettings
from serving.home.surroundings import NOWHERE
from tests.support.mmdb import write_database

LEEDS = {
    "country": {"iso_code": "GB", "names": {"en": "United Kingdom"}},
    "city": {"names": {"en": "Leeds", "de": "Leeds"}},
    "location": {"latitude": 53.79648, "longitude": -1.54785, "time_zone": "Europe/London"},
    "postal": {"code": "LS1 4DY"},
}
CDN = PlacesSettings(
    country_header="CF-IPCountry",
    city_header="CF-IPCity",
    latitude_header="CF-IPLatitude",
    longitude_header="CF-IPLongitude",
    time_zone_header="CF-Timezone",
)
ANY_TEXT = st.text(max_size=30) | st.sampled_from(["GB", "-1.5", "1e999", "nan", "Europe/London", "../../etc/passwd"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with a database."""
    write_database(
        tmp_path / "city.mmdb",
        {
            "203.0.113.9": LEEDS,
            "203.0.113.10": {"country": {"iso_code": "DE"}},
            "203.0.113.11": {"country": {"iso_code": "Germany"}, "city": "Leeds", "location": "here"},
            "203.0.113.12": {"country": {"iso_code": "FR"}, "location": {"latitude": 400.0, "longitude": "x"}},
        },
    )
    return tmp_path


def test_an_address_is_looked_up_in_a_database_of_maxminds_format(folder: Path) -> None:
    found = places_of(PlacesSettings(database="city.mmdb"), folder).find({}, "203.0.113.9")
    assert found.place == Part(Place("GB", "Leeds"), "derived", 0.7, "address")
    assert (found.latitude, found.longitude) == (53.8, -1.5), "a tenth of a degree, no finer"
    assert found.zone == ZoneInfo("Europe/London")


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("203.0.113.10", Place("DE", None)),
        ("203.0.113.11", None),
        ("203.0.113.12", Place("FR", None)),
        ("198.51.100.1", None),
        ("::1", None),
        ("no address", None),
        ("", None),
        (None, None),
    ],
)
def test_what_a_database_does_not_say_is_not_known(folder: Path, address: str | None, place: Place | None) -> None:
    found = places_of(PlacesSettings(database="city.mmdb"), folder).find({}, address)
    assert (found.place.value if found.place else None) == place
    assert (found.latitude, found.longitude, found.zone) == (None, None, None)


def test_behind_a_proxy_the_last_address_it_names_counts_if_it_is_trusted(folder: Path) -> None:
    behind = {"x-forwarded-for": "203.0.113.10, 203.0.113.9"}
    trusting = places_of(PlacesSettings(database="city.mmdb", address_header="X-Forwarded-For"), folder)
    found = trusting.find(behind, "203.0.113.12").place
    assert found is not None
    assert found.value == Place("GB", "Leeds")
    wary = places_of(PlacesSettings(database="city.mmdb"), folder).find(behind, "203.0.113.12").place
    assert wary is not None
    assert wary.value == Place("FR", None)


def test_headers_of_a_cdn_are_believed_only_if_they_are_named() -> None:
    headers = {
        "cf-ipcountry": "de",
        "cf-ipcity": "M%C3%BCnchen",
        "cf-iplatitude": "48.13743",
        "cf-iplongitude": "11.57549",
        "cf-timezone": "Europe/Berlin",
    }
    found = VisitorPlaces(CDN).find(headers, None)
    assert found.place == Part(Place("DE", "München"), "header", 0.85, "CF-IPCountry")
    assert (found.latitude, found.longitude, found.zone) == (48.1, 11.6, ZoneInfo("Europe/Berlin"))
    assert VisitorPlaces(PlacesSettings()).find(headers, "203.0.113.9") is NOWHERE


@pytest.mark.parametrize("country", ["XX", "T1", "", "  ", "Germany", "1!"])
def test_a_country_that_is_none_is_not_known(country: str) -> None:
    assert VisitorPlaces(CDN).find({"cf-ipcountry": country}, None) is NOWHERE


@given(st.dictionaries(st.sampled_from(CDN.headers), ANY_TEXT), ANY_TEXT)
def test_whatever_headers_say_there_is_an_answer(headers: dict[str, str], address: str) -> None:
    found = VisitorPlaces(CDN).find(headers, address)
    assert found.latitude is None or -90 <= found.latitude <= 90
    assert found.longitude is None or -180 <= found.longitude <= 180


def test_a_database_that_cannot_be_read_is_said_when_it_is_opened(tmp_path: Path) -> None:
    (tmp_path / "text.mmdb").write_text("hello")
    for name in ("text.mmdb", "missing.mmdb"):
        with pytest.raises(ConfigurationError, match=name):
            places_of(PlacesSettings(database=name), tmp_path)
