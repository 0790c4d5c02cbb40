"""The circuit breaker: one tries, the others do without, and all is well again after a success."""

from __future__ import annotations

import pytest

from ingest.vocabulary.errors import NotFound, Unavailable
from serving.circuit import PAUSE_FIRST_S, PAUSE_MAX_S, Circuit


class Store:
    """Something that may be away; counts how often it is asked."""

    def __init__(self) -> None:
        self.away, self.asked, self.now_s = False, 0, 100.0
        self.changes: list[bool] = []
        self.circuit = Circuit(self.changes.append, lambda: self.now_s)

    def ask(self, answer: int) -> int:
        """What it answers."""
        self.asked += 1
        if self.away:
            raise Unavailable("away")
        return answer

    def is_up(self) -> bool:
        """Whether a call through the circuit is answered."""
        try:
            return self.circuit.call(self.ask, 7) == 7
        except Unavailable:
            return False


def test_what_answers_is_asked_every_time() -> None:
    store = Store()
    assert [store.is_up() for _ in range(5)] == [True] * 5
    assert (store.asked, store.changes) == (5, [])


def test_what_is_away_is_asked_once_a_pause_and_ever_more_rarely() -> None:
    store = Store()
    store.away = True
    asked = []
    for _ in range(5):
        assert not any(store.is_up() for _ in range(10))
        asked.append(store.asked)
        store.now_s += PAUSE_MAX_S
    assert asked == [1, 2, 3, 4, 5], "the others of each pause were not kept waiting"
    assert store.changes == [True]


def test_a_pause_is_as_long_as_it_says() -> None:
    store = Store()
    store.away = True
    store.is_up()
    store.now_s += PAUSE_FIRST_S * 0.99
    store.is_up()
    assert store.asked == 1
    store.now_s += PAUSE_FIRST_S * 0.02
    store.is_up()
    assert store.asked == 2
    store.now_s += PAUSE_FIRST_S * 1.5
    store.is_up()
    assert store.asked == 2, "the second pause is twice as long"


def test_after_a_success_all_is_well_and_the_next_pause_is_short() -> None:
    store = Store()
    store.away = True
    for _ in range(4):
        store.is_up()
        store.now_s += PAUSE_MAX_S
    store.away = False
    assert [store.is_up() for _ in range(3)] == [True] * 3
    store.away = True
    store.is_up()
    store.now_s += PAUSE_FIRST_S
    before = store.asked
    store.is_up()
    assert store.asked == before + 1
    assert store.changes == [True, False, True]


def test_an_error_of_the_caller_is_no_failure_of_the_store() -> None:
    circuit = Circuit()

    def unknown() -> None:
        raise NotFound("no such thing")

    for _ in range(2):
        with pytest.raises(NotFound):
            circuit.call(unknown)
    assert circuit.call(lambda: 1) == 1
