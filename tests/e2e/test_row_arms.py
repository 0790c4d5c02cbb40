"""Ways to rank a placement and orders of rows: drawn, answered, recorded, learned, reported, estimated, made again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest.vocabulary.events import CustomerIdentified, HomepageShown, RankingShown
from tests.support.client import ids
from tests.support.service import Service, copy_of, dangol, events_of, serving, told, wait_for

CONFIGURATION = """
[placements."cart.cross-sell".arms.b]
chain = ["popular"]

[placements."cart.cross-sell".experiments.cross-sell-copy]
arms = { rules = 1, b = 1 }
control = "rules"

[placements."home.popular".arms.steady]
chain = ["recently_viewed", "popular"]
[placements."home.popular".learning]
policy = "thompson"
window_days = 1

[homepage.variants.default]
rows = [{ placement = "category.popular", limit = 2 }, { placement = "home.popular", limit = 2 }]
orders.turned = [2, 1]
[homepage.variants.default.learning]
policy = "thompson"
"""
PEOPLE = 40


@pytest.fixture(scope="module")
def folder(small_shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small shop with several ways to rank, and what people were shown and did."""
    made = copy_of(small_shop, tmp_path_factory.mktemp("arms") / "data")
    (made / "dangol.toml").write_text(CONFIGURATION, encoding="utf-8")
    with serving(made) as running:
        _visit(running)
    return made


def _visit(running: Service) -> None:
    """People ask for rows and homepages; they click on rows of one way to rank, and on one order of rows."""
    clicks = []
    for number in range(PEOPLE):
        who = {"anonymous_id": f"a-{number}"}
        row = running.send_json("POST", "/v1/recommendations/home.popular", {**who, "explain": True}).json
        choice = row["explanation"]["choice"]
        assert choice["policy"] == "bandit"
        page = running.send_json("POST", "/v1/homepage", who).json
        assert [each["placement"] for each in page["rows"]] == (
            ["home.popular", "category.popular"]
            if page["order"]["name"] == "turned"
            else ["category.popular", "home.popular"]
        )
        assert (page["order"]["policy"], page["order"]["propensity"]) == ("bandit", 0.5)
        if choice["arm"] == "steady":
            clicks.append(_click(f"row-{number}", row, who))
        if page["order"]["name"] == "turned":
            clicks.append(_click(f"page-{number}", page["rows"][0], who))
    assert set(running.tell(*clicks)) == {"accepted"}


def _click(event_id: str, row: dict[str, Any], who: dict[str, str]) -> dict[str, Any]:
    item = row["items"][0]
    return {
        "event_id": event_id,
        "type": "ranking_clicked",
        "product_id": item["product_id"],
        "request_id": row["request_id"],
        "click_token": item["click_token"],
        **who,
    }


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Service]:
    """The shop, served again after people were there."""
    with serving(folder) as running:
        yield running


def test_what_people_click_is_learned_by_placement_and_by_order(service: Service) -> None:
    shares: dict[str, dict[str, float]] = {}
    for number in range(12):
        who = {"anonymous_id": f"b-{number}", "explain": True}
        row = service.send_json("POST", "/v1/recommendations/home.popular", who).json
        shares["row"] = row["explanation"]["choice"]["eligible"]
        page = service.send_json("POST", "/v1/homepage", who).json
        shares[page["order"]["name"]] = {"its": page["order"]["propensity"]}
    assert shares["row"]["steady"] > 0.9
    assert shares["turned"]["its"] > 0.9


def test_every_row_is_recorded_with_the_way_it_was_ranked(folder: Path) -> None:
    rows = [each for each in events_of(folder) if isinstance(each, RankingShown) and each.placement == "home.popular"]
    assert rows
    assert all(each.choice is not None and each.choice.learner == "home.popular" for each in rows)
    assert all(each.propensity == each.choice.propensity == each.choice.eligible[each.choice.arm] for each in rows)
    assert {each.choice.arm for each in rows} == {"rules", "steady"}
    pages = [each for each in events_of(folder) if isinstance(each, HomepageShown)]
    assert {each.order.learner for each in pages if each.order is not None} == {"order of default"}
    others = [
        each for each in events_of(folder) if isinstance(each, RankingShown) and each.placement == "category.popular"
    ]
    assert {each.choice for each in others} == {None}


def cross_sell(service: Service, **who: Any) -> dict[str, Any]:
    found = service.send_json("POST", "/v1/recommendations/cart.cross-sell", {"product_ids": ["mug-1"], **who})
    assert found.status == 200
    answer: dict[str, Any] = found.json
    return answer


def arm_of(service: Service, **who: Any) -> Any:
    """The experiment of whoever asks, once their first row is in the log and they have a subject."""
    return wait_for(lambda: cross_sell(service, **who)["experiment"], "a subject")


def test_an_experiment_on_a_placement_is_in_the_answer_and_stays_with_the_customer(service: Service) -> None:
    arms = {number: arm_of(service, customer_id=f"cust-{number}") for number in range(20)}
    for number, its in arms.items():
        assert [cross_sell(service, customer_id=f"cust-{number}")["experiment"] for _ in range(3)] == [its] * 3
    assert {each["arm"] for each in arms.values()} == {"rules", "b"}
    assert {(each["name"], each["propensity"]) for each in arms.values()} == {("cross-sell-copy", 0.5)}
    answers = [cross_sell(service, customer_id=f"cust-{number}") for number in range(20)]
    by_arm = {each["experiment"]["arm"]: each["items"] for each in answers}
    assert ids(by_arm["b"]) != ids(by_arm["rules"])
    assert {item["reason"]["kind"] for item in by_arm["b"]} <= {"popular", "fallback_popular"}
    page = service.send_json(
        "POST", "/v1/recommendations", {"placements": ["cart.cross-sell", "product.similar"], "customer_id": "cust-0"}
    ).json
    assert [row["experiment"] for row in page["rows"]] == [arms[0], None]


def test_who_signed_in_has_one_arm_on_every_device(service: Service) -> None:
    for number in range(8):
        customer = f"signed-in-{number}"
        its = arm_of(service, customer_id=customer)
        for device in (f"phone-{number}", f"desk-{number}"):
            arm_of(service, anonymous_id=device)
            identified = {"event_id": f"i-{device}", "type": "customer_identified", "customer_id": customer}
            assert service.tell({**identified, "anonymous_id": device}) == ["accepted"]
            assert cross_sell(service, anonymous_id=device)["experiment"] == its
            assert cross_sell(service, customer_id=customer, anonymous_id=device)["experiment"] == its


def test_without_consent_nobody_takes_part(service: Service) -> None:
    refused = {"customer_id": "refuser", "event_id": "no-1", "type": "consent_changed"}
    assert arm_of(service, customer_id="refuser")
    assert service.tell({**refused, "purposes": {"personalization": False}}) == ["accepted"]
    assert cross_sell(service, customer_id="refuser")["experiment"] is None


def test_a_report_reads_the_arms_of_a_placement(folder: Path) -> None:
    report = told("report", "experiment", "cross-sell-copy", "--days", "1", data=folder)
    assert (report["state"], report["control"]) == ("running", "rules")
    assert report["waiting"] > 12
    (listed,) = told("experiment", "list", data=folder)
    assert listed["name"] == "cross-sell-copy"


def test_rows_are_made_again_as_they_were_drawn(folder: Path) -> None:
    found = told("replay", "--with", folder / "dangol.toml", "--placement", "cart.cross-sell", data=folder)
    assert found["total"]["rows"] > 0
    assert found["total"]["reproduced"] == found["total"]["rows"]
    assert any("what was drawn stays" in note for note in found["notes"])
    pages = told("replay", "--with", folder / "dangol.toml", "--placement", "homepage", data=folder)
    assert pages["total"]["reproduced"] == pages["total"]["rows"] > 0
    assert told("replay", "--verify", data=folder).get("difference") is None
    assert any(isinstance(each, CustomerIdentified) for each in events_of(folder))


def test_configurations_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    same = (
        '[placements."home.popular".experiments.cross-sell-copy]\narms = { rules = 1, steady = 1 }\ncontrol = "rules"\n'
    )
    path.write_text(CONFIGURATION + same, encoding="utf-8")
    dangol("init", tmp_path / "data", check=True)
    refused = dangol("status", "--config", path, data=tmp_path / "data")
    assert refused.returncode == 1
    assert "two experiments have the name 'cross-sell-copy'" in refused.stderr
    path.write_text(CONFIGURATION.replace("window_days = 1", 'name = "order of default"'), encoding="utf-8")
    assert "two policies learn under the name" in dangol("status", "--config", path, data=tmp_path / "data").stderr
