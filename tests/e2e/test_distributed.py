"""The distributed deployment, end to end: what collects, folds, trains and answers are processes of their own."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

from kafka import KafkaConsumer, TopicPartition

from ingest.logs.kafka_settings import KafkaSettings
from ingest.logs.topics import topic_plans
from tests.support.deployment import Deployment, deployment
from tests.support.distributed import own_prefix, remove_topics
from tests.support.redis_server import RedisServer
from tests.support.server_process import started
from tests.support.service import dangol, wait_for
from tests.support.small_shop import MUGS, PLATES, PRODUCTS, REGULAR, order, view


def test_what_one_process_takes_another_answers(place: Deployment) -> None:
    place.projector()
    collecting, answering = place.serve("--role", "collect"), place.serve("--role", "recommend")
    assert collecting.send_json("POST", "/v1/products", {"products": PRODUCTS}).status == 200
    mug, plate = MUGS[0], PLATES[0]
    for number in range(30):
        assert collecting.tell(order(f"o-{number}", mug, plate, customer=f"c-{number}")) == ["accepted"]
    assert collecting.tell(order("o-0", mug, plate, customer="c-0")) == ["repeated"]

    def together() -> int | None:
        for item in answering.row("product.bought-together", product_ids=mug):
            if item["product_id"] == plate and item["reason"]["kind"] == "bought_together":
                return int(item["reason"]["evidence"]["orders"])
        return None

    wait_for(lambda: together() == 30, "the orders in another process's answer")
    assert collecting.tell(view("v-1", MUGS[3], customer_id=REGULAR)) == ["accepted"]
    wait_for(
        lambda: any(
            item["reason"]["kind"] == "recently_viewed"
            for item in answering.row("home.recently-viewed", customer_id=REGULAR)
        ),
        "the view in another process's answer",
    )
    assert answering.send_json("POST", "/v1/events", {"events": []}).status == 404
    assert collecting.send("GET", "/v1/recommendations/home.popular").status == 404


def bytes_of(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below a folder."""
    yield from ((str(path), path.read_bytes()) for path in folder.rglob("*") if path.is_file())


def records_of(bootstrap: str, prefix: str) -> Iterator[tuple[str, bytes]]:
    """Every record of our topics, unpacked: its key, its value and its headers."""
    names = {plan.name for plan in topic_plans(KafkaSettings(bootstrap=bootstrap, prefix=prefix))}
    with KafkaConsumer(bootstrap_servers=bootstrap) as consumer:
        places = [TopicPartition(name, each) for name in names for each in consumer.partitions_for_topic(name)]
        consumer.assign(places)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(places)
        while any(consumer.position(place) < end for place, end in ends.items()):
            for records in consumer.poll(1_000).values():
                yield from ((each.topic, b"%r" % ([each.key, each.value, each.headers],)) for each in records)


def test_after_forgetting_neither_id_nor_address_is_in_any_file_record_or_redis(
    kafka_address: str, tmp_path: Path
) -> None:
    prefix, address = own_prefix(), "somebody.unmistakable@example.org"
    with (
        started(lambda: RedisServer(tmp_path / "redis")) as redis_server,
        deployment(tmp_path / "data", kafka_address, redis_server.url, prefix=prefix) as shop,
    ):
        projector, service = shop.projector(), shop.serve()
        identified = {"event_id": "i-1", "type": "customer_identified", "customer_id": REGULAR}
        told = [
            order("o-1", *MUGS[:2], customer=REGULAR),
            view("v-1", MUGS[2], customer_id=REGULAR, anonymous_id="a-unmistakable"),
            {**identified, "anonymous_id": "a-unmistakable", "traits": {"email": address}},
            order("o-2", *MUGS[:2], customer="somebody-else"),
        ]
        assert service.tell(*told) == ["accepted"] * len(told)
        service.row("home.for-you", customer_id=REGULAR)
        shop.wait_until_folded()
        shop.run("train")
        assert json.loads(shop.run("customer", "show", REGULAR, "--json"))["profile"]["orders"] == 1
        shop.run("customer", "forget", REGULAR)
        shop.wait_until_folded()
        assert dangol("customer", "show", REGULAR, data=shop.folder).returncode == 1
        assert "no difference" in shop.run("replay", "--verify")
        items = service.row("home.for-you", customer_id=REGULAR)
        assert {item["reason"]["kind"] for item in items} <= {"for_you", "popular", "fallback_popular"}
        assert (projector.stop(), service.stop()) == (0, 0)
        searched = 0
        for place, found in itertools.chain(
            bytes_of(shop.folder), bytes_of(redis_server.folder), records_of(kafka_address, prefix)
        ):
            for word in (REGULAR, address, "a-unmistakable"):
                assert word.encode() not in found, f"{word} is in {place}"
            searched += 1
        assert searched > 50
        assert any(b"mug-1" in found for _, found in records_of(kafka_address, prefix)), "records can be read"
    remove_topics(kafka_address, prefix)
