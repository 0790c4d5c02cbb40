"""The Flask application factory."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any

from flask import Flask, Response, g, request

from serving.configuration import Role
from serving.engine import Engine
from serving.express import ExpressLane, shared_with
from serving.problems import register_problems
from serving.routes.collect import collect_blueprint
from serving.routes.customers import customers_blueprint
from serving.routes.experiments import experiments_blueprint
from serving.routes.guard import BODY_BYTES_MAX
from serving.routes.health import health_blueprint
from serving.routes.homepage import homepage_blueprint
from serving.routes.interface import interface_blueprint
from serving.routes.products import products_blueprint
from serving.routes.recommendations import recommendations_blueprint
from serving.routes.store import store_blueprint
from serving.storefront import CatalogueShelves

PREFLIGHT_KEPT_S = 900
ALLOWED_HEADERS = "authorization, content-type, content-encoding"


class _Application(Flask):
    """Flask without asking at every call whether a function is a coroutine: none is."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """The function as it is."""
        return func


def create_app(engine: Engine, role: Role = "all") -> Flask:
    """The application over an engine that is open; it owns nothing and closes nothing.

    Args:
        role: `collect` takes events and products, `recommend` answers about them; `all` does both.
    """
    app = _Application(__name__)
    app.config["MAX_CONTENT_LENGTH"] = BODY_BYTES_MAX + 1  # a body sent in chunks is cut there, and seen to be too long
    app.url_map.strict_slashes = False
    register_problems(app)
    collecting = (collect_blueprint, products_blueprint)
    answering = (recommendations_blueprint, homepage_blueprint, customers_blueprint, experiments_blueprint)
    parts = {"all": (*collecting, *answering), "collect": collecting, "recommend": answering}[role]
    for blueprint in (*parts, health_blueprint, interface_blueprint):
        app.register_blueprint(blueprint(engine))
    if role == "all" and engine.configuration.serving.demo_store:
        varied = bool(engine.configuration.homepage.variants)
        app.register_blueprint(store_blueprint(CatalogueShelves(engine.catalogue), varied=varied))
    _measure(app, engine)
    allow_origins(app, engine.configuration.serving.origins)
    if role == "collect":
        return app
    app.wsgi_app = ExpressLane(engine, app.wsgi_app)  # type: ignore[method-assign]  # Flask's way to wrap an application
    return app


def _measure(app: Flask, engine: Engine) -> None:
    """Count and time every request by its route, which is bounded, never by its address, which is not."""
    metrics = engine.metrics

    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        asked = request._get_current_object()  # type: ignore[attr-defined]  # once, not for every attribute
        metrics.answered(asked.endpoint or "unknown", asked.method, response.status_code, time.perf_counter() - g.began)
        return response


def allow_origins(app: Flask, origins: Collection[str]) -> None:
    """Let the shop's own pages call from the browser (CORS), if the configuration names their origins."""
    allowed = frozenset(origins)
    if not allowed:
        return

    @app.after_request
    def share(response: Response) -> Response:
        origin = request.headers.get("Origin")
        response.headers.extend(shared_with(origin, allowed))
        if origin in allowed and request.method == "OPTIONS":
            response.headers["Access-Control-Allow-Methods"] = "GET, POST, OPTIONS"
            response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
            response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_KEPT_S)
        return response
