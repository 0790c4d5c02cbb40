"""`dangol evaluate` as people call it: one JSON object, the same for a seed, and one clear line for what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recommender.evaluation.names import DESCRIBED
from tests.support.questions import written
from tests.support.service import dangol

MEASURED = {"n", "fit_s", "query_ms_p50", "query_ms_p99", "peak_rss_mb", "snapshot_mb", "interval", "beyond"}
TIMED = {"fit_s", "query_ms_p50", "query_ms_p99", "peak_rss_mb"}
BEYOND = {
    "coverage", "gini", "novelty_bits", "new_products_share", "repeats_share", "list_length", "new_targets",
    "repeated_targets", "unknown_targets_share", "by_history_length",
}  # fmt: skip
SESSIONS = "".join(f"p{at} p{at + 1} p{at + 2} p{at + 3}\n" for at in range(40))
ONES = "customer,product,timestamp\n" + "".join(f"c{at},p{at % 7},{at * 50_000}\n" for at in range(60))
EVENTS = "timestamp,customer,event,product\n" + "".join(
    f"{at * 1000},c{at % 9},{('view', 'addtocart', 'transaction')[at % 3]},p{at % 11}\n" for at in range(90)
)
FILES: dict[str, dict[str, str]] = {
    "next-item": {"train.gz": SESSIONS, "test": "p1 p2\tp3\np7\tp8\n"},
    "leave-one-out": {"sequences": "".join(f"u{at} {line}\n" for at, line in enumerate(SESSIONS.splitlines()))},
    "split": {"train": "u p1 p2\nv p2 p3\nw p1 p3\n", "test": "u p3\nv p1\n"},
    "held-out": {"train": EVENTS, "test": "customer,product\nc1,p3\nc2,p4\n"},
    "next-basket": {"train": '{"u": [[1, 2], [2, 3]], "v": [[1, 2]], "w": [[2, 3]]}', "test": '{"u": [1], "v": [3]}'},
    "basket-completion": {"train": SESSIONS, "test": SESSIONS},
    "relations": {"train": ONES, "test": "product,category,also_bought,also_viewed\np1,k,p2 p3,p4\np2,k,p1,\n"},
}
METRICS = {
    "next-item": {"hit_rate", "mrr"},
    "leave-one-out": {"hit_rate", "ndcg"},
    "split": {"recall", "ndcg"},
    "held-out": {"recall", "ndcg"},
    "next-basket": {"recall", "ndcg", "phr"},
    "basket-completion": {"hit_rate", "mrr"},
    "relations": {f"{name}.{m}" for name in ("bought_together", "similar") for m in ("precision", "recall", "ndcg")},
}


def words(protocol: str, folder: Path) -> list[str]:
    paths = written(folder, FILES[protocol])
    return ["evaluate", protocol, *(word for name, path in paths.items() for word in (f"--{name}", str(path)))]


def reported(folder: Path, *arguments: str) -> Any:
    done = dangol(*arguments, data=folder / "no-shop", check=True)
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_every_protocol_of_the_contract_is_there() -> None:
    assert set(FILES) == set(DESCRIBED) == set(METRICS)


@pytest.mark.parametrize("protocol", FILES)
def test_a_protocol_prints_its_metrics_and_what_lies_beyond(protocol: str, tmp_path: Path) -> None:
    report = reported(tmp_path, *words(protocol, tmp_path), "--k", "20,3")
    assert set(report) >= MEASURED
    metrics = {f"{metric}@{k}" for metric in METRICS[protocol] for k in (3, 20)}
    assert {name for name in report if "@" in name} == metrics
    assert set(report["interval"]) == metrics
    for metric in metrics:
        low, high = report["interval"][metric]
        assert 0 <= low <= report[metric] <= high <= 1
    each = report["beyond"].values() if protocol == "relations" else [report["beyond"]]
    assert all(set(beyond) == BEYOND for beyond in each)
    assert report["n"] > 0
    assert not (tmp_path / "no-shop").exists()


def test_sessions_with_one_answer_are_learnt_and_a_second_run_says_the_same(tmp_path: Path) -> None:
    arguments = [*words("basket-completion", tmp_path), "--limit-queries", "30", "--seed", "5"]
    first, second = (reported(tmp_path, *arguments, "--threads", threads) for threads in ("1", "2"))
    assert {key: value for key, value in first.items() if key not in TIMED} == {
        key: value for key, value in second.items() if key not in TIMED
    }
    assert first["n"] == 30
    assert first["hit_rate@10"] > 0.5


def test_two_models_are_compared_on_the_same_questions(tmp_path: Path) -> None:
    report = reported(tmp_path, *words("basket-completion", tmp_path), "--compare", "popularity", "auto", "--k", "5")
    assert (report["compared"], report["n"]) == (["popularity", "auto"], 40)
    first, second = report["reports"]
    assert (first["model"], second["model"]) == ("popularity", "auto")
    difference = report["difference"]["hit_rate@5"]
    assert difference["difference"] == pytest.approx(second["hit_rate@5"] - first["hit_rate@5"])
    assert difference["interval"][0] <= difference["difference"] <= difference["interval"][1]
    assert 0 < difference["p_value"] <= 1


def assert_failed(arguments: list[str], status: int, *expected: str) -> None:
    done = dangol(*arguments)
    assert done.returncode == status, done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    if status == 1:
        assert done.stderr.startswith("dangol: ")
        assert done.stderr.count("\n") == 1, done.stderr
    for word in expected:
        assert word in done.stderr


@pytest.mark.parametrize(
    ("protocol", "bad", "why"),
    [
        ("next-item", {"test": "p1 p2 p3\n"}, "line 1: it has no tab"),
        ("next-item", {"train.gz": ""}, "it is empty"),
        ("leave-one-out", {"sequences": "u p1\nv p2\n"}, "nothing to leave out"),
        ("split", {"train": "u \0\n"}, "NUL bytes"),
        ("held-out", {"test": "c1,p3\n"}, "the header must name customer,product"),
        ("next-basket", {"test": "u: [1]"}, "malformed"),
        ("relations", {"train": "customer,product,timestamp\nc,p,soon\n"}, "line 2: 'soon' is not a time"),
    ],
)
def test_a_bad_file_is_one_clear_line(protocol: str, bad: dict[str, str], why: str, tmp_path: Path) -> None:
    arguments = words(protocol, tmp_path)
    written(tmp_path, bad)
    assert_failed(arguments, 1, why)


def test_a_model_nobody_knows_and_cutoffs_that_are_none_are_wrong_usage(tmp_path: Path) -> None:
    arguments = words("split", tmp_path)
    assert_failed([*arguments, "--model", "oracle"], 2, "'oracle' is none of auto, logit")
    assert_failed([*arguments, "--compare", "auto", "oracle"], 2, "'oracle' is none of auto")
    for cutoffs in ("0", "501", "10;20", "", "-1", "1.5"):
        assert_failed([*arguments, f"--k={cutoffs}"], 2, "is not a list of numbers")
    assert_failed(["evaluate", "split"], 2, "Missing option")
    assert_failed(["evaluate", "no-such-protocol"], 2, "No such command")


def test_the_backtest_of_the_example_shop_is_a_table_and_a_drawing(example_folder: Path) -> None:
    done = dangol(
        "evaluate",
        "backtest",
        "--cuts",
        "2",
        "--k",
        "10",
        "--limit-queries",
        "50",
        "--model",
        "bought_together",
        "--model",
        "popularity",
        data=example_folder,
        check=True,
    )
    header, *rows, drawing = done.stdout.splitlines()
    assert header.split() == ["until", "model", "next_order.hit_rate@10", "next_order.ndcg@10"]
    assert [row.split()[1] for row in rows] == ["bought_together", "popularity"] * 2
    assert drawing == str(example_folder / "backtest.svg")
    assert Path(drawing).read_text().startswith("<svg ")
