"""`GET|POST /v1/homepage`."""

from __future__ import annotations

from flask import Blueprint, Response, request
from msgspec.structs import replace

from ingest.vocabulary.errors import Forbidden
from serving.access import ApiKey
from serving.engine import Engine
from serving.home.ask import HomeAsk, home_from_body, home_from_query, said_by
from serving.routes.guard import answer, authorize, body
from serving.routes.recommendations import spoken_for


def homepage_blueprint(engine: Engine) -> Blueprint:
    """The route that answers homepages."""
    blueprint = Blueprint("homepage", __name__)
    trusted = engine.configuration.places.headers

    def answered() -> Response:
        key = authorize(engine.keys)
        ask = asked_for(key)
        asked = replace(ask, rows=spoken_for(engine, key, ask.rows))
        return answer(engine.homepages.answer(asked, said_by(request.environ, trusted)))

    @blueprint.get("/v1/homepage")
    def homepage() -> Response:
        return answered()

    @blueprint.post("/v1/homepage")
    def homepage_posted() -> Response:
        return answered()

    return blueprint


def asked_for(key: ApiKey | None) -> HomeAsk:
    """What this request asks for, if its key may.

    Raises:
        MalformedEvent: it cannot be read.
        Forbidden: a preview without a secret key, where there are keys.
    """
    if request.method == "POST":
        ask = home_from_body(body())
    else:
        ask = home_from_query(request.query_string.decode("utf-8", "replace"))
    if ask.preview is not None and key is not None and key.kind != "secret":
        raise Forbidden("a preview needs a secret key")
    return ask
