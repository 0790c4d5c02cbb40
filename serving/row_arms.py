"""Which way a row is ranked, where its placement has several; and what has to be known to learn from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ingest.privacy import Alias
from ingest.vocabulary.clock import Clock, epoch_ms
from ingest.vocabulary.events import Chosen
from ingest.vocabulary.ids import RequestId, Subject, new_request_id
from ingest.vocabulary.ranking import Arm
from personalization.customer.profile import Profile
from personalization.customer.touches import NO_TOUCHES
from personalization.experiments.arms import Arms
from personalization.homepage.features import features_of
from personalization.homepage.fields import facts_of
from personalization.page.placements import Placement, with_arm
from personalization.situation.resolve import Seen, resolve
from serving.ask import Ask


class RowChoice(NamedTuple):
    """How a row is ranked.

    Attributes:
        request_id: of the row; the arm was drawn for it.
        placement: as the arm ranks it.
        alias: by whom the subject of a new visitor is to be found, where something is learned.
    """

    request_id: RequestId
    placement: Placement
    chosen: Chosen
    alias: Alias | None

    @property
    def experiment(self) -> Arm | None:
        """The experiment's arm, as it is answered."""
        chosen = self.chosen
        return None if chosen.experiment is None else Arm(chosen.experiment, chosen.arm, chosen.propensity)


class RowArms:
    """Chooses how rows are ranked. Any thread may ask.

    Args:
        arms: of the placements that have several, by name.
    """

    def __init__(self, arms: Mapping[str, Arms], clock: Clock) -> None:
        self._arms, self._clock = arms, clock

    def choose(
        self, placement: Placement, ask: Ask, subject: Subject | None, profile: Profile | None, alias: Alias | None
    ) -> RowChoice | None:
        """How a row is ranked; None where there is but one way. Cost: some 30 µs, contextual 0.3 ms more.

        Args:
            alias: names whoever asks; None where nobody does, or it cannot be told who it is.
        """
        arms = self._arms.get(placement.name)
        if arms is None:
            return None
        now = self._clock.now()
        request_id = new_request_id(epoch_ms(now))

        def features() -> tuple[float, ...]:
            touches = NO_TOUCHES if profile is None else profile.touches
            situation = resolve(Seen(now=now, stated=ask.context, profile=profile, touches=touches))
            return features_of(facts_of(situation, now))

        chosen = arms.choose(request_id, subject, learns=alias is not None, features=features)
        return RowChoice(request_id, with_arm(placement, chosen.arm), chosen, None if subject is not None else alias)
