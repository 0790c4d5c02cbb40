"""A caller of the HTTP interface who believes nothing: one connection a request, statuses and headers as they came."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

ANSWER_WAIT_MAX_S = 120.0


class Response(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


class Client:
    """Speaks to one server, with a key or without."""

    def __init__(self, host: str, port: int, key: str | None = None) -> None:
        self.host, self.port, self.key = host, port, key

    def with_key(self, key: str | None) -> Client:
        """The same server, another key."""
        return Client(self.host, self.port, key)

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        """One request, exactly as given."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=ANSWER_WAIT_MAX_S)
        given = {} if self.key is None else {"Authorization": f"Bearer {self.key}"}
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused before all of it was sent
                connection.request(method, path, body, given | dict(headers or {}))
            answered = connection.getresponse()
            return Response(answered.status, {k.lower(): v for k, v in answered.getheaders()}, answered.read())
        finally:
            connection.close()

    def send_json(self, method: str, path: str, value: Any) -> Response:
        """One request with a JSON body."""
        return self.send(method, path, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of an answer that must be 200; names with dots are given as `**{"filter.brand": …}`."""
        asked = f"{path}?{urlencode(query, doseq=True)}" if query else path
        answered = self.send("GET", asked)
        assert answered.status == 200, (asked, answered)
        return answered.json

    def post(self, path: str, value: Any) -> Any:
        """The JSON of an answer to a posted value; it must be 200."""
        answered = self.send_json("POST", path, value)
        assert answered.status == 200, (path, answered)
        return answered.json

    def row(self, placement: str, **asked: Any) -> list[dict[str, Any]]:
        """The items of a placement."""
        items: list[dict[str, Any]] = self.get(f"/v1/recommendations/{placement}", **asked)["items"]
        return items

    def tell(self, *events: Mapping[str, Any]) -> list[str]:
        """Post events; what became of each."""
        return [result["status"] for result in self.post("/v1/events", {"events": events})["results"]]

    def counter(self, name: str) -> float:
        """The sum of a metric over its labels."""
        lines = self.send("GET", "/metrics").body.decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


def ids(items: Sequence[Mapping[str, Any]]) -> list[str]:
    """The products of a row, in order."""
    return [item["product_id"] for item in items]
