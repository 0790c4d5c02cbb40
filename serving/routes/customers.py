"""`/v1/customers/{id}`: the profile, portability and erasure; for secret keys only."""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response

from ingest.vocabulary.ids import parse_customer_id
from serving.engine import Engine
from serving.routes.guard import answer, authorize


def customers_blueprint(engine: Engine) -> Blueprint:
    """The routes about a person."""
    blueprint = Blueprint("customers", __name__)

    @blueprint.get("/v1/customers/<customer_id>")
    def show(customer_id: str) -> Response:
        authorize(engine.keys, secret_only=True)
        return answer(engine.people.show(parse_customer_id(customer_id)))

    @blueprint.get("/v1/customers/<customer_id>/export")
    def export(customer_id: str) -> Response:
        authorize(engine.keys, secret_only=True)
        lines = b"".join(
            msgspec.json.encode(each) + b"\n" for each in engine.people.export(parse_customer_id(customer_id))
        )
        return Response(lines, content_type="application/x-ndjson", headers={"Cache-Control": "private, no-store"})

    @blueprint.delete("/v1/customers/<customer_id>")
    def forget(customer_id: str) -> Response:
        authorize(engine.keys, secret_only=True)
        return answer(engine.forget(parse_customer_id(customer_id)))

    return blueprint
