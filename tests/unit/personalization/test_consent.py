"""Consent as pages tell it: the strictest word counts, and what cannot be read is no consent."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization.situation.consent import NOTHING_SAID, Consent, purposes_of, refusal


def tc_string(*purposes: int, version: int = 2) -> str:
    """A core segment by the offsets of the specification: version at 0, purposes from bit 152 on, 240 bits in all."""
    bits = ["0"] * 240
    bits[0:6] = f"{version:06b}"
    for purpose in purposes:
        bits[152 + purpose - 1] = "1"
    return urlsafe_b64encode(int("".join(bits), 2).to_bytes(30, "big")).decode().rstrip("=")


# Of the IAB's own documentation of the format: purposes 1 to 3 are agreed to in it.
PUBLISHED = "COvFyGBOvFyGBAbAAAENAPCAAOAAAAAAAAAAAEEUACCKAAA"


def test_purposes_are_read_from_a_published_string() -> None:
    assert purposes_of(PUBLISHED) == {1, 2, 3}


@given(st.sets(st.integers(1, 24)))
def test_every_purpose_is_read_from_its_own_bit(purposes: set[int]) -> None:
    assert purposes_of(tc_string(*purposes)) == purposes
    assert purposes_of(f"{tc_string(*purposes)}.IFoEUQQgAIQwgIwQABAEAAAA") == purposes


@given(st.text(max_size=60) | st.text(alphabet="ABCDEFGHabcd0189-_.", max_size=60))
def test_any_text_is_read_or_is_none(text: str) -> None:
    assert purposes_of(text) is None or "." in text or len(text) >= 30


@pytest.mark.parametrize("bad", ["", "x", "not base 64!", tc_string(1, version=1), "C" * 20_000])
def test_what_is_no_string_of_version_two_is_none(bad: str) -> None:
    assert purposes_of(bad) is None
    assert refusal(Consent(tcf=bad), {}) == "the TCF string cannot be read"


@pytest.mark.parametrize(
    ("consent", "headers", "said"),
    [
        (NOTHING_SAID, {}, ""),
        (NOTHING_SAID, {"sec-gpc": "1"}, "Sec-GPC"),
        (NOTHING_SAID, {"sec-gpc": "0"}, ""),
        (NOTHING_SAID, {"sec-gpc": "true"}, ""),
        (Consent(gpc=True), {}, "Sec-GPC"),
        (Consent(personalization=False, personalization_storage="granted"), {}, "refused"),
        (Consent(personalization=True, personalization_storage="denied"), {}, "Consent Mode"),
        (Consent(ad_storage="denied", ad_personalization="denied", analytics_storage="denied"), {}, ""),
        (Consent(tcf=tc_string(1, 5, 6)), {}, ""),
        (Consent(tcf=tc_string(1, 5, 6), gdpr=1), {"sec-gpc": "1"}, "Sec-GPC"),
        (Consent(tcf=tc_string(1, 5)), {}, "no consent to purpose 6 (TCF)"),
        (Consent(tcf=tc_string()), {}, "no consent to purpose 1, 5, 6 (TCF)"),
        (Consent(tcf=tc_string(), gdpr=0), {}, ""),
    ],
)
def test_the_strictest_word_counts(consent: Consent, headers: dict[str, str], said: str) -> None:
    found = refusal(consent, headers)
    assert said in found
    assert bool(found) == bool(said)
