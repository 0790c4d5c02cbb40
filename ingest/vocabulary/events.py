"""Every fact Dangol keeps, as frozen past-tense structs.

A fact about a person carries a random `subject`, never the shop's customer id; whatever identifies the person
(ids, contact data, IP, user agent, free text) is sealed in `personal` under the subject's own key. A fact about a
product is keyed by the product, one about an experiment by its name. Stored form and versions: `codec.py`.
"""

from __future__ import annotations

import msgspec

from ingest.vocabulary.facts.behaviour import (
    CheckoutStarted,
    Custom,
    EmailClicked,
    EmailOpened,
    EmailSent,
    Line,
    ListViewed,
    OrderCancelled,
    OrderCompleted,
    OrderRefunded,
    ProductAdded,
    ProductRemoved,
    ProductReviewed,
    ProductViewed,
    Searched,
    WishlistAdded,
    WishlistRemoved,
)
from ingest.vocabulary.facts.envelope import (
    CatalogueEvent,
    CustomerEvent,
    Event,
    ExperimentEvent,
)
from ingest.vocabulary.facts.people import (
    ConsentChanged,
    CustomerErased,
    CustomerIdentified,
    DecisionsMerged,
    ProfileMerged,
    VisitorExpired,
)
from ingest.vocabulary.facts.shop import (
    ExperimentChanged,
    ExperimentConfigured,
    ExperimentStarted,
    ExperimentStopped,
    PriceChanged,
    ProductDeleted,
    ProductUpserted,
    StockChanged,
)
from ingest.vocabulary.facts.showing import (
    Asked,
    Chosen,
    HomepageShown,
    RankingClicked,
    RankingShown,
    Shown,
    Terms,
)
from ingest.vocabulary.ids import Position

__all__ = (
    "AnyEvent",
    "Asked",
    "CatalogueEvent",
    "CheckoutStarted",
    "Chosen",
    "ConsentChanged",
    "Custom",
    "CustomerErased",
    "CustomerEvent",
    "CustomerIdentified",
    "DecisionsMerged",
    "EmailClicked",
    "EmailOpened",
    "EmailSent",
    "Event",
    "ExperimentChanged",
    "ExperimentConfigured",
    "ExperimentEvent",
    "ExperimentStarted",
    "ExperimentStopped",
    "HomepageShown",
    "Line",
    "ListViewed",
    "OrderCancelled",
    "OrderCompleted",
    "OrderRefunded",
    "PriceChanged",
    "ProductAdded",
    "ProductDeleted",
    "ProductRemoved",
    "ProductReviewed",
    "ProductUpserted",
    "ProductViewed",
    "ProfileMerged",
    "RankingClicked",
    "RankingShown",
    "Recorded",
    "Searched",
    "Shown",
    "StockChanged",
    "Terms",
    "VisitorExpired",
    "WishlistAdded",
    "WishlistRemoved",
)

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
    | DecisionsMerged
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
