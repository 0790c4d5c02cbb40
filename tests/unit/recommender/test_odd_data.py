"""Data sets at the edge of what a shop can be, trained with rankers: each is answered sensibly, or refused clearly."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest.vocabulary.errors import ConfigurationError
from ingest.vocabulary.events import Event
from ingest.vocabulary.ids import ProductId
from ingest.vocabulary.ranking import History
from recommender.candidates.plan import LEARNED
from recommender.configuration import TrainingConfiguration
from recommender.evaluation.answering import models_of
from recommender.evaluation.run import Settings, evaluate
from recommender.training import fit_in_memory
from tests.support.histories import erased, moment, order, view
from tests.support.questions import task_of

RANKED = TrainingConfiguration().ranking_by("auto")
SETTINGS = Settings(RANKED, cutoffs=(1, 10))
HEADER, WANTED = "timestamp,customer,event,product", "customer,product\n"
KINDS = ("view", "addtocart", "transaction")


def report_of(folder: Path, protocol: str, **files: str) -> dict[str, Any]:
    """The report of `auto`, whose figures must be figures."""
    report = evaluate(task_of(folder, protocol, **files), SETTINGS).report
    assert all(0 <= value <= 1 for name, value in report.items() if "@" in name)
    return report


def ring(sessions: int, products: int = 20) -> str:
    """Sessions of four that go around."""
    draw = random.Random(3)
    begins = [draw.randrange(products) for _ in range(sessions)]
    return "".join(" ".join(f"p{(begin + step) % products:02d}" for step in range(4)) + "\n" for begin in begins)


RING = "".join(f"p{at:02d} p{at + 1:02d}\tp{at + 2:02d}\n" for at in range(18))


def shopping(product: Callable[[int], str], customer: Callable[[int], str], time_s: Callable[[int], int]) -> list[str]:
    """Rows of views, carts and orders in turn."""
    return [f"{time_s(at)},{customer(at)},{KINDS[at % 3]},{product(at)}" for at in range(600)]


def held_out(folder: Path, rows: list[str], wanted: str) -> dict[str, Any]:
    """The report of purchases held out."""
    return report_of(folder, "held-out", train="\n".join((HEADER, *rows)), test=WANTED + wanted)


def test_a_hundred_sessions_are_enough_to_learn_from(tmp_path: Path) -> None:
    assert report_of(tmp_path, "next-item", train=ring(100), test=RING)["hit_rate@1"] == 1.0


@pytest.mark.parametrize("sessions", [1, 2, 10, 30])
def test_fewer_sessions_are_answered_too(sessions: int, tmp_path: Path) -> None:
    report = report_of(tmp_path, "next-item", train=ring(sessions), test=RING)
    assert report["n"] == 18
    assert report["beyond"]["list_length"] > 1


def test_one_product_is_what_comes_next(tmp_path: Path) -> None:
    assert report_of(tmp_path, "next-item", train="a a\n" * 300, test="a\ta\n")["hit_rate@1"] == 1.0


def test_where_nobody_ever_looks_at_anything_twice_the_rest_of_the_visit_is_offered(tmp_path: Path) -> None:
    train = "".join(f"x{at} y{at} z{at}\n" for at in range(400))
    report = report_of(tmp_path, "next-item", train=train, test="x1\ty1\nx399 y399\tz399\n")
    assert report["hit_rate@10"] == 1.0
    assert report["beyond"]["list_length"] == 10


def test_where_only_what_everybody_knows_was_found_the_rest_of_the_visit_is_offered_too(tmp_path: Path) -> None:
    """Of a visit that is held back nothing but its end is in another one."""
    train = "".join(f"x{at} y{at} z{at} everybody{at % 5}\n" for at in range(400))
    report = report_of(tmp_path, "next-item", train=train, test="x1\ty1\nx399 y399\tz399\n")
    assert report["hit_rate@10"] == 1.0


@pytest.mark.parametrize("products", [8_000, pytest.param(1_000_000, marks=pytest.mark.soak)])
def test_products_that_are_hardly_ever_seen_have_neighbours(products: int, tmp_path: Path) -> None:
    """Each is in one visit of four; some visits end with something that many know."""
    draw = random.Random(7)
    ends = [f" q{int(products * draw.random() ** 8)}" if draw.random() < 0.5 else "" for _ in range(products // 4)]
    train = "".join(f"q{at} q{at + 1} q{at + 2} q{at + 3}{ends[at // 4]}\n" for at in range(0, products, 4))
    asked = [4 * draw.randrange(products // 4) for _ in range(200)]
    report = report_of(
        tmp_path, "next-item", train=train, test="".join(f"q{at} q{at + 1}\tq{at + 2}\n" for at in asked)
    )
    assert report["products"] == products
    assert report["hit_rate@10"] > 0.8


def test_where_everybody_comes_back_to_the_same_it_is_offered_again(tmp_path: Path) -> None:
    train = "".join(f"x{at % 20} " * 4 + "\n" for at in range(400))
    assert report_of(tmp_path, "next-item", train=train, test="x1\tx1\nx2 x2\tx2\n")["hit_rate@1"] == 1.0


def test_one_person_is_a_shop_too(tmp_path: Path) -> None:
    rows = shopping(lambda at: f"p{at * 7 % 31}", lambda at: "c", lambda at: 1_000_000 + at * 500)
    report = held_out(tmp_path, rows, "c,p3\nnobody,p4\n")
    assert report["n"] == 2


def test_everything_in_one_second_is_counted(tmp_path: Path) -> None:
    rows = shopping(lambda at: f"p{at * 7 % 31}", lambda at: f"c{at % 60}", lambda at: 1_000_000)
    report = held_out(tmp_path, rows, "c1,p8\nnobody,p4\n")
    assert report["beyond"]["list_length"] == 10
    assert report["beyond"]["new_products_share"] is None


def test_a_file_whose_times_go_back_is_the_same_history(tmp_path: Path) -> None:
    rows = shopping(lambda at: f"p{at * 7 % 31}", lambda at: f"c{at % 60}", lambda at: 1_000_000 + at * 500)
    forth, back = (held_out(tmp_path, each, "c1,p8\nc2,p9\n") for each in (rows, rows[::-1]))
    assert back["snapshot"] == forth["snapshot"]


def test_ids_of_any_script_are_ids(tmp_path: Path) -> None:
    plain, other = (
        shopping(
            lambda at, name=name: f"{name}{at * 7 % 31}",  # type: ignore[misc]
            lambda at, name=name: f"{name}{at % 60}",  # type: ignore[misc]
            lambda at: 1_000_000 + at * 500,
        )
        for name in ("p", "🧦ß茶")
    )
    first, second = (
        held_out(tmp_path, plain, "p1,p8\np2,p9\n"),
        held_out(tmp_path, other, "🧦ß茶1,🧦ß茶8\n🧦ß茶2,🧦ß茶9\n"),
    )
    assert {name: value for name, value in first.items() if "@" in name} == {
        name: value for name, value in second.items() if "@" in name
    }


@pytest.mark.parametrize(
    ("protocol", "files", "why"),
    [
        ("next-item", {"train": "", "test": "a\tb\n"}, "it is empty"),
        ("next-item", {"train": "\n \n", "test": "a\tb\n"}, "it is empty"),
        ("leave-one-out", {"sequences": "u a\nv a\n"}, "nothing to leave out"),
        ("held-out", {"train": HEADER, "test": WANTED}, "a header and nothing else"),
        ("next-basket", {"train": "{}", "test": "{}"}, "no item at all"),
    ],
)
def test_a_data_set_of_nothing_is_refused_by_a_sentence(
    protocol: str, files: dict[str, str], why: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=why):
        report_of(tmp_path, protocol, **files)


EVENTS: dict[str, list[Event]] = {
    "nothing": [],
    "one view": [view("a")],
    "one order": [order("1", "a")],
    "one product": [view("a", at / 100, f"s{at % 40}") for at in range(200)],
    "one person": [view("abcdefg"[at * at % 7], at / 100, "s") for at in range(200)],
    "one moment": [view("abcdefg"[at * at % 7], 0, f"s{at}") for at in range(200)],
    "one order each": [order(str(at), "ab" if at % 2 else "cd") for at in range(200)],
    "one order of everything": [order("1", "abcdefghijklmnopqrstuvwxyz")],
    "nobody left": [view("a", 0, "s"), order("1", "ab", 0, "s"), erased("s", 1)],
    "a life of a century": [view("abc"[at % 3], at * 365, f"s{at % 5}") for at in range(-30, 70)],
    "ids of any script": [view(["🧦", "ß", "茶 1"][at % 3], at / 100, f"s{at // 3}") for at in range(200)],
}


@pytest.mark.parametrize("name", EVENTS)
def test_a_log_of_any_kind_trains_rankers_that_answer(name: str) -> None:
    events = EVENTS[name]
    snapshot = fit_in_memory(events, RANKED)
    live, products = models_of(snapshot), snapshot.unpack("products", list[ProductId])
    rows = np.arange(min(len(products), 2), dtype=np.int32)
    now_s = int(moment(0).timestamp())
    for history in (History(rows[:0], np.zeros(0, np.int64), np.zeros(0, np.int8)), _viewed(rows, now_s)):
        for purpose in LEARNED:
            found = live.ranked(purpose, history, 5, rows[:0])
            assert len(found.products) == len(set(found.products.tolist())) <= 5
            assert (found.products < len(products)).all()
            assert np.isfinite(found.scores).all()
            if not len(history.products):
                assert len(found.products) == min(5, len(products)), "what is popular, for somebody unknown"


def _viewed(rows: np.ndarray, now_s: int) -> History:
    return History(rows, np.full(len(rows), now_s, np.int64), np.zeros(len(rows), np.int8))
