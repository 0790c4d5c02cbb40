"""What rankers take from shown lists, in a shop whose rows put some products on top for no reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from scipy.stats import spearmanr

from ingest.vocabulary.events import RankingShown
from ingest.vocabulary.ids import ProductId
from ingest.vocabulary.ranking import VIEW, History, ProductIndex
from recommender.configuration import TrainingConfiguration
from recommender.interactions import Interactions, interactions_of
from recommender.live import LiveModels
from recommender.models.examination import LEAST, Curve, Examination
from recommender.ranker.lessons import click_weights, halves, teaching_of
from recommender.ranker.training import ModelCard
from recommender.snapshot import Snapshot
from recommender.tail import Tail
from recommender.training import fit
from tests.support.shown_shops import POSITIONS, Floats, browsing

EXAMINED = (1.0 / np.arange(1.0, POSITIONS + 1)).tolist()
PRODUCTS, VISITS, SEED = 30, 6_000, 6
NOTHING = np.zeros(0, np.int32)


def appeal_of(seed: int) -> Floats:
    return np.exp(np.random.default_rng(100 + seed).normal(0.0, 0.8, PRODUCTS))


@pytest.fixture(scope="module")
def interactions() -> Interactions:
    return interactions_of(browsing(appeal_of(SEED), EXAMINED, VISITS, SEED))


@pytest.fixture(scope="module")
def snapshot(interactions: Interactions) -> Snapshot:
    return fit(interactions, TrainingConfiguration(threads=2))


@pytest.fixture(scope="module")
def naive(interactions: Interactions) -> Snapshot:
    """What was learned from the same clicks as views like any others."""
    return fit(replace(interactions, shown=None), TrainingConfiguration())


def card_of(snapshot: Snapshot) -> ModelCard:
    return snapshot.unpack("ranking.card", ModelCard)


def truth_in(snapshot: Snapshot, appeal: Floats) -> float:
    """The mean rank correlation of rows for somebody who looked at one product with what appeals."""
    index = ProductIndex()
    live, found = LiveModels(snapshot, Tail(index, snapshot), index), []
    for product in range(PRODUCTS):
        row = np.array([index.find(ProductId(f"p{product:02}"))], np.int32)
        history = History(row, np.zeros(1, np.int64), np.array([VIEW], np.int8))
        ranked = live.ranked("for_you", history, PRODUCTS, row).products
        names = [int(index.product_id(each)[1:]) for each in ranked.tolist()]
        found.append(float(spearmanr(-np.arange(len(names)), appeal[names]).statistic))
    return float(np.mean(found))


def test_a_ranker_that_knows_what_appeals_is_nearer_the_truth(snapshot: Snapshot, naive: Snapshot) -> None:
    told = card_of(snapshot).shown
    assert told is not None
    assert told.challenges["for_you"].is_taken
    assert told.challenges["for_you"].low > 0
    assert told.appeal["for_you"] > 0
    assert truth_in(snapshot, appeal_of(SEED)) > truth_in(naive, appeal_of(SEED)) + 0.1


def test_the_card_says_what_was_learned(snapshot: Snapshot) -> None:
    told = card_of(snapshot).shown
    assert told is not None
    assert (told.lists, told.products, told.personal) == (VISITS, VISITS * POSITIONS, 0)
    assert [(curve.placement, curve.device) for curve in told.curves] == [("", ""), ("product.similar", "")]
    apart = np.log(told.curves[0].examined[:POSITIONS]) - np.log(np.maximum(EXAMINED, LEAST))
    assert np.abs(apart).max() < 0.25
    assert set(told.challenges) <= {"for_you", "next_item"}


def test_without_what_was_taken_the_snapshot_is_that_of_the_same_views(snapshot: Snapshot, naive: Snapshot) -> None:
    """Only the appeal and its part of the card are added: nothing else moves by a byte."""
    told, after, before = card_of(snapshot).shown, snapshot.part("ranking"), naive.part("ranking")
    assert told is not None
    assert set(after) - set(before) == {f"{purpose}.appeal" for purpose in told.appeal}
    for name in set(before) - {"card"}:
        assert after[name].tobytes() == before[name].tobytes(), name
    assert b"shown" not in naive["ranking.card"].tobytes(), "cards from before shown lists have the same bytes"
    assert msgspec.structs.replace(card_of(snapshot), shown=None) == card_of(naive)


def test_a_second_run_on_one_thread_changes_no_byte(snapshot: Snapshot, interactions: Interactions) -> None:
    assert fit(interactions, TrainingConfiguration(threads=1)).snapshot_id == snapshot.snapshot_id


def test_appeal_that_says_nothing_of_what_comes_next_is_not_taken() -> None:
    """Everything appeals alike here: what is clicked more often was lucky."""
    told = card_of(fit(interactions_of(browsing(np.ones(PRODUCTS), EXAMINED, 4_000, 3)), TrainingConfiguration())).shown
    assert told is not None
    assert not told.appeal
    assert not any(challenge.is_taken for challenge in told.challenges.values())


def test_what_somebody_is_asked_about_is_told_by_others(interactions: Interactions) -> None:
    """All lists of one half turned around change nothing of what is known of their own questions."""
    shown = interactions.shown
    assert shown is not None
    of_list = halves(shown.person.astype(np.int64))
    assert 0.45 < of_list.mean() < 0.55
    owner = np.repeat(of_list, POSITIONS)
    unlike = np.where(owner == 0, shown.clicked[::-1], shown.clicked)
    before, after = teaching_of(interactions), teaching_of(replace(interactions, shown=replace(shown, clicked=unlike)))
    assert before is not None
    assert after is not None
    assert np.array_equal(before.appeal[0], after.appeal[0])
    assert not np.array_equal(before.appeal[1], after.appeal[1])
    assert (before.half == halves(interactions.person[interactions.subject].astype(np.int64))).all()


def curve(examined: Sequence[float]) -> Examination:
    return Examination((Curve("", "", 1, tuple(examined), (0.0,) * len(examined)),))


def test_a_click_further_down_weighs_more_and_all_clicks_together_as_before() -> None:
    appeal = appeal_of(2)
    events = browsing(appeal, EXAMINED, 300, 2)
    interactions = interactions_of(events)
    shown = interactions.shown
    assert shown is not None
    weight = click_weights(interactions, shown, curve(np.maximum(EXAMINED, LEAST).tolist()))
    positions = {event.request_id: event.product_ids for event in events if isinstance(event, RankingShown)}
    clicked = shown.clicked.nonzero()[0]
    at = shown.positions()[clicked]
    inverse = 1.0 / np.maximum(np.array(EXAMINED), LEAST)[at]
    assert set(np.round(inverse / inverse.mean(), 4)) | {1.0} >= set(np.round(weight.astype(np.float64), 4))
    assert len(positions) == 300
    assert (weight != 1).sum() >= len(clicked)
    assert weight.max() / weight[weight != 1].min() <= 1 / LEAST + 1e-3
