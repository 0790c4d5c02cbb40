"""The description of the interface is true: whatever fits it, or does not, is answered as described."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi import checks

from serving.openapi import openapi
from tests.support.service import Service, copy_of, serving

EXAMPLES = 25
SEED = 20_261_122
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]

schema = schemathesis.openapi.from_dict(openapi())


@pytest.fixture(scope="module")
def service(small_shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One server that must stand everything."""
    with serving(copy_of(small_shop, tmp_path_factory.mktemp("interface") / "data")) as running:
        yield running


@schema.parametrize()
@hypothesis.seed(SEED)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
def test_every_answer_is_one_that_the_description_declares(service: Service, case: schemathesis.Case) -> None:
    response = case.call(base_url=service.url)
    case.validate_response(response, checks=CHECKS)


def test_the_server_describes_itself_with_what_it_is_made_of(service: Service) -> None:
    described = service.get("/openapi.json")
    assert described["openapi"].startswith("3.1")
    assert described == json.loads(json.dumps(openapi()))
    docs = service.send("GET", "/docs")
    assert docs.status == 200
    for path in described["paths"]:
        assert path.encode() in docs.body, path


def test_every_route_of_the_interface_is_described() -> None:
    source = "".join(path.read_text() for path in Path("serving/routes").glob("*.py") if path.name != "store.py")
    routes = set(re.findall(r'blueprint\.(?:get|post|put|patch|delete)\("(/(?:v1|mp)/[^"]*)"', source))
    described = set(openapi()["paths"])
    assert routes
    assert {re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route) for route in routes} <= described


def test_the_examples_of_answers_fit_their_schemas(service: Service) -> None:
    components = openapi()["components"]
    answer = service.get("/v1/recommendations/home.for-you", explain="true")
    jsonschema.validate(answer, {"$ref": "#/components/schemas/Answer", "components": components})


def test_what_is_answered_is_counted(example_service: Service) -> None:
    rows, requests = "dangol_recommendations_served_total", "dangol_http_requests_total"
    before = {name: example_service.counter(name) for name in (rows, requests)}
    example_service.row("home.popular")
    placements = ["home.popular", "home.for-you", "product.similar"]
    assert len(example_service.post("/v1/recommendations", {"placements": placements})["rows"]) == 3
    assert example_service.counter(rows) == before[rows] + 4
    assert example_service.counter(requests) >= before[requests] + 3, "and the look at the metrics in between"
    told = example_service.send("GET", "/metrics").body.decode()
    assert 'dangol_recommendations_served_total{degraded="false",placement="home.popular"}' in told
    assert "dangol_profiles_circuit_open 0.0" in told
