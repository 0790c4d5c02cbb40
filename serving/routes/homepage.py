"""`GET|POST /v1/homepage`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, request
from msgspec.structs import replace

from ingest.vocabulary.errors import Forbidden
from serving.access import ApiKey
from serving.engine import Engine
from serving.home.answer import HomeAnswer
from serving.home.ask import HomeAsk, home_from_body, home_from_query, said_by
from serving.routes.guard import answer, authorize, body, query_of
from serving.routes.recommendations import spoken_for


def homepage_blueprint(engine: Engine) -> Blueprint:
    """The route that answers homepages."""
    blueprint = Blueprint("homepage", __name__)

    @blueprint.get("/v1/homepage")
    def homepage() -> Response:
        return answer(home_asked_by_address(engine, request.environ))

    @blueprint.post("/v1/homepage")
    def homepage_posted() -> Response:
        key = authorize(engine.keys)
        return answer(_answered(engine, key, asked_for(key), request.environ))

    return blueprint


def home_asked_by_address(engine: Engine, environ: Mapping[str, Any]) -> HomeAnswer:
    """The homepage that the address of a request asks for.

    Raises:
        DangolError: it may not be asked for so.
    """
    key = authorize(engine.keys, environ=environ)
    return _answered(engine, key, _checked(home_from_query(query_of(environ)), key), environ)


def asked_for(key: ApiKey | None) -> HomeAsk:
    """What this request asks for, if its key may.

    Raises:
        MalformedEvent: it cannot be read.
        Forbidden: a preview without a secret key, where there are keys.
    """
    if request.method == "POST":
        return _checked(home_from_body(body()), key)
    return _checked(home_from_query(query_of(request.environ)), key)


def _answered(engine: Engine, key: ApiKey | None, ask: HomeAsk, environ: Mapping[str, Any]) -> HomeAnswer:
    rows = spoken_for(engine, key, ask.rows)
    asked = ask if rows is ask.rows else replace(ask, rows=rows)
    return engine.homepages.answer(asked, said_by(environ, engine.configuration.places.headers))


def _checked(ask: HomeAsk, key: ApiKey | None) -> HomeAsk:
    if ask.preview is not None and key is not None and key.kind != "secret":
        raise Forbidden("a preview needs a secret key")
    return ask
