"""What every route needs first: the caller's key, the body within its limit, what the request says of the person."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from flask import Response, request

from ingest.privacy import Personal
from ingest.vocabulary.errors import MalformedEvent, OversizedInput
from serving.access import AccessKeys, ApiKey

BODY_BYTES_MAX = 1_048_576  # twice what analytics SDKs send in a batch
USER_AGENT_LENGTH_MAX = 500

JSON_TYPE = "application/json"
KEPT_BY_NOBODY = ("Cache-Control", "private, no-store")

_encoder = msgspec.json.Encoder(decimal_format="string")


def authorize(
    keys: AccessKeys, *, secret_only: bool = False, environ: Mapping[str, Any] | None = None
) -> ApiKey | None:
    """The key of a request (this one's), from the header or `?key=`; secret keys are taken from the header only.

    Raises:
        AccessDenied, Forbidden: as `AccessKeys.authorize`.
    """
    environ = request.environ if environ is None else environ
    header = environ.get("HTTP_AUTHORIZATION", "")
    held = header[7:].strip() if header[:7].lower() == "bearer " else _key_in_address(environ.get("QUERY_STRING", ""))
    if held and held.startswith("sk_") and not header:
        raise MalformedEvent("a secret key belongs into the Authorization header, never into an address")
    return keys.authorize(held, remote_address=environ.get("REMOTE_ADDR"), secret_only=secret_only)


def _key_in_address(query: str) -> str | None:
    """`?key=`; parsing a query costs more than looking whether it may have one, plainly or percent-encoded."""
    if "key" not in query and "%6" not in query and "%7" not in query:  # of k, e and y
        return None
    return next((value for name, value in parse_qsl(query) if name == "key"), None)


def query_of(environ: Mapping[str, Any]) -> str:
    """The query of a request's address."""
    query: str = environ.get("QUERY_STRING", "")
    if query.isascii():
        return query
    return query.encode("latin-1").decode("utf-8", "replace")  # the gateway's interface hands over bytes as Latin-1


def body() -> bytes:
    """The body of this request, unzipped if it says so.

    Raises:
        OversizedInput: it is larger than `BODY_BYTES_MAX`.
        MalformedEvent: it is not the gzip it claims to be.
    """
    if (request.content_length or 0) > BODY_BYTES_MAX:
        raise OversizedInput(f"a body has at most {BODY_BYTES_MAX} bytes")
    if request.content_length is None:
        request.environ["wsgi.input_terminated"] = True  # the server ends a body sent in chunks
    raw = request.get_data(cache=False)
    if len(raw) > BODY_BYTES_MAX:
        raise OversizedInput(f"a body has at most {BODY_BYTES_MAX} bytes")
    encoding = request.headers.get("Content-Encoding", "").lower()
    if encoding in ("", "identity"):
        return raw
    if encoding != "gzip":
        raise MalformedEvent(f"Content-Encoding {encoding!r} is not known: send gzip or nothing")
    unzip = zlib.decompressobj(wbits=31)
    try:
        opened = unzip.decompress(raw, BODY_BYTES_MAX + 1)
    except zlib.error as error:
        raise MalformedEvent(f"the body is not gzip: {error}") from error
    if len(opened) > BODY_BYTES_MAX:
        raise OversizedInput(f"a body has at most {BODY_BYTES_MAX} bytes when unzipped")
    if not unzip.eof:
        raise MalformedEvent("the gzip body is cut off")
    return opened


def said_of_the_person() -> Personal:
    """What a request of a browser says of the person without being asked; sealed with the events it brings."""
    personal: Personal = {}
    if request.remote_addr:
        personal["ip"] = request.remote_addr
    agent = request.headers.get("User-Agent")
    if agent:
        personal["user_agent"] = agent[:USER_AGENT_LENGTH_MAX]
    return personal


def encoded(value: Any) -> bytes:
    """A value as the JSON of an answer."""
    return _encoder.encode(value)


def answer(value: Any, status: int = 200) -> Response:
    """A JSON response that nobody keeps."""
    return Response(encoded(value), status, (KEPT_BY_NOBODY,), content_type=JSON_TYPE)
