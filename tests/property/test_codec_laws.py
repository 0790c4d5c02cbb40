"""Laws of the stored form: whatever was written is read back, and no bytes break the reader."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.vocabulary.codec import decode_event, encode_event
from ingest.vocabulary.errors import Corrupt, NewerVersion
from ingest.vocabulary.events import Event
from tests.support.build import EVENT_TYPES
from tests.support.strategies import any_event, of_struct


@pytest.mark.parametrize("kind", EVENT_TYPES, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_every_event_survives_being_stored(kind: type[Event], data: st.DataObject) -> None:
    event = data.draw(of_struct(kind))
    assert decode_event(encode_event(event)) == event


@given(st.binary(max_size=60))
@example(b"")
@example(b"\x01" + b"\x91" * 100_000)
@example(b"\x00\x80")
def test_bytes_that_are_no_fact_are_corrupt_and_nothing_else(stored: bytes) -> None:
    try:
        decode_event(stored)
    except (Corrupt, NewerVersion):
        return


@given(any_event(), st.data())
def test_a_damaged_fact_is_read_as_some_fact_or_is_corrupt(event: Event, data: st.DataObject) -> None:
    stored = bytearray(encode_event(event))
    place = data.draw(st.integers(0, len(stored) - 1))
    stored[place] ^= data.draw(st.integers(1, 255))
    try:
        assert isinstance(decode_event(bytes(stored)), Event)
    except (Corrupt, NewerVersion):
        return


@given(any_event(), st.data())
def test_a_cut_off_fact_is_corrupt(event: Event, data: st.DataObject) -> None:
    stored = encode_event(event)
    with pytest.raises(Corrupt):
        decode_event(stored[: data.draw(st.integers(0, len(stored) - 1))])
