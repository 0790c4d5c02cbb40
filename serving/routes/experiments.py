"""`/v1/experiments`: which experiments there are and how they stand; for secret keys only."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Annotated
from urllib.parse import parse_qsl

import msgspec
from flask import Blueprint, Response, request
from msgspec import Meta

from personalization.experiments.learning import Goal
from serving.ask import malformed, nested
from serving.engine import Engine
from serving.policies.lifecycles import Listed, list_experiments
from serving.routes.guard import answer, authorize

if TYPE_CHECKING:
    from serving.policies.reports import Reports

PARAMETERS_MAX = 50


class Experiments(msgspec.Struct, frozen=True):
    """The answer of `/v1/experiments`."""

    experiments: tuple[Listed, ...]


class ReportWire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a report is asked, as on the command line."""

    goal: Goal = "order"
    days: Annotated[float, Meta(gt=0, le=90)] = 7.0
    before: Annotated[float, Meta(ge=0, le=365)] = 28.0
    planned: Annotated[int, Meta(ge=400, le=1_000_000_000)] = 10_000


def experiments_blueprint(engine: Engine) -> Blueprint:
    """The routes about experiments."""
    blueprint = Blueprint("experiments", __name__)
    reports = _Lazily(engine)

    @blueprint.get("/v1/experiments")
    def show_all() -> Response:
        authorize(engine.keys, secret_only=True)
        return answer(Experiments(list_experiments(engine)))

    @blueprint.get("/v1/experiments/<path:name>")
    def show(name: str) -> Response:
        authorize(engine.keys, secret_only=True)
        wire = _asked(request.query_string.decode("latin-1"))
        return answer(reports.report(name, wire))

    return blueprint


class _Lazily:
    """Reports, whose statistics take a moment to load: most servers are never asked for them."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._lock = engine, threading.Lock()
        self._reports: Reports | None = None

    def report(self, name: str, wire: ReportWire) -> object:
        """The report that a request asks for."""
        from serving.policies.reports import HOMEPAGES_MAX, Reports
        from serving.policies.standing import Plan

        with self._lock:
            if self._reports is None:
                self._reports = Reports(self._engine)
        return self._reports.report(name, Plan(wire.goal, wire.days, wire.before, wire.planned, HOMEPAGES_MAX))


def _asked(query: str) -> ReportWire:
    """The parameters of a query string.

    Raises:
        MalformedEvent: a name is unknown or given twice, or a value is not acceptable.
    """
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=PARAMETERS_MAX)
        return msgspec.convert(nested(pairs), ReportWire, strict=False)
    except (msgspec.MsgspecError, ValueError) as error:
        raise malformed(error) from error
