"""Laws of click tokens: what was signed is read back, and nothing else is."""

from __future__ import annotations

import base64

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ingest.click_tokens import Click, ClickTokens
from ingest.vocabulary.errors import MalformedEvent
from tests.support.strategies import ids

TOKENS = ClickTokens(b"1" * 32)
clicks = st.builds(Click, ids, ids, st.integers(0, 100), ids)


@given(clicks)
def test_a_signed_click_is_read_back(click: Click) -> None:
    assert TOKENS.open(TOKENS.sign(click)) == click


@given(clicks, st.data())
def test_a_token_with_any_byte_changed_is_refused(click: Click, data: st.DataObject) -> None:
    token = TOKENS.sign(click)
    signed = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    signed[data.draw(st.integers(0, len(signed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(MalformedEvent) as refused:
        TOKENS.open(base64.urlsafe_b64encode(bytes(signed)).decode().rstrip("="))
    assert refused.value.code == "bad_click_token"
    assert refused.value.pointer == "/click_token"


@given(clicks, st.data())
def test_a_token_with_any_character_changed_is_refused(click: Click, data: st.DataObject) -> None:
    token = TOKENS.sign(click)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(codec="utf-8"))
    assume(other != token[place])
    with pytest.raises(MalformedEvent):
        TOKENS.open(token[:place] + other + token[place + 1 :])


@given(clicks)
def test_a_token_of_another_installation_is_refused(click: Click) -> None:
    with pytest.raises(MalformedEvent):
        ClickTokens(b"2" * 32).open(TOKENS.sign(click))


@given(st.text(max_size=600))
def test_any_text_is_refused_as_a_token(text: str) -> None:
    with pytest.raises(MalformedEvent):
        TOKENS.open(text)
