"""The command line as scripts and people use it: exit statuses, JSON, and one clear line when something is wrong."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import ids
from tests.support.failing import assert_failed
from tests.support.ports import free_port
from tests.support.service import EXAMPLE_DIALECT, ORDERS, Service, dangol, serving, told, wait_for
from tests.support.small_shop import PRODUCTS, REGULAR, SMALL_IMPORT, order, orders_file, product


def test_a_file_that_cannot_be_imported_is_one_clear_line_and_nothing_is_taken(tmp_path: Path) -> None:
    data = tmp_path / "data"
    dangol("init", data, check=True)
    cut_off, empty, binary = tmp_path / "cut-off.csv.gz", tmp_path / "empty.csv", tmp_path / "sheet.xlsx"
    whole = gzip.compress(orders_file(tmp_path).read_bytes())
    cut_off.write_bytes(whole[: len(whole) // 2])
    empty.touch()
    binary.write_bytes(b"PK\x03\x04" + bytes(100))
    for path, words in (
        (tmp_path / "nothing.csv", ["No such file"]),
        (cut_off, ["cut-off.csv.gz", "cut short"]),
        (empty, ["empty"]),
        (binary, ["spreadsheet"]),
        (tmp_path, ["directory"]),
    ):
        assert_failed(dangol("import", path, *SMALL_IMPORT, data=data), *words)
    assert told("status", data=data)["facts"] == 0


def test_the_example_file_cut_off_in_the_middle_takes_nothing(tmp_path: Path) -> None:
    cut_off, data = tmp_path / "half.csv.gz", tmp_path / "data"
    cut_off.write_bytes(ORDERS.read_bytes()[:700_000])
    assert_failed(dangol("import", cut_off, *EXAMPLE_DIALECT, data=data), "cut short")
    assert told("status", data=data)["facts"] == 0


def test_a_wrong_mapping_says_which_columns_there_are(tmp_path: Path) -> None:
    done = dangol("import", orders_file(tmp_path), *SMALL_IMPORT, "--map", "order=InvoiceNo", data=tmp_path / "data")
    assert done.returncode in (1, 2)
    assert "InvoiceNo" in done.stderr
    assert "Traceback" not in done.stderr
    swapped = dangol(
        "import", ORDERS, *EXAMPLE_DIALECT[:6], "--map", "order=InvoiceNo", "--map", "product=StockCode",
        "--map", "timestamp=Description", data=tmp_path / "data",
    )  # fmt: skip
    assert_failed(swapped, "is the mapping right?", "nothing was taken")
    assert told("status", data=tmp_path / "data")["facts"] == 0


def test_a_folder_of_a_newer_version_is_left_alone(small_folder: Path) -> None:
    for name in ("dangol.sqlite3", "keyring.sqlite3"):
        with contextlib.closing(sqlite3.connect(small_folder / name)) as connection:
            before = connection.execute("PRAGMA user_version").fetchone()[0]
            connection.execute(f"PRAGMA user_version={before + 1}")
        for words in (("status",), ("train",), ("recommend", "home.popular")):
            assert_failed(dangol(*words, data=small_folder), name, "upgrade")
        with contextlib.closing(sqlite3.connect(small_folder / name)) as connection:
            connection.execute(f"PRAGMA user_version={before}")
    assert told("status", data=small_folder)["snapshot"]


def test_a_damaged_file_is_one_clear_line(small_folder: Path) -> None:
    (small_folder / "dangol.sqlite3").write_bytes(b"this is no database" * 100)
    assert_failed(dangol("status", data=small_folder), "damaged")


def test_a_server_that_cannot_serve_a_newer_folder_ends_with_status_one(small_folder: Path) -> None:
    with contextlib.closing(sqlite3.connect(small_folder / "dangol.sqlite3")) as connection:
        connection.execute("PRAGMA user_version=99")
    assert_failed(dangol("serve", "--port", free_port(), data=small_folder), "upgrade")


def test_a_second_server_on_a_folder_and_a_port_in_use_are_refused(live_small: Service, tmp_path: Path) -> None:
    assert_failed(dangol("serve", "--port", free_port(), data=live_small.folder), "is served by process")
    other = tmp_path / "other"
    dangol("init", other, check=True)
    with contextlib.closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for port in (taken.getsockname()[1], live_small.port):
            assert_failed(dangol("serve", "--port", port, data=other), f"port {port}", "in use")
    assert live_small.row("home.popular")


def test_unknown_names_are_told_and_strangers_are_answered(small_folder: Path) -> None:
    assert_failed(dangol("recommend", "home.for-me", data=small_folder), "home.for-me", "home.for-you")
    for words in (("--customer", "nobody"), ("--product", "nothing"), ("--category", "Nowhere")):
        answered = told("recommend", "home.for-you", *words, data=small_folder)
        assert len(answered["items"]) == 10
        assert {item["reason"]["kind"] for item in answered["items"]} == {"fallback_popular"}
    row = ("recommend", "product.bought-together", "--product")
    assert dangol(*row, "nothing", data=small_folder).stderr == "dangol: nothing is known of product nothing\n"
    assert not dangol(*row, "mug-1", data=small_folder).stderr
    assert_failed(dangol("customer", "show", "nobody", data=small_folder), "there is no customer 'nobody'")
    assert_failed(dangol("dead-letters", "show", "77", data=small_folder), "there is no dead letter 77")
    assert_failed(dangol("dead-letters", "drop", "77", data=small_folder), "there is no dead letter 77")
    assert_failed(dangol("keys", "revoke", "77", data=small_folder), "there is no key '77'")


def test_recommend_answers_what_http_answers(live_small: Service) -> None:
    asks: list[tuple[list[str], dict[str, Any]]] = [
        (["home.for-you", "--customer", REGULAR], {"customer_id": REGULAR}),
        (["product.bought-together", "--product", "mug-1"], {"product_ids": "mug-1"}),
        (["cart.cross-sell", "--product", "mug-1", "--product", "plate-1"], {"product_ids": "mug-1,plate-1"}),
        (["category.popular", "--category", "Plates", "--limit", "3"], {"category": "Plates", "limit": 3}),
        (["home.recently-viewed", "--customer", REGULAR, "--limit", "2"], {"customer_id": REGULAR, "limit": 2}),
    ]
    for words, asked in asks:
        here = told("recommend", *words, data=live_small.folder)
        there = live_small.get(f"/v1/recommendations/{words[0]}", **asked)
        for answer in (here, there):
            answer.pop("request_id")
            for item in answer["items"]:
                item.pop("click_token")
        assert here == there


def test_recommend_at_a_moment_shows_only_what_was_known_then(small_folder: Path) -> None:
    def orders_at(at: str | None) -> dict[str, int]:
        when = () if at is None else ("--at", at)
        answered = told("recommend", "product.bought-together", "--product", "mug-1", *when, data=small_folder)
        kinds = {item["product_id"]: item["reason"] for item in answered["items"]}
        return {
            each: reason["evidence"]["orders"] for each, reason in kinds.items() if reason["kind"] == "bought_together"
        }

    file = orders_file(small_folder.parent).read_text(encoding="utf-8").splitlines()[1:]
    rows = [line.split(",") for line in file]

    def counted(until: str) -> dict[str, int]:
        baskets: dict[str, set[str]] = {}
        for order_id, _, bought, _, _, when in rows:
            if when <= until:
                baskets.setdefault(order_id, set()).add(bought)
        others = [each for basket in baskets.values() if "mug-1" in basket for each in basket - {"mug-1"}]
        return {each: others.count(each) for each in set(others)}

    early, later, now = orders_at("2026-01-10T12:00:00Z"), orders_at("2026-01-20"), orders_at(None)
    for answered, until in ((early, "2026-01-10 12:00:00"), (later, "2026-01-20 00:00:00"), (now, "2027")):
        assert answered.items() <= counted(until).items()
    assert early["mug-2"] < later["mug-2"] < now["mug-2"]
    with serving(small_folder) as service:
        service.tell(*(order(f"late-{number}", "mug-1", "mug-6") for number in range(5)))
    assert orders_at("2026-01-10T12:00:00Z") == early, "what came later changes no past"
    assert orders_at(None)["mug-6"] == 5
    before_all = told("recommend", "home.for-you", "--at", "2025-06-01", "--customer", REGULAR, data=small_folder)
    assert "for_you" not in {item["reason"]["kind"] for item in before_all["items"]}, (
        "nobody was known before the first"
    )


def test_the_example_s_past_knows_nothing_of_its_future(example_folder: Path) -> None:
    from tests.e2e.test_contract_calls import HEART

    (example_folder / "dangol.toml").write_text("[models]\nranker = false\n", encoding="utf-8")  # it counts no pairs
    early = told("recommend", "product.bought-together", "--product", HEART, "--at", "2011-02-01", data=example_folder)
    late = told("recommend", "product.bought-together", "--product", HEART, data=example_folder)
    assert early["snapshot"] != late["snapshot"]
    newest = {item["product_id"]: item["reason"]["evidence"]["orders"] for item in late["items"]}
    for item in early["items"]:
        orders = item["reason"]["evidence"]["orders"]
        assert orders <= newest.get(item["product_id"], orders)
    import csv

    until = "2011-02-01"
    invoices: dict[str, set[str]] = {}
    with gzip.open(ORDERS, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["InvoiceDate"] < until and not row["InvoiceNo"].startswith("C") and int(row["Quantity"]) > 0:
                invoices.setdefault(row["StockCode"], set()).add(row["InvoiceNo"])
    for item in early["items"]:
        in_common = len(invoices[HEART] & invoices[item["product_id"]])
        assert item["reason"]["evidence"]["orders"] == in_common


def test_init_writes_a_configuration_once_and_leaves_changes_alone(tmp_path: Path) -> None:
    first = json.loads(dangol("init", tmp_path / "shop", "--json", check=True).stdout)
    assert first["written"] is True
    configuration = tmp_path / "shop" / "dangol.toml"
    configuration.write_text("[serving]\nthreads = 3\n", encoding="utf-8")
    second = json.loads(dangol("init", tmp_path / "shop", "--json", check=True).stdout)
    assert second["written"] is False
    assert "threads = 3" in configuration.read_text(encoding="utf-8")
    assert told("status", data=tmp_path / "shop")["facts"] == 0
    answered = told("recommend", "home.popular", data=tmp_path / "shop")
    assert (answered["items"], answered["degraded"]) == ([], ["snapshot"])


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[serving]\nthreads = 0\n", "threads"),
        ("[servign]\nthreads = 1\n", "servign"),
        ("[serving\n", "TOML"),
        ('[placements."home.for-you"]\nchain = ["magic"]\n', "magic"),
        ('[placements."home.for-you"]\nlimit = 1000\n', "limit"),
        ("placements = 3\n", "placements"),
    ],
)
def test_a_configuration_that_cannot_be_says_where(small_folder: Path, text: str, word: str) -> None:
    (small_folder / "dangol.toml").write_text(text, encoding="utf-8")
    assert_failed(dangol("recommend", "home.popular", data=small_folder), word, "dangol.toml")
    assert_failed(dangol("serve", "--port", free_port(), data=small_folder), word)


def test_a_configuration_that_was_asked_for_must_be_there(small_folder: Path, tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"
    assert_failed(dangol("status", "--config", missing, data=small_folder), "there is no configuration")
    mine = tmp_path / "mine.toml"
    mine.write_text('[placements."home.popular"]\nlimit = 2\n', encoding="utf-8")
    assert len(told("recommend", "home.popular", "--config", mine, data=small_folder)["items"]) == 2


def test_status_counts_what_is_there(small_folder: Path) -> None:
    status = told("status", data=small_folder)
    assert status["facts"] == 50 + len(PRODUCTS) == sum(end + 1 for end in status["ends"])
    assert (status["lag"], status["behind_snapshot"], status["dead_letters"]) == (0, 0, 0)
    assert status["products"] == len(PRODUCTS)
    assert status["snapshots_kept"] == 1
    assert status["snapshot"] in dangol("status", data=small_folder, check=True).stdout


def test_products_are_imported_changed_and_refused_line_by_line(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "products.jsonl"
    lines = [json.dumps(each) for each in PRODUCTS]
    file.write_text("\n".join([*lines[:3], "{not json", '{"title": "without id"}', *lines[3:]]) + "\n", "utf-8")
    report = told("catalog", "import", file, "--dialect", "jsonl", data=data)
    assert (report["upserted"], report["unchanged"]) == (len(PRODUCTS), 0)
    assert sum(each["count"] for each in report["refused"].values()) == 2
    again = told("catalog", "import", file, "--dialect", "jsonl", data=data)
    assert (again["upserted"], again["unchanged"]) == (0, len(PRODUCTS))
    file.write_text(json.dumps(product("mug-1", price="99.00")) + "\n", "utf-8")
    assert told("catalog", "import", file, "--dialect", "jsonl", data=data)["upserted"] == 1
    with serving(data) as service:
        assert service.get("/v1/products/mug-1")["price"] == "99.00"
    assert_failed(dangol("catalog", "import", tmp_path / "none", "--dialect", "jsonl", data=data), "No such file")


def test_an_import_beside_a_running_server_is_in_its_next_answers(live_small: Service, tmp_path: Path) -> None:
    file = tmp_path / "new.jsonl"
    file.write_text(json.dumps(product("mug-8", title="A mug out of the ordinary")) + "\n", "utf-8")
    dangol("catalog", "import", file, "--dialect", "jsonl", data=live_small.folder, check=True)
    more = tmp_path / "more.csv"
    rows = [f"new-{number},c,{each},1,5.00,2026-02-25 10:00:00" for number in range(9) for each in ("mug-8", "mug-1")]
    more.write_text("\n".join(["order,customer,product,quantity,price,timestamp", *rows]) + "\n", "utf-8")
    dangol("import", more, *SMALL_IMPORT, data=live_small.folder, check=True)

    def bought_with_the_new_mug() -> list[str]:
        return [
            item["product_id"]
            for item in live_small.row("product.bought-together", product_ids="mug-8")
            if item["reason"]["kind"] == "bought_together" and item["reason"]["evidence"]["orders"] == 9
        ]

    assert wait_for(bought_with_the_new_mug, "the imported orders to be in the answer") == ["mug-1"]


def test_dead_letters_are_listed_shown_tried_again_and_dropped(small_folder: Path) -> None:
    bad = small_folder.with_name("bad.csv")
    bad.write_text(
        "order,customer,product,quantity,price,timestamp\n"
        "bad-1,c-1,mug-1,many,5.00,2026-01-01 10:00:00\n"
        "bad-2,c-1,mug-1,1,5.00,someday\n"
        "good-1,c-1,mug-1,1,5.00,2026-01-01 10:00:00\n",
        encoding="utf-8",
    )
    report = told("import", bad, *SMALL_IMPORT, data=small_folder)
    assert report["accepted"] == {"order_completed": 1}
    assert sum(each["count"] for each in report["refused"].values()) == 2
    assert told("import", bad, *SMALL_IMPORT, data=small_folder)["already_imported"]
    listed = told("dead-letters", "list", data=small_folder)
    assert listed["count"] == 2
    first, second = (letter["letter"] for letter in listed["letters"])
    shown = told("dead-letters", "show", str(first), data=small_folder)
    assert "many" in shown["payload"]
    assert shown["detail"]
    assert told("dead-letters", "replay", data=small_folder) == {"accepted": 0, "repeated": 0, "refused": 2}
    dangol("dead-letters", "drop", str(first), data=small_folder, check=True)
    assert [each["letter"] for each in told("dead-letters", "list", data=small_folder)["letters"]] == [second]


def test_every_command_prints_json_when_asked(small_folder: Path) -> None:
    key = told("keys", "create", "--secret", data=small_folder)
    results = [
        told("status", data=small_folder),
        told("train", data=small_folder),
        told("replay", "--verify", data=small_folder),
        told("replay", data=small_folder),
        told("recommend", "home.popular", "--explain", data=small_folder),
        told("dead-letters", "list", data=small_folder),
        told("dead-letters", "replay", data=small_folder),
        told("customer", "show", REGULAR, data=small_folder),
        told("keys", "list", data=small_folder),
        told("keys", "revoke", key["key_id"], data=small_folder),
        told("customer", "forget", REGULAR, data=small_folder),
        told("init", data=small_folder),
    ]
    assert all(isinstance(each, dict) for each in results)


def test_customers_are_exported_a_fact_a_line(small_folder: Path) -> None:
    done = dangol("customer", "export", REGULAR, data=small_folder, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[0]["type"] == "profile"
    assert [line["type"] for line in lines[1:]] == ["order_completed"] * 10


def test_explain_says_how_the_row_came_about(small_folder: Path) -> None:
    asked = ("recommend", "product.bought-together", "--product", "mug-1", "--explain")
    assert told(*asked, data=small_folder)["explanation"]["steps"]
    assert "steps" in dangol(*asked, data=small_folder, check=True).stdout
    assert "explanation" not in told(*asked[:-1], data=small_folder)
    assert ids(told(*asked, data=small_folder)["items"]) == ids(told(*asked[:-1], data=small_folder)["items"])
