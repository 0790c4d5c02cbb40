"""A worker whose shop cannot be opened yet, because Kafka or Redis is away: it answers all the same, until it can."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import structlog
from flask import Flask, Response, request

from ingest.vocabulary.clock import Clock, epoch_ms
from ingest.vocabulary.errors import DangolError
from ingest.vocabulary.ids import new_request_id
from ingest.vocabulary.ranking import Answer, Degradation
from personalization.page.placements import Placement
from serving.access import AccessKeys
from serving.app import allow_origins
from serving.ask import Ask, page_from_body
from serving.configuration import Configuration, Role
from serving.home.ask import said_by
from serving.home.making import EqualTables, days_of, homepages_of
from serving.home.places import places_of
from serving.home.weather import NoWeather
from serving.problems import problem_response, register_problems
from serving.recommendations import NOBODY, Person, UnknownPlacement
from serving.routes.guard import BODY_BYTES_MAX, answer, authorize, body
from serving.routes.homepage import asked_for

AT_ONCE_S = 30.0  # what opens within it is served as it is: a slow machine is no fault, and other workers answer
WAIT_FIRST_S, WAIT_MAX_S = 0.25, 4.0  # before opening is tried again
MISSING: tuple[Degradation, ...] = ("catalogue", "profiles", "snapshot")

Environment = dict[str, Any]
Application = Callable[[Environment, Any], Iterable[bytes]]

_log = structlog.get_logger(__name__)


class Opening:
    """Opens an application in a thread, again and again until it succeeds; until then another one answers.

    Args:
        open_application: opens it, or raises and leaves nothing behind.
        meanwhile: makes what answers until then, from a function that tells why it has to.
    """

    def __init__(
        self, open_application: Callable[[], Application], meanwhile: Callable[[Callable[[], str]], Application]
    ) -> None:
        self._open, self._meanwhile = open_application, meanwhile(lambda: self._reason)
        self._application: Application | None = None
        self._failure: Exception | None = None
        self._reason = "the shop is being opened"
        self._tried = threading.Event()
        threading.Thread(target=self._run, name="open the shop", daemon=True).start()

    def __call__(self, environ: Environment, start_response: Any) -> Iterable[bytes]:
        """Answer one request, as PEP 3333 says."""
        application = self._application or self._meanwhile
        return application(environ, start_response)

    def soon(self) -> Application:
        """The application, if it opens within `AT_ONCE_S`; otherwise this one, which turns into it.

        Raises:
            Exception: what the first attempt raised, where waiting does not help.
        """
        self._tried.wait(AT_ONCE_S)
        failure = self._failure
        if failure is not None and not (isinstance(failure, DangolError) and failure.retryable):
            raise failure
        return self._application or self

    def _run(self) -> None:
        wait_s = WAIT_FIRST_S
        while not self._opened():
            self._tried.set()
            threading.Event().wait(wait_s)
            wait_s = min(2 * wait_s, WAIT_MAX_S)
        self._tried.set()

    def _opened(self) -> bool:
        try:
            self._application = self._open()
        except DangolError as error:
            self._failure, self._reason = error, error.message
            _log.warning("the shop cannot be opened and will be tried again", reason=error.message)
        except Exception as error:  # noqa: BLE001 - logged with its trace; the port must not go dead
            self._failure, self._reason = error, "something went wrong here; it was logged"
            _log.exception("the shop cannot be opened and will be tried again")
        else:
            return True
        return False


def answers_meanwhile(
    folder: Path, configuration: Configuration, role: Role, clock: Clock, reason: Callable[[], str]
) -> Flask:
    """Answers for a shop that is not open: rows are empty and say what is missing, anything else is to come again.

    Args:
        reason: why it is not open.
    """
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = BODY_BYTES_MAX + 1
    app.url_map.strict_slashes = False
    register_problems(app)
    allow_origins(app, configuration.serving.origins)
    if role != "collect":
        _add_empty_rows(app, AccessKeys(folder), configuration, clock)
        _add_homepage(app, AccessKeys(folder), configuration, folder, clock)

    @app.get("/healthz")
    def alive() -> Response:
        return answer({"status": "pass"})

    @app.get("/readyz")
    def ready() -> Response:
        return answer({"status": "fail", "checks": {"opening": {"status": "fail", "detail": reason()}}}, 503)

    @app.route("/", defaults={"path": ""}, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    @app.route("/<path:path>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    def later(path: str) -> Response:
        return problem_response(503, "unavailable", f"{request.path} cannot be answered yet: {reason()}")

    return app


class _EmptyRows:
    """Rows without products, for nobody in particular."""

    def __init__(self, configuration: Configuration, clock: Clock) -> None:
        self._placements, self._clock = configuration.placements, clock
        self._configuration_id = configuration.configuration_id

    def person_of(self, ask: Ask) -> Person:
        """Nobody: what is known of people is away."""
        return NOBODY._replace(degraded=("profiles",))

    def answer_rows(self, placements: Sequence[Placement], ask: Ask, person: Person, *, record: bool) -> list[Answer]:
        """A row without products for each."""
        return [self.empty(placement.name) for placement in placements]

    def empty(self, placement: str) -> Answer:
        """A row without products.

        Raises:
            UnknownPlacement: there is none of that name.
        """
        if placement not in self._placements:
            raise UnknownPlacement(placement, sorted(self._placements))
        request_id = new_request_id(epoch_ms(self._clock.now()))
        return Answer(request_id, placement, None, self._configuration_id, MISSING, None, ())


def _add_homepage(app: Flask, keys: AccessKeys, configuration: Configuration, folder: Path, clock: Clock) -> None:
    """The variant that fits the situation as far as a request alone tells it; what was shown is lost."""
    homepages = homepages_of(
        configuration,
        rows=_EmptyRows(configuration, clock),
        places=places_of(configuration.places, folder),
        weather=NoWeather(),
        days=days_of(configuration),
        tables=lambda _: EqualTables(),
        price_of=lambda _: None,
        segment_of=lambda _, __: None,
        clock=clock,
        shown=lambda _, __: None,
    )

    @app.route("/v1/homepage", methods=["GET", "POST"])
    def homepage() -> Response:
        ask = asked_for(authorize(keys))
        return answer(homepages.answer(ask, said_by(request.environ, configuration.places.headers)))


def _add_empty_rows(app: Flask, keys: AccessKeys, configuration: Configuration, clock: Clock) -> None:
    empty = _EmptyRows(configuration, clock).empty

    @app.route("/v1/recommendations/<placement>", methods=["GET", "POST"])
    def one(placement: str) -> Response:
        authorize(keys)
        return answer(empty(placement))

    @app.post("/v1/recommendations")
    def page() -> Response:
        authorize(keys)
        placements, _ = page_from_body(body())
        return answer({"rows": [empty(placement) for placement in placements]})
