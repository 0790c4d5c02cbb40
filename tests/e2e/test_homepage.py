"""The homepage as a storefront asks for it: a real server, a small shop, and what the log says afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest.vocabulary.events import HomepageShown, RankingShown
from personalization.homepage.fields import facts_from
from serving.configuration import load_configuration
from tests.support.client import ids
from tests.support.service import Service, copy_of, dangol, events_of, serving, told
from tests.support.small_shop import PLATES, REGULAR

CONFIGURATION = """
[homepage.variants.rainy-day]
priority = 20
when = { weather = ["rain", "storm"] }
content = { headline = "Rain again?", hero = { image = "umbrella.jpg", alt = "An umbrella" } }
translations.de = { headline = "Schon wieder Regen?" }
rows = [
    { placement = "home.popular", limit = 3, boosts = [{ category = ["Plates"], lift = 100.0 }] },
    { placement = "home.for-you", limit = 4 },
]

[homepage.variants.regulars]
priority = 30
when = { visitor = "regular" }
content = { headline = "Good to see you" }
rows = [{ placement = "home.buy-again", limit = 3 }]

[homepage.variants.newsletter]
priority = 10
when = { channel = "email" }
content = { headline = "As promised in our letter" }

[homepage.variants.over-the-sea]
when = { country = "IE" }

[homepage.variants.default]
content = { headline = "Welcome" }
rows = [{ placement = "home.popular", limit = 5 }, { placement = "home.recently-viewed", limit = 5 }]

[places]
country_header = "CF-IPCountry"
country = "GB"
time_zone = "Europe/London"
"""
ANSWER = {
    "request_id", "variant", "content", "rows", "chosen_by", "propensity", "context", "impersonal", "experiment",
    "configuration", "degraded", "order",
}  # fmt: skip
KINDS = ("publishable", "secret")
RAIN = {"weather": {"condition": "rain", "temperature_c": 7.5}}
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari"


@pytest.fixture(scope="module")
def folder(small_shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small shop with variants."""
    made = copy_of(small_shop, tmp_path_factory.mktemp("homepage") / "data")
    (made / "dangol.toml").write_text(CONFIGURATION, encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Service]:
    """One server for the tests of this file that read no log."""
    with serving(folder) as running:
        yield running


def ask(service: Service, headers: dict[str, str] | None = None, **asked: Any) -> dict[str, Any]:
    answered = service.send(
        "POST", "/v1/homepage", json.dumps(asked).encode(), {"Content-Type": "application/json", **(headers or {})}
    )
    assert answered.status == 200, answered
    assert "no-store" in answered.headers["cache-control"]
    found: dict[str, Any] = answered.json
    assert set(found) == ANSWER
    return found


def test_a_variant_is_chosen_by_the_situation_and_its_rows_are_filled(service: Service) -> None:
    rainy = ask(service, context=RAIN)
    assert rainy["variant"] == "rainy-day"
    assert rainy["content"]["headline"] == "Rain again?"
    assert rainy["chosen_by"] == {"rule": "weather is rain or storm", "policy": "rule"}
    assert (rainy["propensity"], rainy["experiment"], rainy["degraded"]) == (1.0, None, [])
    first, second = rainy["rows"]
    assert [(row["placement"], len(row["items"])) for row in (first, second)] == [
        ("home.popular", 3),
        ("home.for-you", 4),
    ]
    assert set(ids(first["items"])) <= set(PLATES), "what is boosted comes first"
    assert not set(ids(first["items"])) & set(ids(second["items"])), "no product in two rows"
    assert all(item["click_token"] for row in rainy["rows"] for item in row["items"])
    plain = service.get("/v1/homepage")
    assert (plain["variant"], plain["chosen_by"]["policy"]) == ("default", "default")
    assert not set(ids(plain["rows"][0]["items"])) <= set(PLATES)


def test_every_part_of_the_situation_says_where_it_is_from(service: Service) -> None:
    address = "https://shop.example/?utm_source=news&utm_medium=email&utm_campaign=spring"
    found = ask(service, {"User-Agent": IPHONE, "CF-IPCountry": "de"}, url=address, context=RAIN)
    context = found["context"]
    assert context["weather"] == {"value": "rain", "source": "given", "confidence": 1.0, "basis": "context.weather"}
    assert context["comfort"]["value"] == "cold"
    assert context["device"] == {"value": "mobile", "source": "header", "confidence": 0.7, "basis": "user-agent"}
    assert (context["channel"]["value"], context["channel"]["basis"]) == ("Email", "utm")
    assert context["traffic_source"]["value"] == {"source": "news", "medium": "email", "campaign": "spring"}
    assert (context["place"]["value"], context["place"]["basis"]) == ({"country": "DE"}, "CF-IPCountry")
    assert context["local_time"]["source"] == "default", "the shop's time zone"
    assert context["segment"] == {"value": None, "source": "default", "confidence": 0.0, "basis": ""}


def test_the_query_asks_the_same_in_dotted_names(service: Service) -> None:
    found = service.get("/v1/homepage", **{"context.weather.condition": "storm", "language": "de-AT"})
    assert found["variant"] == "rainy-day"
    assert found["content"] == {
        "headline": "Schon wieder Regen?",
        "hero": {"image": "umbrella.jpg", "alt": "An umbrella"},
    }
    assert ask(service, {"Accept-Language": "en, de;q=0.5"}, context=RAIN)["content"]["headline"] == "Rain again?"


def test_a_regular_customer_is_known_and_without_consent_nobody_is(service: Service) -> None:
    known = ask(service, customer_id=REGULAR)
    assert (known["variant"], known["impersonal"]) == ("regulars", "")
    assert known["context"]["acquaintance"]["value"] == "regular"
    assert {item["reason"]["kind"] for item in known["rows"][0]["items"]} == {"buy_again"}
    for headers, consent, said in (
        ({"Sec-GPC": "1"}, {}, "Sec-GPC"),
        ({}, {"gpc": True}, "Sec-GPC"),
        ({}, {"personalization": False}, "refused"),
        ({}, {"personalization_storage": "denied"}, "Consent Mode"),
        ({}, {"tcf": "rubbish"}, "cannot be read"),
        ({}, {"tcf": "COvFyGBOvFyGBAbAAAENAPCAAOAAAAAAAAAAAEEUACCKAAA"}, "purpose 5, 6"),
    ):
        found = ask(service, headers, customer_id=REGULAR, consent=consent, context=RAIN)
        assert said in found["impersonal"]
        assert found["variant"] == "rainy-day", "the situation, not the person"
        assert found["context"]["orders"]["value"] is None
        assert [len(row["items"]) for row in found["rows"]] == [3, 4]
        kinds = {item["reason"]["kind"] for row in found["rows"] for item in row["items"]}
        assert kinds <= {"popular", "fallback_popular"}


def test_who_refused_once_stays_nobody(service: Service) -> None:
    change = {"type": "consent_changed", "anonymous_id": "shy", "purposes": {"personalization": False}}
    seen = [
        {"type": "product_viewed", "anonymous_id": "shy", "product_id": "mug-5", "event_id": "shy-1"},
        change | {"event_id": "shy-2"},
    ]
    assert set(service.tell(*seen)) == {"accepted"}
    found = ask(service, anonymous_id="shy")
    assert found["impersonal"] == "personalisation was refused"
    assert "recently_viewed" not in {item["reason"]["kind"] for row in found["rows"] for item in row["items"]}


def test_impossible_situations_are_refused_or_unknown_and_never_an_error(service: Service) -> None:
    refused = service.send_json("POST", "/v1/homepage", {"context": {"weather": {"condition": "frogs"}}})
    assert (refused.status, refused.json["pointer"]) == (400, "/context/weather/condition")
    odd = {
        "User-Agent": "~(" * 2_000,
        "Sec-CH-UA": '"',
        "Sec-CH-UA-Form-Factors": "??",
        "CF-IPCountry": "<script>",
        "Accept-Language": ";;q=,*" * 200,
        "Referer": "http://[",
    }
    context = {"weather": {"temperature_c": 5_000}, "place": {"country": "Mars"}, "local_time": "0001-01-01T00:00:00Z"}
    found = ask(service, odd, context=context, url="http://[", referrer="\x00")
    assert found["context"]["temperature_c"]["value"] is None
    assert found["variant"] == "default"


def test_a_preview_shows_any_variant_and_is_no_fact(service: Service) -> None:
    shown = service.get("/v1/homepage", preview="over-the-sea")
    assert (shown["variant"], shown["chosen_by"]["rule"]) == ("over-the-sea", "a preview, whatever the situation")
    missing = service.send("GET", "/v1/homepage?preview=nowhere")
    assert (missing.status, missing.json["code"]) == (404, "unknown_variant")
    assert "rainy-day" in missing.json["known"]


def test_with_keys_a_preview_needs_a_secret_one_and_a_browser_speaks_for_its_visitor(small_folder: Path) -> None:
    (small_folder / "dangol.toml").write_text(CONFIGURATION, encoding="utf-8")
    held = {kind: told("keys", "create", f"--{kind}", "--name", kind, data=small_folder)["key"] for kind in KINDS}
    with serving(small_folder) as running:
        browser, backend = (running.with_key(held[kind]) for kind in KINDS)
        assert running.send("GET", "/v1/homepage").status == 401
        assert browser.get("/v1/homepage")["variant"] == "default"
        assert browser.send("GET", "/v1/homepage?preview=regulars").status == 403
        assert backend.get("/v1/homepage", preview="regulars")["variant"] == "regulars"
        assert browser.send("GET", f"/v1/homepage?customer_id={REGULAR}").status == 403
        assert backend.get("/v1/homepage", customer_id=REGULAR)["variant"] == "regulars"
        assert browser.send("GET", f"/v1/homepage?key={held['publishable']}").status == 200


def test_what_was_shown_is_a_fact_from_which_the_choice_can_be_made_again(small_folder: Path) -> None:
    (small_folder / "dangol.toml").write_text(CONFIGURATION, encoding="utf-8")
    with serving(small_folder) as running:
        answers = [
            ask(running, customer_id=REGULAR, context=RAIN),
            ask(running, customer_id=REGULAR, consent={"personalization": False}, context=RAIN),
            ask(running, url="https://shop.example/?utm_medium=email&utm_source=x"),
        ]
        running.get("/v1/homepage", preview="regulars")
        subject = running.get(f"/v1/customers/{REGULAR}")["subject"]
    events = events_of(small_folder)
    facts = {event.request_id: event for event in events if isinstance(event, HomepageShown)}
    assert set(facts) == {answer["request_id"] for answer in answers}, "a preview is no fact"
    rows = {event.request_id for event in events if isinstance(event, RankingShown)}
    page = load_configuration(small_folder / "dangol.toml", required=True).homepage_rules.page
    for answer in answers:
        fact = facts[answer["request_id"]]
        assert set(fact.rows) == {row["request_id"] for row in answer["rows"]} <= rows
        assert (fact.variant, fact.configuration) == (answer["variant"], answer["configuration"])
        moment = {"moment": fact.occurred_at.timestamp()}
        assert page.choose(facts_from({**fact.facts, **moment})).variant.name == fact.variant
        assert fact.eligible == {fact.variant: 1.0}
    known, refused, _ = (facts[answer["request_id"]] for answer in answers)
    assert known.subject == subject
    assert refused.subject != subject
    assert not {"visitor", "orders", "visits"} & set(refused.facts)
    assert {"visitor", "orders", "visits", "weather", "temperature_c"} <= set(known.facts)


def test_a_file_with_a_bad_variant_is_refused_and_linted(small_folder: Path) -> None:
    path = small_folder / "dangol.toml"
    path.write_text(CONFIGURATION, encoding="utf-8")
    clean = dangol("homepage", "lint", "--json", data=small_folder)
    assert (clean.returncode, json.loads(clean.stdout)) == (0, {"findings": [], "undecided": []})
    more = '[homepage.variants.drizzle]\nwhen = { weather = "rain", device = "mobile" }\n'
    path.write_text(CONFIGURATION + more, encoding="utf-8")
    hidden = dangol("homepage", "lint", data=small_folder)
    assert hidden.returncode == 1
    assert "unreachable drizzle: whenever it fits, a variant before it does: regulars, rainy-day" in hidden.stdout
    path.write_text(CONFIGURATION + '[homepage.variants.odd]\nwhen = { wether = "rain" }\n', encoding="utf-8")
    invalid = dangol("homepage", "lint", data=small_folder)
    assert invalid.returncode == 1
    assert "invalid" in invalid.stdout
    assert "weather" in invalid.stdout
    refused = dangol("recommend", "home.popular", data=small_folder)
    assert refused.returncode == 1
    assert "wether" in refused.stderr


def test_a_pretended_situation_is_previewed_on_the_command_line(small_folder: Path) -> None:
    (small_folder / "dangol.toml").write_text(CONFIGURATION, encoding="utf-8")
    rain = told("homepage", "preview", "--context.weather.condition", "rain", "--language=de", data=small_folder)
    assert (rain["variant"], rain["content"]["headline"]) == ("rainy-day", "Schon wieder Regen?")
    assert rain["fits"] == ["rainy-day", "default"]
    assert rain["why_not"]["regulars"] == ["visitor is regular: it is unknown"]
    assert rain["rows"] == ["home.popular", "home.for-you"]
    regular = told("homepage", "preview", "--visitor", "regular", "--weather", "rain", data=small_folder)
    assert (regular["variant"], regular["rule"]) == ("regulars", "visitor is regular")
    letter = told("homepage", "preview", "--url", "https://s.example/?utm_medium=email", data=small_folder)
    assert letter["variant"] == "newsletter"
    frogs = dangol("homepage", "preview", "--weather", "frogs", data=small_folder)
    assert (frogs.returncode, frogs.stderr.strip()) == (1, "dangol: weather cannot be 'frogs'")
    assert dangol("homepage", "preview", "rain", data=small_folder).returncode == 2
    assert dangol("homepage", "preview", "--weather", data=small_folder).returncode == 2


LEARNING = """
[homepage.learning]
policy = "thompson"
goal = "click"

[homepage.variants.plates]
priority = 1
rows = [{ placement = "home.popular", limit = 2, boosts = [{ category = ["Plates"], lift = 100.0 }] }]

[homepage.variants.default]
rows = [{ placement = "home.popular", limit = 2 }]
"""


def test_what_visitors_click_is_learned_from_the_log_and_drawn_as_recorded(small_folder: Path) -> None:
    (small_folder / "dangol.toml").write_text(LEARNING, encoding="utf-8")
    with serving(small_folder) as running:
        shown = [ask(running, anonymous_id=f"a-{number}") for number in range(60)]
        assert {answer["chosen_by"]["policy"] for answer in shown} == {"bandit"}
        assert {answer["propensity"] for answer in shown} == {0.5}
        assert {answer["variant"] for answer in shown} == {"plates", "default"}
        clicks = [
            {
                "event_id": f"click-{number}",
                "type": "ranking_clicked",
                "anonymous_id": f"a-{number}",
                "product_id": answer["rows"][0]["items"][0]["product_id"],
                "request_id": answer["rows"][0]["request_id"],
                "click_token": answer["rows"][0]["items"][0]["click_token"],
            }
            for number, answer in enumerate(shown)
            if answer["variant"] == "plates"
        ]
        assert set(running.tell(*clicks)) == {"accepted"}
    facts = [event for event in events_of(small_folder) if isinstance(event, HomepageShown)]
    assert {fact.learner for fact in facts} == {"homepage"}
    assert all(fact.eligible == {"default": 0.5, "plates": 0.5} for fact in facts)
    assert len({fact.subject for fact in facts}) == len(facts), "every new visitor has a subject of their own"
    with serving(small_folder) as running:
        after = [ask(running, anonymous_id=f"b-{number}") for number in range(40)]
        by_variant = {answer["variant"]: answer["propensity"] for answer in after}
        assert by_variant["plates"] > 0.9
        again = [ask(running, anonymous_id=f"a-{number}") for number in range(3)]
        assert {answer["propensity"] for answer in again} <= set(by_variant.values()) | {1 - by_variant["plates"]}
    facts = [event for event in events_of(small_folder) if isinstance(event, HomepageShown)]
    newest = max(facts, key=lambda fact: fact.received_at)  # facts come partition by partition
    assert sum(newest.eligible.values()) == 1.0
    assert newest.eligible["plates"] == by_variant["plates"]
    verified = dangol("replay", "--verify", data=small_folder)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_an_experiment_keeps_a_customer_in_one_arm_and_says_so(small_folder: Path) -> None:
    experiment = '[homepage.experiments.china]\narms = { plates = 1, default = 1 }\ncontrol = "default"\n'
    (small_folder / "dangol.toml").write_text(LEARNING + experiment, encoding="utf-8")
    with serving(small_folder) as running:
        customers = [f"customer-{number}" for number in range(25)]
        for customer in customers:  # who has done nothing yet has no subject, and no arm on their first page
            viewed = {"event_id": f"v-{customer}", "type": "product_viewed", "product_id": "mug-1"}
            assert running.tell({**viewed, "customer_id": customer}) == ["accepted"]
        shown = {customer: [ask(running, customer_id=customer) for _ in range(3)] for customer in customers}
    for answers in shown.values():
        assert len({answer["variant"] for answer in answers}) == 1
        for answer in answers:
            assert answer["chosen_by"]["policy"] == "experiment"
            assert answer["experiment"] == {"name": "china", "arm": answer["variant"], "propensity": 0.5}
    assert {answers[0]["variant"] for answers in shown.values()} == {"plates", "default"}
    facts = [event for event in events_of(small_folder) if isinstance(event, HomepageShown)]
    assert {(fact.experiment, fact.arm == fact.variant, fact.learner) for fact in facts} == {("china", True, None)}
