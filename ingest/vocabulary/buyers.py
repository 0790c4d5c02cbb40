"""What a shop's buyers are like, in few numbers: what training learns of them, and segments are told by."""

from __future__ import annotations

import msgspec

RETURNED_SHARES = (0.5, 0.75, 0.9, 0.975)  # of those who come back
QUINTILES = (0.2, 0.4, 0.6, 0.8)


class Thresholds(msgspec.Struct, frozen=True, gc=False):
    """What parts a shop's buyers: four edges each, ascending.

    Attributes:
        days: from an order to the next, at `RETURNED_SHARES`.
        orders: that were kept, at `QUINTILES` of all buyers.
        spent_e4: in the currency that most orders are in, in ten-thousandths of its unit, at `QUINTILES`.
        buyers, returns: how many persons and repeated orders they were found from.
    """

    days: tuple[int, ...]
    orders: tuple[int, ...]
    spent_e4: tuple[int, ...]
    currency: str
    buyers: int
    returns: int
