"""`dangol migrate`, end to end: the whole shop is in the new place, and answers there what it answered before."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest.vocabulary.codec import encode_event
from tests.support.deployment import Deployment, deployment
from tests.support.distributed import kafka_log, own_prefix, remove_topics
from tests.support.embedded import embedded, read_all
from tests.support.service import Service, dangol, serving
from tests.support.small_shop import MUGS, PLATES, REGULAR, SMALL_IMPORT, order, orders_file, view

VISITOR = "visitor-of-the-test"
BROKEN = '{"type": "no such thing"}'


@pytest.fixture
def place(kafka_address: str, redis_url: str, tmp_path: Path) -> Iterator[Deployment]:
    """A new deployment that nobody uses yet."""
    prefix = own_prefix()
    with deployment(tmp_path / "new", kafka_address, redis_url, prefix=prefix) as made:
        yield made
    remove_topics(kafka_address, prefix)


def prefix_of(place: Deployment) -> str:
    """The prefix of a deployment's topics."""
    found = re.search('prefix = "(.*)"', (place.folder / "dangol.toml").read_text())
    assert found is not None
    return found[1]


def migrate(place: Deployment, folder: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """The command, however it ends."""
    return dangol("migrate", "--from", folder, "--json", data=place.folder, **options)


def live(service: Service) -> str:
    """What happens in a shop on a day; the click token of a list that was shown."""
    assert service.tell(view("v-1", MUGS[0], anonymous_id=VISITOR)) == ["accepted"]
    assert service.tell(order("o-live", MUGS[1], PLATES[2], customer=REGULAR)) == ["accepted"]
    linked = {"event_id": "who-1", "type": "customer_identified", "customer_id": "new-one", "anonymous_id": VISITOR}
    assert service.tell(linked) == ["accepted"]
    assert service.tell(view("v-2", PLATES[1], customer_id="new-one")) == ["accepted"]
    items = service.get("/v1/recommendations/home.for-you", customer_id=REGULAR)["items"]
    assert items
    return str(items[0]["click_token"])


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


def facts_of_folder(folder: Path) -> list[tuple[Any, bytes]]:
    """The log of an embedded folder, place by place."""
    with embedded(folder) as dangol_:
        return [(each.position, encode_event(each.event)) for each in read_all(dangol_.log)]


def facts_of_place(place: Deployment, kafka: str, redis_url: str) -> list[tuple[Any, bytes]]:
    """The same of the deployment."""
    with kafka_log(kafka, prefix_of(place), redis_url) as log:
        return [(each.position, encode_event(each.event)) for each in read_all(log)]


def letters_of(folder: Path, **options: Any) -> list[dict[str, Any]]:
    """The dead letters of either place, without their numbers."""
    told = json.loads(dangol("dead-letters", "list", "--json", data=folder, check=True, **options).stdout)["letters"]
    return [{name: value for name, value in each.items() if name != "letter"} for each in told]


def make_busy(folder: Path) -> tuple[str, list[Any]]:
    """Live events, a dead letter and a key on top of the small shop; a click token, and what it answers."""
    with serving(folder) as service:
        token = live(service)
        told = answers(service)
    broken = folder.with_name("broken.jsonl")
    broken.write_text(BROKEN + "\n", encoding="utf-8")
    dangol("import", broken, "--dialect", "jsonl", data=folder)
    return token, told


def test_a_moved_shop_answers_what_it_answered(
    place: Deployment, small_folder: Path, kafka_address: str, redis_url: str
) -> None:
    token, expected = make_busy(small_folder)
    snapshot = json.loads(dangol("status", "--json", data=small_folder, check=True).stdout)["snapshot"]
    key = dangol("keys", "create", "--secret", data=small_folder, check=True).stdout
    moved = json.loads(migrate(place, small_folder, check=True).stdout)
    assert facts_of_place(place, kafka_address, redis_url) == facts_of_folder(small_folder)
    assert letters_of(place.folder) == letters_of(small_folder) != []
    assert (moved["snapshot"], moved["resumed"], moved["repetitions"], moved["api_keys"]) == (snapshot, 0, 0, 1)

    place.projector()
    place.wait_until_folded()
    assert "no difference" in place.run("replay", "--verify")
    assert "no difference" in dangol("replay", "--verify", data=small_folder, check=True).stdout
    service = place.serve()
    held = re.search(r"sk_\S+", key)
    assert held is not None
    assert answers(service) == expected
    clicked = {"event_id": "c-1", "type": "recommendation_clicked", "click_token": token, "customer_id": REGULAR}
    assert service.tell(clicked) == ["accepted"], "a token that was given out before is good"
    assert service.tell(order("o-live", MUGS[1], PLATES[2], customer=REGULAR)) == ["repeated"]
    again = dangol("import", orders_file(place.folder.parent), *SMALL_IMPORT, "--json", data=place.folder, check=True)
    assert json.loads(again.stdout)["accepted"] == 0
    place.run("customer", "forget", "new-one")
    place.wait_until_folded()
    assert "no difference" in place.run("replay", "--verify")
