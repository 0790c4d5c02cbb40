"""What every fact carries, and the three kinds of facts: about a person, a product, an experiment."""

from __future__ import annotations

import re
from datetime import datetime

import msgspec

from ingest.vocabulary.context import Context
from ingest.vocabulary.ids import EventId, ProductId, Subject, experiment_key, product_key


def _tag(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag_field="type", tag=_tag):
    """The envelope of every fact.

    Attributes:
        event_id: recognises the fact when it comes again.
        occurred_at: the shopper's clock, skew-corrected; never after `received_at`.
        received_at: ours.
        source: who told us (`api`, `store`, `import:csv`, `dangol` …).
        imported: history told later; it counts as known since `occurred_at`, live facts since `received_at`.
    """

    event_id: EventId
    occurred_at: datetime
    received_at: datetime
    source: str = "api"
    imported: bool = False

    @property
    def key(self) -> str:
        """What decides the partition: facts of one key keep their order."""
        raise NotImplementedError

    @property
    def known_at(self) -> datetime:
        """From when on an answer could have used this fact."""
        return self.occurred_at if self.imported else self.received_at


class CustomerEvent(Event, frozen=True, kw_only=True):
    """A fact about a person."""

    subject: Subject
    context: Context | None = None
    personal: bytes | None = None

    @property
    def key(self) -> str:
        """The subject."""
        return self.subject


class CatalogueEvent(Event, frozen=True, kw_only=True):
    """A fact about a product."""

    product_id: ProductId

    @property
    def key(self) -> str:
        """`product:<id>`."""
        return product_key(self.product_id)


class ExperimentEvent(Event, frozen=True, kw_only=True):
    """A fact about an experiment; only Dangol tells it, from its configuration."""

    experiment: str

    @property
    def key(self) -> str:
        """`experiment:<name>`."""
        return experiment_key(self.experiment)
