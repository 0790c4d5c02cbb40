"""The express lane: what every page view asks for by address, a row or the homepage, past the framework's bookkeeping.

Routing, request and response objects cost more than a row itself. The lane takes only what it can answer in full:
any other method, and whatever goes wrong, is left to the application, which says what is wrong with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from typing import Any

from serving.engine import Engine
from serving.routes.guard import JSON_TYPE, KEPT_BY_NOBODY, encoded
from serving.routes.homepage import home_asked_by_address
from serving.routes.recommendations import row_asked_by_address

ROWS, HOMEPAGE = "/v1/recommendations/", "/v1/homepage"
# What the application calls them, so that both ways are counted as one.
ROW_ROUTE, HOMEPAGE_ROUTE = "recommendations.one", "homepage.homepage"

Environment = dict[str, Any]
Header = tuple[str, str]
Application = Callable[[Environment, Any], Iterable[bytes]]


class ExpressLane:
    """In front of an application. Its answers are those of the application, byte for byte."""

    def __init__(self, engine: Engine, application: Application) -> None:
        self._engine, self.application = engine, application
        self._origins = frozenset(engine.configuration.serving.origins)

    def __call__(self, environ: Environment, start_response: Any) -> Iterable[bytes]:
        """Answer one request, as PEP 3333 says."""
        path: str = environ["PATH_INFO"]
        if path == HOMEPAGE:
            route = HOMEPAGE_ROUTE
        elif path.startswith(ROWS):
            route = ROW_ROUTE
        else:
            return self.application(environ, start_response)
        if environ["REQUEST_METHOD"] != "GET":
            return self.application(environ, start_response)
        began = time.perf_counter()
        try:
            content = encoded(
                home_asked_by_address(self._engine, environ)
                if route is HOMEPAGE_ROUTE
                else row_asked_by_address(self._engine, path[len(ROWS) :], environ)
            )
        except Exception:  # noqa: BLE001 - the application meets it again, and answers and logs it
            return self.application(environ, start_response)
        headers = [("Content-Type", JSON_TYPE), ("Content-Length", str(len(content))), KEPT_BY_NOBODY]
        headers += shared_with(environ.get("HTTP_ORIGIN"), self._origins)
        start_response("200 OK", headers)
        self._engine.metrics.answered(route, "GET", 200, time.perf_counter() - began)
        return (content,)


def shared_with(origin: str | None, allowed: Collection[str]) -> list[Header]:
    """The headers that let a page of an allowed origin read an answer (CORS); none where no origin is configured."""
    if not allowed:
        return []
    if origin is None or origin not in allowed:
        return [("Vary", "Origin")]
    return [("Vary", "Origin"), ("Access-Control-Allow-Origin", origin)]
