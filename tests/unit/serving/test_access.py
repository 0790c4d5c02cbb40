"""API keys: who may call what, from where, and what is left on disk."""

from __future__ import annotations

import stat
import time
from datetime import timedelta
from pathlib import Path

import pytest

from ingest.vocabulary.errors import AccessDenied, ConfigurationError, Forbidden, NotFound
from serving import access
from serving.access import NOTICED_WITHIN_S, AccessKeys, is_loopback
from serving.routes.guard import authorize
from tests.support.build import NOON

ELSEWHERE = "192.0.2.7"


@pytest.mark.parametrize("name", ["key", "k%65y", "%6Bey", "ke%79", "%6b%65%79"])
def test_a_key_in_an_address_is_found_however_it_is_spelled(keys: AccessKeys, name: str) -> None:
    held, key = keys.create("publishable", name="browser", now=NOON)
    called = {"REMOTE_ADDR": ELSEWHERE, "QUERY_STRING": f"url=https%3A%2F%2Fshop.example%2F&{name}={held}"}
    assert authorize(keys, environ=called) == key


@pytest.fixture
def keys(tmp_path: Path) -> AccessKeys:
    return AccessKeys(tmp_path)


def may(keys: AccessKeys, held: str | None, *, secret_only: bool = False, address: str | None = ELSEWHERE) -> bool:
    try:
        keys.authorize(held, remote_address=address, secret_only=secret_only)
    except AccessDenied:
        return False
    return True


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
def test_this_machine_may_call_while_no_key_is_configured(keys: AccessKeys, address: str) -> None:
    assert is_loopback(address)
    assert keys.authorize(None, remote_address=address, secret_only=True) is None


@pytest.mark.parametrize("address", [ELSEWHERE, "10.0.0.1", "2001:db8::1", "0.0.0.0", "", "nonsense", None])
def test_nobody_else_may_call_while_no_key_is_configured(keys: AccessKeys, address: str | None) -> None:
    assert not is_loopback(address)
    with pytest.raises(AccessDenied, match="no API keys are configured"):
        keys.authorize(None, remote_address=address, secret_only=False)


def test_with_a_key_configured_this_machine_needs_one_too(keys: AccessKeys) -> None:
    keys.create("secret", name="backend", now=NOON)
    with pytest.raises(AccessDenied, match="an API key is needed"):
        keys.authorize(None, remote_address="127.0.0.1", secret_only=False)
    assert not may(keys, "", address="127.0.0.1")


def test_a_secret_key_may_do_everything(keys: AccessKeys) -> None:
    held, key = keys.create("secret", name="backend", now=NOON)
    assert held.startswith("sk_")
    assert keys.authorize(held, remote_address=ELSEWHERE, secret_only=True) == key
    assert may(keys, held)


def test_a_publishable_key_may_only_do_what_browsers_may(keys: AccessKeys) -> None:
    held, _ = keys.create("publishable", name="shop", now=NOON)
    assert held.startswith("pk_")
    assert may(keys, held)
    with pytest.raises(Forbidden, match="a publishable key may not do this"):
        keys.authorize(held, remote_address=ELSEWHERE, secret_only=True)


def test_a_feed_key_opens_its_feed_and_nothing_else(keys: AccessKeys) -> None:
    held, key = keys.create("feed", name="google", now=NOON, feed="google")
    assert held.startswith("fk_")
    assert key.feed == "google"
    for secret_only in (True, False):
        with pytest.raises(Forbidden):
            keys.authorize(held, remote_address=ELSEWHERE, secret_only=secret_only)


def test_a_key_that_is_unknown_or_nearly_right_is_denied(keys: AccessKeys) -> None:
    held, _ = keys.create("secret", name="backend", now=NOON)
    for wrong in ("sk_unknown", held[:-1], held + "x", held.upper(), held.removeprefix("sk_"), "\x00", "단골"):
        with pytest.raises(AccessDenied, match="unknown or revoked"):
            keys.authorize(wrong, remote_address=ELSEWHERE, secret_only=False)


def test_a_revoked_key_is_denied_for_ever(keys: AccessKeys) -> None:
    held, key = keys.create("secret", name="backend", now=NOON)
    other, _ = keys.create("secret", name="other", now=NOON)
    assert keys.revoke(key.key_id, now=NOON + timedelta(1)).revoked_at == NOON + timedelta(1)
    assert keys.revoke(key.key_id, now=NOON + timedelta(2)).revoked_at == NOON + timedelta(1)
    assert not may(keys, held)
    assert may(keys, other)
    with pytest.raises(NotFound):
        keys.revoke("unknown", now=NOON)


def test_revoking_the_last_key_does_not_open_the_door_again(keys: AccessKeys) -> None:
    _, key = keys.create("secret", name="backend", now=NOON)
    keys.revoke(key.key_id, now=NOON)
    assert not may(keys, None)


def test_a_running_server_sees_what_the_command_line_changed(tmp_path: Path) -> None:
    server, command_line = AccessKeys(tmp_path), AccessKeys(tmp_path)
    assert may(server, None, address="127.0.0.1")
    held, key = command_line.create("secret", name="backend", now=NOON)
    assert may(server, held)
    command_line.revoke(key.key_id, now=NOON)
    time.sleep(2 * NOTICED_WITHIN_S)
    assert not may(server, held)


def test_what_the_owner_holds_is_never_on_disk(keys: AccessKeys, tmp_path: Path) -> None:
    held, key = keys.create("secret", name="backend", now=NOON)
    (file,) = tmp_path.iterdir()
    assert held.encode() not in file.read_bytes()
    assert key.digest.encode() in file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_keys_are_listed_oldest_first_and_survive_reopening(keys: AccessKeys, tmp_path: Path) -> None:
    for name in ("first", "second", "third"):
        keys.create("secret", name=name, now=NOON)
    assert [key.name for key in AccessKeys(tmp_path).all()] == ["first", "second", "third"]
    assert len({key.key_id for key in keys.all()}) == 3


def test_a_damaged_file_of_keys_lets_nobody_in(keys: AccessKeys, tmp_path: Path) -> None:
    (tmp_path / "api-keys.json").write_text("[{")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        keys.authorize("sk_x", remote_address="127.0.0.1", secret_only=False)


def test_the_number_of_keys_is_bounded(keys: AccessKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "KEYS_MAX", 2)
    keys.create("secret", name="a", now=NOON)
    keys.create("secret", name="b", now=NOON)
    with pytest.raises(ConfigurationError, match="2 keys already"):
        keys.create("secret", name="c", now=NOON)


def test_keys_of_another_folder_open_this_one_and_revoked_ones_do_not(keys: AccessKeys, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = AccessKeys(tmp_path / "other")
    mine, _ = keys.create("secret", name="mine", now=NOON)
    theirs, key = other.create("secret", name="theirs", now=NOON)
    assert [keys.adopt(other.all()) for _ in range(2)] == [2, 2]
    assert may(keys, mine)
    assert may(keys, theirs)
    other.revoke(key.key_id, now=NOON)
    assert keys.adopt(other.all()) == 2
    assert not may(keys, theirs)
