"""What a request for the homepage asks: that of a recommendation, the page it is for, and what was said of consent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ingest.dialects.native import UNREADABLE
from personalization.homepage.variants import name_length_max
from personalization.situation.consent import NOTHING_SAID, Consent
from serving.ask import Ask, Wire, malformed, nested, pairs_of, parsed

LANGUAGES_MAX = 10  # browsers send two or three
LANGUAGE_LENGTH_MAX = 35  # of a tag, as RFC 5646 advises
ADDRESS_LENGTH_MAX = 8_000
# What a situation is told from; anything else in the headers is nobody's business here.
HEADERS = (
    "accept-language",
    "referer",
    "sec-ch-ua",
    "sec-ch-ua-form-factors",
    "sec-ch-ua-mobile",
    "sec-ch-ua-platform",
    "sec-gpc",
    "user-agent",
)

Address = Annotated[str, Meta(max_length=ADDRESS_LENGTH_MAX)]


class HomeWire(Wire, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A request for the homepage as it is sent.

    Attributes:
        url: the address of the page, with its campaign tags; the header `Referer` if it is not said.
        referrer: what led there, as in `document.referrer`.
        language: what the page is read in (BCP 47), the most wanted first; the header `Accept-Language` if not said.
        consent: what the page knows of consent.
        preview: the variant to be shown, whatever the situation.
    """

    url: Address | None = None
    referrer: Address | None = None
    language: Annotated[str, Meta(max_length=LANGUAGE_LENGTH_MAX)] | None = None
    consent: Consent | None = None
    preview: Annotated[str, Meta(min_length=1, max_length=name_length_max)] | None = None


class HomeAsk(msgspec.Struct, frozen=True, gc=False):
    """A request for the homepage, parsed: what is asked of its rows, and the rest."""

    rows: Ask = Ask()
    url: str | None = None
    referrer: str | None = None
    language: str | None = None
    consent: Consent = NOTHING_SAID
    preview: str | None = None


class Said(msgspec.Struct, frozen=True, gc=False):
    """What a request says without being asked: the headers of interest, names in lower case, and its address."""

    headers: Mapping[str, str] = {}
    address: str | None = None
    host: str | None = None


_wire_decoder = msgspec.json.Decoder(HomeWire)


def home_from_body(body: bytes) -> HomeAsk:
    """The request in a JSON body.

    Raises:
        MalformedEvent: it is not one; the pointer says where.
    """
    try:
        return _parsed(_wire_decoder.decode(body or b"{}"))
    except UNREADABLE as error:
        raise malformed(error) from error


def home_from_query(query: str) -> HomeAsk:
    """The request in a query string, in the words of a recommendation's.

    Raises:
        MalformedEvent: a name is unknown or a value is not acceptable.
    """
    return home_from_pairs(pairs_of(query))


def home_from_pairs(pairs: Iterable[tuple[str, str]]) -> HomeAsk:
    """The request in pairs of names, of which nested ones are dotted, and values.

    Raises:
        MalformedEvent: a name is unknown or a value is not acceptable.
    """
    try:
        return _parsed(msgspec.convert(nested(pairs), HomeWire, strict=False))
    except (msgspec.MsgspecError, ValueError) as error:
        raise malformed(error) from error


def said_by(environ: Mapping[str, Any], trusted: tuple[str, ...]) -> Said:
    """What a request says in headers that everybody may send, and in those that are trusted to be the shop's own."""
    found = {}
    for name, variable in _variables(trusted):
        value = environ.get(variable)
        if value is not None:
            found[name] = value
    return Said(found, environ.get("REMOTE_ADDR"), environ.get("HTTP_HOST"))


@lru_cache(maxsize=8)
def _variables(trusted: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Headers, and what the gateway's interface calls them."""
    return tuple((name, f"HTTP_{name.upper().replace('-', '_')}") for name in (*HEADERS, *trusted))


def languages_of(ask: HomeAsk, said: Said, base: str) -> tuple[str, ...]:
    """What the page may be read in, the most wanted first, as far as it is wanted more than what it is written in.

    Source: RFC 9110, section 12.5.4; of equal weight the first. What cannot be read is left out.
    """
    wanted = [ask.language] if ask.language else _by_weight(said.headers.get("accept-language", ""))
    found: list[str] = []
    for language in wanted:
        if language == "*" or language.casefold().partition("-")[0] == base.casefold().partition("-")[0]:
            break
        found.append(language)
    return tuple(found)


def _by_weight(header: str) -> list[str]:
    weighed = []
    for place, part in enumerate(header[:1_000].split(",")[:LANGUAGES_MAX]):
        language, _, parameter = part.partition(";")
        language = language.strip()
        weight = _weight(parameter)
        if language and len(language) <= LANGUAGE_LENGTH_MAX and weight > 0:
            weighed.append((-weight, place, language))
    return [language for _, _, language in sorted(weighed)]


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if not parameter.strip():
        return 1.0
    try:
        weight = float(value) if name.strip().lower() == "q" else 0.0
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0


def _parsed(wire: HomeWire) -> HomeAsk:
    consent = wire.consent or NOTHING_SAID
    return HomeAsk(parsed(wire), wire.url, wire.referrer, wire.language, consent, wire.preview)
