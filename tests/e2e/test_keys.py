"""Who may call: this machine while there are no keys, then only those who hold one, and each only what it may."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import Client
from tests.support.service import Service, dangol, free_port, serving, told
from tests.support.small_shop import REGULAR, product, view

FOR_YOU = "/v1/recommendations/home.for-you"


@pytest.fixture
def guarded(small_folder: Path) -> Iterator[tuple[Service, str, str]]:
    """A server with a secret and a publishable key."""
    secret = told("keys", "create", "--secret", "--name", "the shop's server", data=small_folder)["key"]
    publishable = told("keys", "create", "--publishable", data=small_folder)["key"]
    with serving(small_folder) as service:
        yield service, secret, publishable


def assert_denied(client: Client, method: str, path: str, status: int, body: bytes | None = None) -> None:
    answered = client.send(method, path, body)
    assert answered.status == status, answered
    assert answered.headers["content-type"] == "application/problem+json"
    assert answered.json["code"] == {401: "access_denied", 403: "forbidden"}[status]
    assert answered.json["status"] == status
    if status == 401:
        assert answered.headers["www-authenticate"] == "Bearer"


def test_without_keys_this_machine_may_do_everything(live_small: Service) -> None:
    assert live_small.row("home.for-you", customer_id=REGULAR)
    assert live_small.get(f"/v1/customers/{REGULAR}")["customer_id"] == REGULAR


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_server_without_keys_refuses_to_listen_beyond_this_machine(small_folder: Path, host: str) -> None:
    refused = dangol("serve", "--host", host, "--port", free_port(), data=small_folder)
    assert refused.returncode == 1
    assert "no API keys are configured" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_with_keys_a_server_listens_beyond_this_machine(small_folder: Path) -> None:
    secret = told("keys", "create", "--secret", data=small_folder)["key"]
    with serving(small_folder, arguments=("--host", "0.0.0.0")) as service:
        assert_denied(service, "GET", FOR_YOU, 401)
        assert service.with_key(secret).send("GET", FOR_YOU).status == 200


def test_once_there_are_keys_a_call_needs_one(guarded: tuple[Service, str, str]) -> None:
    service, secret, publishable = guarded
    for held in (None, "sk_wrong", "pk_wrong", secret[:-1], f"{secret}x", "x" * 5_000):
        assert_denied(service.with_key(held), "GET", FOR_YOU, 401)
        assert_denied(service.with_key(held), "POST", "/v1/events", 401, b'{"events": []}')
        assert_denied(service.with_key(held), "DELETE", f"/v1/customers/{REGULAR}", 401)
    for held in (secret, publishable):
        assert service.with_key(held).send("GET", FOR_YOU).status == 200
    for path in ("/healthz", "/readyz", "/openapi.json"):
        assert service.send("GET", path).status == 200, f"{path} tells no secret"


def test_a_publishable_key_may_collect_and_ask_but_not_touch_products_or_people(
    guarded: tuple[Service, str, str],
) -> None:
    service, secret, publishable = guarded
    browser = service.with_key(publishable)
    assert browser.tell(view("v-1", "mug-1", anonymous_id="a-1")) == ["accepted"]
    assert browser.row("home.recently-viewed", anonymous_id="a-1")[0]["product_id"] == "mug-1"
    body = b'{"title": "x"}'
    for method, path in (
        ("GET", f"/v1/customers/{REGULAR}"),
        ("GET", f"/v1/customers/{REGULAR}/export"),
        ("DELETE", f"/v1/customers/{REGULAR}"),
        ("GET", "/v1/products/mug-1"),
        ("PUT", "/v1/products/mug-1"),
        ("PATCH", "/v1/products/mug-1"),
        ("DELETE", "/v1/products/mug-1"),
        ("POST", "/v1/products"),
    ):
        assert_denied(browser, method, path, 403, body if method in ("PUT", "PATCH", "POST") else None)
    assert service.with_key(secret).send_json("PUT", "/v1/products/mug-9", product("mug-9")).status == 200


def test_a_publishable_key_asks_for_its_visitor_and_for_no_other_customer(guarded: tuple[Service, str, str]) -> None:
    service, _, publishable = guarded
    browser = service.with_key(publishable)
    for who in (f"customer_id={REGULAR}", f"customer_id={REGULAR}&anonymous_id=a-1", "customer_id=nobody"):
        assert_denied(browser, "GET", f"{FOR_YOU}?{who}", 403)
    page = b'{"placements": ["home.for-you"], "customer_id": "%s"}' % REGULAR.encode()
    assert_denied(browser, "POST", "/v1/recommendations", 403, page)
    assert_denied(browser, "POST", FOR_YOU, 403, b'{"customer_id": "%s"}' % REGULAR.encode())
    identified = {"event_id": "i-1", "type": "customer_identified", "anonymous_id": "a-1", "customer_id": "me"}
    assert browser.tell(identified) == ["accepted"]
    assert browser.send("GET", f"{FOR_YOU}?customer_id=me&anonymous_id=a-1").status == 200
    assert_denied(browser, "GET", f"{FOR_YOU}?customer_id={REGULAR}&anonymous_id=a-1", 403)


def test_a_publishable_key_may_stand_in_the_address_and_a_secret_one_may_not(guarded: tuple[Service, str, str]) -> None:
    service, secret, publishable = guarded
    assert service.send("GET", f"{FOR_YOU}?key={publishable}").status == 200
    assert_denied(service, "GET", f"{FOR_YOU}?key=pk_wrong", 401)
    refused = service.send("GET", f"{FOR_YOU}?key={secret}")
    assert refused.status == 400
    assert secret not in refused.body.decode()


def test_a_revoked_key_and_a_new_one_are_noticed_by_the_running_server(guarded: tuple[Service, str, str]) -> None:
    service, secret, _ = guarded
    listed = told("keys", "list", data=service.folder)["keys"]
    assert [key["kind"] for key in listed] == ["secret", "publishable"]
    assert secret not in (service.folder / "api-keys.json").read_text()
    new = told("keys", "create", "--secret", data=service.folder)["key"]
    assert service.with_key(new).send("GET", FOR_YOU).status == 200
    dangol("keys", "revoke", listed[0]["key_id"], data=service.folder, check=True)
    assert_denied(service.with_key(secret), "GET", FOR_YOU, 401)
    assert service.with_key(new).send("GET", FOR_YOU).status == 200


def test_when_every_key_is_revoked_nobody_may_call_any_more(small_folder: Path) -> None:
    key = told("keys", "create", "--secret", data=small_folder)
    dangol("keys", "revoke", key["key_id"], data=small_folder, check=True)
    with serving(small_folder) as service:
        assert_denied(service, "GET", FOR_YOU, 401)
        assert_denied(service.with_key(key["key"]), "GET", FOR_YOU, 401)


def test_a_feed_key_does_nothing_but_read_its_feed(guarded: tuple[Service, str, str]) -> None:
    service, _, _ = guarded
    feed = service.with_key(told("keys", "create", "--feed", "google", data=service.folder)["key"])
    assert_denied(feed, "GET", FOR_YOU, 403)
    assert_denied(feed, "POST", "/v1/events", 403, b'{"events": []}')
