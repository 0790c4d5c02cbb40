"""Forgetting reaches everything: after an erasure no byte of any file leads to the person."""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import ids
from tests.support.service import Service, dangol, serving, told
from tests.support.small_shop import REGULAR, SMALL_IMPORT, order, view

EMAIL = "regular-7f3a@customers.example"
PHONE = "+44 20 7946 0958"
VISITOR = "visitor-7f3a-unique"
SEARCH = "something-very-personal-7f3a"
TRACES = (REGULAR, EMAIL, PHONE, VISITOR, SEARCH, "Mozilla/7f3a")


def files_with(folder: Path, text: str) -> list[str]:
    """The files below a folder that hold a text, in UTF-8, UTF-16 or as hexadecimal digits."""
    wanted = [text.encode(), text.encode("utf-16-le"), text.encode().hex().encode()]
    return [str(path.relative_to(folder)) for path in files_of(folder) if holds(path, wanted)]


def files_of(folder: Path) -> Iterator[Path]:
    yield from (path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size)


def holds(path: Path, wanted: list[bytes]) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(content.find(each) >= 0 for each in wanted)


def leave_traces(service: Service) -> None:
    """A visitor who looks around, turns out to be the regular, orders, searches and says who they are."""
    agent = {"User-Agent": "Mozilla/7f3a", "Content-Type": "application/json"}
    events = [
        view("v-1", "mug-1", anonymous_id=VISITOR),
        {"event_id": "s-1", "type": "searched", "anonymous_id": VISITOR, "query": SEARCH},
        {"event_id": "i-1", "type": "customer_identified", "anonymous_id": VISITOR, "customer_id": REGULAR,
         "traits": {"email": EMAIL, "phone": PHONE, "name": "Ada"}},
        view("v-2", "mug-2", customer_id=REGULAR, anonymous_id=VISITOR),
        order("o-7f3a", "mug-3", "plate-3", customer=REGULAR),
    ]  # fmt: skip
    answered = service.send("POST", "/v1/events", json.dumps({"events": events}).encode(), agent)
    assert {result["status"] for result in answered.json["results"]} == {"accepted"}
    service.row("home.for-you", customer_id=REGULAR, anonymous_id=VISITOR)


def leave_dead_letters(folder: Path) -> None:
    """Rows that cannot be read, of which one names the customer and one the address."""
    bad = folder.with_name("bad.csv")
    bad.write_text(
        "order,customer,product,quantity,price,timestamp\n"
        f"bad-1,{REGULAR},mug-1,many,5.00,2026-01-01 10:00:00\n"
        f"bad-2,{EMAIL},mug-1,1,5.00,yesterday\n"
        "bad-3,somebody-else,mug-1,1,5.00,yesterday\n"
        "good-1,somebody-else,mug-1,1,5.00,2026-01-01 10:00:00\n",
        encoding="utf-8",
    )
    dangol("import", bad, *SMALL_IMPORT, data=folder, check=True)
    letters = told("dead-letters", "list", data=folder)["letters"]
    assert len(letters) == 3


def assert_forgotten(folder: Path) -> None:
    for trace in TRACES:
        assert not files_with(folder, trace), trace
    shown = dangol("customer", "show", REGULAR, data=folder)
    assert shown.returncode == 1
    assert "there is no customer" in shown.stderr
    assert "difference" not in told("replay", "--verify", data=folder)


def test_a_search_for_every_byte_finds_nothing_of_a_forgotten_customer(small_folder: Path) -> None:
    with serving(small_folder) as service:
        leave_traces(service)
    leave_dead_letters(small_folder)
    assert files_with(small_folder, REGULAR), "a search that cannot find proves nothing"
    exported = dangol("customer", "export", REGULAR, data=small_folder, check=True).stdout
    assert EMAIL in exported
    assert SEARCH in exported
    subject = told("customer", "show", REGULAR, data=small_folder)["subject"]
    assert "keyring.sqlite3" in files_with(small_folder, subject)

    forgotten = told("customer", "forget", REGULAR, data=small_folder)
    assert forgotten == {"subjects": 2, "dead_letters": 2}
    assert_forgotten(small_folder)
    assert "keyring.sqlite3" not in files_with(small_folder, subject)
    (left,) = told("dead-letters", "list", data=small_folder)["letters"]
    assert "somebody-else" in json.dumps(told("dead-letters", "show", str(left["letter"]), data=small_folder))
    assert dangol("customer", "forget", REGULAR, data=small_folder).returncode == 1

    known = told("recommend", "home.recently-viewed", "--customer", REGULAR, data=small_folder)
    stranger = told("recommend", "home.recently-viewed", "--customer", "nobody", data=small_folder)
    assert ids(known["items"]) == ids(stranger["items"])
    dangol("train", data=small_folder, check=True)
    assert_forgotten(small_folder)


def test_training_knows_a_forgotten_customer_no_more(small_folder: Path) -> None:
    before = told("train", data=small_folder)
    dangol("customer", "forget", REGULAR, data=small_folder, check=True)
    after = told("train", data=small_folder)
    assert after["orders"] == before["orders"] - 10, "ten of the fifty orders were this customer's"
    assert after["snapshot_id"] != before["snapshot_id"]


def test_a_running_server_forgets_over_http_and_leaves_no_byte_either(live_small: Service) -> None:
    leave_traces(live_small)
    leave_dead_letters(live_small.folder)
    assert live_small.get(f"/v1/customers/{REGULAR}")["customer_id"] == REGULAR
    assert EMAIL in live_small.send("GET", f"/v1/customers/{REGULAR}/export").body.decode()
    gone = live_small.send("DELETE", f"/v1/customers/{REGULAR}")
    assert (gone.status, gone.json) == (200, {"subjects": 2, "dead_letters": 2})
    for path in ("", "/export"):
        assert live_small.send("GET", f"/v1/customers/{REGULAR}{path}").status == 404
    assert live_small.send("DELETE", f"/v1/customers/{REGULAR}").status == 404
    for who in ({"customer_id": REGULAR}, {"anonymous_id": VISITOR}):
        kinds = {item["reason"]["kind"] for item in live_small.row("home.recently-viewed", **who)}
        assert "recently_viewed" not in kinds
    for trace in TRACES:
        assert not files_with(live_small.folder, trace), f"{trace}, while the server runs"
    assert live_small.stop() == 0
    assert_forgotten(live_small.folder)


def test_a_customer_who_comes_back_after_being_forgotten_is_somebody_new(live_small: Service) -> None:
    old = live_small.get(f"/v1/customers/{REGULAR}")["subject"]
    live_small.send("DELETE", f"/v1/customers/{REGULAR}")
    assert live_small.tell(view("v-9", "mug-5", customer_id=REGULAR)) == ["accepted"]
    new = live_small.get(f"/v1/customers/{REGULAR}")
    assert new["subject"] != old
    assert ids(live_small.row("home.recently-viewed", customer_id=REGULAR))[0] == "mug-5"


def test_a_server_that_runs_beside_notices_what_the_command_line_forgets(live_small: Service) -> None:
    from tests.support.service import wait_for

    leave_traces(live_small)
    old = live_small.get(f"/v1/customers/{REGULAR}")["subject"]
    dangol("customer", "forget", REGULAR, data=live_small.folder, check=True)
    wait_for(lambda: live_small.send("GET", f"/v1/customers/{REGULAR}").status == 404, "the server to forget")
    assert live_small.tell(view("v-9", "mug-5", customer_id=REGULAR)) == ["accepted"]
    assert live_small.get(f"/v1/customers/{REGULAR}")["subject"] != old
    assert live_small.stop() == 0
    assert "difference" not in told("replay", "--verify", data=live_small.folder)


def test_the_example_s_customer_17850_is_forgotten(example_folder: Path) -> None:
    with serving(example_folder) as service:
        service.tell(
            {"event_id": "i-1", "type": "customer_identified", "customer_id": "17850", "traits": {"email": EMAIL}}
        )
        before = ids(service.row("home.for-you", customer_id="17850"))
    told("customer", "forget", "17850", data=example_folder)
    assert not files_with(example_folder, EMAIL)
    assert dangol("customer", "show", "17850", data=example_folder).returncode == 1
    answered = told("recommend", "home.for-you", "--customer", "17850", data=example_folder)
    assert ids(answered["items"]) != before
    assert "for_you" not in {item["reason"]["kind"] for item in answered["items"]}
    assert "difference" not in told("replay", "--verify", data=example_folder)


@pytest.mark.parametrize("customer", ["nobody", "x" * 101, ""])
def test_forgetting_somebody_unknown_is_told(small_folder: Path, customer: str) -> None:
    refused = dangol("customer", "forget", customer, data=small_folder)
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "Traceback" not in refused.stderr
