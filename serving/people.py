"""What a shop may ask about a customer: the profile, and everything that is kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ingest.erasure import facts_about, in_clear
from ingest.folding.followers import FoldedStates
from ingest.privacy import Alias, Keyring
from ingest.vocabulary.errors import NotFound
from ingest.vocabulary.ids import CustomerId, Subject
from ingest.vocabulary.ports import EventLog


class People:
    """Reads about customers, by the shop's own id."""

    def __init__(self, log: EventLog, keyring: Keyring, projector: FoldedStates) -> None:
        self._log, self._keyring, self._projector = log, keyring, projector

    def show(self, customer_id: CustomerId) -> dict[str, Any]:
        """The profile in plain values.

        Raises:
            NotFound: no such customer is known.
        """
        subject = self._subject(customer_id)
        profile = self._projector.state("profile", subject)
        return {
            "customer_id": customer_id,
            "subject": subject,
            "aliases": [f"{alias.kind}:{alias.value}" for alias in self._keyring.aliases(subject)],
            "profile": None if profile is None else _named(profile),
        }

    def export(self, customer_id: CustomerId) -> Iterator[dict[str, Any]]:
        """The profile, then every fact in clear, a JSON line each.

        Raises:
            NotFound: no such customer is known.
        """
        subject = self._subject(customer_id)
        yield {"type": "profile", **self.show(customer_id)}
        for recorded in facts_about(self._log, self._keyring, subject):
            yield in_clear(recorded, self._keyring)

    def _subject(self, customer_id: CustomerId) -> Subject:
        subject = self._keyring.find(Alias("customer", customer_id))
        if subject is None:
            raise NotFound(f"there is no customer {customer_id!r}")
        return subject


def _named(value: Any) -> Any:
    """Structs as objects with named fields, however they are stored."""
    if isinstance(value, msgspec.Struct):
        return {name: _named(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, dict):
        return {str(key): _named(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_named(each) for each in value]
    return value
