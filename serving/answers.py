"""What answering needs beside the log and the states, loaded by the processes that answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest.catalog import CatalogueView
from ingest.folding.followers import FoldedStates
from ingest.vocabulary.ids import Subject
from personalization.customer.profile import Profile
from personalization.customer.projection import ProfileProjection
from serving.moment import Moment
from serving.recommendations import Recommendations
from serving.shown import ShownLists

if TYPE_CHECKING:
    from serving.engine import Engine


class Answers:
    """What answering needs: the catalogue in memory, the models of the moment, the queue of shown lists."""

    def __init__(self, engine: Engine) -> None:
        self._projector = engine.projector
        self.catalogue = CatalogueView()
        since = engine.store.positions()
        self.catalogue.load(engine.store)
        engine.projector.attach(self.catalogue, since=since)
        self.moment = Moment(
            engine.snapshots, engine.store, engine.projector, self.catalogue, engine.configuration.models
        )
        self.moment.refresh()
        self.shown = ShownLists(
            engine.log,
            on_dropped=engine.metrics.shown_dropped.inc,
            on_written=engine.metrics.shown_written.inc,
        )
        self.recommendations = Recommendations(
            directory=engine.keyring,
            profile_of=lambda subject: profile_of(engine.projector, subject),
            shelf=self.catalogue,
            models=self.moment.now,
            placements=engine.configuration.placements,
            configuration_id=engine.configuration_id,
            tokens=engine.tokens,
            clock=engine.clock,
            shown=self.shown.put,
            catalogue_version=lambda: self.catalogue.version,
        )

    def close(self) -> None:
        """Write the queue of shown lists."""
        self.shown.close()


def profile_of(projector: FoldedStates, subject: Subject) -> Profile | None:
    """The profile of a subject; that of the customer a visitor turned out to be."""
    profile: Profile | None = projector.state(ProfileProjection.name, subject)
    if profile is not None and profile.merged_into is not None:
        known: Profile | None = projector.state(ProfileProjection.name, profile.merged_into)
        return known or profile
    return profile
