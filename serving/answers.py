"""What answering needs beside the log and the states, loaded by the processes that answer."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from ingest.catalog import CatalogueView
from ingest.folding.followers import FoldedStates
from ingest.privacy import Alias
from ingest.vocabulary.events import Recorded
from ingest.vocabulary.ids import ProductId, Subject
from personalization.customer.profile import Profile
from personalization.customer.projection import ProfileProjection
from personalization.experiments.arms import Tables
from personalization.experiments.learning import LearningSettings
from serving.circuit import Circuit
from serving.home.making import EqualTables, Home, days_of, homepages_of, row_arms_of, weather_of
from serving.home.places import places_of
from serving.moment import Moment
from serving.recommendations import Directory, Recommendations
from serving.shown import ShownLists

if TYPE_CHECKING:
    from serving.engine import Engine
    from serving.learned import Learners


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
        engine.projector.attach(_Freshness(engine), since=engine.store.positions())
        self.shown = ShownLists(
            engine.log,
            engine.keyring.resolve,
            on_dropped=engine.metrics.shown_dropped.inc,
            on_written=engine.metrics.shown_written.inc,
        )
        self.learners = learners_of(engine)
        circuit = Circuit(lambda opened: engine.metrics.circuit_open.set(opened))
        self.recommendations = Recommendations(
            directory=_GuardedDirectory(engine.keyring, circuit),
            profile_of=lambda subject: circuit.call(profile_of, engine.projector, subject),
            shelf=self.catalogue,
            models=self.moment.now,
            placements=engine.configuration.placements,
            configuration_id=engine.configuration_id,
            tokens=engine.tokens,
            clock=engine.clock,
            shown=self.shown.put,
            catalogue_version=lambda: self.catalogue.version,
            answered=engine.metrics.row_answered,
            arms=row_arms_of(engine.configuration, partial(tables_of, self.learners), engine.clock),
        )
        self._home: Home | None = None
        self._home_lock = threading.Lock()
        self._engine = engine

    @property
    def home(self) -> Home:
        """What answers homepages, made when first asked for."""
        with self._home_lock:
            if self._home is None:
                self._home = self._made_home(self._engine)
            return self._home

    def close(self) -> None:
        """Write the queue of what was shown, ask for no more weather."""
        if self._home is not None:
            self._home.weather.close()
        self.shown.close()

    def _made_home(self, engine: Engine) -> Home:
        configuration = engine.configuration
        weather = weather_of(configuration.weather, engine.weather_key, engine.clock)
        days = days_of(configuration)
        homepages = homepages_of(
            configuration,
            rows=self.recommendations,
            places=places_of(configuration.places, engine.folder),
            weather=weather,
            days=days,
            tables=partial(tables_of, self.learners),
            price_of=self._price_of,
            segment_of=self.moment.segment_of,
            clock=engine.clock,
            shown=self.shown.put,
        )
        return Home(homepages, weather, days)

    def _price_of(self, product_id: ProductId) -> float | None:
        """What a product costs now, if that is known."""
        row = self.catalogue.find(product_id)
        price = math.nan if row is None or row >= len(self.catalogue.price) else self.catalogue.price.item(row)
        return None if math.isnan(price) else price


def learners_of(engine: Engine) -> Learners | None:
    """Everything that learns, with what was learned; None where nothing does."""
    settings = engine.configuration.learning
    if not settings:
        return None
    from serving.learned import Learners  # a shop that learns nothing needs no special functions

    learners = Learners(engine.store.scan, lambda: engine.is_complete, settings)
    learners.refresh()
    return learners


def tables_of(learners: Learners | None, settings: LearningSettings) -> Tables:
    """The tables of a policy; where it does not learn, all arms are alike."""
    return EqualTables() if learners is None or settings.policy == "rule" else learners.of(settings)


class _Freshness:
    """Notes how long live facts took until this process knew them."""

    def __init__(self, engine: Engine) -> None:
        self._clock, self._observe = engine.clock, engine.metrics.freshness.observe

    def follow(self, batch: Sequence[Recorded]) -> None:
        """Observe the oldest live fact of a batch: the others waited less."""
        received = [recorded.event.received_at for recorded in batch if not recorded.event.imported]
        if received:
            self._observe((self._clock.now() - min(received)).total_seconds())


class _GuardedDirectory:
    """Finds subjects, unless what knows them is away."""

    def __init__(self, directory: Directory, circuit: Circuit) -> None:
        self._directory, self._circuit = directory, circuit

    def find(self, alias: Alias) -> Subject | None:
        """The subject behind an id, if the id is known."""
        return self._circuit.call(self._directory.find, alias)


def profile_of(projector: FoldedStates, subject: Subject) -> Profile | None:
    """The profile of a subject; that of the customer a visitor turned out to be."""
    profile: Profile | None = projector.state(ProfileProjection.name, subject)
    if profile is not None and profile.merged_into is not None:
        known: Profile | None = projector.state(ProfileProjection.name, profile.merged_into)
        return known or profile
    return profile
