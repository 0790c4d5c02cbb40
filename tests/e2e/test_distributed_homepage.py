"""The homepage on Kafka and Redis: learning, experiments, boosts and affinity as on one machine; and without either."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest.vocabulary.events import HomepageShown, RankingShown
from personalization.experiments.draws import Propensities
from personalization.homepage.features import FEATURE_NAMES
from serving.engine import Engine
from serving.learned import Learners
from serving.wiring import open_engine
from tests.support.deployment import Deployment, deployment
from tests.support.embedded import temporary_folder
from tests.support.kafka import KafkaBroker
from tests.support.redis_server import RedisServer
from tests.support.server_process import started
from tests.support.service import Service, wait_for
from tests.support.small_shop import MUGS, PLATES, PRODUCTS, order

CONFIGURATION = """
[homepage.learning]
policy = "thompson"
window_days = 1

[homepage.variants.rainy]
when = { weather = "rain" }
rows = [{ placement = "home.popular", limit = 2, boosts = [{ category = ["Plates"], lift = 100.0 }] }]

[homepage.variants.default]
rows = [{ placement = "home.popular", limit = 2 }, { placement = "category.popular", limit = 2 }]
orders.turned = [2, 1]
[homepage.variants.default.experiments.turning]
arms = { rules = 1, turned = 1 }
control = "rules"

[placements."home.popular"]
arms.steady = { chain = ["recently_viewed", "popular"] }
learning = { policy = "contextual", window_days = 1 }
"""
RAIN = {"context": {"weather": {"condition": "rain"}}}
PEOPLE = 24
ARMS = {"homepage": ("default", "rainy"), "home.popular": ("rules", "steady")}
WET = tuple(float(name in ("one", "wet")) for name in FEATURE_NAMES)


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis of this file's own, to be stopped."""
    with started(lambda: RedisServer(tmp_path_factory.mktemp("redis"))) as own:
        yield own


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A broker of this file's own, to be stopped."""
    with started(lambda: KafkaBroker(tmp_path_factory.mktemp("kafka"))) as own:
        yield own


@pytest.fixture(scope="module")
def shop(
    broker: KafkaBroker, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """A deployment with variants, arms and a projector."""
    folder = tmp_path_factory.mktemp("deployed") / "data"
    with deployment(folder, broker.address, redis_server.url, prefix="home") as made:
        with (folder / "dangol.toml").open("a", encoding="utf-8") as file:
            file.write(CONFIGURATION)
        made.projector()
        yield made


@pytest.fixture(scope="module")
def service(shop: Deployment) -> Service:
    """A server of it, after people were shown homepages and clicked on some."""
    running = shop.serve()
    assert running.send_json("POST", "/v1/products", {"products": PRODUCTS}).status == 200
    assert (
        running.tell(*(order(f"o-{n}", MUGS[0], PLATES[0], customer=f"c-{n}") for n in range(20))) == ["accepted"] * 20
    )
    wait_for(lambda: len(page(running)["rows"][0]["items"]) == 2, "the products")
    clicks: list[dict[str, Any]] = []
    for number in range(PEOPLE):
        who = {"anonymous_id": f"a-{number}"}
        shown = page(running, **who, **RAIN)
        row = next(each for each in shown["rows"] if each["placement"] == "home.popular")
        if shown["variant"] == "rainy":
            assert row["items"][0]["product_id"] in PLATES, "boosts"
            clicks.append({"request_id": row["request_id"], "product_id": row["items"][0]["product_id"], **who})
    shop.wait_until_folded()
    told = [{"event_id": f"k-{n}", "type": "ranking_clicked", **click} for n, click in enumerate(clicks)]
    assert running.tell(*told) == ["accepted"] * len(told)
    for number in range(0, PEOPLE, 3):
        identified = {"event_id": f"i-{number}", "type": "customer_identified", "customer_id": f"known-{number}"}
        buying = order(f"bought-{number}", MUGS[1], customer=f"known-{number}")
        assert running.tell({**identified, "anonymous_id": f"a-{number}"}, buying) == ["accepted"] * 2
    shop.wait_until_folded()
    return running


def page(service: Service, **asked: Any) -> dict[str, Any]:
    answered = service.send_json("POST", "/v1/homepage", asked)
    assert answered.status == 200, answered
    found: dict[str, Any] = answered.json
    return found


def tables(engine: Engine) -> dict[str, Propensities]:
    """The tables of every policy, as a server that opens now has them."""
    learners = Learners(engine.store.scan, lambda: True, engine.configuration.learning)
    learners.refresh()
    return {each.name: learners.of(each).table(ARMS[each.name], WET) for each in engine.configuration.learning}


def states(engine: Engine) -> dict[tuple[str, str], bytes]:
    return {(name, key): stored for name in ("attribution", "learned") for key, stored in engine.store.scan(name)}


def test_what_is_folded_on_kafka_and_redis_is_what_one_file_makes_of_the_same_facts(
    shop: Deployment, service: Service
) -> None:
    with shop.opened() as engine, temporary_folder() as folder, _one_file(folder) as alone:
        shown = [
            event for batch in engine.batches(engine.store.positions()) for event in (each.event for each in batch)
        ]
        assert {type(event) for event in shown} >= {HomepageShown, RankingShown}
        alone.log.append(shown)
        assert states(alone) == states(engine)
        found = tables(engine)
        assert tables(alone) == found
        assert found["homepage"].of("rainy") > 0.6, "whose rows were clicked"
        assert shop.run("replay", "--verify").count("no difference") == 1


@contextlib.contextmanager
def _one_file(folder: Path) -> Iterator[Engine]:
    """The same shop in one file."""
    (folder / "dangol.toml").write_text(CONFIGURATION, encoding="utf-8")
    with open_engine(folder, None, create=True) as engine:
        yield engine


def test_another_server_draws_from_the_same_tables_as_soon_as_it_answers(shop: Deployment, service: Service) -> None:
    with shop.opened() as engine:
        learned = tables(engine)["homepage"]
    another = shop.serve("--role", "recommend")
    shares = {}
    for number in range(12):
        found = page(another, anonymous_id=f"new-{number}", **RAIN)
        shares[found["variant"]] = found["propensity"]
        assert found["degraded"] == [] or found["degraded"] == ["snapshot"]
    assert shares == {arm: learned.of(arm) for arm in shares}
    assert "rainy" in shares


def test_an_experiment_on_orders_holds_whichever_server_answers(shop: Deployment, service: Service) -> None:
    another = shop.serve("--role", "recommend")
    orders = {}
    for number in range(20):
        who = {"customer_id": f"c-{number}"}
        first, second = (page(each, **who)["order"] for each in (service, another))
        assert first == second
        orders[number] = first["experiment"]["arm"]
    assert set(orders.values()) == {"rules", "turned"}
    assert page(service)["order"]["experiment"] is None, "nobody is in no experiment"


def test_without_redis_or_kafka_the_homepage_still_answers_and_says_so(
    shop: Deployment, service: Service, redis_server: RedisServer, broker: KafkaBroker
) -> None:
    with redis_server.paused():
        found = page(service, customer_id="c-1", **RAIN)
        assert found["variant"] in ("default", "rainy")
        assert found["rows"]
        assert "profiles" in found["degraded"]
        assert found["experiment"] is None
    wait_for(lambda: "profiles" not in page(service, customer_id="c-1")["degraded"], "Redis in the answers")
    broker.stop(kill=True)
    try:
        found = page(service, customer_id="c-1")
        assert [len(row["items"]) for row in found["rows"]] == [2, 2]
        assert sum(item["price"] is not None for row in found["rows"] for item in row["items"]) == 4
    finally:
        broker.start()
    after = {"events": [order("o-after", MUGS[0], customer="c-1")]}
    wait_for(lambda: service.send_json("POST", "/v1/events", after).status == 200, "Kafka")
