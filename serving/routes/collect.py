"""`POST /v1/events`: the native batch, each event answered on its own."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from ingest.collector import Outcome, count_by_status, refusal
from ingest.dialects.native import Reading, read_batch
from serving.engine import Engine
from serving.routes.guard import answer, authorize, body, said_of_the_person


def collect_blueprint(engine: Engine) -> Blueprint:
    """The routes that take facts in."""
    blueprint = Blueprint("collect", __name__)

    @blueprint.post("/v1/events")
    def events() -> Response:
        authorize(engine.keys)
        readings = read_batch(body(), clock=engine.clock, tokens=engine.tokens, personal=said_of_the_person())
        outcomes = take_in(engine, readings)
        for status, count in count_by_status(outcomes).items():
            if count:
                engine.metrics.events.labels(status).inc(count)
        return answer({"results": outcomes})

    return blueprint


def take_in(engine: Engine, readings: list[Reading]) -> list[Outcome]:
    """Collect what could be read; the outcomes stand in the order of the batch."""
    taken: list[Any] = [reading for reading in readings if reading.incoming is not None]
    collected = iter(
        engine.collector.collect(
            [reading.incoming for reading in taken],
            echo=[reading.name or reading.incoming.event.event_id for reading in taken],
        )
    )
    outcomes = []
    for index, reading in enumerate(readings):
        if reading.error is not None:
            outcomes.append(refusal(reading.name, reading.error))
            continue
        outcome = next(collected)
        if outcome.status == "refused":
            pointer = f"/events/{index}{outcome.pointer or ''}"
            outcome = Outcome(outcome.event_id, "refused", outcome.code, outcome.detail, pointer)
        outcomes.append(outcome)
    return outcomes
