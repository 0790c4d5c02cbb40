"""Answers as they would have been at some moment: the log up to then, folded apart from everything that is kept.

The newest snapshot whose facts were all known then is used; if there is none, one is trained from what was known and
kept for the next time. The configuration is today's.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from ingest.catalog import CatalogueView
from ingest.erasure import facts_about
from ingest.privacy import Alias
from ingest.vocabulary.events import RankingShown, Recorded
from ingest.vocabulary.ids import FROM_THE_START, Subject
from personalization.customer.profile import Profile
from personalization.customer.projection import ProfileProjection
from recommender.live import LiveModels
from recommender.snapshot import Publication
from recommender.tail import Tail
from serving.moment import ModelsOnShelf, TailFollower, ordered_products
from serving.recommendations import LiveModelsOfMoment, Recommendations

if TYPE_CHECKING:
    from serving.engine import Engine


def recommendations_at(engine: Engine, moment: datetime) -> Recommendations:
    """The service that answers as it would have at `moment`. Cost: a scan of the log, perhaps a training."""
    publication = engine.snapshots.known_at(moment) or _train_until(engine, moment)
    snapshot = engine.snapshots.open(publication.snapshot_id)
    catalogue = CatalogueView()
    tail = Tail(catalogue.index, snapshot, FROM_THE_START, engine.configuration.models)
    follower = TailFollower(tail)
    for batch in _known(engine, moment):
        catalogue.follow(batch)
        follower.follow([recorded for recorded in batch if not is_in(publication, recorded)])
    catalogue.hear_of(ordered_products(snapshot))
    models = ModelsOnShelf(LiveModels(snapshot, tail, catalogue.index, catalogue.product), catalogue)
    now = LiveModelsOfMoment(models, snapshot.snapshot_id, ())
    return Recommendations(
        directory=engine.keyring,
        profile_of=lambda subject: _profile_at(engine, subject, moment),
        shelf=catalogue,
        models=lambda: now,
        placements=engine.configuration.placements,
        configuration_id=engine.configuration_id,
        tokens=engine.tokens,
        clock=_Stopped(moment),
        shown=_unrecorded,
        catalogue_version=lambda: catalogue.version,
    )


class _Stopped:
    """A clock that stands still."""

    def __init__(self, moment: datetime) -> None:
        self._moment = moment

    def now(self) -> datetime:
        """The moment."""
        return self._moment


def is_in(publication: Publication, recorded: Recorded) -> bool:
    """Whether a snapshot has seen a fact: one of the past has left out what stood in the log, but was not known yet."""
    position = recorded.position
    return position.offset <= publication.cut[position.partition] and recorded.event.known_at <= publication.known_until


def _train_until(engine: Engine, moment: datetime) -> Publication:
    engine.train(until=moment)
    publication = engine.snapshots.known_at(moment)
    assert publication is not None, "a snapshot of the past is noted when it is trained"
    return publication


def _known(engine: Engine, moment: datetime) -> list[list[Recorded]]:
    """What was known at a moment, partition by partition."""
    return [
        [recorded for recorded in batch if recorded.event.known_at <= moment]
        for batch in engine.batches(engine.store.positions())
    ]


def _profile_at(engine: Engine, subject: Subject, moment: datetime) -> Profile | None:
    projection, profile = ProfileProjection(), None
    for recorded in facts_about(engine.log, engine.keyring, subject):
        if recorded.event.key == subject and recorded.event.known_at <= moment and projection.keys(recorded):
            profile = projection.evolve(profile, recorded)
    return profile


def _unrecorded(_: RankingShown, __: Alias | None) -> None:
    """An answer about the past is shown to nobody who could click."""
