"""Money as whole numbers: ten-thousandths of a currency's unit, since ISO 4217 knows at most four decimals."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache

amount_e4_max = 10**15  # one order of 100 000 million; a typing mistake must not outgrow 64 bits

_exact = Context(prec=60, rounding=ROUND_HALF_EVEN, traps=[])  # its own, so that no thread's settings reach a fold


@lru_cache(maxsize=10_000)  # a shop has few prices, and decimals are slow
def unit_e4(price: str) -> int:
    """A unit price, half even to ten-thousandths; nothing where it is below nothing or no number."""
    amount = _exact.multiply(Decimal(price), Decimal(10_000))
    if not amount.is_finite() or amount <= 0:
        return 0
    return amount_e4_max if amount > amount_e4_max else int(_exact.to_integral_value(amount))
