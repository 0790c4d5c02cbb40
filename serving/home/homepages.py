"""From a request to an answered homepage: the situation, the variant, its rows, the record of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from urllib.parse import urlsplit

from msgspec.structs import replace

from ingest.privacy import Alias
from ingest.vocabulary.clock import Clock, epoch_ms
from ingest.vocabulary.errors import NotFound
from ingest.vocabulary.events import Chosen as Ordered
from ingest.vocabulary.events import HomepageShown
from ingest.vocabulary.ids import EventId, RequestId, Subject, new_request_id, new_subject
from ingest.vocabulary.ranking import Answer, Arm
from personalization.customer.profile import EMPTY, Profile
from personalization.customer.touches import NO_TOUCHES
from personalization.experiments.arms import Arms
from personalization.homepage.features import features_of
from personalization.homepage.fields import FIELDS, MOMENT, Facts, facts_of
from personalization.homepage.variants import Variant, VariantRow, content_in, in_order
from personalization.page.placements import Placement
from personalization.situation.consent import refusal
from personalization.situation.days.ahead import Calendar
from personalization.situation.resolve import Seen, Situation, as_context, resolve
from personalization.situation.visitor import PriceOf
from serving.ask import Ask
from serving.home.answer import ChosenBy, HomeAnswer, context_of, order_shown
from serving.home.ask import HomeAsk, Said, languages_of
from serving.home.choice import Choosing, Chosen
from serving.home.surroundings import Surroundings
from serving.recommendations import NOBODY, Person

SOURCE = "dangol"
RULE_LENGTH_MAX = 500  # of the record: the rest is in the configuration that is named in it
PREVIEW = "a preview, whatever the situation"


SegmentOf = Callable[[Profile, int], str | None]


class Rows(Protocol):
    """Fills rows, and knows who asks."""

    def person_of(self, ask: Ask) -> Person:
        """Who asks and what is known of them. Never fails."""
        ...

    def answer_rows(self, placements: Sequence[Placement], ask: Ask, person: Person, *, record: bool) -> list[Answer]:
        """The rows of a page from top to bottom, with no product in two of them."""
        ...


class UnknownVariant(NotFound):
    """There is no such variant; the known ones are listed."""

    code = "unknown_variant"

    def __init__(self, name: str, known: Collection[str]) -> None:
        super().__init__(f"there is no variant {name!r}; there are {', '.join(sorted(known))}")
        self.known = tuple(sorted(known))


class Homepages:
    """Answers homepages. Any thread may ask.

    Args:
        choosing: chooses the variant.
        orders: choose the order of the rows, of variants that have several.
        surroundings: tell place and weather.
        calendar: tells holidays.
        rows: fill the rows of a variant.
        placements: by name.
        own_hosts: hosts of the shop, which are no source of a visit.
        language: what content is written in.
        price_of: current prices, for the value of a cart.
        segment_of: the segment of a profile at a moment, if it can be told.
        shown: takes the record of what was shown; it must not wait. With an alias, the subject is yet to be found.
        learns: whether anything is learned from decisions, so that a new visitor needs a subject.
    """

    def __init__(
        self,
        *,
        choosing: Choosing,
        orders: Mapping[str, Arms],
        surroundings: Surroundings,
        calendar: Calendar,
        rows: Rows,
        placements: Mapping[str, Placement],
        own_hosts: Collection[str],
        language: str,
        price_of: PriceOf,
        segment_of: SegmentOf,
        clock: Clock,
        configuration_id: str,
        shown: Callable[[HomepageShown, Alias | None], None],
        learns: bool,
    ) -> None:
        self._choosing, self._surroundings, self._rows, self._placements = choosing, surroundings, rows, placements
        self._orders, self._calendar, self._segment_of = orders, calendar, segment_of
        self._own_hosts, self._language, self._price_of = tuple(own_hosts), language, price_of
        self._clock, self._configuration_id, self._shown, self._learns = clock, configuration_id, shown, learns
        page = choosing.page
        self._variants = {each.name: each for each in (page.default, *(rule.variant for rule in page.rules))}

    def answer(self, ask: HomeAsk, said: Said) -> HomeAnswer:
        """The homepage for a request.

        Raises:
            UnknownVariant: a preview of a variant that there is not.
        """
        now = self._clock.now()
        request_id = new_request_id(epoch_ms(now))
        refused = refusal(ask.consent, said.headers)
        person = NOBODY if refused else self._rows.person_of(ask.rows)
        if person.profile is not None and not person.profile.personalized:
            refused = "personalisation was refused"
        situation = resolve(self._seen(ask, said, person, refused, now))
        if refused:  # the rows are those of anybody, and the record names nobody
            person = NOBODY._replace(degraded=person.degraded)
        facts = facts_of(situation, now)
        alias = None if refused else self._to_be_found(ask.rows, person)
        chosen = self._chosen(ask, facts, request_id, person.subject, learns=alias is not None)
        recorded = ask.preview is None
        asked = replace(ask.rows, customer_id=None, anonymous_id=None) if refused else ask.rows
        asked = replace(asked, context=as_context(situation))  # rows follow what was measured as well
        order = self._order(chosen.variant, request_id, person.subject, facts, alias) if recorded else None
        ordered = chosen.variant.rows if order is None else in_order(chosen.variant, order.arm)
        rows = self._rows.answer_rows(placed_rows(ordered, self._placements), asked, person, record=recorded)
        answer = self._answer(request_id, chosen, situation, rows, languages_of(ask, said, self._language), person)
        if order is not None:
            answer = replace(answer, order=order_shown(order))
        if recorded:
            known = person.subject
            record = _record(answer, chosen, facts, known or new_subject(), now)
            self._shown(record if order is None else replace(record, order=order), None if known else alias)
        return answer

    def _order(
        self, variant: Variant, request_id: RequestId, subject: Subject | None, facts: Facts, alias: Alias | None
    ) -> Ordered | None:
        """The order of a variant's rows; None where it has but one."""
        arms = self._orders.get(variant.name)
        if arms is None:
            return None
        return arms.choose(request_id, subject, learns=alias is not None, features=lambda: features_of(facts))

    def _seen(self, ask: HomeAsk, said: Said, person: Person, refused: str, now: datetime) -> Seen:
        stated, url = ask.rows.context, ask.url or said.headers.get("referer")
        around, profile = self._surroundings.of(said, stated, now), _known(ask, person, refused)
        return Seen(
            now=now,
            stated=stated,
            headers=said.headers,
            url=url,
            referrer=ask.referrer,
            own_hosts=(*self._own_hosts, *_hosts(url)),
            found=around.found.place,
            latitude=around.found.latitude,
            zone=around.found.zone,
            shop=self._surroundings.shop,
            shop_zone=self._surroundings.shop_zone,
            region=around.found.region,
            shop_region=self._surroundings.shop_region,
            calendar=self._calendar,
            reading=around.reading,
            at_shop=around.at_shop,
            profile=profile,
            segment=None if profile is None else self._segment_of(profile, epoch_ms(now)),
            touches=NO_TOUCHES if person.profile is None else person.profile.touches,
            price_of=self._price_of,
            refused=refused,
        )

    def _to_be_found(self, ask: Ask, person: Person) -> Alias | None:
        """Whose decision it is, where something is learned from it: that of a new visitor gets a subject for it."""
        if not self._learns or person.degraded:
            return None
        if ask.customer_id is not None:
            return Alias("customer", ask.customer_id)
        return None if ask.anonymous_id is None else Alias("anonymous", ask.anonymous_id)

    def _chosen(
        self, ask: HomeAsk, facts: Facts, request_id: RequestId, subject: Subject | None, *, learns: bool
    ) -> Chosen:
        if ask.preview is None:
            return self._choosing.choose(facts, request_id, subject, learns=learns)
        variant = self._variants.get(ask.preview)
        if variant is None:
            raise UnknownVariant(ask.preview, self._variants)
        return Chosen(variant, "rule", PREVIEW, 1.0, {variant.name: 1.0})

    def _answer(
        self,
        request_id: RequestId,
        chosen: Chosen,
        situation: Situation,
        rows: Sequence[Answer],
        languages: Sequence[str],
        person: Person,
    ) -> HomeAnswer:
        assigned = chosen.experiment
        missing = [each for row in rows for each in row.degraded]
        return HomeAnswer(
            request_id=request_id,
            variant=chosen.variant.name,
            content=content_in(chosen.variant, languages),
            rows=tuple(rows),
            chosen_by=ChosenBy(chosen.rule, chosen.policy),
            propensity=chosen.propensity,
            context=context_of(situation),
            impersonal=situation.impersonal,
            experiment=None if assigned is None else Arm(assigned.experiment, assigned.arm, assigned.propensity),
            configuration=self._configuration_id,
            degraded=tuple(dict.fromkeys((*missing, *person.degraded))),
        )


def _known(ask: HomeAsk, person: Person, refused: str) -> Profile | None:
    """What is known of whoever asks: of a visitor nobody has heard of, that this is the first visit."""
    named = ask.rows.customer_id is not None or ask.rows.anonymous_id is not None
    return EMPTY if person.profile is None and named and not person.degraded and not refused else person.profile


def placed_rows(rows: Sequence[VariantRow], placements: Mapping[str, Placement]) -> list[Placement]:
    """The placements of a variant's rows, with the rows' own lengths and boosts."""
    found = []
    for row in rows:
        placement = placements[row.placement]
        limit = placement.limit if row.limit is None else row.limit
        found.append(replace(placement, limit=limit, boosts=(*placement.boosts, *row.boosts)))
    return found


def _record(answer: HomeAnswer, chosen: Chosen, facts: Facts, subject: Subject, now: datetime) -> HomepageShown:
    known = {
        field.name: fact
        for place, (field, fact) in enumerate(zip(FIELDS, facts, strict=True))
        if fact is not None and place != MOMENT
    }
    return HomepageShown(
        event_id=EventId(answer.request_id),
        occurred_at=now,
        received_at=now,
        source=SOURCE,
        subject=subject,
        request_id=answer.request_id,
        variant=answer.variant,
        policy=chosen.policy,
        rule=chosen.rule[:RULE_LENGTH_MAX],
        learner=chosen.learner,
        terms=chosen.terms,
        eligible=dict(chosen.eligible),
        propensity=chosen.propensity,
        held_out=chosen.held_out,
        experiment=None if chosen.experiment is None else chosen.experiment.experiment,
        arm=None if chosen.experiment is None else chosen.experiment.arm,
        features=chosen.features,
        facts=known,
        rows=tuple(row.request_id for row in answer.rows),
        configuration=answer.configuration,
        degraded=answer.degraded,
    )


def _hosts(url: str | None) -> tuple[str, ...]:
    """The host of the page itself: a referrer of the same host led nowhere new."""
    try:
        host = urlsplit(url or "").hostname
    except ValueError:
        return ()
    return (host,) if host else ()
