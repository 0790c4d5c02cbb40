"""The OpenAPI 3.1 description of the HTTP interface, made from the same types that read and write it."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any, get_args

import msgspec

from ingest.collector import Outcome
from ingest.dialects.native import EVENTS_MAX
from ingest.dialects.native_events import AnyWire
from ingest.erasure import Forgotten
from ingest.vocabulary.ids import ID_LENGTH_MAX
from ingest.vocabulary.ranking import Answer
from personalization.experiments.learning import Goal
from personalization.situation.weather import CONDITIONS
from serving.ask import LIMIT_MAX, PageWire, Wire
from serving.home.answer import HomeAnswer
from serving.home.ask import HomeWire
from serving.problems import Problem
from serving.routes.experiments import Experiments
from serving.routes.products import PRODUCTS_MAX

Json = dict[str, Any]

_MONEY: Json = {"type": ["string", "number", "null"], "examples": ["12.50"]}
_STRING: Json = {"type": ["string", "null"]}
_PRODUCT: Json = {
    "type": "object",
    "properties": {
        "product_id": {"type": ["string", "integer"], "maxLength": ID_LENGTH_MAX},
        "title": _STRING,
        "description": _STRING,
        "category": {"type": ["array", "null"], "items": {"type": "string"}},
        "brand": _STRING,
        "price": _MONEY,
        "sale_price": _MONEY,
        "currency": {"type": ["string", "null"], "examples": ["GBP"]},
        "availability": {"enum": ["in_stock", "out_of_stock", "preorder", "backorder"]},
        "stock": {"type": ["integer", "null"], "minimum": 0},
        "item_group_id": _STRING,
        "url": _STRING,
        "image_url": _STRING,
        "attributes": {"type": ["object", "null"]},
        "tags": {"type": ["array", "null"], "items": {"type": "string"}},
        "published_at": {"type": ["string", "null"], "format": "date-time"},
        "expires_at": {"type": ["string", "null"], "format": "date-time"},
        "margin": {"type": ["number", "null"]},
    },
}


def _problems(*statuses: int) -> Json:
    shape = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    titles = {
        400: "The request cannot be read.",
        401: "A key is needed.",
        403: "The key may not do this.",
        404: "There is no such thing.",
        413: "The request is too large.",
        503: "Nothing was written; try again.",
    }
    return {str(status): {"description": titles[status], "content": shape} for status in statuses}


def _json(schema: Json, description: str = "Done.") -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _body(schema: Json, *, required: bool = True) -> Json:
    return {"required": required, "content": {"application/json": {"schema": schema}}}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _path(name: str, description: str) -> Json:
    schema = {"type": "string", "minLength": 1, "maxLength": ID_LENGTH_MAX}
    return {"name": name, "in": "path", "required": True, "schema": schema, "description": description}


def _query(name: str, schema: Json, description: str) -> Json:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def _asked() -> list[Json]:
    """The query parameters of a recommendation."""
    text: Json = {"type": "string"}
    return [
        _query("customer_id", text, "The shop's customer."),
        _query("anonymous_id", text, "The visitor."),
        _query("product_ids", text, "Products of the page or cart, comma-separated."),
        _query("category", text, "The category of the page, by name or as `Kitchen > Mugs`."),
        _query("limit", {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX}, "How many products."),
        _query("exclude", text, "Products not to show, comma-separated."),
        _query("filter.category", text, "Only these categories."),
        _query("filter.brand", text, "Only these brands."),
        _query("filter.price.min", {"type": "number", "minimum": 0}, "The lowest price."),
        _query("filter.price.max", {"type": "number", "minimum": 0}, "The highest price."),
        _query("context.device", {"enum": ["mobile", "tablet", "desktop", "tv", "other"]}, "The device."),
        _query("explain", {"type": "boolean"}, "Add how the row came about."),
    ]


def _recommendation_paths() -> Json:
    placement = _path("placement", "The name of a placement, such as `home.for-you`.")
    answers = {"200": _json(_ref("Answer"), "The row."), **_problems(400, 401, 403, 404, 413)}
    rows = {"type": "object", "properties": {"rows": {"type": "array", "items": _ref("Answer")}}, "required": ["rows"]}
    return {
        "/v1/recommendations/{placement}": {
            "get": {
                "operationId": "recommend",
                "summary": "The row of a placement",
                "parameters": [placement, *_asked()],
                "responses": answers,
            },
            "post": {
                "operationId": "recommendPosted",
                "summary": "The row of a placement, asked in a body",
                "parameters": [placement],
                "requestBody": _body(_ref("Wire"), required=False),
                "responses": answers,
            },
        },
        "/v1/recommendations": {
            "post": {
                "operationId": "recommendPage",
                "summary": "The rows of a page, with no product in two of them",
                "requestBody": _body(_ref("PageWire")),
                "responses": {"200": _json(rows, "The rows."), **_problems(400, 401, 403, 404, 413)},
            }
        },
    }


def _homepage_paths() -> Json:
    text: Json = {"type": "string"}
    number: Json = {"type": "number"}
    granted: Json = {"enum": ["granted", "denied"]}
    parameters = [
        *(each for each in _asked() if each["name"] != "product_ids"),
        _query("context.weather.condition", {"enum": [*CONDITIONS]}, "The weather where the visitor is."),
        _query("context.weather.temperature_c", number, "How warm it is there."),
        _query("context.place.country", text, "The country, by its code of two letters."),
        _query("context.place.city", text, "The city."),
        _query("context.local_time", {"type": "string", "format": "date-time"}, "The visitor's local time."),
        _query("context.traffic_source.source", text, "As in `utm_source`."),
        _query("context.traffic_source.medium", text, "As in `utm_medium`."),
        _query("context.traffic_source.campaign", text, "As in `utm_campaign`."),
        _query("url", text, "The address of the page, with its campaign tags."),
        _query("referrer", text, "What led to the page."),
        _query("language", text, "What it is read in; the header `Accept-Language` if it is not said."),
        _query("consent.tcf", text, "A TCF string."),
        _query("consent.personalization", {"type": "boolean"}, "Whether the visitor agreed to personalisation."),
        _query("consent.personalization_storage", granted, "Google's Consent Mode."),
        _query("preview", text, "Show this variant, whatever the situation; needs a secret key, where there are keys."),
    ]
    answers = {"200": _json(_ref("HomeAnswer"), "The homepage."), **_problems(400, 401, 403, 404, 413)}
    return {
        "/v1/homepage": {
            "get": {
                "operationId": "homepage",
                "summary": "The homepage for a visitor in a situation",
                "parameters": parameters,
                "responses": answers,
            },
            "post": {
                "operationId": "homepagePosted",
                "summary": "The homepage for a visitor in a situation, asked in a body",
                "requestBody": _body(_ref("HomeWire"), required=False),
                "responses": answers,
            },
        }
    }


def _experiment_paths() -> Json:
    parameters = [
        _path("name", "The name of an experiment."),
        _query("goal", {"enum": [*get_args(Goal)]}, "What counts."),
        _query("days", {"type": "number", "exclusiveMinimum": 0, "maximum": 90}, "To do it, for each person."),
        _query("before", {"type": "number", "minimum": 0, "maximum": 365}, "The days before that CUPED looks at."),
        _query("planned", {"type": "integer", "minimum": 400, "maximum": 1_000_000_000}, "People; never change it."),
    ]
    denied = _problems(400, 401, 403, 503)
    return {
        "/v1/experiments": {
            "get": {
                "operationId": "listExperiments",
                "summary": "The experiments that are configured or ever ran",
                "responses": {"200": _json(_ref("Experiments"), "All of them."), **denied},
            }
        },
        "/v1/experiments/{name}": {
            "get": {
                "operationId": "reportExperiment",
                "summary": "How the arms of an experiment stand, at most a minute ago",
                "parameters": parameters,
                "responses": {"200": _json(_ref("ExperimentReport"), "The report."), **denied, **_problems(404)},
            }
        },
    }


def _unknown_is_null(components: Json) -> None:
    """What a comparison of too few people cannot say is infinite or no number, which JSON writes as null."""
    for name in ("Interval", "Compared"):
        for each in components[name]["properties"].values():
            if each.get("type") == "number":
                each["type"] = ["number", "null"]


def _event_paths() -> Json:
    batch = {
        "type": "object",
        "properties": {
            "events": {"type": "array", "items": _ref("Event"), "minItems": 1, "maxItems": EVENTS_MAX},
        },
        "required": ["events"],
    }
    results = {
        "type": "object",
        "properties": {"results": {"type": "array", "items": _ref("Outcome")}},
        "required": ["results"],
    }
    return {
        "/v1/events": {
            "post": {
                "operationId": "collect",
                "summary": "Take events in; each is answered on its own",
                "requestBody": _body(batch),
                "responses": {"200": _json(results, "What became of each."), **_problems(400, 401, 403, 413, 503)},
            }
        }
    }


def _product_paths() -> Json:
    product = _path("product_id", "The shop's product.")
    stated = {"200": _json({"type": "object"}, "The product as it is now."), **_problems(400, 401, 403, 413, 503)}
    known = stated | _problems(404)
    batch = {
        "type": "object",
        "properties": {"products": {"type": "array", "items": _ref("Product"), "maxItems": PRODUCTS_MAX}},
        "required": ["products"],
    }
    return {
        "/v1/products/{product_id}": {
            "parameters": [product],
            "get": {"operationId": "showProduct", "summary": "A product", "responses": known},
            "put": {
                "operationId": "stateProduct",
                "summary": "State a product, all of it",
                "requestBody": _body(_ref("Product")),
                "responses": stated,
            },
            "patch": {
                "operationId": "changeProduct",
                "summary": "Change some of a product",
                "requestBody": _body(_ref("Product")),
                "responses": known,
            },
            "delete": {
                "operationId": "deleteProduct",
                "summary": "Take a product out of the shop",
                "responses": {"204": {"description": "Gone."}, **_problems(400, 401, 403, 404, 503)},
            },
        },
        "/v1/products": {
            "post": {
                "operationId": "stateProducts",
                "summary": "State many products; each is answered on its own",
                "requestBody": _body(batch),
                "responses": {
                    "200": _json({"type": "object"}, "What became of each."),
                    **_problems(400, 401, 403, 413, 503),
                },
            }
        },
    }


def _other_paths() -> Json:
    customer = _path("customer_id", "The shop's customer.")
    lines = {
        "description": "A JSON object a line.",
        "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
    }
    denied = _problems(400, 401, 403, 404)
    health = {"type": "object", "properties": {"status": {"enum": ["pass", "warn", "fail"]}}, "required": ["status"]}
    text = {"description": "Prometheus text.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    return {
        "/v1/customers/{customer_id}": {
            "parameters": [customer],
            "get": {
                "operationId": "showCustomer",
                "summary": "A customer's profile",
                "responses": {"200": _json({"type": "object"}, "The profile."), **denied},
            },
            "delete": {
                "operationId": "forgetCustomer",
                "summary": "Forget a customer everywhere, for good",
                "responses": {"200": _json(_ref("Forgotten"), "Forgotten."), **denied, **_problems(503)},
            },
        },
        "/v1/customers/{customer_id}/export": {
            "parameters": [customer],
            "get": {
                "operationId": "exportCustomer",
                "summary": "Everything that is kept about a customer",
                "responses": {"200": lines, **denied},
            },
        },
        "/healthz": {
            "get": {
                "operationId": "alive",
                "summary": "Whether the process is alive",
                "security": [],
                "responses": {"200": _json(health, "Alive.")},
            }
        },
        "/readyz": {
            "get": {
                "operationId": "ready",
                "summary": "Whether it can answer, and what is degraded",
                "security": [],
                "responses": {"200": _json(health, "Ready."), "503": _json(health, "Not ready.")},
            }
        },
        "/metrics": {
            "get": {"operationId": "metrics", "summary": "Metrics", "security": [], "responses": {"200": text}}
        },
    }


@cache
def openapi() -> Json:
    """The description, as plain values."""
    from serving.policies.standing import ExperimentReport  # its statistics take a moment to load

    types = [Answer, HomeAnswer, Outcome, Problem, Wire, PageWire, HomeWire, Forgotten, Experiments, ExperimentReport]
    _, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    _unknown_is_null(components)
    event, event_components = msgspec.json.schema_components([AnyWire], ref_template="#/components/schemas/Event{name}")
    renamed = {f"Event{name}": schema for name, schema in event_components.items()}
    (event_schema,) = event
    mapping = event_schema.get("discriminator", {}).get("mapping")
    assert mapping, "events are told apart by their type"
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Dangol",
            "summary": "A shop's memory: clickstream and orders in, recommendations out.",
            "version": version("dangol"),
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"key": []}, {}],
        "paths": _recommendation_paths()
        | _homepage_paths()
        | _experiment_paths()
        | _event_paths()
        | _product_paths()
        | _other_paths(),
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {**components, **renamed, "Event": event_schema, "Product": _PRODUCT},
        },
    }
