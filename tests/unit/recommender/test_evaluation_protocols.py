"""Each protocol on a few lines: what is trained on, what is asked, what would be right, what is no candidate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.errors import ConfigurationError
from recommender.evaluation.files.columns import Columns, interactions_of_columns
from recommender.evaluation.names import DESCRIBED
from recommender.evaluation.protocols import READERS
from recommender.evaluation.protocols.task import Task
from recommender.interactions import CART, ORDER, VIEW, Interactions, interactions_of
from tests.support.histories import BEGIN, order, view
from tests.support.questions import asked, task_of, written


def told(interactions: Interactions) -> list[tuple[int, str, int, int]]:
    """Subject, product, kind and time of everything that is trained on."""
    rows = zip(interactions.subject, interactions.product, interactions.kind, interactions.time_s, strict=True)
    return [(int(who), interactions.products[what], int(kind), int(when)) for who, what, kind, when in rows]


def baskets(task: Task) -> list[str]:
    orders, names = task.interactions.orders, task.interactions.products
    return ["".join(names[row] for row in part) for part in np.split(orders.products, orders.start[1:-1])]


def test_every_protocol_that_is_described_is_read_and_the_other_way_round() -> None:
    assert list(READERS) == list(DESCRIBED)


def test_next_item_asks_with_the_session_and_excludes_nothing(tmp_path: Path) -> None:
    task = task_of(tmp_path, "next-item", train="b a\na c a\n", test="a b\ta\nx c\tx\nx\tb\n")
    assert told(task.interactions) == [
        (0, "b", VIEW, 0), (0, "a", VIEW, 1), (1, "a", VIEW, 3602), (1, "c", VIEW, 3603), (1, "a", VIEW, 3604),
    ]  # fmt: skip
    assert asked(task) == [("a b", "a", ""), ("c", "?", ""), ("", "b", "")]
    assert (task.parts[0].questions.purpose, task.parts[0].metrics) == ("next_item", ("hit_rate", "mrr"))
    history = task.parts[0].questions.history(0)
    assert np.diff(history.time_s).tolist() == [1]
    assert history.time_s[0] > task.interactions.reference_s


def test_leave_one_out_trains_without_the_last_two_and_asks_with_the_last_but_one(tmp_path: Path) -> None:
    task = task_of(tmp_path, "leave-one-out", sequences="u a b c d\nv b a\nw a b a b a\nx a\ny c b a\n")
    days = [(who, what, when // DAY_S) for who, what, _, when in told(task.interactions)]
    assert days == [(0, "a", 0), (1, "a", 1), (0, "b", 1), (1, "b", 2), (0, "a", 2), (2, "c", 2)]
    assert asked(task) == [
        ("a b c", "?", "a b c"),  # d is in nobody's training
        ("b", "a", "b"),
        ("a b a b", "a", "a b"),
        ("c b", "a", "b c"),
    ]
    assert task.parts[0].questions.history(3).time_s.tolist() == [2 * DAY_S, 3 * DAY_S]


def test_the_last_item_but_one_is_a_label_where_the_models_know_it_and_it_is_new(tmp_path: Path) -> None:
    task = task_of(tmp_path, "leave-one-out", sequences="u a b c d\nv b a\nw a b a b a\ny c b a\nz d e f\n")
    assert task.validation is not None
    names = task.interactions.products
    labels = zip(task.validation.histories, task.validation.targets, task.validation.excluded, strict=True)
    assert [
        ("".join(names[row] for row in history.products), names[target[0]], "".join(names[row] for row in excluded))
        for history, target, excluded in labels
    ] == [("ab", "c", "ab"), ("c", "b", "c")]
    assert task.validation.histories[0].time_s.tolist() == [DAY_S, 2 * DAY_S]


def test_split_excludes_what_the_user_has_and_claims_no_order(tmp_path: Path) -> None:
    task = task_of(tmp_path, "split", train="u a b a\nv c\nw\n", test="v a x\nu c a\nnew b b\nw\n")
    assert {when for *_, when in told(task.interactions)} == {0}
    assert asked(task) == [("c", "a ?", "c"), ("a b", "c a", "a b"), ("", "b", "")]
    assert task.parts[0].metrics == ("recall", "ndcg")


HELD_OUT_TRAIN = """timestamp,customer,event,product
100,u,view,a
50,v,view,b
100,u,addtocart,b
200,u,transaction,b
200,u,transaction,c
201,u,transaction,c
200,v,transaction,c
"""


def test_held_out_excludes_what_was_bought_and_not_what_was_viewed(tmp_path: Path) -> None:
    task = task_of(tmp_path, "held-out", train=HELD_OUT_TRAIN, test="customer,product\nu,a\nv,b\nw,x\nu,c\n")
    kinds = [(what, kind, when) for _, what, kind, when in told(task.interactions)]
    assert kinds[:3] == [("b", VIEW, 50), ("a", VIEW, 100), ("b", CART, 100)]
    assert {kind for _, kind, _ in kinds[3:]} == {ORDER}
    assert baskets(task) == ["bc", "c", "c"]
    assert asked(task) == [("a b b c c", "a c", "b c"), ("b c", "b", "c"), ("", "?", "")]
    assert task.parts[0].questions.history(1).kind.tolist() == [VIEW, ORDER]


def test_next_basket_orders_a_day_apart_and_lets_repeats_be_candidates(tmp_path: Path) -> None:
    train = '{"u": [[2, 1], [], [1, 1]], "v": [["3"]]}'
    task = task_of(tmp_path, "next-basket", train=train, test='{"v": [3, 4, "3"], "u": [1], "w": []}')
    assert baskets(task) == ["12", "1", "3"]
    assert [when // DAY_S for *_, when in told(task.interactions)] == [0, 0, 2, 2]
    assert asked(task) == [("3", "3 ?", ""), ("2 1 1", "1", "")]
    assert task.parts[0].metrics == ("recall", "ndcg", "phr")


def test_basket_completion_hides_the_last_item_of_baskets_of_two_or_more(tmp_path: Path) -> None:
    task = task_of(tmp_path, "basket-completion", train="b a b\nc\n", test="a b c\na\nx a\nb y\n")
    assert baskets(task) == ["ab", "c"]
    assert [(who, when) for who, _, _, when in told(task.interactions)] == [(0, 0), (0, 0), (1, 60)]
    assert asked(task) == [("a b", "c", "a b"), ("", "a", ""), ("b", "?", "b")]


def test_relations_asks_two_things_of_a_product_and_orders_by_customer_and_day(tmp_path: Path) -> None:
    train = f"customer,product,timestamp\nu,a,10\nu,b,20\nu,c,{DAY_S}\nv,a,30\n"
    test = "product,category,also_bought,also_viewed\na,k,b x,c b\nb,k,,a b\nz,k,a,\n"
    task = task_of(tmp_path, "relations", train=train, test=test)
    assert baskets(task) == ["ab", "a", "c"]
    together, similar = task.parts
    assert asked(task, together) == [("a", "b ?", "a"), ("", "a", "")]
    assert asked(task, similar) == [("a", "c b", "a"), ("b", "a", "b")]
    assert (together.questions.purpose, similar.questions.purpose) == ("bought_together", "similar")


NOTHING_TO_ASK = {
    "leave-one-out": {"sequences": "u a\nv b\n"},
    "split": {"train": "u a\n", "test": "u\n"},
    "held-out": {"train": HELD_OUT_TRAIN, "test": "customer,product\n"},
    "next-basket": {"train": '{"u": [[]]}', "test": '{"u": [1]}'},
    "basket-completion": {"train": "a b\n", "test": "a\nb\n"},
    "relations": {"train": "customer,product,timestamp\nu,a,1\n", "test": "product,also_bought,also_viewed\na,,\n"},
}


@pytest.mark.parametrize("protocol", NOTHING_TO_ASK)
def test_files_with_nothing_to_ask_are_refused(protocol: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be used"):
        READERS[protocol](written(tmp_path, NOTHING_TO_ASK[protocol]))


def test_an_event_of_another_kind_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"line 9: .*remove"):
        task_of(tmp_path, "held-out", train=HELD_OUT_TRAIN + "1,u,remove,a\n", test="customer,product\nu,a\n")


def test_columns_make_the_interactions_that_events_make() -> None:
    """But for the hashes of orders, which only a tail asks for."""
    begin = int(BEGIN.timestamp())
    events = [
        view("b", 0, "u"), order("1", "ba", 1, "u"), view("a", 2, "v"), order("2", "c", 2.5, "v"), view("c", 3, "u"),
    ]  # fmt: skip
    hours = np.array([0, 24, 24, 48, 60, 72])
    columns = Columns(
        names=["b", "a", "c"],
        product=np.array([0, 0, 1, 1, 2, 2], np.int32),
        subject=np.array([0, 0, 0, 1, 1, 0]),
        kind=np.array([VIEW, ORDER, ORDER, VIEW, ORDER, VIEW], np.int8),
        time_s=begin + hours * 3600,
        order=np.array([-1, 0, 0, -1, 1, -1]),
    )
    mixed = np.array([4, 0, 5, 2, 3, 1])
    for order_of_lines in (np.arange(6), mixed):
        shuffled = Columns(columns.names, *(getattr(columns, name)[order_of_lines] for name in _PER_LINE))
        found, expected = interactions_of_columns(shuffled), interactions_of(events)
        for name in ("products", "catalogue", "reference_s"):
            assert getattr(found, name) == getattr(expected, name)
        for name in ("kind", "subject", "product", "time_s", "quantity", "order", "person"):
            assert getattr(found, name).tolist() == getattr(expected, name).tolist(), name
            assert getattr(found, name).dtype == getattr(expected, name).dtype, name
        for name in ("start", "products", "day", "subject"):
            assert getattr(found.orders, name).tolist() == getattr(expected.orders, name).tolist(), name
            assert getattr(found.orders, name).dtype == getattr(expected.orders, name).dtype, name


_PER_LINE = ("product", "subject", "kind", "time_s", "order")


def test_a_sample_of_questions_is_the_same_for_a_seed_and_keeps_their_order(tmp_path: Path) -> None:
    lines = "".join(f"{number} x\ty\n" for number in range(30))
    items = " ".join(map(str, range(30)))
    questions = task_of(tmp_path, "next-item", train=f"{items} x y\n", test=lines).parts[0].questions
    first, again, other = (questions.sampled(7, seed) for seed in (1, 1, 2))
    assert first.products.values.tolist() == again.products.values.tolist()
    assert first.products.values.tolist() != other.products.values.tolist()
    assert len(first) == 7
    chosen = [int(first.history(at).products[0]) for at in range(7)]
    of_all = [int(questions.history(at).products[0]) for at in range(30)]
    assert chosen == [row for row in of_all if row in chosen]
    assert questions.sampled(None, 1) is questions.sampled(30, 1) is questions
