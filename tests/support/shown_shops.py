"""Shops of which is known how much each position of a row is looked at, and how much each product appeals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.events import Event, ProductViewed, RankingClicked, RankingShown
from recommender.shown import PERSONAL, ShownLists
from tests.support.build import NOON, fact

Floats = NDArray[np.float64]
POSITIONS = 10


class World(NamedTuple):
    """What was shown, and the truth behind it: `appeal` (products,) of each product, 1 on average in logarithms."""

    shown: ShownLists
    appeal: Floats


def world(examined: Sequence[float], lists: int, seed: int, *, knows: bool = True, personal: bool = False) -> World:
    """Rows of ten of 25 products that go with each of 40 pages, ordered by a ranker that errs, trained twelve times.

    Products of a page appeal differently there; a tenth is sold out each time.

    Args:
        examined: (POSITIONS,) how much each position is looked at.
        knows: the ranker knows the truth with noise; without, it leans towards some products for no reason.
        personal: rows are ordered by what each person likes.
    """
    draw = np.random.default_rng(seed)
    pages, pool, trainings = 40, 25, 12
    appeal = np.exp(draw.normal(0.0, 0.7, 200))
    of_page = np.stack([draw.choice(200, pool, replace=False) for _ in range(pages)])
    here = np.log(appeal[of_page]) + draw.normal(0.0, 0.4, (pages, pool))
    errs = draw.normal(0.0, 0.7, (trainings, pages, pool))
    page, training = draw.integers(0, pages, lists), np.arange(lists) * trainings // lists
    likes = here[page] + (draw.normal(0.0, 0.5, (lists, pool)) if personal else 0.0)
    leans = likes if knows else draw.normal(0.0, 1.0, 200)[of_page[page]]
    score = np.where(draw.random((lists, pool)) < 0.1, -np.inf, leans + errs[training, page])
    order = np.argsort(-score, axis=1)[:, :POSITIONS]
    wanted = np.minimum(0.08 * np.exp(np.take_along_axis(likes, order, axis=1)), 0.9)
    clicked = draw.random(order.shape) < np.array(examined) * wanted
    shown = ShownLists(
        start=np.arange(lists + 1, dtype=np.int64) * POSITIONS,
        product=np.take_along_axis(of_page[page], order, axis=1).reshape(-1).astype(np.int32),
        clicked=clicked.reshape(-1),
        placement=np.zeros(lists, np.int32),
        device=np.zeros(lists, np.int32),
        about=np.full(lists, PERSONAL, np.uint64) if personal else (page + 1).astype(np.uint64),
        person=np.arange(lists, dtype=np.int32),
        time_s=np.arange(lists, dtype=np.int64) * 84 * DAY_S // lists,
        placements=("product.similar",),
        devices=("",),
    )
    return World(shown, appeal)


def browsing(appeal: Floats, examined: Sequence[float], visits: int, seed: int) -> list[Event]:
    """Visits that begin at a product, are shown a row, and go on by a click, or by themselves to what appeals.

    The row is ordered by a ranker that knows nothing of what appeals: each training has an order of its own, which
    leans towards the same products.
    """
    draw = np.random.default_rng(seed)
    products, trainings = len(appeal), 8
    names = [f"p{number:02}" for number in range(products)]
    leans = draw.normal(0.0, 1.0, products) + draw.normal(0.0, 0.6, (trainings, products))
    facts: list[Event] = []
    for visit in range(visits):
        began, person = NOON + timedelta(minutes=20 * visit), f"s{visit}"
        score = np.where(draw.random(products) < 0.2, -np.inf, leans[visit * trainings // visits])
        first = int(draw.integers(products))
        score[first] = -np.inf
        row = np.argsort(-score)[:POSITIONS]
        told = {"subject": person}
        facts.append(seen(names[first], began, told))
        facts.append(
            fact(
                RankingShown,
                occurred_at=began,
                received_at=began,
                request_id=f"r{visit}",
                placement="product.similar",
                product_ids=tuple(names[product] for product in row),
                seeds=(names[first],),
                impersonal=True,
                **told,
            )
        )
        moment = began
        for at in np.flatnonzero(draw.random(POSITIONS) < np.array(examined) * np.minimum(0.25 * appeal[row], 0.9)):
            moment += timedelta(seconds=20)
            clicked = {"request_id": f"r{visit}", "product_id": names[row[at]], "position": int(at) + 1}
            facts.append(fact(RankingClicked, occurred_at=moment, received_at=moment, **clicked, **told))
        if draw.random() < 0.5:
            other = int(draw.choice(products, p=appeal / appeal.sum()))
            facts.append(seen(names[other], moment + timedelta(seconds=40), told))
    return facts


def seen(product: str, moment: object, told: dict[str, str]) -> Event:
    """A product was looked at."""
    return fact(ProductViewed, occurred_at=moment, received_at=moment, product_id=product, **told)
