"""What people write into the cells of a table: times, money, quantities, ids."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

from ingest.vocabulary.errors import MalformedEvent
from ingest.vocabulary.ids import parse_id

YEAR_MIN, YEAR_MAX = 1990, 2200  # outside it, a column was misread: dates like 20110830 are not unix seconds
MONEY_MAX = 1_000_000_000
MONEY_DECIMALS_MAX = 6
QUANTITY_MAX = 1_000_000_000
DATE_LENGTH = len("2011-08-30")

_UNIX = re.compile(r"\d{9,11}(?:\.\d+)?")
_UNIX_MS = re.compile(r"\d{12,14}")
_MONEY = re.compile(r"-?\d+(?:[.,]\d*)?|-?\.\d+")
_THOUSANDS = re.compile(r"-?\d+,\d{3,}")
_INTEGER = re.compile(r"[+-]?\d{1,12}(?:\.0*)?")
_CURRENCY = re.compile(r"[A-Z]{3}")


def parse_time(text: str) -> datetime:
    """RFC 3339, `YYYY-MM-DD hh:mm[:ss]`, a date, unix seconds or milliseconds; without a zone it is UTC.

    Cost: 1 µs; `datetime.replace` alone would cost three.
    """
    try:
        moment = _iso_time(text) if "-" in text else _unix_time(text)
        if YEAR_MIN <= moment.year <= YEAR_MAX:
            return moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise MalformedEvent(
        f"timestamp {text[:40]!r} is not RFC 3339, YYYY-MM-DD hh:mm:ss, unix seconds or milliseconds of the years "
        f"{YEAR_MIN} to {YEAR_MAX}",
        pointer="/timestamp",
        code="timestamp",
    )


def parse_money(text: str, field: str = "price") -> Decimal:
    """An amount of any sign, with a decimal point (or a decimal comma with one or two digits behind it).

    Raises:
        MalformedEvent: it is no number, 10⁹ or more, or has more than six decimals.
    """
    if not _MONEY.fullmatch(text) or _THOUSANDS.fullmatch(text):
        raise MalformedEvent(f"{field} {text[:40]!r} is not an amount such as 39.90", pointer=f"/{field}", code=field)
    amount = Decimal(text.replace(",", "."))
    return bounded_money(amount, field)


def bounded_money(amount: Decimal, field: str) -> Decimal:
    """The amount, if it is below 10⁹ in size and has at most six decimals.

    Raises:
        MalformedEvent: it is not.
    """
    if abs(amount) >= MONEY_MAX:
        raise MalformedEvent(f"{field} must be below {MONEY_MAX}", pointer=f"/{field}", code=field)
    exponent = amount.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -MONEY_DECIMALS_MAX:
        shorter = amount.quantize(Decimal(1).scaleb(-MONEY_DECIMALS_MAX))
        if shorter != amount:
            raise MalformedEvent(
                f"{field} has more than {MONEY_DECIMALS_MAX} decimals", pointer=f"/{field}", code=field
            )
        return shorter
    return amount


def parse_quantity(text: str) -> int:
    """A whole number of any sign, also as `6.0`; nothing is one."""
    if not text:
        return 1
    if not _INTEGER.fullmatch(text) or abs(quantity := int(text.partition(".")[0])) > QUANTITY_MAX:
        raise MalformedEvent(f"quantity {text[:40]!r} is not a whole number", pointer="/quantity", code="quantity")
    return quantity


def parse_currency(text: str) -> str | None:
    """An ISO 4217 code in upper case; nothing is None."""
    if not text:
        return None
    code = text.upper()
    if not _CURRENCY.fullmatch(code):
        raise MalformedEvent(
            f"currency {text[:40]!r} is not a code of three letters", pointer="/currency", code="currency"
        )
    return code


def parse_cell_id(text: str, field: str) -> str:
    """An id in a cell: as `parse_id`, and an empty cell says so."""
    if not text:
        raise MalformedEvent(f"{field} is empty", pointer=f"/{field}", code=field)
    return parse_id(text, field)


def parse_category(text: str) -> tuple[str, ...]:
    """`Home > Kitchen` as a path from root to leaf."""
    return tuple(part for each in text.split(">") if (part := " ".join(each.split())))


def _iso_time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        return datetime.fromisoformat(text + ("T00:00+00:00" if len(text) == DATE_LENGTH else "+00:00"))
    return moment


def _unix_time(text: str) -> datetime:
    if _UNIX_MS.fullmatch(text):
        return datetime.fromtimestamp(int(text) / 1000, UTC)
    if _UNIX.fullmatch(text):
        return datetime.fromtimestamp(float(text), UTC)
    raise ValueError(text)
