"""`dangol homepage`: what is wrong with its variants, and which one a situation would be shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click
import msgspec

from ingest.vocabulary.errors import ConfigurationError, MalformedEvent
from serving.commands.options import Options, command
from serving.commands.times import TIME

if TYPE_CHECKING:
    from serving.configuration import Configuration

_ANY_OPTION = {"ignore_unknown_options": True}


class Finding(msgspec.Struct, frozen=True):
    """Something wrong with a variant, as it is told."""

    kind: str
    variant: str
    words: str


class NamedDay(msgspec.Struct, frozen=True):
    """A public holiday, or one of the shop's own days or seasons; both ends belong to it."""

    kind: str
    name: str
    first: date
    last: date


class Preview(msgspec.Struct, frozen=True):
    """What a situation would be shown: the variant and why; all that fit, in their order; why the others do not."""

    variant: str
    policy: str
    rule: str
    content: dict[str, Any]
    rows: list[str]
    fits: list[str]
    why_not: dict[str, list[str]]
    situation: dict[str, str]


def add_commands(main: click.Group) -> None:
    """Add what is about the homepage."""

    @main.group()
    def homepage() -> None:
        """The homepage and its variants."""

    @command(homepage, "lint")
    def lint(options: Options) -> None:
        """Say which variants cannot be read, are never shown, are over or overlap; exit status 1 if any is."""
        from ingest.vocabulary.clock import SystemClock
        from personalization.homepage.linting import lint_configuration
        from serving.configuration import placements_in
        from serving.wiring import written_configuration

        written = written_configuration(options.folder, options.configuration)
        section = written.get("homepage", {})
        variants = section.get("variants", {}) if isinstance(section, dict) else None
        if not isinstance(variants, dict):
            raise ConfigurationError("variants are tables, as in [homepage.variants.rainy-day]")
        report = lint_configuration(variants, placements_in(written), SystemClock().now())
        findings = [Finding(each.kind, each.variant, each.words) for each in report.findings]
        lines = [f"{each.kind:<12}{each.variant}: {each.words}" for each in findings]
        lines += [f"{'undecided':<12}{each}" for each in report.undecided]
        text = "\n".join(lines) or f"nothing is wrong; variants: {len(variants)}"
        options.show({"findings": findings, "undecided": report.undecided}, text)
        if findings:
            raise SystemExit(1)

    @command(homepage, "preview", context_settings=_ANY_OPTION)
    @click.option("--at", type=TIME, help="At another moment, for schedules and seasons.")
    @click.argument("pretended", nargs=-1, type=click.UNPROCESSED, metavar="[--context.NAME VALUE | --FIELD VALUE]…")
    def preview(options: Options, at: datetime | None, pretended: Sequence[str]) -> None:
        """Say what a situation would be shown, as in `--context.weather.condition rain --visitor regular`.

        Names are those of a request (`context.device`, `url`, `language` …) and the fields of conditions (`weather`,
        `visitor`, `cart_value` …), which go before.
        """
        from ingest.vocabulary.clock import SystemClock
        from serving.wiring import read_configuration

        configuration = read_configuration(options.folder, options.configuration)
        shown = previewed(configuration, dict(_pairs(pretended)), at or SystemClock().now())
        options.show(shown, "\n".join(_told(shown)))

    _add_days(homepage)


def _add_days(homepage: click.Group) -> None:
    @command(homepage, "days")
    @click.option("--at", type=TIME, help="From another moment on.")
    @click.option("--region", help="A part of the country, by the end of its code in ISO 3166-2, as ENG.")
    @click.argument("country", required=False)
    def days(options: Options, at: datetime | None, region: str | None, country: str | None) -> None:
        """List the named days of the coming year: public holidays of COUNTRY or the shop's, and the shop's own."""
        from ingest.vocabulary.clock import SystemClock
        from serving.home.making import days_of
        from serving.wiring import read_configuration

        configuration = read_configuration(options.folder, options.configuration)
        places = configuration.places
        where = (places.country, region or places.region) if country is None else (country.upper(), region)
        named = days_of(configuration, patient=True).upcoming(*where, (at or SystemClock().now()).date())
        listed = [NamedDay(kind, each.name, each.first, each.last) for kind, each in named]
        lines = [f"{each.first}  {each.last}  {each.kind:<7} {each.name}" for each in listed]
        options.show(listed, "\n".join(lines) or "no day has a name")


def previewed(configuration: Configuration, pretended: dict[str, str], now: datetime) -> Preview:
    """What a pretended situation would be shown at a moment.

    Raises:
        MalformedEvent: something cannot be pretended.
    """
    from personalization.homepage.choosing import why_not
    from personalization.homepage.fields import FIELDS, MOMENT, PLACE_OF, facts_from, facts_of, shown
    from personalization.homepage.variants import content_in
    from personalization.situation.resolve import Seen, resolve
    from serving.home.ask import Said, home_from_pairs, languages_of
    from serving.home.making import days_of

    fields = {name: value for name, value in pretended.items() if name in PLACE_OF}
    ask = home_from_pairs([(name, value) for name, value in pretended.items() if name not in PLACE_OF])
    places = configuration.places
    seen = Seen(
        now=now,
        stated=ask.rows.context,
        url=ask.url,
        referrer=ask.referrer,
        shop=places.shop,
        shop_zone=places.shop_zone,
        shop_region=places.region,
        calendar=days_of(configuration, patient=True),
    )
    known = facts_of(resolve(seen), now)
    typed = {name: _number(value) if FIELDS[PLACE_OF[name]].numeric else value for name, value in fields.items()}
    overriding = facts_from(typed)
    unreadable = [name for name in fields if overriding[PLACE_OF[name]] is None and fields[name] != "unknown"]
    if unreadable:
        raise MalformedEvent(f"{unreadable[0]} cannot be {fields[unreadable[0]]!r}")
    facts = tuple(overriding[place] if field.name in fields else known[place] for place, field in enumerate(FIELDS))
    page = configuration.homepage_rules.page
    choice = page.choose(facts)
    fitting = [variant.name for variant in page.eligible(facts)]
    return Preview(
        choice.variant.name,
        choice.policy,
        choice.rule,
        content_in(choice.variant, languages_of(ask, Said(), configuration.homepage.language)),
        [row.placement for row in choice.variant.rows],
        fitting,
        {rule.variant.name: list(why_not(rule, facts)) for rule in page.rules if rule.variant.name not in fitting},
        {
            field.name: shown(place, fact)
            for place, (field, fact) in enumerate(zip(FIELDS, facts, strict=True))
            if fact is not None and place != MOMENT
        },
    )


def _number(value: str) -> object:
    try:
        return float(value)
    except ValueError:
        return value


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """`--name value` and `--name=value` as pairs."""
    waiting = iter(words)
    for word in waiting:
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not name:
            raise click.UsageError(f"{word!r} is no option: pretend with --context.weather.condition rain")
        given = value if equals else next(waiting, None)
        if given is None:
            raise click.UsageError(f"{word} needs a value")
        yield name, given


def _told(shown: Preview) -> Iterator[str]:
    yield f"{shown.variant}: {shown.rule}"
    yield f"rows: {', '.join(shown.rows) or 'none'}"
    yield f"fits: {', '.join(shown.fits)}"
    for name, reasons in shown.why_not.items():
        yield f"not {name}: {'; '.join(reasons)}"
