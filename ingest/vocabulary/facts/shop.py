"""What the shop states: its products as they are now, and the experiments it runs."""

from __future__ import annotations

from decimal import Decimal

from ingest.vocabulary.facts.envelope import CatalogueEvent, ExperimentEvent
from ingest.vocabulary.products import Availability, Product


class ProductUpserted(CatalogueEvent, frozen=True, kw_only=True):
    """The product is now as stated, all of it."""

    product: Product


class ProductDeleted(CatalogueEvent, frozen=True, kw_only=True):
    """The product is gone from the shop."""


class PriceChanged(CatalogueEvent, frozen=True, kw_only=True):
    """The product has a new price; no `sale_price` means no reduction."""

    price: Decimal | None
    sale_price: Decimal | None = None
    currency: str | None = None


class StockChanged(CatalogueEvent, frozen=True, kw_only=True):
    """The product has a new availability or stock; an absent part is unchanged."""

    availability: Availability | None = None
    stock: int | None = None


class ExperimentConfigured(ExperimentEvent, frozen=True, kw_only=True):
    """An experiment is now as stated, all of it; the fields are those of its configuration.

    Attributes:
        grew_only: whether everybody who was in the experiment is still in the same arm.
    """

    arms: dict[str, float]
    control: str
    layer: str = "default"
    begins: float = 0.0
    ends: float = 1.0
    admitted: float = 1.0
    grew_only: bool = True


class ExperimentStarted(ExperimentConfigured, frozen=True, kw_only=True):
    """The experiment runs, for the first time or again."""


class ExperimentChanged(ExperimentConfigured, frozen=True, kw_only=True):
    """The experiment runs on with other settings, such as more people."""


class ExperimentStopped(ExperimentEvent, frozen=True, kw_only=True):
    """The experiment no longer runs: nobody is in any of its arms."""
