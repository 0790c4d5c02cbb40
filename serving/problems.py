"""Every error of the HTTP interface, as `application/problem+json` (RFC 9457) with a stable `code`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from ingest.vocabulary.errors import AccessDenied, DangolError

RETRY_AFTER_S = 2
_CODES = {
    400: "malformed",
    404: "not_found",
    405: "method_not_allowed",
    413: "oversized",
    414: "oversized",
    415: "unsupported_media_type",
}
_log = structlog.get_logger(__name__)


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """A problem as it goes over the wire; `code` and `message` are extensions that analytics SDKs read."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    message: str
    pointer: str | None = None
    known: tuple[str, ...] | None = None


def problem_response(status: int, code: str, detail: str, **members: Any) -> Response:
    """The response for a problem."""
    problem = Problem(f"urn:dangol:problem:{code}", HTTPStatus(status).phrase, status, code, detail, detail, **members)
    response = Response(msgspec.json.encode(problem), status, content_type="application/problem+json")
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    response.headers["Cache-Control"] = "no-store"
    return response


def register_problems(app: Flask) -> None:
    """Answer every exception of the application with a problem."""

    @app.errorhandler(DangolError)
    def known(error: DangolError) -> Response:
        if error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.error("a request failed", code=error.code, detail=error.message)
        elif isinstance(error, AccessDenied):
            _log.warning("a request was denied", code=error.code)
        return problem_response(
            error.http_status,
            error.code,
            error.message,
            pointer=error.pointer,
            known=getattr(error, "known", None),
        )

    @app.errorhandler(HTTPException)
    def of_the_framework(error: HTTPException) -> Response:
        status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
        response = problem_response(status, _CODES.get(status, "http_error"), error.description or error.name)
        allowed = getattr(error, "valid_methods", None)
        if allowed:
            response.headers["Allow"] = ", ".join(allowed)
        return response

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        _log.exception("a request failed unexpectedly", error=repr(error))
        return problem_response(500, "internal_error", "something went wrong here; it was logged")
