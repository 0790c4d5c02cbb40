"""What every keyring promises: one subject a person, on disk before it is used, and forgotten without a trace."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ingest.privacy import Alias, Keyring
from ingest.vocabulary.errors import Corrupt
from ingest.vocabulary.ids import Subject
from tests.contract.conftest import ROOT, KeyringBackend, OpenKeyring

MARY = Alias("customer", "mary-17850")
VISITOR = Alias("anonymous", "visitor-a-7")
PHONE = Alias("anonymous", "visitor-phone-8")


def subject_of(keyring: Keyring, alias: Alias) -> Subject:
    return keyring.resolve([alias])[alias]


def test_an_id_always_leads_to_one_subject(keyring: Keyring) -> None:
    first = keyring.resolve([MARY, VISITOR, MARY])
    assert set(first) == {MARY, VISITOR}
    assert first[MARY] != first[VISITOR]
    assert keyring.resolve([VISITOR, MARY]) == first
    assert keyring.find(MARY) == first[MARY]


def test_a_customer_and_a_visitor_of_one_name_are_two(keyring: Keyring) -> None:
    same = [Alias("customer", "7"), Alias("anonymous", "7")]
    assert len(set(keyring.resolve(same).values())) == 2


def test_a_subject_says_nothing_about_the_id(keyring: Keyring) -> None:
    subject = subject_of(keyring, MARY)
    assert len(subject) == 22
    assert "17850" not in subject


def test_an_unknown_id_is_not_made_by_looking(keyring: Keyring) -> None:
    assert keyring.find(MARY) is None
    assert keyring.find(MARY) is None


def test_a_resolved_subject_survives_closing(open_keyring: OpenKeyring) -> None:
    with open_keyring() as keyring:
        subject = subject_of(keyring, MARY)
        sealed = keyring.seal(subject, {"email": "mary@example.org"})
    with open_keyring() as keyring:
        assert subject_of(keyring, MARY) == subject
        assert sealed is not None
        assert keyring.open(subject, sealed) == {"email": "mary@example.org"}


def test_two_openings_of_a_keyring_agree_on_a_new_id(open_keyring: OpenKeyring) -> None:
    with open_keyring() as here, open_keyring() as there:
        assert here.find(MARY) is None
        assert there.find(MARY) is None
        assert subject_of(here, MARY) == subject_of(there, MARY)


def test_threads_agree_on_a_new_id(keyring: Keyring) -> None:
    start = threading.Barrier(16)

    def resolve(_: int) -> Subject:
        start.wait()
        return subject_of(keyring, MARY)

    with ThreadPoolExecutor(16) as threads:
        assert len(set(threads.map(resolve, range(16)))) == 1


RESOLVE = """
from ingest.privacy import Alias
print("ready", flush=True)
input()
for number in range(40):
    alias = Alias("customer", str(number))
    print(keyring.resolve([alias])[alias])
keyring.resolve([Alias("customer", f"many-{number}") for number in range(100)])
for alias, subject in keyring.resolve([Alias("customer", f"many-{number}") for number in range(100)]).items():
    print(subject)
"""


def test_two_processes_resolve_the_same_ids_to_the_same_subjects(keyring_backend: KeyringBackend) -> None:
    command = [sys.executable, "-c", keyring_backend.opening + RESOLVE]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    processes = [subprocess.Popen(command, cwd=ROOT, **pipes) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    first, second = (process.communicate(timeout=60)[0].split() for process in processes)
    assert len(set(first)) == 140
    assert first == second


def test_a_linked_visitor_is_the_customer_from_then_on(keyring: Keyring) -> None:
    visitor, mary = subject_of(keyring, VISITOR), subject_of(keyring, MARY)
    keyring.link(VISITOR, mary)
    assert subject_of(keyring, VISITOR) == mary
    assert keyring.linked(mary) == [mary, visitor]
    assert keyring.aliases(mary) == [VISITOR, MARY]


def test_linking_twice_changes_nothing_more(keyring: Keyring) -> None:
    visitor, mary = subject_of(keyring, VISITOR), subject_of(keyring, MARY)
    keyring.link(VISITOR, mary)
    keyring.link(VISITOR, mary)
    assert keyring.linked(mary) == [mary, visitor]


def test_an_unseen_visitor_can_be_linked(open_keyring: OpenKeyring) -> None:
    with open_keyring() as keyring:
        mary = subject_of(keyring, MARY)
        keyring.link(VISITOR, mary)
        assert keyring.linked(mary) == [mary]
    with open_keyring() as keyring:
        assert keyring.find(VISITOR) == mary


def test_a_browser_that_two_customers_share_joins_no_customers(keyring: Keyring) -> None:
    john_id = Alias("customer", "john")
    mary, john = subject_of(keyring, MARY), subject_of(keyring, john_id)
    keyring.link(VISITOR, mary)
    keyring.link(VISITOR, john)
    assert subject_of(keyring, VISITOR) == john
    assert keyring.linked(mary) == [mary]
    assert keyring.linked(john) == [john]
    assert keyring.aliases(mary) == [MARY]


def test_a_person_has_all_earlier_subjects(keyring: Keyring) -> None:
    mary = subject_of(keyring, MARY)
    earlier = keyring.resolve([VISITOR, PHONE])
    keyring.link(VISITOR, mary)
    keyring.link(PHONE, mary)
    assert set(keyring.linked(mary)) == {mary, *earlier.values()}


def test_only_a_shops_customer_is_a_customer(keyring: Keyring) -> None:
    subjects = keyring.resolve([MARY, VISITOR])
    assert keyring.is_customer(subjects[MARY])
    assert not keyring.is_customer(subjects[VISITOR])
    assert not keyring.is_customer(Subject("nobody"))


def test_personal_data_is_opened_by_its_subject_only(keyring: Keyring) -> None:
    subjects = keyring.resolve([MARY, VISITOR])
    personal = {"email": "mary@example.org", "traits": {"age": 40, "names": ["Mary", None]}}
    sealed = keyring.seal(subjects[MARY], personal)
    assert sealed is not None
    assert b"mary" not in sealed
    assert sealed != keyring.seal(subjects[MARY], personal), "a nonce is never used again"
    assert keyring.open(subjects[MARY], sealed) == personal
    with pytest.raises(Corrupt):
        keyring.open(subjects[VISITOR], sealed)
    with pytest.raises(Corrupt):
        keyring.open(subjects[MARY], sealed[:-1] + bytes([sealed[-1] ^ 1]))


def test_nothing_personal_is_nothing_sealed(keyring: Keyring) -> None:
    assert keyring.seal(subject_of(keyring, MARY), {}) is None


def test_a_secret_of_the_installation_stays_the_same(open_keyring: OpenKeyring) -> None:
    with open_keyring() as keyring, open_keyring() as other:
        secret = keyring.secret("click-tokens")
        assert len(secret) == 32
        assert keyring.secret("click-tokens") == other.secret("click-tokens") == secret
        assert keyring.secret("other") != secret
    with open_keyring() as keyring:
        assert keyring.secret("click-tokens") == secret


def test_erasure_begins_with_the_ids_and_can_be_resumed(open_keyring: OpenKeyring) -> None:
    with open_keyring() as keyring:
        mary, visitor = subject_of(keyring, MARY), subject_of(keyring, VISITOR)
        keyring.link(VISITOR, mary)
        subjects, aliases = keyring.begin_erasure(mary)
        assert subjects == [mary, visitor]
        assert sorted(aliases) == sorted([MARY, VISITOR])
        assert keyring.find(MARY) is None
        assert keyring.find(VISITOR) is None
    with open_keyring() as keyring:
        assert set(keyring.erasing()) == {mary, visitor}
        keyring.destroy(keyring.erasing())
        assert keyring.erasing() == []


def test_after_erasure_the_same_id_is_somebody_new(keyring: Keyring) -> None:
    mary = subject_of(keyring, MARY)
    sealed = keyring.seal(mary, {"email": "mary@example.org"})
    keyring.destroy(keyring.begin_erasure(mary)[0])
    assert sealed is not None
    assert keyring.open(mary, sealed) is None
    assert keyring.seal(mary, {"email": "mary@example.org"}) is None
    assert subject_of(keyring, MARY) != mary


def test_others_keep_their_ids_and_keys(keyring: Keyring) -> None:
    others = keyring.resolve([Alias("customer", f"other-{number}") for number in range(50)])
    sealed = {subject: keyring.seal(subject, {"email": "e"}) for subject in others.values()}
    keyring.destroy(keyring.begin_erasure(subject_of(keyring, MARY))[0])
    assert keyring.resolve(others) == others
    assert all(keyring.open(subject, each) == {"email": "e"} for subject, each in sealed.items() if each is not None)
