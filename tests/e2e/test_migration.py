"""`dangol migrate`, end to end: the whole shop is in the new place, and answers there what it answered before."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from ingest.dead_letters import DeadLetter, DeadLetters
from ingest.keyrings.kafka import KafkaKeyring
from ingest.privacy import Alias, Keyring
from ingest.states.redis import RedisStateStore
from ingest.states.redis_connection import open_redis
from ingest.vocabulary.codec import encode_event
from ingest.vocabulary.errors import ConfigurationError
from ingest.vocabulary.events import ProductViewed, RankingShown
from ingest.vocabulary.ids import Position, Subject
from ingest.vocabulary.ports import EventLog
from serving.distributed import distributed_shop
from serving.embedded import embedded_shop
from serving.folder import server_lock
from serving.wiring import open_migration
from tests.support.build import fact
from tests.support.deployment import Deployment
from tests.support.embedded import read_all
from tests.support.folded import addresses_of
from tests.support.service import Service, dangol, environment, serving
from tests.support.small_shop import MUGS, PLATES, REGULAR, SMALL_IMPORT, order, view

VISITOR = "visitor-of-the-test"
BROKEN = "order,customer,product,quantity,price,timestamp\nbroken-1,c-1,mug-1,many,5.00,2026-01-01 10:00:00\n"
STRIKES = ((2, "after"), (3, "after"), (6, "before"), (11, "after"))  # secrets, people, facts, claims


@contextlib.contextmanager
def held_keyring(place: Deployment) -> Iterator[KafkaKeyring]:
    """The keyring of a deployment."""
    with distributed_shop(addresses_of(place.folder)) as shop:
        yield shop.keyring


def migrate(place: Deployment, folder: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """The command, however it ends."""
    return dangol("migrate", "--from", folder, "--json", data=place.folder, **options)


def live(service: Service) -> dict[str, Any]:
    """What happens in a shop on a day; a click on a list that was shown, not posted yet."""
    assert service.tell(view("v-1", MUGS[0], anonymous_id=VISITOR)) == ["accepted"]
    assert service.tell(order("o-live", MUGS[1], PLATES[2], customer=REGULAR)) == ["accepted"]
    linked = {"event_id": "who-1", "type": "customer_identified", "customer_id": "new-one", "anonymous_id": VISITOR}
    assert service.tell(linked) == ["accepted"]
    assert service.tell(view("v-2", PLATES[1], customer_id="new-one")) == ["accepted"]
    answered = service.get("/v1/recommendations/home.for-you", customer_id=REGULAR)
    first = answered["items"][0]
    clicked = {"product_id": first["product_id"], "click_token": first["click_token"]}
    return {"type": "ranking_clicked", "customer_id": REGULAR, "request_id": answered["request_id"], **clicked}


def answers(service: Service) -> list[Any]:
    """What a service recommends, without what each answer has of its own."""
    asked: list[tuple[str, dict[str, str]]] = [("home.popular", {})]
    asked += [("product.bought-together", {"product_ids": each}) for each in (*MUGS, *PLATES)]
    customers = (REGULAR, "new-one", *(f"customer-{number}" for number in range(7)))
    asked += [("home.for-you", {"customer_id": each}) for each in customers]
    asked += [("home.recently-viewed", {"customer_id": "new-one"})]
    rows = []
    for placement, query in asked:
        answered = service.get(f"/v1/recommendations/{placement}", **query)
        assert answered["degraded"] == []
        rows.append((placement, query, answered["snapshot"], [without_token(item) for item in answered["items"]]))
    return rows


def without_token(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name != "click_token"}


class Held(NamedTuple):
    """What a place holds, facts by their position and letters without their numbers."""

    facts: list[tuple[Position, bytes]]
    letters: list[DeadLetter]
    people: list[tuple[Subject, list[Alias], bool]]
    imports: int

    @classmethod
    def of(cls, log: EventLog, letters: DeadLetters, keyring: Keyring, subjects: Sequence[Subject]) -> Held:
        """Everything in it, of the named subjects."""
        return cls(
            [(each.position, encode_event(each.event)) for each in read_all(log)],
            [replace(each, letter=0) for each in letters.all()],
            [(each, keyring.aliases(each), keyring.is_customer(each)) for each in subjects],
            0,
        )


def held_by(folder: Path) -> Held:
    """What an embedded folder holds."""
    with embedded_shop(folder) as shop:
        subjects = [each.subject for each in shop.keyring.export()]
        held = Held.of(shop.log, shop.dead_letters, shop.keyring, subjects)
        return held._replace(imports=len(list(shop.ledger.all())))


def held_at(place: Deployment, like: Held) -> Held:
    """What a deployment holds, of the same people."""
    with distributed_shop(addresses_of(place.folder)) as shop, shop.dead_letters() as letters:
        subjects = [subject for subject, _, _ in like.people]
        held = Held.of(shop.log, letters, shop.keyring, subjects)
        with embedded_shop(place.folder.parent / "data") as old:
            known = [shop.ledger.find(key) == entry for key, entry in old.ledger.all()]
            assert shop.keyring.secret("click-tokens") == old.keyring.secret("click-tokens")
            assert shop.keyring.secret("dead-letters") == old.keyring.secret("dead-letters")
        return held._replace(imports=sum(known))


def add_a_broken_line(folder: Path) -> None:
    """An import that leaves a dead letter."""
    broken = folder.with_name("broken.csv")
    broken.write_text(BROKEN, encoding="utf-8")
    dangol("import", broken, *SMALL_IMPORT, data=folder)


def test_a_moved_shop_answers_what_it_answered(place: Deployment, small_folder: Path) -> None:
    with serving(small_folder) as service:
        clicked, expected = live(service), answers(service)
    add_a_broken_line(small_folder)
    key = dangol("keys", "create", "--secret", data=small_folder, check=True).stdout
    before = held_by(small_folder)
    moved = json.loads(migrate(place, small_folder, check=True).stdout)
    assert held_at(place, before) == before
    assert (moved["facts"], moved["subjects"]) == (len(before.facts), len(before.people))
    assert (moved["dead_letters"], moved["imports"]) == (len(before.letters), before.imports) == (1, 2)
    assert (moved["resumed"], moved["repetitions"], moved["snapshots"], moved["api_keys"]) == (0, 0, 1, 1)
    assert moved["snapshot"] == expected[0][2]

    place.projector()
    place.wait_until_folded()
    assert "no difference" in place.run("replay", "--verify")
    assert "no difference" in dangol("replay", "--verify", data=small_folder, check=True).stdout
    service = place.serve()
    found = re.search(r"sk_\S+", key)
    assert found is not None
    service.key = found[0]
    assert answers(service) == expected
    assert service.tell({"event_id": "c-1", **clicked}) == ["accepted"], "a token that was given out before is good"
    assert service.tell(order("o-live", MUGS[1], PLATES[2], customer=REGULAR)) == ["repeated"]
    place.run("customer", "forget", "new-one")
    place.wait_until_folded()
    assert "no difference" in place.run("replay", "--verify")
    refused = migrate(place, small_folder)
    assert refused.returncode == 1
    assert "with a fact of its own" in refused.stderr


def test_a_move_that_dies_again_and_again_comes_to_the_same(place: Deployment, small_folder: Path) -> None:
    add_a_broken_line(small_folder)
    shown = [fact(RankingShown, event_id=f"shown-{at}", subject=f"subject-{at % 3}") for at in range(40)]
    with embedded_shop(small_folder) as shop:
        shop.log.append(shown, once=False)
        shop.log.append([fact(ProductViewed, event_id=f"v-{at}", subject=f"subject-{at % 3}") for at in range(9)])
        gone, erasing = shop.keyring.resolve([Alias("customer", "gone"), Alias("customer", "erasing")]).values()
        shop.keyring.link(Alias("anonymous", VISITOR), gone)
        shop.keyring.begin_erasure(erasing)
    before = held_by(small_folder)
    moving = 2 * len({position.partition for position, _ in before.facts})  # an append and claims for each
    late = ((moving + 1, "after"), (moving + 5, "after"))  # a letter, the history of snapshots
    for step, when in (*STRIKES, *late):
        words = ["migrate", "--from", str(small_folder), "--data", str(place.folder)]
        crashing = [sys.executable, "-m", "tests.support.crashing_move", str(step), when, *words]
        died = subprocess.run(crashing, env=environment(), capture_output=True, text=True, check=False, timeout=120)
        assert died.returncode == -signal.SIGKILL, died.stdout + died.stderr
    with embedded_shop(small_folder) as shop:  # what happens between two runs is moved as well
        subjects, _ = shop.keyring.begin_erasure(gone)
        shop.keyring.destroy(subjects)
        shop.log.append([fact(ProductViewed, event_id="late", subject="subject-1")])
    after = held_by(small_folder)
    assert len(after.people) == len(before.people) - 1
    moved = json.loads(migrate(place, small_folder, check=True).stdout)
    assert moved["resumed"] == len(before.facts) == moved["facts"] - 1
    assert held_at(place, after) == after
    with held_keyring(place) as keyring:
        assert keyring.find(Alias("anonymous", VISITOR)) is None
        assert keyring.erasing() == [erasing]
    again = json.loads(migrate(place, small_folder, check=True).stdout)
    assert again == {**moved, "resumed": moved["facts"]}
    assert held_at(place, after) == after


def test_what_cannot_be_moved_is_told_in_one_line(place: Deployment, small_folder: Path, tmp_path: Path) -> None:
    def told(*words: str | Path) -> str:
        done = dangol("migrate", "--from", *words)
        assert done.returncode == 1
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        return line

    configured = ("--config", place.folder / "dangol.toml")
    assert "not the data folder of an embedded shop" in told(place.folder, "--data", tmp_path / "x", *configured)
    assert "it needs [distributed]" in told(small_folder, "--data", tmp_path / "unconfigured")
    assert "the folder to move from" in told(small_folder, "--data", small_folder, *configured)
    lock = server_lock(small_folder)
    assert "is served by process" in told(small_folder, "--data", place.folder)
    lock.release()
    with held_keyring(place) as keyring:
        keyring.resolve([Alias("customer", "somebody else's")])
    assert "its keyring knows people" in told(small_folder, "--data", place.folder)


def refusal(place: Deployment, folder: Path) -> str:
    """Why a folder cannot be moved to a place."""
    with open_migration(folder, place.folder, None) as migration, pytest.raises(ConfigurationError) as told:
        migration.run()
    return str(told.value)


def test_states_or_an_archive_without_a_log_are_left_as_they_are(place: Deployment, small_folder: Path) -> None:
    there = addresses_of(place.folder)
    with (
        distributed_shop(there) as shop,
        contextlib.closing(open_redis(there.redis_url, timeout_s=5.0)) as client,
    ):
        store = RedisStateStore(client, there.kafka.prefix, ())
        store.begin_epoch(shop.log.ends)
        store.commit({}, partition=3, before=-1, after=0)
        assert "its Redis has states of another log" in refusal(place, small_folder)
        archived = place.folder / "archive" / "3" / "x.parquet"
        archived.parent.mkdir(parents=True)
        archived.touch()
        assert "archive has facts that the log has not" in refusal(place, small_folder)


def test_a_place_of_another_shop_is_left_as_it_is(place: Deployment, small_folder: Path) -> None:
    with distributed_shop(addresses_of(place.folder)) as shop:
        secret = shop.keyring.secret("click-tokens")
        with shop.dead_letters() as letters:
            letters.add([DeadLetter(source="api", code="c", detail="d", place="p", payload="{}")], at_ms=0)
        assert "it has dead letters" in refusal(place, small_folder)
        shop.log.append([fact(ProductViewed, event_id="other", subject="subject-1")])
        assert "its log has facts" in refusal(place, small_folder)
    with held_keyring(place) as keyring:
        assert keyring.secret("click-tokens") == secret
