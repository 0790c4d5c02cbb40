"""`/healthz`, `/readyz` and `/metrics`."""

from __future__ import annotations

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from serving.engine import Engine
from serving.routes.guard import answer


def health_blueprint(engine: Engine) -> Blueprint:
    """The routes that operators watch; they need no key and tell no secret."""
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/healthz")
    def alive() -> Response:
        return answer({"status": "pass"})

    @blueprint.get("/readyz")
    def ready() -> Response:
        checks = engine.checks()
        failed = [name for name, check in checks.items() if check["status"] == "fail"]
        warned = [name for name, check in checks.items() if check["status"] == "warn"]
        status = "fail" if failed else "warn" if warned else "pass"
        return answer({"status": status, "checks": checks}, 503 if failed else 200)

    @blueprint.get("/metrics")
    def metrics() -> Response:
        engine.measure()
        return Response(generate_latest(engine.metrics.registry), content_type=CONTENT_TYPE_LATEST)

    return blueprint
