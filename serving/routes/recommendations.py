"""`GET|POST /v1/recommendations/{placement}` and several placements of one page at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, request

from ingest.vocabulary.errors import Forbidden
from ingest.vocabulary.ranking import Answer
from serving.access import ApiKey
from serving.ask import Ask, ask_from_body, ask_from_query, page_from_body
from serving.engine import Engine
from serving.routes.guard import answer, authorize, body, query_of


def recommendations_blueprint(engine: Engine) -> Blueprint:
    """The routes that answer rows."""
    blueprint = Blueprint("recommendations", __name__)

    @blueprint.get("/v1/recommendations/<placement>")
    def one(placement: str) -> Response:
        return answer(row_asked_by_address(engine, placement, request.environ))

    @blueprint.post("/v1/recommendations/<placement>")
    def one_posted(placement: str) -> Response:
        key = authorize(engine.keys)
        return answer(engine.recommendations.answer(placement, spoken_for(engine, key, ask_from_body(body()))))

    @blueprint.post("/v1/recommendations")
    def page() -> Response:
        key = authorize(engine.keys)
        placements, ask = page_from_body(body())
        return answer({"rows": engine.recommendations.answer_page(placements, spoken_for(engine, key, ask))})

    return blueprint


def row_asked_by_address(engine: Engine, placement: str, environ: Mapping[str, Any]) -> Answer:
    """The row that the address of a request asks for.

    Raises:
        DangolError: it may not be asked for so.
    """
    key = authorize(engine.keys, environ=environ)
    return engine.recommendations.answer(placement, spoken_for(engine, key, ask_from_query(query_of(environ))))


def spoken_for(engine: Engine, key: ApiKey | None, ask: Ask) -> Ask:
    """A publishable key is in every browser, so it may name a customer only as the visitor who is that customer.

    Raises:
        Forbidden: the visitor was not identified as this customer.
    """
    if key is None or key.kind != "publishable" or ask.customer_id is None:
        return ask
    if engine.recommendations.visitor_is(ask.anonymous_id, ask.customer_id):
        return ask
    raise Forbidden("with a publishable key, customer_id goes with the anonymous_id that was identified as it")
