"""Every fact Dangol keeps, as frozen past-tense structs.

A fact about a person carries a random `subject`, never the shop's customer id; whatever identifies the person
(ids, contact data, IP, user agent, free text) is sealed in `personal` under the subject's own key. A fact about a
product is keyed by the product, one about an experiment by its name. Stored form and versions: `codec.py`.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal

import msgspec

from ingest.vocabulary.context import Context
from ingest.vocabulary.ids import (
    EventId,
    OrderId,
    Position,
    ProductId,
    RequestId,
    SnapshotId,
    Subject,
    experiment_key,
    product_key,
)
from ingest.vocabulary.products import Availability, Product


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


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of an order or cart: `quantity` is positive; `price` is per unit in the event's currency."""

    product_id: ProductId
    quantity: int = 1
    price: Decimal | None = None


class ProductViewed(CustomerEvent, frozen=True, kw_only=True):
    """A product page was looked at; `request_id` names the row that led there."""

    product_id: ProductId
    list_id: str | None = None
    request_id: RequestId | None = None


class ListViewed(CustomerEvent, frozen=True, kw_only=True):
    """A category, collection or other list was looked at."""

    list_id: str | None = None
    category: tuple[str, ...] = ()
    product_ids: tuple[ProductId, ...] = ()


class Searched(CustomerEvent, frozen=True, kw_only=True):
    """A search was made; the words are personal and sealed, the products shown are not."""

    results: int | None = None
    product_ids: tuple[ProductId, ...] = ()


class ProductAdded(CustomerEvent, frozen=True, kw_only=True):
    """A product was put into the cart."""

    product_id: ProductId
    quantity: int = 1
    price: Decimal | None = None
    currency: str | None = None
    request_id: RequestId | None = None


class ProductRemoved(CustomerEvent, frozen=True, kw_only=True):
    """A product was taken out of the cart; no quantity means all of it."""

    product_id: ProductId
    quantity: int | None = None


class WishlistAdded(CustomerEvent, frozen=True, kw_only=True):
    """A product was put on the wish list."""

    product_id: ProductId


class WishlistRemoved(CustomerEvent, frozen=True, kw_only=True):
    """A product was taken off the wish list."""

    product_id: ProductId


class CheckoutStarted(CustomerEvent, frozen=True, kw_only=True):
    """The checkout was entered."""

    order_id: OrderId | None = None
    lines: tuple[Line, ...] = ()


class OrderCompleted(CustomerEvent, frozen=True, kw_only=True):
    """An order was placed. Its event id is derived from the order id, so it happens once whoever reports it."""

    order_id: OrderId
    currency: str | None = None
    lines: tuple[Line, ...] = ()


class OrderRefunded(CustomerEvent, frozen=True, kw_only=True):
    """Some lines came back; without lines, the whole order."""

    order_id: OrderId
    currency: str | None = None
    lines: tuple[Line, ...] = ()


class OrderCancelled(CustomerEvent, frozen=True, kw_only=True):
    """An order was called off as a whole; it never counts as evidence again."""

    order_id: OrderId


class ProductReviewed(CustomerEvent, frozen=True, kw_only=True):
    """A product was rated from 0 to 5; the words are sealed."""

    product_id: ProductId
    rating: float | None = None


class CustomerIdentified(CustomerEvent, frozen=True, kw_only=True):
    """The visitor turned out to be a known customer: `subject` is the visitor's, `known` the customer's.

    They are equal when there was nothing to link.
    """

    known: Subject


class ConsentChanged(CustomerEvent, frozen=True, kw_only=True):
    """What the person agreed to, by purpose; an absent purpose is unchanged."""

    purposes: dict[str, bool]


class RankingShown(CustomerEvent, frozen=True, kw_only=True):
    """A list was answered: what went in, what came out, and with which probability it was chosen.

    Attributes:
        product_ids: in the order shown, which is their position.
        impersonal: whoever had asked the same would have been answered so; positions of such lists can be compared.
    """

    request_id: RequestId
    placement: str
    product_ids: tuple[ProductId, ...]
    seeds: tuple[ProductId, ...] = ()
    category: tuple[str, ...] = ()
    snapshot: SnapshotId | None = None
    configuration: str | None = None
    seed: int = 0
    profile_offset: int | None = None
    catalogue_version: int | None = None
    propensity: float = 1.0
    degraded: tuple[str, ...] = ()
    impersonal: bool = False


class HomepageShown(CustomerEvent, frozen=True, kw_only=True):
    """A homepage was answered: the situation it was chosen in, the variant, and with which probability.

    Attributes:
        variant: the name of what was shown.
        policy: what chose it: `rule`, `default`, `bandit` or `experiment`.
        rule: why, in words.
        learner: the name under which a bandit learns from this decision; None where nothing is to be learned.
        eligible: every variant there was to choose from, with its probability; they sum to 1.
        propensity: the probability of the variant that was shown, as drawn.
        held_out: the person always gets what the rules say, to compare with.
        features: the situation as numbers, as a contextual bandit saw it.
        facts: what is known of the situation, by the fields of conditions; no place finer than a city.
        rows: the request ids of the rows of the page.
    """

    request_id: RequestId
    variant: str
    policy: str = "rule"
    rule: str = ""
    learner: str | None = None
    eligible: dict[str, float] = {}
    propensity: float = 1.0
    held_out: bool = False
    experiment: str | None = None
    arm: str | None = None
    features: tuple[float, ...] = ()
    facts: dict[str, str | float] = {}
    rows: tuple[RequestId, ...] = ()
    configuration: str | None = None
    degraded: tuple[str, ...] = ()


Shown = RankingShown | HomepageShown  # what Dangol itself did: nobody sends it, and it says nothing about a person


class RankingClicked(CustomerEvent, frozen=True, kw_only=True):
    """A product of a shown list was clicked."""

    request_id: RequestId
    product_id: ProductId
    placement: str | None = None
    position: int | None = None


class EmailSent(CustomerEvent, frozen=True, kw_only=True):
    """An e-mail left."""

    campaign: str | None = None


class EmailOpened(CustomerEvent, frozen=True, kw_only=True):
    """An e-mail was opened."""

    campaign: str | None = None


class EmailClicked(CustomerEvent, frozen=True, kw_only=True):
    """A link of an e-mail was followed."""

    campaign: str | None = None
    product_id: ProductId | None = None


class Custom(CustomerEvent, frozen=True, kw_only=True):
    """Something the shop names itself; kept, and left to the shop to use."""

    name: str
    properties: dict[str, str | float | bool | None] = {}


class ProfileMerged(CustomerEvent, frozen=True, kw_only=True):
    """The history of `absorbed` moved here, once, as the bounded profile it had become (its encoded bytes)."""

    absorbed: Subject
    profile: bytes


class CustomerErased(CustomerEvent, frozen=True, kw_only=True):
    """The person is to be forgotten: readers drop the subject, then its key is destroyed."""


class VisitorExpired(CustomerEvent, frozen=True, kw_only=True):
    """A visitor nobody knows was away for too long: what is remembered is dropped, unless they were seen again.

    It is a fact, so that replaying the log drops the same visitors at the same place, whatever the time is then.

    Attributes:
        last_seen_at: when they were last seen, as far as was known when it was decided.
    """

    last_seen_at: datetime


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


AnyEvent = (
    ProductViewed
    | ListViewed
    | Searched
    | ProductAdded
    | ProductRemoved
    | WishlistAdded
    | WishlistRemoved
    | CheckoutStarted
    | OrderCompleted
    | OrderRefunded
    | OrderCancelled
    | ProductReviewed
    | CustomerIdentified
    | ConsentChanged
    | RankingShown
    | HomepageShown
    | RankingClicked
    | EmailSent
    | EmailOpened
    | EmailClicked
    | Custom
    | ProfileMerged
    | CustomerErased
    | VisitorExpired
    | ProductUpserted
    | ProductDeleted
    | PriceChanged
    | StockChanged
    | ExperimentStarted
    | ExperimentChanged
    | ExperimentStopped
)


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """A fact and its place in the log."""

    position: Position
    event: Event
