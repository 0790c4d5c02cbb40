"""A shop whose demand shifts with the situation in a known way, as facts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from msgspec.structs import replace

from ingest.vocabulary.context import Context, Device, Weather, WeatherCondition
from ingest.vocabulary.events import Line, OrderCompleted, ProductUpserted
from ingest.vocabulary.ids import ProductId
from tests.support.histories import order, titled, upserted

RAINY_SHARE = 0.3
MOBILE_SHARE = 0.5


class World:
    """Categories of products, some of which are wanted more in rain or on phones.

    Args:
        categories: how many products each has.
        weight: how much a category is wanted, 1 if it is not named.
        rain, mobile: how many times as much a category, or a product, is wanted then.
    """

    def __init__(
        self,
        categories: Mapping[str, int],
        *,
        weight: Mapping[str, float] | None = None,
        rain: Mapping[str, float] | None = None,
        mobile: Mapping[str, float] | None = None,
    ) -> None:
        self.products = [(name, f"{name}-{number}") for name, size in categories.items() for number in range(size)]
        self._weight, self._rain, self._mobile = weight or {}, rain or {}, mobile or {}

    def catalogue(self) -> list[ProductUpserted]:
        """The products, stated before anything was sold."""
        return [upserted(titled(name, name, category=("Shop", category))) for category, name in self.products]

    def orders(self, days: int, daily: int, seed: int, *, people: int | None = None) -> list[OrderCompleted]:
        """So many orders a day of one product each; `people` of whom each keeps their device, or somebody new each."""
        draw = np.random.default_rng(seed)
        found = []
        for day in range(days):
            rainy = bool(draw.random() < RAINY_SHARE)
            for number in range(daily):
                name = f"{day}-{number}"
                who = int(draw.integers(people)) if people else None
                mobile = bool(draw.random() < MOBILE_SHARE) if who is None else who % 2 == 0
                wanted = draw.choice(len(self.products), p=self._shares(rainy, mobile))
                found.append(_told(name, self.products[wanted][1], day, who, rainy, mobile))
        return found

    def _shares(self, rainy: bool, mobile: bool) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        wanted = [self._weight.get(category, 1.0) for category, _ in self.products]
        for holds, lifts in ((rainy, self._rain), (mobile, self._mobile)):
            if holds:
                wanted = [
                    each * lifts.get(category, 1.0) * lifts.get(name, 1.0)
                    for each, (category, name) in zip(wanted, self.products, strict=True)
                ]
        shares = np.array(wanted)
        return shares / shares.sum()


def situation(condition: WeatherCondition | None = None, device: Device | None = None) -> Context:
    """A context of weather and device."""
    return Context(device=device, weather=None if condition is None else Weather(condition))


def _told(name: str, product_id: str, day: int, who: int | None, rainy: bool, mobile: bool) -> OrderCompleted:
    placed = order(name, "", day, subject=f"person {name if who is None else who}")
    context = situation("rain" if rainy else "sunny", "mobile" if mobile else "desktop")
    return replace(placed, lines=(Line(ProductId(product_id)),), context=context)
