"""Rankers fitted on a small shop in which b always follows a, and asked through the models as they answer."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from ingest.vocabulary.events import Event
from ingest.vocabulary.ids import ProductId
from ingest.vocabulary.ranking import Candidates, History, ProductIndex, Purpose
from recommender.candidates.plan import COMPONENT_NAMES, COMPONENTS, Plan
from recommender.candidates.search import Search
from recommender.candidates.stores import FEATURES
from recommender.configuration import TrainingConfiguration
from recommender.interactions import VIEW, interactions_of
from recommender.kernels.gathering import PER_COMPONENT, SILENT
from recommender.live import LiveModels
from recommender.ranker.choices import Choices
from recommender.ranker.fitting import blended, what_components_add
from recommender.ranker.training import ModelCard
from recommender.snapshot import Snapshot, SnapshotStore
from recommender.tail import Tail
from recommender.training import fit, fit_in_memory
from tests.support.histories import view
from tests.support.shops import ids

LETTERS = "abcdefghij"  # of each two the second follows the first
HOUR, SECOND = 1 / 24, 1 / 86_400
NOTHING = np.zeros(0, np.int32)
LATER = ("fresh", "alive", "moments", "top_row", "top_score")  # of the ranker, the arrays that were added last
PURPOSES: tuple[Purpose, ...] = ("next_item", "for_you")


def visits(names: str = LETTERS, people: int = 210) -> list[Event]:
    """Each person looks at two pairs; no two things happen at one moment."""
    random = np.random.default_rng(3)
    events: list[Event] = []
    for person in range(people):
        one, other = random.choice(5, 2, replace=False).tolist()
        seen = (2 * one, 2 * one + 1, 2 * other, 2 * other + 1)
        events += [view(names[each], person * HOUR + 60 * at * SECOND, f"v{person}") for at, each in enumerate(seen)]
    return events


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    return fit_in_memory(visits(), TrainingConfiguration(ranker=True))


def live_of(snapshot: Snapshot) -> LiveModels:
    index = ProductIndex()
    return LiveModels(snapshot, Tail(index, snapshot), index)


def history(live: LiveModels, products: str) -> History:
    numbers = [live.tail.index.find(ProductId(each)) for each in products]
    row = np.array([-1 if each is None else each for each in numbers], np.int32)
    return History(row, np.arange(len(row), dtype=np.int64), np.full(len(row), VIEW, np.int8))


def ask(
    live: LiveModels, products: str, purpose: Purpose = "next_item", limit: int = 10, without: str = ""
) -> Candidates:
    return live.ranked(purpose, history(live, products), limit, history(live, without).products)


def test_what_always_follows_ranks_first(snapshot: Snapshot) -> None:
    live = live_of(snapshot)
    for first, second in zip(LETTERS[::2], LETTERS[1::2], strict=True):
        found = ask(live, first)
        assert ids(live, found)[0] == second
        assert live.tail.index.product_id(int(found.because[0])) == first
        assert len(set(ids(live, found))) == len(found.products)
        assert (np.diff(found.scores) <= 0).all()
    card = snapshot.unpack("ranking.card", ModelCard)
    assert card.questions["next_item"] == 21 * 3
    assert card.trials
    assert all(0 <= trial.figure <= 1 for trial in card.trials)
    assert set(card.adds["next_item"]) == set(COMPONENT_NAMES)


def test_threads_a_second_run_and_events_told_twice_change_no_byte(snapshot: Snapshot) -> None:
    told = visits()
    again = fit_in_memory([*told[40:], *told[:90]], TrainingConfiguration(threads=2, ranker=True))
    assert again.snapshot_id == snapshot.snapshot_id


def test_a_search_on_the_newest_alone_leaves_the_lists_as_they_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a shop of more entries than trials are made with, all of them are still counted."""
    interactions, told = interactions_of(visits()), list[tuple[str, float]]()
    usual = fit(interactions, TrainingConfiguration())
    monkeypatch.setattr("recommender.ranker.training.SEARCHED_MAX", len(interactions.kind) // 2)
    once, again = (fit(interactions, TrainingConfiguration(threads=count)) for count in (1, 2))
    assert once.snapshot_id == again.snapshot_id
    assert len(once["ranking.history_product"]) == len(usual["ranking.history_product"])
    assert once["ranking.popular"].tobytes() == usual["ranking.popular"].tobytes()
    fit(interactions, TrainingConfiguration(), progress=lambda step, share: told.append((step, share)))
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    ranking = list(dict.fromkeys(step for step, _ in told if step.startswith("ranking: ")))
    assert ranking == ["ranking: searching", "ranking: gathering", "ranking: learning", "ranking: counting"]
    assert len({share for step, share in told if step == "ranking: searching"}) > 20


def test_other_names_give_the_same_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing ties. The search judges components alone, whose whole counts tie often, so it is left out here."""
    monkeypatch.setattr(Search, "run", lambda self: self.plan)
    renamed = "".join(reversed(LETTERS))
    there, back = str.maketrans(LETTERS, renamed), str.maketrans(renamed, LETTERS)
    live, other = (
        live_of(fit_in_memory(visits(names), TrainingConfiguration(ranker=True))) for names in (LETTERS, renamed)
    )
    for purpose in PURPOSES:
        for products in ("a", "ca", "abcd", "jia"):
            found, mirrored = ask(live, products, purpose), ask(other, products.translate(there), purpose)
            names = [each.translate(back) for each in ids(other, mirrored)]
            expected = dict(zip(ids(live, found), found.scores.tolist(), strict=True))
            assert dict(zip(names, mirrored.scores.tolist(), strict=True)) == pytest.approx(expected, abs=1e-3)


def test_rankers_loaded_from_disk_answer_as_those_in_memory(snapshot: Snapshot, tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    arrays = {name: snapshot[name] for name in snapshot._arrays}
    loaded = store.open(store.write(arrays))
    assert loaded.snapshot_id == snapshot.snapshot_id
    for products in ("a", "acab"):
        one, other = (ask(live_of(each), products, without="c") for each in (snapshot, loaded))
        assert [np.asarray(part).tolist() for part in one[1:]] == [np.asarray(part).tolist() for part in other[1:]]


@pytest.mark.parametrize("purpose", ["next_item", "for_you", "basket", "next_basket", "similar", "bought_together"])
def test_odd_questions_are_answered_and_keep_what_is_excluded_out(snapshot: Snapshot, purpose: Purpose) -> None:
    live = live_of(snapshot)
    new = live.tail.index.add(ProductId("new"))
    unknown = History(np.array([new, -1], np.int32), np.arange(2), np.zeros(2, np.int8))
    for asked in (history(live, ""), unknown, history(live, "ab" * 300)):
        found = live.ranked(purpose, asked, 4, history(live, "ab").products)
        assert len(found.products) <= 4
        assert not set(ids(live, found)) & {"a", "b"}
        assert len(live.ranked(purpose, asked, 4, history(live, LETTERS).products).products) == 0
        assert len(live.ranked(purpose, asked, 0, NOTHING).products) == 0
        assert len(live.ranked(purpose, asked, 4, np.array([new, -1], np.int32)).products) <= 4


def test_behind_few_candidates_comes_what_is_popular(snapshot: Snapshot) -> None:
    live = live_of(snapshot)
    popular = ids(live, live.popular(None, 10))
    assert ids(live, ask(live, "", limit=3)) == popular[:3]
    assert ids(live, ask(live, "", limit=3, without=popular[0])) == popular[1:4]
    assert sorted(ids(live, ask(live, "a"))) == sorted(popular)


def test_a_snapshot_from_before_there_were_rankers_answers(snapshot: Snapshot) -> None:
    arrays = {name: snapshot[name] for name in snapshot._arrays if not name.startswith("ranking.")}
    live = live_of(Snapshot(snapshot.snapshot_id, arrays))
    assert ids(live, ask(live, "", limit=3)) == ids(live, live.popular(None, 3))


def test_a_snapshot_from_before_times_and_popularity_counted_answers_without_them(snapshot: Snapshot) -> None:
    """Its weights are of fewer features, those that came later weigh nothing."""
    arrays = {name: snapshot[name] for name in snapshot._arrays}
    silenced = arrays["ranking.next_item.weights"].copy()
    silenced[-4:] = 0.0
    silenced.flags.writeable = False
    older = {name: array for name, array in arrays.items() if name.removeprefix("ranking.") not in LATER}
    short = silenced[:-4].copy()
    short.flags.writeable = False
    plan, told = snapshot.unpack("ranking.plan", Plan), []
    for each, weights, popularity in ((arrays, silenced, (0.0,)), (older, short, ())):
        blend = {purpose: (*blend[:-1], *popularity) for purpose, blend in plan.blend.items()}
        encoded = np.frombuffer(msgspec.msgpack.encode(msgspec.structs.replace(plan, blend=blend)), np.uint8)
        changed = {"ranking.next_item.weights": weights, "ranking.plan": encoded}
        told.append(ask(live_of(Snapshot(snapshot.snapshot_id, each | changed)), "a"))
    assert told[0].products.tolist() == told[1].products.tolist()
    assert told[0].scores.tolist() == told[1].scores.tolist()


@pytest.mark.parametrize(
    ("fitted", "worth", "expected"),
    [
        ((4.0, 0.0, 1.0), (0.2, 0.1, 0.1), (4.0, 0.2, 1.0)),
        ((1.0, 0.0, 9.0), (0.2, 0.0, 0.1), (1.0, 0.0, 1.0)),
        ((1.0, 0.0, -1.0), (0.2, 0.1, 0.1), (1.0, 0.05, 0.0)),
        ((0.0, 0.0, 5.0), (0.0, 0.0, 0.3), (0.0, 0.0, 0.0)),
    ],
    ids=["as it was fitted", "no more than all others", "none", "alone it tells nothing"],
)
def test_popularity_crowds_out_nobody(
    fitted: tuple[float, ...], worth: tuple[float, ...], expected: tuple[float, ...]
) -> None:
    assert blended(np.array(fitted), np.array(worth)).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("model", ["logit", "next"])
def test_a_model_that_is_named_ranks(model: str) -> None:
    live = live_of(fit_in_memory(visits(), TrainingConfiguration().ranking_by(model)))
    assert ids(live, ask(live, "c"))[0] == "d"


def test_what_a_component_adds_is_what_ranking_loses_without_it() -> None:
    features = np.zeros((6, FEATURES), np.float32)
    features[:, 1 : PER_COMPONENT * COMPONENTS : PER_COMPONENT] = SILENT
    near, text = COMPONENT_NAMES.index("near"), COMPONENT_NAMES.index("text")
    features[[1, 4], PER_COMPONENT * near] = 1.0  # of two questions with three candidates each, it knows what was taken
    choices = Choices(features, np.array([0, 3, 6]), np.array([0, 1, 0, 0, 1, 0], np.uint8))
    weights = np.zeros(FEATURES)
    weights[[PER_COMPONENT * near, PER_COMPONENT * text]] = 1.0
    adds = what_components_add(choices, weights)
    assert adds["near"] == pytest.approx(1 - 1 / 2)  # without it the three are equal: rank 2 on average
    assert {name for name, gain in adds.items() if gain} == {"near"}
