"""API keys: shown once, hashed at rest, made and revoked by the command line.

A publishable key (`pk_`) may live in a browser: it collects events and asks for the visitor it speaks for. A secret
key (`sk_`) may do everything. A feed key (`fk_`) reads one named feed. While no key is configured, only this machine
may call.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import secrets
import time
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal

import msgspec

from ingest.vocabulary.errors import AccessDenied, ConfigurationError, Forbidden, NotFound

Kind = Literal["publishable", "secret", "feed"]
PREFIXES: dict[Kind, str] = {"publishable": "pk_", "secret": "sk_", "feed": "fk_"}
KEYS_MAX = 1_000
NOTICED_WITHIN_S = 0.02  # a revoked key may live so much longer; to look at the file at every call costs 20 µs


class ApiKey(msgspec.Struct, frozen=True, omit_defaults=True):
    """A key as it is kept: `digest` is the SHA-256 of what the owner holds, `name` tells keys apart for people."""

    key_id: str
    kind: Kind
    name: str
    digest: str
    created_at: datetime
    revoked_at: datetime | None = None
    feed: str | None = None


class AccessKeys:
    """The keys of a data folder, in `api-keys.json`; a change by the command line is seen by a running server.

    A new key opens the door at once; a revoked one is noticed within `NOTICED_WITHIN_S`.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "api-keys.json"
        self._stamp: tuple[int, int] | None = None
        self._looked_at_s = float("-inf")
        self._keys: list[ApiKey] = []
        self._by_digest: dict[str, ApiKey] = {}

    def create(self, kind: Kind, *, name: str, now: datetime, feed: str | None = None) -> tuple[str, ApiKey]:
        """A new key: what the owner holds, which is never seen again, and what is kept."""
        keys = self.all()
        if len(keys) >= KEYS_MAX:
            raise ConfigurationError(f"there are {KEYS_MAX} keys already")
        held = PREFIXES[kind] + secrets.token_urlsafe(24)
        key = ApiKey(secrets.token_hex(4), kind, name, _digest(held), now, feed=feed)
        self._save([*keys, key])
        return held, key

    def adopt(self, keys: Sequence[ApiKey]) -> int:
        """Let the keys of another folder open this one as well; how many keys there are then.

        A key that either of the two has revoked is revoked.

        Raises:
            ConfigurationError: they are too many.
        """
        merged = {key.key_id: key for key in self.all()}
        for key in keys:
            if key.revoked_at is not None or key.key_id not in merged:
                merged[key.key_id] = key
        if len(merged) > KEYS_MAX:
            raise ConfigurationError(f"the two folders have more than {KEYS_MAX} keys: remove some first")
        if keys:
            self._save(list(merged.values()))
        return len(merged)

    def revoke(self, key_id: str, *, now: datetime) -> ApiKey:
        """End a key.

        Raises:
            NotFound: there is no such key.
        """
        keys = self.all()
        for index, key in enumerate(keys):
            if key.key_id == key_id:
                keys[index] = msgspec.structs.replace(key, revoked_at=key.revoked_at or now)
                self._save(keys)
                return keys[index]
        raise NotFound(f"there is no key {key_id!r}")

    def all(self) -> list[ApiKey]:
        """Every key, oldest first, revoked ones included."""
        self._refresh()
        return list(self._keys)

    def configured(self) -> bool:
        """Whether any key was ever made: from then on every call needs one, even if all were revoked."""
        self._refresh()
        return bool(self._keys)

    def authorize(self, held: str | None, *, remote_address: str | None, secret_only: bool) -> ApiKey | None:
        """The key behind a call; None for a call from this machine while no key is configured.

        Raises:
            AccessDenied: no key, or one that is unknown or revoked.
            Forbidden: the key may not do this.
        """
        if time.monotonic() > self._looked_at_s + NOTICED_WITHIN_S:
            self._refresh()
        try:
            return self._authorized(held, remote_address, secret_only)
        except (AccessDenied, Forbidden):
            self._refresh()  # the key may have been made this moment
            return self._authorized(held, remote_address, secret_only)

    def _authorized(self, held: str | None, remote_address: str | None, secret_only: bool) -> ApiKey | None:
        if not self._keys:
            if is_loopback(remote_address):
                return None
            raise AccessDenied("no API keys are configured, so only this machine may call: `dangol keys create`")
        if not held:
            raise AccessDenied("an API key is needed: Authorization: Bearer <key>")
        key = self._by_digest.get(_digest(held))
        if key is None or key.revoked_at is not None or not hmac.compare_digest(key.digest, _digest(held)):
            raise AccessDenied("the API key is unknown or revoked")
        if key.kind == "feed" or (secret_only and key.kind != "secret"):
            raise Forbidden(f"a {key.kind} key may not do this: use a secret key")
        return key

    def _refresh(self) -> None:
        self._looked_at_s = time.monotonic()
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._keys, self._by_digest, self._stamp = [], {}, None
            return
        stamp = (found.st_mtime_ns, found.st_ino)
        if stamp == self._stamp:
            return
        try:
            self._keys = msgspec.json.decode(self._path.read_bytes(), type=list[ApiKey])
        except msgspec.MsgspecError as error:
            raise ConfigurationError(f"{self._path} cannot be read: {error}") from error
        self._by_digest = {key.digest: key for key in self._keys}
        self._stamp = stamp

    def _save(self, keys: list[ApiKey]) -> None:
        temporary = self._path.with_suffix(".tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(keys)))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        self._refresh()


@lru_cache(maxsize=1_000)
def is_loopback(address: str | None) -> bool:
    """Whether an address is this machine's own."""
    if address is None:
        return False
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _digest(held: str) -> str:
    return hashlib.sha256(held.encode()).hexdigest()
