"""Laws of ids: partitions are Kafka's, request ids sort by time, ids of the shop's are bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.vocabulary.errors import MalformedEvent
from ingest.vocabulary.ids import (
    ID_LENGTH_MAX,
    PARTITIONS,
    content_id,
    murmur2,
    parse_id,
    partition_of,
    ulid,
)

times = st.integers(0, 2**48 - 1)
randomness = st.binary(min_size=16, max_size=16)


@pytest.mark.parametrize(
    ("key", "signed"),
    [
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        ("abc", 479470107),
    ],
)
def test_hashes_are_those_of_kafkas_own_client(key: str, signed: int) -> None:
    assert murmur2(key.encode()) == signed & 0xFFFFFFFF
    assert partition_of(key) == (signed & 0x7FFFFFFF) % PARTITIONS


@given(st.text())
def test_a_key_always_has_the_same_partition_among_the_sixteen(key: str) -> None:
    assert partition_of(key) == partition_of.__wrapped__(key)
    assert 0 <= partition_of(key) < PARTITIONS == 16
    assert 0 <= murmur2(key.encode()) <= 0xFFFFFFFF


@given(times, times, randomness, randomness)
def test_ulids_sort_by_time(earlier: int, later: int, first: bytes, second: bytes) -> None:
    earlier, later = sorted((earlier, later))
    if earlier < later:
        assert ulid(earlier, first) < ulid(later, second)
    assert len(ulid(later, second)) == 26


@given(times, randomness)
def test_a_ulid_holds_all_of_time_and_randomness(time_ms: int, chance: bytes) -> None:
    digits = ["0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(character) for character in ulid(time_ms, chance)]
    assert sum(digit << 5 * place for place, digit in enumerate(reversed(digits[:10]))) == time_ms
    assert digits[10:] == [byte & 31 for byte in chance]


@given(st.one_of(st.text(max_size=120), st.integers(), st.none(), st.booleans(), st.floats(), st.binary(max_size=4)))
def test_an_id_is_printable_bounded_text_or_refused_with_its_pointer(raw: object) -> None:
    try:
        parsed = parse_id(raw, "order_id")
    except MalformedEvent:
        with pytest.raises(MalformedEvent) as refused:
            parse_id(raw, "order_id")
        assert refused.value.pointer == "/order_id"
    else:
        assert parsed == str(raw)
        assert 1 <= len(parsed) <= ID_LENGTH_MAX
        assert parsed.isprintable()
        assert parsed == parsed.strip()


@given(st.lists(st.text(max_size=5), min_size=1, max_size=3))
def test_a_content_id_is_the_same_for_the_same_parts_only(parts: list[str]) -> None:
    assert content_id(*parts) == content_id(*parts)
    assert content_id(*parts) != content_id(*parts, "more")
    assert len(content_id(*parts)) == 32
