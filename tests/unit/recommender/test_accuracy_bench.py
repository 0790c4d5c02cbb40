"""What the page of benchmarks is made of: cuts that leak nothing, grids that repeat themselves, tables one can read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from tests.bench.accuracy.data_sets import DATA_SETS, baskets_of, cut_customers, missing
from tests.bench.accuracy.page import Measured, PeerFigures, page
from tests.bench.accuracy.peers import PEERS, TRIALS_MAX, Peer, held_back, training_of, trials, tuned
from tests.support.questions import task_of

LINES = ["u a b c d e f g h i j", "v a b", "w c", "x d d d"]


def test_a_fifth_of_each_customers_products_is_cut_off_and_something_is_left() -> None:
    cut = list(cut_customers(LINES, 1))
    assert [len(test.split()[1:]) for _, test in cut] == [2, 1, 0, 0]
    for line, (train, test) in zip(LINES, cut, strict=True):
        customer, *products = line.split()
        assert train.split()[0] == customer
        assert train.split()[1:]
        assert sorted(train.split()[1:] + test.split()[1:]) == sorted(set(products))
    assert cut == list(cut_customers(LINES, 1))
    assert cut != list(cut_customers(LINES, 2))


def test_invoices_are_cut_at_the_end_of_june_and_cancelled_ones_are_none() -> None:
    def row(invoice: str, date: str, product: str, quantity: str = "1") -> dict[str, str]:
        return {"InvoiceNo": invoice, "InvoiceDate": f"{date} 10:00:00", "StockCode": product, "Quantity": quantity}

    rows = [
        row("1", "2011-06-30", "a"),
        row("1", "2011-06-30", "b"),
        row("1", "2011-06-30", "a"),
        row("C2", "2011-06-01", "a", "-1"),
        row("3", "2011-07-01", "a b"),
        row("3", "2011-07-01", "c", "0"),
        row("4", "2011-08-31", "d"),
        row("5", "2011-09-01", "e"),
    ]
    assert baskets_of(rows) == (["a b"], ["a_b", "d"])


@pytest.mark.parametrize("seed", [1, 2])
def test_the_slice_that_peers_are_tuned_on_is_no_part_of_what_they_learn_from(seed: int) -> None:
    matrix = sparse.random(40, 30, 0.3, "csr", random_state=seed)
    matrix.data[:] = 1.0
    rest, held = held_back(matrix, seed)
    assert (rest + held != matrix).nnz == 0
    assert rest.multiply(held).nnz == 0
    size = np.diff(matrix.indptr)
    expected = np.where(size > 1, np.maximum(size // 5, 1), 0)
    assert np.diff(held.indptr).tolist() == expected.tolist()
    assert (held_back(matrix, seed)[1] != held).nnz == 0


def test_a_grid_is_tried_up_to_its_limit_and_the_same_each_time() -> None:
    assert trials({"a": (1.0, 2.0), "b": (3.0,)}, 1) == [{"a": 1.0, "b": 3.0}, {"a": 2.0, "b": 3.0}]
    for peer in PEERS.values():
        points = trials(peer.grid, 1)
        assert points == trials(peer.grid, 1)
        assert 1 < len({tuple(point.items()) for point in points}) == len(points) <= TRIALS_MAX


class Constant:
    """A peer that names one product first; only `a` is right in the slice or the test, whichever it is."""

    def __init__(self, first: int) -> None:
        self._first = first

    def fit(self, matrix: Any, show_progress: bool) -> None:
        """Nothing to learn."""

    def recommend(self, users: Any, known: Any, N: int, filter_already_liked_items: bool) -> Any:  # noqa: N803
        """The product, if it is not known already."""
        found = np.full((len(users), N), -1, np.int32)
        found[:, 0] = np.where(np.asarray(known[:, [self._first]].todense()).ravel() > 0, -1, self._first)
        return found, None


def test_a_peer_is_chosen_by_the_slice_and_judged_by_the_test(tmp_path: Path) -> None:
    train = "".join(f"u{at} a b\n" for at in range(40))
    task = task_of(tmp_path, "split", train=train, test="u1 c\nu2 a\nnew b\n")
    assert training_of(task).toarray().sum() == 80
    judged = tuned(Peer(Constant, {"first": (0, 1)}, {}), task, 1)
    products = np.bincount(held_back(training_of(task), 1)[1].indices, minlength=2)
    assert judged.chosen == {"first": int(products.argmax())}
    assert judged.recall.tolist() == [0.0, 0.0, float(judged.chosen["first"] == task.interactions.products.index("b"))]


def report(**more: Any) -> dict[str, Any]:
    """What an evaluation says."""
    part = {"coverage": 0.5, "gini": 0.25, "new_targets": {}, "repeated_targets": {}}
    return {
        "n": 1234,
        "interactions": 5,
        "products": 6,
        "recall@20": 0.125,
        "interval": {"recall@20": (0.1, 0.15)},
        "fit_s": 1.25,
        "query_ms_p50": 0.5,
        "query_ms_p99": 1.5,
        "peak_rss_mb": 1000.0,
        "snapshot_mb": 2.0,
        "beyond": part,
    } | more


def test_the_page_has_figures_with_intervals_beside_peers_and_says_what_is_missing() -> None:
    peer = PeerFigures("implicit cosine", 0.1, (0.09, 0.11), 0.025, (0.01, 0.04), "K 50", 1.0, 9.0)
    why = {name: "the folder has no file" for name in DATA_SETS if name != "split"}
    text = page({"split": Measured({"auto": report()}, (peer,))}, why, "Machine: mine")
    assert "| **Dangol, `auto`** | 12.50 [10.00 – 15.00] | this run |" in text
    assert "| implicit cosine | 10.00 [9.00 – 11.00] | this run, tuned |" in text
    assert "| implicit cosine | +25.0 % [+10.0 – +40.0] | K 50 | 1.0 | 9 |" in text
    assert "| `auto` | 1.2 | 0.50 | 1.50 | 1,000 | 2.0 |" in text
    assert text.count("Not measured: the folder has no file.") == len(DATA_SETS) - 1
    assert "Machine: mine" in text
    for line in text.splitlines():
        assert not line.startswith("|") or line.endswith("|")


def test_files_that_a_folder_has_not_are_named_before_anything_is_read(tmp_path: Path) -> None:
    data_set = DATA_SETS["diginetica"]
    (tmp_path / data_set.needs[0]).touch()
    assert missing(data_set, tmp_path) == [data_set.needs[1]]
