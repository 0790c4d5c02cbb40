"""How much positions are looked at and products appeal, learned in shops of which both are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import spearmanr

from recommender.models.appeal import fit_appeal
from recommender.models.examination import (
    CHILD_STEP_SD,
    CLICKS_MIN,
    LEAST,
    PRIOR,
    Curve,
    Examination,
    fit_examination,
    not_rising,
)
from recommender.shown import POSITIONS_MAX, ShownLists
from tests.support.shown_shops import POSITIONS, world

RANKS = np.arange(1.0, POSITIONS + 1)
STEEP, MILD = RANKS**-1.0, RANKS**-0.35
CLIFF = np.array([1, 0.95, 0.9, 0.85, 0.3, 0.28, 0.25, 0.22, 0.2, 0.18])
"""The fold of a page: four are seen at once, the others by who scrolls."""


def curve_of(shown: ShownLists, at: int = 0) -> Curve:
    examination = fit_examination(shown)
    assert examination is not None
    return examination.curves[at]


def wrong_by(examined: NDArray[np.float64] | tuple[float, ...], truth: NDArray[np.float64]) -> float:
    """The largest error of any position, of the logarithm; what is below `LEAST` in truth is to be `LEAST`."""
    return float(np.abs(np.log(np.array(examined)[:POSITIONS]) - np.log(np.maximum(truth, LEAST))).max())


@pytest.mark.parametrize("truth", [STEEP, MILD, CLIFF], ids=["steep", "mild", "cliff"])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_curve_is_found_where_rows_are_ordered_by_what_appeals(truth: NDArray[np.float64], seed: int) -> None:
    """Within 15 %, where clicks by position are off by a factor of two or more."""
    shown = world(truth.tolist(), 20_000, seed).shown
    curve = curve_of(shown)
    by_position = shown.clicked.reshape(-1, POSITIONS).mean(axis=0)
    assert wrong_by(curve.examined, truth) < 0.15
    assert wrong_by(by_position / by_position[0], truth) > 0.7
    apart = np.abs(np.log(np.array(curve.examined[:POSITIONS])) - np.log(np.maximum(truth, LEAST)))
    assert (apart <= 3 * np.array(curve.sd[:POSITIONS]) + 1e-9).all(), "and it says how sure it is"


def test_what_is_learned_makes_a_better_order_than_clicks_at_face_value() -> None:
    """Where some products were on top for no reason: a rank correlation with the truth that is .06 or more better."""
    for seed in (1, 2, 3):
        shop = world(STEEP.tolist(), 20_000, seed, knows=False)
        examination = fit_examination(shop.shown)
        assert examination is not None
        naive, corrected = (
            float(spearmanr(fit_appeal(shop.shown, examined, len(shop.appeal)).logs, shop.appeal).statistic)
            for examined in (np.ones(len(shop.shown.product)), examination.of(shop.shown))
        )
        assert corrected > naive + 0.06
        assert corrected > 0.7


def test_rows_that_depend_on_who_asks_say_nothing_of_positions_but_have_the_curve_of_the_others() -> None:
    personal = world(MILD.tolist(), 4_000, 1, personal=True).shown
    assert personal.clicked.sum() > 20 * CLICKS_MIN
    assert fit_examination(personal) is None
    compared = world(MILD.tolist(), 20_000, 1).shown
    examination = fit_examination(compared)
    assert examination is not None
    there = replace(personal, placements=("home.for-you",))
    assert np.array_equal(examination.of(there)[:POSITIONS], np.array(examination.curves[0].examined[:POSITIONS]))


def test_a_few_clicks_teach_nothing_and_some_hardly_move_the_prior() -> None:
    shown = world(STEEP.tolist(), 20_000, 5).shown
    first = np.arange(len(shown))
    assert fit_examination(shown.take(first < 100)) is None
    some = curve_of(shown.take(first < 700))
    assert CLICKS_MIN <= some.telling < 4 * CLICKS_MIN
    many, prior = curve_of(shown), np.exp(PRIOR[:POSITIONS])
    assert wrong_by(some.examined, prior) < wrong_by(many.examined, prior)
    sure, unsure = np.array(many.sd[1:POSITIONS]), np.array(some.sd[1:POSITIONS])
    assert (unsure > 3 * sure).all()


def test_placements_and_devices_have_their_own_curves_where_they_have_clicks() -> None:
    phones, desks = (world(truth.tolist(), 20_000, 3).shown for truth in (STEEP, MILD))
    rare = world(MILD.tolist(), 20_000, 3).shown.take(np.arange(20_000) < 60)
    shown = joined(
        replace(phones, placements=("a",), devices=("mobile",)),
        replace(desks, placements=("a",), devices=("desktop",), about=desks.about + np.uint64(1_000)),
        replace(rare, placements=("b",), about=rare.about + np.uint64(5_000)),
    )
    examination = fit_examination(shown)
    assert examination is not None
    assert [(curve.placement, curve.device) for curve in examination.curves] == [
        ("", ""),
        ("a", ""),
        ("a", "desktop"),
        ("a", "mobile"),
    ]
    whole, _, desk, phone = examination.curves
    assert wrong_by(phone.examined, STEEP) < 0.25
    assert wrong_by(desk.examined, MILD) < 0.25
    examined = examination.of(shown).reshape(-1, POSITIONS)
    assert np.array_equal(examined[0], phone.examined[:POSITIONS])
    assert np.array_equal(examined[-1], whole.examined[:POSITIONS])


def joined(*parts: ShownLists) -> ShownLists:
    """Lists of several shops as those of one; each part has one placement and one device."""
    placements = tuple(sorted({part.placements[0] for part in parts}))
    devices = tuple(sorted({part.devices[0] for part in parts}))
    counts = np.concatenate([np.diff(part.start) for part in parts])

    def numbers(names: tuple[str, ...], own: list[str]) -> NDArray[np.int32]:
        sizes = [len(part) for part in parts]
        return np.repeat([names.index(name) for name in own], sizes).astype(np.int32)

    return ShownLists(
        start=np.concatenate(([0], np.cumsum(counts))),
        product=np.concatenate([part.product for part in parts]),
        clicked=np.concatenate([part.clicked for part in parts]),
        placement=numbers(placements, [part.placements[0] for part in parts]),
        device=numbers(devices, [part.devices[0] for part in parts]),
        about=np.concatenate([part.about for part in parts]),
        person=np.concatenate([part.person for part in parts]),
        time_s=np.concatenate([part.time_s for part in parts]),
        placements=placements,
        devices=devices,
    )


def test_lists_in_any_order_give_the_same() -> None:
    shop = world(CLIFF.tolist(), 3_000, 7)
    order = np.random.default_rng(1).permutation(3_000)
    rows = (order[:, None] * POSITIONS + np.arange(POSITIONS)).reshape(-1)
    mixed = replace(
        shop.shown,
        product=shop.shown.product[rows],
        clicked=shop.shown.clicked[rows],
        about=shop.shown.about[order],
        person=shop.shown.person[order],
        time_s=shop.shown.time_s[order],
    )
    there, here = fit_examination(mixed), fit_examination(shop.shown)
    assert there is not None
    assert there == here
    appeals = [fit_appeal(each, there.of(each), len(shop.appeal)) for each in (shop.shown, mixed)]
    assert np.array_equal(appeals[0].logs, appeals[1].logs)


def test_a_curve_starts_at_1_never_rises_and_is_bounded_whatever_was_clicked() -> None:
    for seed in range(6):
        draw = np.random.default_rng(seed)
        shown = world(draw.random(POSITIONS).tolist(), 3_000, seed).shown
        for curve in (fit_examination(shown) or Examination(())).curves:
            examined = np.array(curve.examined)
            assert examined[0] == 1.0
            assert (np.diff(examined) <= 0).all()
            assert examined.min() >= LEAST
            assert len(examined) == len(curve.sd) == POSITIONS_MAX
            assert np.isfinite(curve.sd).all()


def test_neighbours_that_rise_are_pooled() -> None:
    ones = np.ones(5)
    assert not_rising(np.array([0.0, -3.0, -1.0, -2.0, -2.5]), ones).tolist() == [0.0, -2.0, -2.0, -2.0, -2.5]
    assert not_rising(np.array([0.0, -3.0, -1.0]), np.array([1.0, 3.0, 1.0])).tolist() == [0.0, -2.5, -2.5]
    assert not_rising(np.array([-1.0, 0.0]), np.ones(2)).tolist() == [-0.5, -0.5]


def test_appeal_is_clicks_over_what_positions_would_bring_anything() -> None:
    """One list of a, b shown forty times: a is clicked ten times at the first position, b ten times at the second."""
    shown = ShownLists(
        start=np.arange(41, dtype=np.int64) * 2,
        product=np.tile(np.array([0, 1], np.int32), 40),
        clicked=np.tile([True, False, False, True, False, False, False, False], 10),
        placement=np.zeros(40, np.int32),
        device=np.zeros(40, np.int32),
        about=np.ones(40, np.uint64),
        person=np.arange(40, dtype=np.int32),
        time_s=np.arange(40, dtype=np.int64),
        placements=("p",),
        devices=("",),
    )
    examined = np.tile([1.0, 0.25], 40)
    logs, strength = fit_appeal(shown, examined, 3)
    usual = 20 / (40 * 1.25)
    assert logs[0] == pytest.approx(np.log((10 + strength) / (40 * usual + strength)), abs=1e-4)
    assert logs[1] == pytest.approx(np.log((10 + strength) / (10 * usual + strength)), abs=1e-4)
    assert logs[1] > 0 > logs[0], "what is clicked as often at a position that is looked at less appeals more"
    assert logs[2] == 0, "what was never shown is as usual"
    at_face_value = fit_appeal(shown, np.ones(80), 3).logs
    assert at_face_value[0] == at_face_value[1]


def test_a_random_walk_of_a_placement_is_tighter_than_that_of_the_shop() -> None:
    """A placement with few clicks stays with its shop: its own clicks say less than those of all."""
    shop = world(STEEP.tolist(), 20_000, 2).shown
    few = world(MILD.tolist(), 20_000, 9).shown.take(np.arange(20_000) < 500)
    both = joined(replace(shop, placements=("a",)), replace(few, placements=("b",), about=few.about + np.uint64(9_000)))
    examination = fit_examination(both)
    assert examination is not None
    of_shop, own = examination.curves[0], examination.curves[2]
    assert own.placement == "b"
    assert wrong_by(own.examined, np.array(of_shop.examined[:POSITIONS])) < 9 * CHILD_STEP_SD
    assert wrong_by(own.examined, STEEP) > 0.1, "and yet it moves"
