"""Times on the command line."""

from __future__ import annotations

from datetime import UTC, datetime

import click


class Time(click.ParamType[datetime]):
    """A moment in RFC 3339 or ISO 8601; without a zone it is UTC, without a time the day's beginning."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The moment, aware."""
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a time such as 2026-11-22T10:00:00Z", param, ctx)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


TIME = Time()
