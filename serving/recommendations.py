"""From a request to an answered row: who asks, what is known of them, the ranking, the reasons, the record of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, Protocol

import msgspec
import structlog

from ingest.click_tokens import ClickTokens
from ingest.privacy import Alias
from ingest.vocabulary.clock import Clock, epoch_ms
from ingest.vocabulary.errors import NotFound, Unavailable
from ingest.vocabulary.events import RankingShown
from ingest.vocabulary.ids import (
    AnonymousId,
    CustomerId,
    EventId,
    ProductId,
    RequestId,
    SnapshotId,
    Subject,
    new_request_id,
    new_subject,
)
from ingest.vocabulary.ranking import Answer, Degradation, Item, ReasonKind
from personalization.customer.profile import Profile
from personalization.page.feed import Ranking, rank, rank_page
from personalization.page.placements import Placement
from personalization.page.reasons import items
from personalization.page.request import RowRequest
from personalization.page.shelf import Models, Shelf
from serving.ask import Ask
from serving.asked import asked_of, part_beside_bytes_max
from serving.row_arms import RowArms, RowChoice

SHOWN_PRODUCTS_MAX = 30  # a record of a shown list stays below a kilobyte; nobody looks further down
SHOWN_BESIDE_MAX = 16  # where more is recorded: what else was asked, or which way of ranking it was
SHOWN_SEEDS_MAX = 5
SOURCE = "dangol"
FOR_ALL: frozenset[ReasonKind] = frozenset({"popular", "trending", "new", "pinned", "fallback_popular"})
FROM_SEEDS: frozenset[ReasonKind] = frozenset({"bought_together", "similar", "other_style"})

_log = structlog.get_logger(__name__)


class LiveModelsOfMoment(NamedTuple):
    """The models that answer now, the snapshot they stem from, and what of them is missing."""

    models: Models
    snapshot_id: SnapshotId | None
    degraded: tuple[Degradation, ...]


class Person(NamedTuple):
    """Who asks, what is known of them, and what of that could not be had."""

    subject: Subject | None
    profile: Profile | None
    degraded: tuple[Degradation, ...] = ()


NOBODY = Person(None, None)


class Directory(Protocol):
    """Finds subjects by the shop's ids."""

    def find(self, alias: Alias) -> Subject | None:
        """The subject behind an id, if the id is known."""
        ...


class UnknownPlacement(NotFound):
    """There is no such placement; the known ones are listed."""

    code = "unknown_placement"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"there is no placement {name!r}; there are {', '.join(known)}")
        self.known = tuple(known)


class Recommendations:
    """Answers rows.

    Args:
        directory: subjects by id.
        profile_of: the profile of a subject; Unavailable degrades the answer.
        shelf: the catalogue.
        models: the models of the moment.
        placements: by name.
        configuration_id: what decided, for the record.
        tokens: signs clicks.
        clock: dates the record.
        shown: takes the record of what was shown; it must not wait. With an alias, the subject is yet to be found.
        catalogue_version: the version of the shelf, for the record.
        answered: told of each row, and whether it was degraded.
        arms: choose how rows are ranked, where any placement has several ways.
    """

    def __init__(
        self,
        *,
        directory: Directory,
        profile_of: Callable[[Subject], Profile | None],
        shelf: Shelf,
        models: Callable[[], LiveModelsOfMoment],
        placements: Mapping[str, Placement],
        configuration_id: str,
        tokens: ClickTokens,
        clock: Clock,
        shown: Callable[[RankingShown, Alias | None], None],
        catalogue_version: Callable[[], int],
        answered: Callable[[str, bool], None] = lambda _, __: None,
        arms: RowArms | None = None,
    ) -> None:
        self._directory, self._profile_of, self._shelf, self._models = directory, profile_of, shelf, models
        self._placements, self._configuration_id = placements, configuration_id
        self._tokens, self._clock, self._shown = tokens, clock, shown
        self._catalogue_version, self._on_answered, self._arms = catalogue_version, answered, arms

    def answer(self, placement: str, ask: Ask, *, record: bool = True) -> Answer:
        """The row of a placement.

        Raises:
            UnknownPlacement: there is none of that name.
        """
        chosen = self._placement(placement)
        person = self.person_of(ask)
        choice = self._chosen(chosen, ask, person)
        moment = self._models()
        how = chosen if choice is None else choice.placement
        ranking = rank(row_request(ask), how, person.profile, self._shelf, moment.models)
        return self._answered(ranking, ask, person, moment, record, choice)

    def answer_page(self, placements: Sequence[str], ask: Ask) -> list[Answer]:
        """The rows of a page, with no product in two of them.

        Raises:
            UnknownPlacement: one of the names is unknown.
        """
        chosen = [self._placement(name) for name in placements]
        return self.answer_rows(chosen, ask, self.person_of(ask), record=True)

    def answer_rows(self, placements: Sequence[Placement], ask: Ask, person: Person, *, record: bool) -> list[Answer]:
        """The rows of a page from top to bottom, for somebody who is known already, with no product in two of them."""
        choices = [self._chosen(placement, ask, person) for placement in placements]
        how = [
            placement if choice is None else choice.placement
            for placement, choice in zip(placements, choices, strict=True)
        ]
        moment = self._models()
        rankings = rank_page(row_request(ask), how, person.profile, self._shelf, moment.models)
        return [
            self._answered(ranking, ask, person, moment, record, choice)
            for ranking, choice in zip(rankings, choices, strict=True)
        ]

    def visitor_is(self, anonymous_id: AnonymousId | None, customer_id: CustomerId) -> bool:
        """Whether a visitor was identified as a customer."""
        if anonymous_id is None:
            return False
        customer = self._directory.find(Alias("customer", customer_id))
        return customer is not None and customer == self._directory.find(Alias("anonymous", anonymous_id))

    def _placement(self, name: str) -> Placement:
        placement = self._placements.get(name)
        if placement is None:
            raise UnknownPlacement(name, sorted(self._placements))
        return placement

    def person_of(self, ask: Ask) -> Person:
        """Who asks and what is known of them; an unknown customer may be a known visitor."""
        try:
            for alias in _aliases(ask):
                subject = self._directory.find(alias)
                if subject is not None:
                    return Person(subject, self._profile_of(subject))
        except Unavailable as error:
            _log.warning("answering without a profile", reason=error.message)
            return NOBODY._replace(degraded=("profiles",))
        return NOBODY

    def _chosen(self, placement: Placement, ask: Ask, person: Person) -> RowChoice | None:
        """How a row is ranked; None where there is but one way. Who refused has no part in it but as anybody."""
        if self._arms is None:
            return None
        personal = person.profile is None or person.profile.personalized
        alias = next(iter(_aliases(ask)), None) if personal and not person.degraded else None
        profile, subject = (person.profile, person.subject) if personal else (None, None)
        return self._arms.choose(placement, ask, subject, profile, alias)

    def _answered(
        self,
        ranking: Ranking,
        ask: Ask,
        person: Person,
        moment: LiveModelsOfMoment,
        record: bool,
        choice: RowChoice | None,
    ) -> Answer:
        now = self._clock.now()
        request_id = new_request_id(epoch_ms(now)) if choice is None else choice.request_id
        tokens = partial(self._tokens.sign_row, request_id, ranking.placement)
        row = items(ranking.picks, person.profile, self._shelf, tokens)
        answer = Answer(
            request_id=request_id,
            placement=ranking.placement,
            snapshot=moment.snapshot_id,
            configuration=self._configuration_id,
            degraded=moment.degraded + person.degraded,
            experiment=None if choice is None else choice.experiment,
            items=row,
            explanation=_explained(ranking, choice) if ask.explain else msgspec.UNSET,
        )
        if record:
            self._on_answered(ranking.placement, bool(answer.degraded))
            self._record(answer, ask, person, choice, now)
        return answer

    def _record(self, answer: Answer, ask: Ask, person: Person, choice: RowChoice | None, now: datetime) -> None:
        """What was shown becomes a fact, in a kilobyte."""
        asked = asked_of(ask) if choice is None else asked_of(ask, part_beside_bytes_max)
        most = SHOWN_PRODUCTS_MAX if choice is None and asked is None else SHOWN_BESIDE_MAX
        shown = RankingShown(
            event_id=EventId(answer.request_id),
            occurred_at=now,
            received_at=now,
            source=SOURCE,
            subject=person.subject or new_subject(),
            context=ask.context,
            request_id=answer.request_id,
            placement=answer.placement,
            product_ids=tuple(item.product_id for item in answer.items[:most]),
            seeds=ask.product_ids[:SHOWN_SEEDS_MAX],
            category=ask.category,
            snapshot=None if answer.snapshot is None else SnapshotId(answer.snapshot),
            configuration=self._configuration_id,
            seed=seed_of(answer.request_id),
            catalogue_version=self._catalogue_version(),
            propensity=1.0 if choice is None else choice.chosen.propensity,
            degraded=answer.degraded,
            impersonal=is_impersonal(answer.items, ask.product_ids),
            choice=None if choice is None else choice.chosen,
            asked=asked,
        )
        self._shown(shown, None if choice is None else choice.alias)


def row_request(ask: Ask) -> RowRequest:
    """What the page is asked."""
    return RowRequest(
        product_ids=ask.product_ids,
        category=" > ".join(ask.category) or None,
        limit=ask.limit,
        exclude=ask.exclude,
        filter=ask.filter,
        context=ask.context,
        explain=ask.explain,
    )


def is_impersonal(row: Sequence[Item], asked: Sequence[ProductId]) -> bool:
    """Whether anybody who asked the same would be answered in this order: every reason rests on what was asked.

    What somebody has in the cart or bought may still be missing from it, which moves what is behind.
    """
    return len(asked) <= SHOWN_SEEDS_MAX and all(
        item.reason.kind in FOR_ALL
        or (item.reason.kind in FROM_SEEDS and asked and set(item.reason.because) <= {*asked})
        for item in row
    )


def seed_of(request_id: RequestId) -> int:
    """The seed of whatever is drawn at random for a request, so that it can be drawn again."""
    return int.from_bytes(hashlib.blake2b(request_id.encode(), digest_size=6).digest())


def _aliases(ask: Ask) -> list[Alias]:
    aliases = [] if ask.customer_id is None else [Alias("customer", ask.customer_id)]
    return aliases if ask.anonymous_id is None else [*aliases, Alias("anonymous", ask.anonymous_id)]


def _explained(ranking: Ranking, choice: RowChoice | None) -> dict[str, Any]:
    told = {"placement": ranking.placement, "steps": [msgspec.to_builtins(step) for step in ranking.steps]}
    return told if choice is None else {**told, "choice": msgspec.to_builtins(choice.chosen)}
