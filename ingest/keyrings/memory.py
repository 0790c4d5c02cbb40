"""What one process remembers of the keyring, and how it notices that another one changed it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence

from ingest.keyrings.cache import Found, Look, Seen
from ingest.keyrings.records import ALIAS
from ingest.privacy import CACHED_ALIASES_MAX
from ingest.vocabulary.ids import Subject

FRESH_S = 1.0  # how long what is remembered counts without asking; then the next call asks what changed


class Memory:
    """Where ids lead and subjects' wrapped keys, as far as they were asked for lately.

    Any thread may call. Only what was looked up while nothing was forgotten is remembered: an answer that was on its
    way while an id moved is used once and not kept.
    """

    def __init__(
        self,
        look: Callable[[Sequence[bytes], Seen], Look],
        on_erased: Callable[[Collection[Subject] | None], None],
    ) -> None:
        self._look, self._on_erased = look, on_erased
        self._subjects: dict[bytes, Subject] = {}
        self._wrapped: dict[Subject, bytes] = {}
        self._fresh_until = 0.0
        self._forgotten = 0
        self._lock = threading.Lock()
        self._seen = Seen()

    def find(self, macs: Collection[bytes]) -> dict[bytes, Subject]:
        """Where ids lead; unknown ones are absent. Cost: nothing, one round trip, or two if something changed."""
        asked: set[bytes] = set()
        found: dict[bytes, Subject] = {}
        if time.monotonic() > self._fresh_until:
            asked = {mac for mac in macs if mac not in self._subjects}
            found = self._ask(asked)
        for mac in macs:
            subject = None if mac in asked else self._subjects.get(mac)
            if subject is not None:
                found[mac] = subject
        missing = {mac for mac in macs if mac not in found and mac not in asked}
        return found | self._ask(missing) if missing else found

    def notice(self) -> None:
        """Hear of what changed, if that was not done lately."""
        if time.monotonic() > self._fresh_until:
            self._ask(())

    def wrapped(self, subject: Subject) -> bytes | None:
        """A subject's wrapped key, if it is remembered."""
        return self._wrapped.get(subject)

    def forget(self, macs: Iterable[bytes] | None = None) -> None:
        """Drop some ids, or everything."""
        with self._lock:
            self._drop(None if macs is None else [ALIAS + mac for mac in macs])

    def _ask(self, macs: Collection[bytes]) -> dict[bytes, Subject]:
        asked_at, wanted = time.monotonic(), list(macs)
        with self._lock:
            seen, forgotten = self._seen, self._forgotten
        look = self._look(wanted, seen)
        found = {mac: each for mac, each in zip(wanted, look.found, strict=True) if each is not None}
        with self._lock:
            nothing_forgotten = forgotten == self._forgotten
            if look.seen != seen:
                self._drop(look.changed)
            if nothing_forgotten:
                self._seen = look.seen
                self._keep(found)
            self._fresh_until = max(self._fresh_until, asked_at + FRESH_S)
        return {mac: each.subject for mac, each in found.items()}

    def _drop(self, changed: Sequence[bytes] | None) -> None:
        self._forgotten += 1
        if changed is None:
            self._subjects, self._wrapped = {}, {}
            self._on_erased(None)
            return
        for each in changed:
            if each[:1] == ALIAS:
                self._subjects.pop(each[1:], None)
            else:
                subject = Subject(each[1:].decode())
                self._wrapped.pop(subject, None)
                self._on_erased((subject,))

    def _keep(self, found: dict[bytes, Found]) -> None:
        if len(self._subjects) > CACHED_ALIASES_MAX:
            self._subjects, self._wrapped = {}, {}
        for mac, (subject, wrapped) in found.items():
            self._subjects[mac] = subject
            self._wrapped[subject] = wrapped
