"""`/openapi.json` and `/docs`: the HTTP interface described by itself."""

from __future__ import annotations

from flask import Blueprint, Response, render_template

from serving.engine import Engine
from serving.openapi import openapi
from serving.routes.guard import answer


def interface_blueprint(engine: Engine) -> Blueprint:
    """The description of the interface, for programs and for people; it is public."""
    blueprint = Blueprint("interface", __name__, template_folder="../templates")

    @blueprint.get("/openapi.json")
    def description() -> Response:
        return answer(openapi())

    @blueprint.get("/docs")
    def docs() -> str:
        placements = sorted(engine.configuration.placements.values(), key=lambda placement: placement.name)
        return render_template("docs.html", description=openapi(), placements=placements)

    return blueprint
