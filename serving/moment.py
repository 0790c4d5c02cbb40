"""The models of the moment: the published snapshot and its tail, swapped together when a new one is published."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import structlog

from ingest.catalog import CatalogueView
from ingest.folding.followers import FoldedStates
from ingest.vocabulary.buyers import Thresholds
from ingest.vocabulary.errors import Corrupt, NotFound
from ingest.vocabulary.events import ProductUpserted, Recorded
from ingest.vocabulary.ids import FROM_THE_START, ProductId
from ingest.vocabulary.ports import StateStore
from ingest.vocabulary.ranking import Candidates, Degradation
from personalization.customer.profile import Profile
from personalization.customer.segments import segment_of
from recommender.buyers import thresholds_in
from recommender.configuration import TrainingConfiguration
from recommender.live import LiveModels
from recommender.segments import Segment, TailProjection, entry_of, segment_key
from recommender.snapshot import Publication, Snapshot, SnapshotStore
from recommender.tail import Tail
from serving.recommendations import LiveModelsOfMoment

_log = structlog.get_logger(__name__)


class ModelsOnShelf:
    """The recommender's models behind the page's Protocol: categories come by name or path."""

    def __init__(self, models: LiveModels, catalogue: CatalogueView) -> None:
        self._models, self._catalogue = models, catalogue
        self.bought_together, self.similar = models.bought_together, models.similar
        self.other_styles, self.ranked, self.kinds = models.other_styles, models.ranked, models.kinds
        self.telling, self.affinity, self.strongest = models.telling, models.affinity, models.strongest

    def popular(self, category: str | None, limit: int) -> Candidates:
        """What sells best in a category, or in the whole shop; a name that several categories have means the first."""
        if category is None:
            return self._models.popular(None, limit)
        paths = self._catalogue.category_paths(category)
        return self._models.popular(paths[0] if paths else (category,), limit)

    def trending(self, limit: int) -> Candidates:
        """What sells better than it used to."""
        return self._models.trending(limit)


class TailFollower:
    """Applies committed facts to a tail."""

    def __init__(self, tail: Tail) -> None:
        self._tail = tail

    def follow(self, batch: Sequence[Recorded]) -> None:
        """Count what the models care about."""
        for recorded in batch:
            if isinstance(recorded.event, ProductUpserted):
                self._tail.restate(recorded.event.product_id)
            entry = entry_of(recorded.event, recorded.position.offset)
            if entry is not None:
                self._tail.apply(recorded.position.partition, entry)


class Moment:
    """Holds the models that answer now; `refresh` swaps them when another snapshot was published."""

    def __init__(
        self,
        snapshots: SnapshotStore,
        store: StateStore,
        projector: FoldedStates,
        catalogue: CatalogueView,
        configuration: TrainingConfiguration,
    ) -> None:
        self._snapshots, self._store, self._projector = snapshots, store, projector
        self._catalogue, self._configuration = catalogue, configuration
        self._lock = threading.Lock()
        self._publication: Publication | None = None
        self._follower: TailFollower | None = None
        self._now: LiveModelsOfMoment | None = None
        self._thresholds: Thresholds | None = None

    @property
    def publication(self) -> Publication | None:
        """What is published and answers."""
        return self._publication

    def now(self) -> LiveModelsOfMoment:
        """The models that answer now."""
        now = self._now
        assert now is not None, "refresh() comes first"
        return now

    def segment_of(self, profile: Profile, now_ms: int) -> str | None:
        """The segment of a customer, by what the published snapshot knows of the shop's buyers."""
        thresholds = self._thresholds
        return None if thresholds is None else segment_of(profile, thresholds, now_ms)

    def refresh(self) -> bool:
        """Pick up what was published since; whether there was anything. Answers go on meanwhile."""
        with self._lock:
            publication = self._snapshots.current()
            if self._now is not None and publication == self._publication:
                return False
            snapshot, degraded = self._open(publication)
            tail, follower = self._tail_of(snapshot, publication)
            models = LiveModels(snapshot, tail, self._catalogue.index, self._catalogue.product)
            self._now = LiveModelsOfMoment(
                ModelsOnShelf(models, self._catalogue), None if snapshot is None else snapshot.snapshot_id, degraded
            )
            if self._follower is not None:
                self._projector.detach(self._follower)
            self._publication, self._follower = publication, follower
            self._thresholds = thresholds_in(snapshot)
            return True

    def _open(self, publication: Publication | None) -> tuple[Snapshot | None, tuple[Degradation, ...]]:
        if publication is None:
            return None, ("snapshot",)
        try:
            return self._snapshots.open(publication.snapshot_id), ()
        except (Corrupt, NotFound) as error:
            _log.error("the published snapshot cannot be used; the tail alone answers", reason=error.message)
            return None, ("snapshot",)

    def _tail_of(self, snapshot: Snapshot | None, publication: Publication | None) -> tuple[Tail, TailFollower]:
        """A tail up to date and following: kept segments first, then what was committed while they were read."""
        cut = FROM_THE_START if snapshot is None or publication is None else publication.cut
        tail = Tail(self._catalogue.index, snapshot, cut, self._configuration)
        since = self._store.positions()
        tail.apply_segments(kept_segments(self._store, cut))
        self._catalogue.hear_of(ordered_products(snapshot))
        follower = TailFollower(tail)
        self._projector.attach(follower, since=since)
        return tail, follower


def kept_segments(store: StateStore, cut: Sequence[int]) -> Iterator[tuple[str, Segment]]:
    """The segments that reach beyond a cut, in order of their keys."""
    decode = TailProjection().decode
    first = [segment_key(partition, max(offset, 0)) for partition, offset in enumerate(cut)]
    for key, stored in store.scan(TailProjection.name):
        if key >= first[int(key.partition(":")[0])]:
            yield key, decode(stored)


def ordered_products(snapshot: Snapshot | None) -> list[ProductId]:
    """The products of a snapshot that were ever ordered."""
    if snapshot is None:
        return []
    products: list[ProductId] = snapshot.unpack("products", list[ProductId])
    rows = sorted(set(snapshot["bought_together.order_product"].tolist()))
    return [products[row] for row in rows]
