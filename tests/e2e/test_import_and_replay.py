"""The log is the truth: importing twice changes nothing, replaying rebuilds everything, training is reproducible."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.service import (
    CATEGORIES,
    EXAMPLE_IMPORT,
    Service,
    dangol,
    rows_of,
    serving,
    states_of,
    told,
)
from tests.support.small_shop import MUGS, PLATES, REGULAR, SMALL_IMPORT, order, orders_file, view


def log_of(folder: Path) -> list[tuple[int, bytes]]:
    return rows_of(folder, "SELECT place, stored FROM events ORDER BY place")


def assert_verified(folder: Path) -> None:
    replayed = told("replay", "--verify", data=folder)
    assert "difference" not in replayed, replayed
    assert replayed["unfoldable"] == 0
    assert replayed["facts"] == told("status", data=folder)["facts"]


def test_importing_the_example_twice_changes_no_fact_and_no_state(example_folder: Path) -> None:
    log, states = log_of(example_folder), states_of(example_folder)
    assert len(log) > 18_000
    again = told(*EXAMPLE_IMPORT, "--categories", CATEGORIES, data=example_folder)
    assert again["already_imported"]
    assert again["accepted"] == {}
    assert again["repeated"]["order_completed"] == 12_875
    assert states_of(example_folder) == states
    assert log_of(example_folder) == log


def test_a_file_with_the_same_rows_and_another_name_or_one_more_row_takes_only_what_is_new(tmp_path: Path) -> None:
    file, data = orders_file(tmp_path), tmp_path / "data"
    dangol("import", file, *SMALL_IMPORT, data=data, check=True)
    log, states = log_of(data), states_of(data)
    renamed = file.rename(tmp_path / "renamed.csv")
    assert told("import", renamed, *SMALL_IMPORT, data=data)["already_imported"]
    with renamed.open("a", encoding="utf-8") as stream:
        stream.write("past-50,customer-1,mug-1,1,5.00,2026-03-01 10:00:00\n")
    more = told("import", renamed, *SMALL_IMPORT, data=data)
    assert more["accepted"] == {"order_completed": 1}
    assert more["repeated"]["order_completed"] == 50
    assert len(log_of(data)) == len(log) + 1
    unchanged = {row for row in states if not row[0].startswith("tail")} & set(states_of(data))
    assert len(unchanged) >= len([row for row in states if row[0] == "product"])


def test_gzip_plain_and_standard_input_are_the_same_file(tmp_path: Path) -> None:
    import gzip

    file, data = orders_file(tmp_path), tmp_path / "data"
    dangol("import", file, *SMALL_IMPORT, data=data, check=True)
    packed = tmp_path / "orders.csv.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    assert told("import", packed, *SMALL_IMPORT, data=data)["already_imported"]
    piped = dangol("import", "-", *SMALL_IMPORT, data=data, typed=file.read_text(encoding="utf-8"), check=True)
    assert "already imported" in piped.stdout


def test_a_replay_finds_no_difference_after_import_and_after_live_traffic_and_rebuilds_the_same(
    example_folder: Path,
) -> None:
    assert_verified(example_folder)
    with serving(example_folder) as service:
        live_traffic(service, ("85123A", "22423", "22804"))
    assert_verified(example_folder)
    before = {row for row in states_of(example_folder) if row[0] != "tail"}
    tails = [row for row in states_of(example_folder) if row[0] == "tail"]
    dangol("replay", data=example_folder, check=True)
    after = states_of(example_folder)
    assert {row for row in after if row[0] != "tail"} == before
    assert set(tails) <= set(after), "segments that a snapshot contains may come back; none may differ"
    assert_verified(example_folder)
    answered = told("recommend", "product.bought-together", "--product", "85123A", data=example_folder)
    assert len(answered["items"]) == 10


def live_traffic(service: Service, products: tuple[str, ...]) -> None:
    """A visitor who views, orders, turns out to be a customer, cancels one order and sends one back."""
    one, other, third = products
    assert set(
        service.tell(
            view("v-1", one, anonymous_id="visitor"),
            view("v-2", other, anonymous_id="visitor"),
            {"event_id": "a-1", "type": "product_added", "anonymous_id": "visitor", "product_id": one, "quantity": 2},
            order("live-1", one, other, anonymous_id="visitor"),
            {"event_id": "i-1", "type": "customer_identified", "anonymous_id": "visitor", "customer_id": "17850"},
            order("live-2", one, third, customer="17850"),
            order("live-3", other, third),
            {"event_id": "x-1", "type": "order_cancelled", "order_id": "live-3"},
            {"event_id": "x-2", "type": "order_refunded", "order_id": "live-2",
             "lines": [{"product_id": one, "quantity": 1}]},
            {"event_id": "s-1", "type": "searched", "anonymous_id": "visitor", "query": "mugs", "product_ids": [one]},
            {"event_id": "k-1", "type": "consent_changed", "customer_id": "17850", "purposes": {"email": False}},
        )
    ) == {"accepted"}  # fmt: skip
    service.send_json("PATCH", f"/v1/products/{third}", {"price": "1.25"})
    service.row("home.for-you", anonymous_id="visitor")


def test_a_difference_is_named_and_a_replay_mends_it(small_folder: Path) -> None:
    import contextlib
    import sqlite3

    good = states_of(small_folder)
    with contextlib.closing(sqlite3.connect(small_folder / "dangol.sqlite3")) as connection, connection:
        connection.execute("DELETE FROM states WHERE projection = 'product' AND key LIKE '%mug-3'")
    found = dangol("replay", "--verify", data=small_folder)
    assert found.returncode == 1
    assert "mug-3" in found.stderr
    assert "missing" in found.stderr
    dangol("replay", data=small_folder, check=True)
    assert_verified(small_folder)
    assert {row for row in states_of(small_folder) if row[0] != "tail"} == {row for row in good if row[0] != "tail"}


def test_the_order_in_which_live_events_arrive_across_customers_does_not_change_the_snapshot(tmp_path: Path) -> None:
    snapshots = set()
    times = [f"2026-05-{day:02d}T10:00:00Z" for day in range(1, 13)]
    placed = [
        order(f"o-{number}", MUGS[number % 3], PLATES[number % 2], customer=f"c-{number}", occurred_at=when)
        for number, when in enumerate(times)
    ]
    for number, events in enumerate((placed, placed[::-1])):
        data = tmp_path / f"data-{number}"
        dangol("init", data, check=True)
        with serving(data) as service:
            for each in events:
                assert service.tell(each) == ["accepted"]
        snapshots.add(told("train", data=data)["snapshot_id"])
    assert len(snapshots) == 1


def test_a_replay_is_refused_while_a_server_folds(live_small: Service) -> None:
    refused = dangol("replay", data=live_small.folder)
    assert refused.returncode == 1
    assert "is served by process" in refused.stderr
    assert f"process {os.getpid()} " not in refused.stderr
    verified = told("replay", "--verify", data=live_small.folder)
    assert "difference" not in verified
    assert live_small.row("home.for-you", customer_id=REGULAR)
