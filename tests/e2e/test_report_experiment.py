"""`dangol report experiment` and `dangol experiment plan`: verdicts on logs whose truth is known."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from ingest.vocabulary.events import CustomerIdentified, Event, Line, OrderCancelled, OrderCompleted
from ingest.vocabulary.ids import EventId, OrderId, ProductId, Subject, order_event_id
from serving.openapi import openapi
from tests.support.service import Service, copy_of, dangol, serving, told, wait_for
from tests.support.shown_homepages import BEGIN, shown, tell

CONFIGURED = """
[homepage.variants.bold]
content = { headline = "Bold" }
[homepage.experiments.headline]
arms = { rules = 1, bold = 1 }
control = "rules"
"""
PEOPLE = 3_000
BUYING = {"rules": 0.10, "bold": 0.20}
SHARES = {"rules": 0.5, "bold": 0.5}
VARIANT = {"rules": "default", "bold": "bold"}


def order(number: int, who: Subject, days: float, price: str, name: str) -> OrderCompleted:
    at = BEGIN + timedelta(days=days)
    order_id = OrderId(f"{name}-{number}")
    return OrderCompleted(
        event_id=order_event_id(order_id),
        occurred_at=at,
        received_at=at,
        subject=who,
        order_id=order_id,
        lines=(Line(ProductId("p"), 1, Decimal(price)),),
    )


def history(*, bold_share: float = 0.5) -> Iterator[Event]:
    """Everybody is shown the experiment twice; who is fond of the shop buys before and after, others by their arm."""
    draw = np.random.default_rng(2)
    for number in range(PEOPLE):
        who, fond = Subject(f"person-{number}"), draw.random() < 0.2
        arm = "bold" if draw.random() < bold_share else "rules"
        fields = {"policy": "experiment", "learner": None, "experiment": "headline", "arm": arm}
        table = {VARIANT[each]: share for each, share in SHARES.items()}
        for visit in (0, 1):
            at = BEGIN + timedelta(days=30 + visit, minutes=number)
            yield shown(2 * number + visit, at, who, VARIANT[arm], table, "sunny", **fields)
        if fond:
            yield order(number, who, 20, "30.00", "before")
        if draw.random() < BUYING[arm] + 0.3 * fond:
            yield order(number, who, 33, "50.00" if fond else "20.00", "after")


def shop_of(folder: Path, events: Iterator[Event]) -> Path:
    dangol("init", folder, check=True)
    (folder / "dangol.toml").write_text(CONFIGURED, encoding="utf-8")
    tell(folder, events)
    return folder


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with an experiment that has an effect; no test changes it."""
    return shop_of(tmp_path_factory.mktemp("experiment") / "data", history())


def reported(folder: Path, *more: str) -> Any:
    return told("report", "experiment", "headline", "--planned", str(PEOPLE), *more, data=folder)


def test_an_arm_that_is_better_is_found_with_its_effect(shop: Path) -> None:
    found = reported(shop)
    (bold,) = found["verdict"]["compared"]
    assert sum(found["people"].values()) == PEOPLE
    assert (found["waiting"], found["moved"]) == (0, 0)
    assert bold["arm"] == "bold"
    assert 0 < bold["difference"]["low"] < BUYING["bold"] - BUYING["rules"] < bold["difference"]["high"]
    assert bold["difference"]["p_value"] < 0.05
    assert bold["variance_reduction"] > 0.03, "who bought before buys after"
    assert not found["verdict"]["split_is_wrong"]
    best = {each["arm"]: each["best"] for each in found["verdict"]["standings"]}
    assert best["bold"] > 0.99
    done = dangol("report", "experiment", "headline", "--planned", str(PEOPLE), data=shop, check=True)
    assert "significant; CUPED took away" in done.stdout
    assert "ALARM" not in done.stdout


def test_values_are_capped_and_clicks_and_carts_count_apart(shop: Path) -> None:
    found = reported(shop, "--goal", "value")
    assert found["cap"] == 30.0
    (bold,) = found["verdict"]["compared"]
    assert bold["difference"]["estimate"] == pytest.approx(20 * 0.1, abs=0.7)
    assert reported(shop, "--goal", "cart")["verdict"]["standings"] == []


def test_people_whose_days_are_not_over_wait(shop: Path) -> None:
    assert reported(shop, "--days", "90")["waiting"] == 0
    done = dangol("report", "experiment", "other", data=shop)
    assert done.returncode == 1
    assert (
        done.stderr.strip()
        == "dangol: neither the configuration nor the log has an experiment 'other'; there are: headline"
    )


def test_a_wrong_split_rings_the_alarm(tmp_path: Path) -> None:
    folder = shop_of(tmp_path / "data", history(bold_share=0.4))
    assert reported(folder)["verdict"]["split_is_wrong"]
    done = dangol("report", "experiment", "headline", data=folder, check=True)
    assert done.stdout.startswith("ALARM: ")


def test_somebody_who_is_identified_counts_once_and_what_was_called_off_does_not(tmp_path: Path) -> None:
    at = BEGIN + timedelta(days=40)
    visitor, known = Subject("visitor"), Subject("known")
    fields: dict[str, Any] = {"policy": "experiment", "learner": None, "experiment": "headline"}
    table = {VARIANT[each]: share for each, share in SHARES.items()}
    bought, called_off = order(1, known, 41, "20.00", "kept"), order(2, known, 41, "90.00", "off")
    facts = [
        shown(1, at, visitor, "default", table, "rain", arm="rules", **fields),
        CustomerIdentified(event_id=EventId("i"), occurred_at=at, received_at=at, subject=visitor, known=known),
        shown(2, at + timedelta(hours=1), known, "bold", table, "rain", arm="bold", **fields),
        bought,
        called_off,
        OrderCancelled(
            event_id=EventId("x"), occurred_at=at + timedelta(days=3), received_at=at + timedelta(days=3),
            subject=known, order_id=called_off.order_id,
        ),
    ]  # fmt: skip
    found = reported(shop_of(tmp_path / "data", iter(facts)), "--goal", "value")
    assert found["people"] == {"rules": 0, "bold": 1}
    assert found["moved"] == 1


def by_arm(figures: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(figures, key=lambda each: str(each["arm"]))


def in_state(service: Service, state: str) -> dict[str, Any]:
    """The experiment, once the server has said what it runs."""

    def found() -> dict[str, Any] | None:
        (each,) = service.get("/v1/experiments")["experiments"]
        return each if each["state"] == state else None

    return wait_for(found, f"the experiment to be {state}")


def test_the_configuration_starts_and_stops_it_and_the_log_remembers(shop: Path, tmp_path: Path) -> None:
    folder = copy_of(shop, tmp_path / "data")
    components = openapi()["components"]
    with serving(folder) as service:
        listed = in_state(service, "running")
        assert (listed["arms"], listed["control"], listed["admitted"]) == ({"bold": 1, "rules": 1}, "rules", 1)
        found = service.get("/v1/experiments/headline", planned=PEOPLE)
        assert found == reported(folder)
        assert [step["what"] for step in found["steps"]] == ["started"]
        unsure = service.get("/v1/experiments/headline", goal="cart")
        assert unsure["verdict"]["compared"][0]["difference"]["low"] is None
        for answer in (found, unsure):
            jsonschema.validate(answer, {"$ref": "#/components/schemas/ExperimentReport", "components": components})
        for query in ("goal=luck", "days=0", "days=nan", "planned=4000&planned=5000", "limit=7"):
            refused = service.send("GET", f"/v1/experiments/headline?{query}")
            assert (refused.status, refused.json["code"]) == (400, "malformed"), query
        assert service.send("GET", "/v1/experiments/other").json["code"] == "not_found"
    (folder / "dangol.toml").write_text(CONFIGURED.partition("[homepage.experiments")[0], encoding="utf-8")
    with serving(folder) as service:
        assert in_state(service, "stopped")["arms"] == {"bold": 1, "rules": 1}
        stopped = service.get("/v1/experiments/headline", planned=PEOPLE)
        for key in ("compared", "standings"):
            assert by_arm(stopped["verdict"][key]) == by_arm(found["verdict"][key]), "the arms are those it had"
    (listed,) = told("experiment", "list", data=folder)
    assert (listed["name"], listed["state"], listed["moved_at"]) == ("headline", "stopped", None)
    (folder / "dangol.toml").write_text(CONFIGURED.replace("bold = 1", "bold = 3"), encoding="utf-8")
    publishable = told("keys", "create", "--publishable", data=folder)["key"]
    secret = told("keys", "create", "--secret", data=folder)["key"]
    with serving(folder) as service:
        assert service.send("GET", "/v1/experiments").status == 401
        assert service.with_key(publishable).send("GET", "/v1/experiments/headline").status == 403
        assert service.with_key(secret).send("GET", "/v1/experiments/headline").status == 200
        wait_for(lambda: "give it another name" in service.said, "the warning")
    done = dangol("report", "experiment", "headline", data=folder, check=True)
    assert "CAUTION: on " in done.stdout
    assert "running: started " in done.stdout
    assert " running since " in dangol("experiment", "list", data=folder, check=True).stdout
    dangol("replay", "--verify", data=folder, check=True)


def test_a_plan_says_how_many_people_it_takes_and_what_they_show() -> None:
    done = dangol("experiment", "plan", "--rate", "0.05", "--lift", "0.2", "--daily", "500", check=True)
    assert done.stdout.startswith("32,570 people in 2 arms, 66 days")
    assert dangol("experiment", "plan", "--rate", "0.05").returncode == 2
    assert dangol("experiment", "plan", "--mean", "3", "--lift", "0.1").returncode == 2
