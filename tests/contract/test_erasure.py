"""Forgetting reaches the log, the states, the keyring and the dead letters, and a search for the bytes proves it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.dead_letters import DeadLetter
from ingest.erasure import facts_about, in_clear
from ingest.privacy import Alias
from ingest.vocabulary import events as facts
from ingest.vocabulary.errors import NotFound, Unavailable
from ingest.vocabulary.ids import CustomerId
from tests.support.build import incoming
from tests.support.distributed import own_prefix, remove_topics
from tests.support.embedded import embedded, read_all, temporary_folder
from tests.support.erasing import Backend, DistributedBackend, EmbeddedBackend, Shop

MARY = CustomerId("mary-17850")
TRACES = (b"mary-17850", b"visitor-a-7", b"mary@example.org", b"+44 20 7946 0000", b"192.0.2.77", b"anniversary gift")


@pytest.fixture(params=["embedded", "distributed"])
def place(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """An empty shop."""
    if request.param == "embedded":
        with temporary_folder() as folder:
            yield EmbeddedBackend(folder)
        return
    bootstrap = request.getfixturevalue("kafka_address")
    made = DistributedBackend(bootstrap, request.getfixturevalue("redis_url"), own_prefix())
    yield made
    remove_topics(bootstrap, made.prefix)


def a_life_of_mary(dangol: Shop) -> None:
    """She looks around, searches, logs in, orders; one of her events could not be read. John is there as well."""
    dangol.collector.collect(
        [
            incoming(facts.ProductViewed, anonymous="visitor-a-7", personal={"ip": "192.0.2.77"}),
            incoming(facts.Searched, anonymous="visitor-a-7", personal={"query": "anniversary gift"}),
            incoming(
                facts.CustomerIdentified,
                customer=MARY,
                anonymous="visitor-a-7",
                personal={"traits": {"email": "mary@example.org", "phone": "+44 20 7946 0000"}},
            ),
            incoming(facts.OrderCompleted, customer=MARY, order_id="o-1", personal={"email": "mary@example.org"}),
            incoming(facts.OrderCompleted, customer="john", order_id="o-2", personal={"email": "john@example.org"}),
        ]
    )
    letters = [
        DeadLetter(source="api", code="malformed", detail="no", place="", payload=payload)
        for payload in ('{"customer_id": "mary-17850"}', '{"email": "mary@example.org"}', '{"customer_id": "john"}')
    ]
    dangol.dead_letters.add(letters, at_ms=0)


def traces(place: Backend) -> set[bytes]:
    """What of Mary is kept anywhere."""
    stored = place.stored()
    return {trace for trace in TRACES if trace in stored}


def test_no_byte_of_a_forgotten_customer_is_left_in_any_file(place: Backend) -> None:
    with place.open() as dangol:
        a_life_of_mary(dangol)
        ids = {b"mary-17850", b"visitor-a-7"} if place.clear_ids else set()
        assert traces(place) == ids, "only the keyring knows ids; all else is sealed"
        mary = dangol.keyring.find(Alias("customer", MARY))
        assert mary is not None
        assert mary.encode() in place.stored(), "the search reads what is kept"
        forgotten = dangol.erasure.forget(MARY)
        assert (forgotten.subjects, forgotten.dead_letters) == (2, 2)
        assert traces(place) == set()
    assert traces(place) == set()


def test_a_forgotten_customers_facts_stay_sealed(place: Backend) -> None:
    with place.open() as dangol:
        a_life_of_mary(dangol)
        mary = dangol.keyring.find(Alias("customer", MARY))
        assert mary is not None
        subjects = dangol.keyring.linked(mary)
        dangol.erasure.forget(MARY)
        about = [each for each in read_all(dangol.log) if each.event.key in subjects]
        assert len(about) >= 4
        assert not any(in_clear(recorded, dangol.keyring).get("personal") for recorded in about)


def test_a_forgotten_customers_states_are_dropped(tmp_path: Path) -> None:
    with embedded(tmp_path) as dangol:
        a_life_of_mary(dangol)
        mary = dangol.keyring.find(Alias("customer", MARY))
        assert mary is not None
        subjects = dangol.keyring.linked(mary)
        dangol.erasure.forget(MARY)
        for subject in subjects:
            assert dangol.projector.state("trail", subject) is None


def test_others_are_not_forgotten_with_a_customer(place: Backend) -> None:
    with place.open() as dangol:
        a_life_of_mary(dangol)
        dangol.erasure.forget(MARY)
        john = dangol.keyring.find(Alias("customer", "john"))
        assert john is not None
        (order,) = facts_about(dangol.log, dangol.keyring, john)
        assert in_clear(order, dangol.keyring)["personal"] == {"email": "john@example.org"}
        assert dangol.dead_letters.count() == 1


def test_a_customer_who_is_not_there_cannot_be_forgotten(place: Backend) -> None:
    with place.open() as dangol:
        a_life_of_mary(dangol)
        dangol.erasure.forget(MARY)
        with pytest.raises(NotFound):
            dangol.erasure.forget(MARY)


def test_an_erasure_that_was_cut_off_is_finished_at_the_next_start(
    place: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    with place.open() as dangol:
        a_life_of_mary(dangol)

        def down(*_: object) -> None:
            raise Unavailable("the log is down")

        with monkeypatch.context() as broken:
            broken.setattr(dangol.log, "append", down)
            with pytest.raises(Unavailable):
                dangol.erasure.forget(MARY)
        assert len(dangol.keyring.erasing()) == 2
    with place.open() as dangol:
        assert dangol.erasure.resume() == 2
        assert dangol.erasure.resume() == 0
        erased = [each.event for each in read_all(dangol.log) if isinstance(each.event, facts.CustomerErased)]
        assert len(erased) == 2
        assert traces(place) == set()


def test_everything_about_a_person_is_exported_in_clear(place: Backend) -> None:
    with place.open() as dangol:
        a_life_of_mary(dangol)
        mary = dangol.keyring.find(Alias("customer", MARY))
        assert mary is not None
        plain = [in_clear(recorded, dangol.keyring) for recorded in facts_about(dangol.log, dangol.keyring, mary)]
        told = ["customer_identified", "order_completed", "product_viewed", "searched"]
        assert sorted(each["type"] for each in plain if each["type"] != "profile_merged") == told
        assert {"query": "anniversary gift"} in [each.get("personal") for each in plain]
        assert not any("profile" in each for each in plain)
