"""What is promised of things that could not be read: kept, sealed, bounded, and forgotten with their person."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingest import dead_letters as module
from ingest.dead_letters import DETAIL_LENGTH_MAX, DeadLetter, DeadLetters
from ingest.letters.kafka import KafkaDeadLetters
from ingest.logs.kafka_settings import KafkaSettings
from ingest.logs.topics import prepare_topics
from ingest.vocabulary.errors import NotFound, Unavailable
from tests.support.distributed import own_prefix, remove_topics
from tests.support.embedded import embedded

OpenLetters = Callable[[], contextlib.AbstractContextManager[DeadLetters]]


@contextlib.contextmanager
def sqlite_letters(folder: Path) -> Iterator[DeadLetters]:
    """Letters in a file of the test's own."""
    with embedded(folder) as dangol:
        yield dangol.dead_letters


@contextlib.contextmanager
def kafka_letters(settings: KafkaSettings, folder: Path) -> Iterator[DeadLetters]:
    """Letters in a topic of the test's own; whose secret they are sealed under is not theirs to know."""
    with embedded(folder) as dangol:
        letters = KafkaDeadLetters(settings, dangol.keyring)
        try:
            yield letters
        finally:
            letters.close()


@pytest.fixture(params=["sqlite", "kafka"])
def open_letters(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenLetters]:
    """Opens one and the same letters, as often as it is called."""
    if request.param == "sqlite":
        yield lambda: sqlite_letters(tmp_path)
        return
    settings = KafkaSettings(bootstrap=request.getfixturevalue("kafka_address"), prefix=own_prefix())
    prepare_topics(settings)
    yield lambda: kafka_letters(settings, tmp_path)
    remove_topics(settings.bootstrap, settings.prefix)


@pytest.fixture
def letters(open_letters: OpenLetters) -> Iterator[DeadLetters]:
    with open_letters() as opened:
        yield opened


def letter(payload: str = "{}", **fields: str) -> DeadLetter:
    return DeadLetter(
        **{"source": "api", "code": "malformed", "detail": "no", "place": "line 1"} | fields, payload=payload
    )


def payloads(letters: DeadLetters) -> list[str]:
    return [each.payload for each in letters.all()]


def test_a_letter_is_kept_as_it_came(letters: DeadLetters) -> None:
    kept = DeadLetter(
        source="import:csv",
        code="malformed",
        detail="price must be a number",
        place="orders.csv line 7",
        payload='7;"Mary";€\n',
        options={"delimiter": ";"},
    )
    letters.add([kept], at_ms=1_763_812_800_123)
    (found,) = letters.all()
    assert found.at == datetime(2025, 11, 22, 12, 0, 0, 123_000, UTC)
    assert found.letter > 0
    assert letters.get(found.letter) == found
    for field in ("source", "code", "detail", "place", "payload", "options"):
        assert getattr(found, field) == getattr(kept, field)


def test_letters_come_oldest_first_and_may_be_limited(letters: DeadLetters) -> None:
    letters.add([letter(f"{number}") for number in range(5)], at_ms=0)
    letters.add([], at_ms=0)
    assert payloads(letters) == ["0", "1", "2", "3", "4"]
    assert [each.payload for each in letters.all(limit=2)] == ["0", "1"]
    assert letters.count() == 5


def test_an_unknown_letter_is_not_found(letters: DeadLetters) -> None:
    with pytest.raises(NotFound):
        letters.get(7)


def test_a_number_is_never_used_again(letters: DeadLetters) -> None:
    letters.add([letter("a"), letter("b")], at_ms=0)
    numbers = [each.letter for each in letters.all()]
    letters.remove(numbers)
    letters.add([letter("c")], at_ms=0)
    (later,) = letters.all()
    assert later.letter > max(numbers)


def test_a_payload_is_sealed_at_rest(tmp_path: Path) -> None:
    with embedded(tmp_path) as dangol:
        dangol.dead_letters.add([letter('{"email": "mary@example.org"}')], at_ms=0)
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert any(b"dead_letters" in path.read_bytes() for path in files), "the search reads the right files"
        assert not any(b"mary@example.org" in path.read_bytes() for path in files)


def test_letters_are_opened_again_after_closing(open_letters: OpenLetters) -> None:
    with open_letters() as letters:
        letters.add([letter("a")], at_ms=0)
    with open_letters() as letters:
        assert payloads(letters) == ["a"]


def test_two_openings_see_the_same_letters(open_letters: OpenLetters) -> None:
    with open_letters() as here, open_letters() as there:
        here.add([letter("a"), letter("b", place="line 2")], at_ms=0)
        assert payloads(there) == ["a", "b"]
        assert there.places("api") == {"line 1", "line 2"}
        there.remove([next(iter(here.all())).letter])
        assert (payloads(here), here.count(), here.places("api")) == (["b"], 1, {"line 2"})


def test_forgetting_removes_every_letter_that_mentions_an_id(letters: DeadLetters) -> None:
    letters.add(
        [letter('{"customer_id": "17850"}'), letter("17850;85123A;6"), letter('{"customer_id": "17851"}')], at_ms=0
    )
    assert letters.forget({"17850", "mary@example.org", ""}) == 2
    assert payloads(letters) == ['{"customer_id": "17851"}']
    assert letters.forget({"17850"}) == 0


def test_a_short_id_is_forgotten_as_a_whole_value_only(letters: DeadLetters) -> None:
    letters.add([letter('{"customer_id": "42"}'), letter('{"customer_id": "142"}')], at_ms=0)
    assert letters.forget({"42"}) == 1
    assert payloads(letters) == ['{"customer_id": "142"}']


def test_a_mention_in_the_reason_is_forgotten_too(letters: DeadLetters) -> None:
    letters.add([letter("{", detail="customer_id has outer spaces: ' mary-17850'")], at_ms=0)
    assert letters.forget({"mary-17850"}) == 1


def test_an_id_that_json_spells_otherwise_is_forgotten_too(letters: DeadLetters) -> None:
    letters.add([letter(r'{"customer_id": "Jos\u00e9-17"}'), letter(r'{"customer_id": "a\/b-c"}')], at_ms=0)
    assert letters.forget({"José-17", "a/b-c"}) == 2


def test_beyond_the_limit_letters_are_refused_and_none_of_them_kept(
    letters: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DEAD_LETTERS_MAX", 3)
    letters.add([letter("a"), letter("b")], at_ms=0)
    with pytest.raises(Unavailable) as full:
        letters.add([letter("c"), letter("d")], at_ms=0)
    assert full.value.code == "dead_letters_full"
    assert payloads(letters) == ["a", "b"]
    letters.add([letter("c")], at_ms=0)
    assert letters.count() == 3


def test_a_reason_is_cut_to_its_limit(letters: DeadLetters) -> None:
    letters.add([letter(detail="x" * 10_000)], at_ms=0)
    (found,) = letters.all()
    assert found.detail == "x" * DETAIL_LENGTH_MAX


def test_letters_of_another_keeper_are_taken_over_once(kafka_address: str, tmp_path: Path) -> None:
    settings = KafkaSettings(bootstrap=kafka_address, prefix=own_prefix())
    prepare_topics(settings)
    with embedded(tmp_path) as dangol:
        old = dangol.dead_letters
        old.add([letter(f"{number}") for number in range(4)], at_ms=1_763_812_800_123)
        old.remove([2])
        with contextlib.closing(KafkaDeadLetters(settings, dangol.keyring)) as new:
            new.add([letter("own")], at_ms=0)
            assert new.adopt(list(old.all())[:2]) == 2
            old.remove([1])
            assert [new.adopt(old.all()) for _ in range(2)] == [2, 2]
            assert payloads(new) == ["own", "2", "3"]
            assert [each.at for each in new.all()][1:] == [each.at for each in old.all()]
    remove_topics(settings.bootstrap, settings.prefix)
