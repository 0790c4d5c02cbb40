"""The public data sets: the files each needs, how they become files of a protocol, what others reached on them."""

from __future__ import annotations

import csv
import gzip
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from recommender.configuration import Model

SEED = 7
TEST_SHARE = 0.2  # of a customer's products
TRAINED_UNTIL, TESTED_UNTIL = "2011-07-01", "2011-09-01"  # of Online Retail, both exclusive

Files = dict[str, Path]


class Published(NamedTuple):
    """What somebody reached, in per cent, in the order of a data set's metrics."""

    name: str
    figures: tuple[float, ...]
    source: str


class DataSet(NamedTuple):
    """One table of the page.

    Attributes:
        needs: names of files in the folder of data; prepared: the protocol's files from them, written where told.
        metrics: shown, the last ones of the report; models: what is trained and asked.
        has_peers: whether the libraries are tuned and asked too; remark: what a reader must know.
    """

    title: str
    protocol: str
    needs: tuple[str, ...]
    prepared: Callable[[tuple[Path, ...], Path], Files]
    metrics: tuple[str, ...]
    published: tuple[Published, ...] = ()
    models: tuple[Model, ...] = ("auto",)
    has_peers: bool = False
    remark: str = ""


def cut_customers(lines: Iterable[str], seed: int) -> Iterator[tuple[str, str]]:
    """A line of training and one of test for each line `customer product …`: four fifths and a fifth, drawn.

    A customer keeps at least one product; a repeated one counts once. Who has one is not asked: the test is "".
    """
    draw = random.Random(seed)
    for line in lines:
        customer, *products = line.split()
        products = list(dict.fromkeys(products))
        taken = min(len(products) - 1, max(1, int(len(products) * TEST_SHARE)))
        gone = set(draw.sample(range(len(products)), taken)) if taken > 0 else set()
        kept = [product for at, product in enumerate(products) if at not in gone]
        test = [product for at, product in enumerate(products) if at in gone]
        yield " ".join((customer, *kept)), " ".join((customer, *test)) if test else ""


def baskets_of(rows: Iterable[Mapping[str, str]]) -> tuple[list[str], list[str]]:
    """Invoices as lines of products: up to June, and of July and August. No cancellations, no quantities below one."""
    baskets: dict[str, dict[str, None]] = {}
    dates: dict[str, str] = {}
    for row in rows:
        invoice = row["InvoiceNo"]
        if not invoice.startswith("C") and int(row["Quantity"]) > 0:
            baskets.setdefault(invoice, {})[row["StockCode"].replace(" ", "_")] = None
            dates.setdefault(invoice, row["InvoiceDate"])
    training = [invoice for invoice in baskets if dates[invoice] < TRAINED_UNTIL]
    test = [invoice for invoice in baskets if TRAINED_UNTIL <= dates[invoice] < TESTED_UNTIL]
    return [" ".join(baskets[each]) for each in training], [" ".join(baskets[each]) for each in test]


def _as_they_are(*options: str) -> Callable[[tuple[Path, ...], Path], Files]:
    return lambda paths, _: dict(zip(options, paths, strict=True))


def _split(paths: tuple[Path, ...], folder: Path) -> Files:
    with gzip.open(paths[0], "rt", encoding="utf-8") as file:
        cut = list(cut_customers((line for line in file if line.strip()), SEED))
    return {
        "train": _written(folder / "train.txt", (train for train, _ in cut)),
        "test": _written(folder / "test.txt", (test for _, test in cut if test)),
    }


def _invoices(paths: tuple[Path, ...], folder: Path) -> Files:
    with gzip.open(paths[0], "rt", encoding="utf-8", newline="") as file:
        training, test = baskets_of(csv.DictReader(file))
    return {"train": _written(folder / "train.txt", training), "test": _written(folder / "test.txt", test)}


def _written(path: Path, lines: Iterable[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


_SR_GNN = "Wu et al., SR-GNN (AAAI 2019), table 2"
_S3_REC = "Zhou et al., S3-Rec (CIKM 2020), the authors' figures for full ranking"

DATA_SETS: dict[str, DataSet] = {
    "diginetica": DataSet(
        "Diginetica",
        "next-item",
        ("diginetica.train_sessions.txt.gz", "diginetica.test.txt.gz"),
        _as_they_are("train", "test"),
        ("hit_rate@20", "mrr@20"),
        (
            Published("POP", (0.89, 0.20), _SR_GNN),
            Published("Item-KNN", (35.75, 11.57), _SR_GNN),
            Published("GRU4Rec", (29.45, 8.33), _SR_GNN),
            Published("NARM", (49.70, 16.17), _SR_GNN),
            Published("SR-GNN", (50.73, 17.59), _SR_GNN),
            Published("GCE-GNN", (54.22, 19.04), "Wang et al., GCE-GNN (SIGIR 2020), table 2"),
        ),
    ),
    "amazon_beauty": DataSet(
        "Amazon Beauty",
        "leave-one-out",
        ("amazon_beauty.sequences.txt.gz",),
        _as_they_are("sequences"),
        ("hit_rate@10", "ndcg@10"),
        (Published("SASRec", (6.05, 3.18), _S3_REC), Published("S3-Rec", (6.47, 3.27), _S3_REC)),
        remark="The published models look under-tuned: nothing about neural models follows from this table.",
    ),
    "grocery": DataSet(
        "Amazon Grocery",
        "relations",
        ("grocery.interactions.csv.gz", "grocery.relations.csv.gz"),
        _as_they_are("train", "test"),
        ("bought_together.ndcg@10", "similar.ndcg@10"),
        models=("auto", "similar"),
        remark="`similar` asks the model of substitutes for both relations: on *also bought* the model of "
        "complements (`auto`) should be ahead of it.",
    ),
    "online_retail": DataSet(
        "Online Retail",
        "basket-completion",
        ("online_retail.csv.gz",),
        _invoices,
        ("hit_rate@10", "mrr@10"),
        remark="Invoices to 2011-06-30 are the training, those of July and August the test; without cancellations and "
        "quantities below one.",
    ),
    "retailrocket": DataSet(
        "RetailRocket",
        "held-out",
        ("retailrocket.events.csv.gz", "retailrocket.holdout.csv.gz"),
        _as_they_are("train", "test"),
        ("recall@10", "recall@20"),
        (Published("published, all 2,174 buyers", (9.15, 10.81), "as given with the data"),),
        remark="The file has half of the buyers, so the published figures are of another set. Few people are asked: "
        "look at the interval.",
    ),
    "split": DataSet(
        "Amazon Beauty without order",
        "split",
        ("amazon_beauty.sequences.txt.gz",),
        _split,
        ("recall@20",),
        has_peers=True,
        remark=f"A fifth of each customer's products, drawn with the seed {SEED}, is the test. implicit's models are "
        "tuned on a validation slice of the same training.",
    ),
}
"""By name, in the order of the page."""


def missing(data_set: DataSet, folder: Path) -> list[str]:
    """The files that are not in the folder."""
    return [name for name in data_set.needs if not (folder / name).is_file()]
