"""Whole evaluations of the smallest and oddest data sets there can be, and of models whose answers are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ingest.vocabulary.ranking import Candidates, History, IntVector, Purpose
from recommender.configuration import TrainingConfiguration
from recommender.evaluation.answering import ask
from recommender.evaluation.run import Settings, compare, evaluate
from tests.support.questions import task_of

SETTINGS = Settings(TrainingConfiguration(), cutoffs=(1, 3))

ODD: dict[str, tuple[str, dict[str, str]]] = {
    "one product": ("next-item", {"train": "a\na a a\n", "test": "a\ta\na a\ta\n"}),
    "one session": ("next-item", {"train": "a b c\n", "test": "a\tb\n"}),
    "nothing but repeats": ("next-item", {"train": "a a\nb b b\nc c\n", "test": "a\ta\nb\tb\n"}),
    "nothing known at the test": ("next-item", {"train": "a b\n", "test": "x y\tz\n"}),
    "no training at all": ("leave-one-out", {"sequences": "u a b\nv b c\n"}),
    "everything excluded": ("leave-one-out", {"sequences": "u a a a\nv a a a a\n"}),
    "one user": ("split", {"train": "u a b\n", "test": "u c\n"}),
    "one basket": ("next-basket", {"train": '{"u": [["a"]]}', "test": '{"u": ["a"]}'}),
    "baskets of one": ("basket-completion", {"train": "a\nb\n", "test": "a b\n"}),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_data_sets_are_evaluated_like_any_other(name: str, tmp_path: Path) -> None:
    protocol, files = ODD[name]
    task = task_of(tmp_path, protocol, **files)
    report = evaluate(task, SETTINGS).report
    assert report["n"] == len(task.parts[0].questions) > 0
    for metric, value in report.items():
        assert "@" not in metric or 0 <= value <= 1


class Fixed:
    """Answers every question with the same products but those that are excluded, and remembers what was asked."""

    def __init__(self, *products: int) -> None:
        self._products, self.asked = products, list[tuple[Purpose, list[int], int]]()

    def ranked(self, purpose: Purpose, history: History, limit: int, excluded: IntVector) -> Candidates:
        """The products, in their order."""
        self.asked.append((purpose, history.products.tolist(), limit))
        kept = [product for product in self._products if product not in excluded][:limit]
        nobody, flat = np.full(len(kept), -1, np.int32), np.zeros(len(kept))
        return Candidates("for_you", np.array(kept, np.int32), flat, nobody, flat.astype(np.int64), flat)


def test_models_are_asked_with_the_history_the_purpose_and_the_limit(tmp_path: Path) -> None:
    questions = task_of(tmp_path, "split", train="u a b\nv c\n", test="u c\nv a\n").parts[0].questions
    models = Fixed(2, 0, 1)
    answered = ask(models, questions, 2)
    assert answered.ranked.tolist() == [[2, -1], [0, 1]]
    assert (answered.query_s > 0).all()
    assert models.asked[-2:] == [("for_you", [0, 1], 2), ("for_you", [2], 2)]


class Broken(Fixed):
    """Does not look at what is excluded."""

    def ranked(self, purpose: Purpose, history: History, limit: int, excluded: IntVector) -> Candidates:
        """The products, excluded or not."""
        return super().ranked(purpose, history, limit, excluded[:0])


def test_lists_that_break_the_rules_are_no_figures(tmp_path: Path) -> None:
    questions = task_of(tmp_path, "split", train="u a b\nv c\n", test="u c\nv a\n").parts[0].questions
    with pytest.raises(AssertionError, match="an excluded product"):
        ask(Broken(2, 0), questions, 2)
    with pytest.raises(AssertionError, match="twice"):
        ask(Fixed(2, 2), questions, 2)


def test_a_model_is_not_better_than_itself(tmp_path: Path) -> None:
    train = "".join(f"{at % 5} {(at + 1) % 5} {at % 7}\n" for at in range(40))
    task = task_of(tmp_path, "basket-completion", train=train, test=train)
    report = compare(task, SETTINGS, ("auto", "auto"))
    assert {(each.difference, each.interval, each.p_value) for each in report["difference"].values()} == {
        (0.0, (0.0, 0.0), 1.0)
    }
    assert report["reports"][0]["hit_rate@3"] > 0
