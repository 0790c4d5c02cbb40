"""What can be set about the models. Apart from the models, so that reading a configuration loads none of them."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import msgspec
import numpy as np
from msgspec import Meta

from ingest.vocabulary.ranking import FloatVector

Model = Literal[
    "auto",
    "logit",
    "trees",
    "popularity",
    "bought_together",
    "similar",
    "next",
    "near",
    "close",
    "kin",
    "walk",
    "stroll",
    "alike",
    "latent",
    "baskets",
    "ease",
    "text",
    "histories",
]
"""What ranks for a history: `auto` is what ships, the others are one model alone, to compare with."""
MODELS: tuple[Model, ...] = get_args(Model)
COUNTED: tuple[Model, ...] = ("popularity", "bought_together")
"""Those that count alone, and need nothing of the ranker's."""


class PopularityConfiguration(msgspec.Struct, frozen=True):
    """`level` is how much is wanted, `recent` the same with a shorter memory; `listed` products a category."""

    level_half_life_days: int = 30
    recent_half_life_days: int = 7
    listed: int = 500


class BoughtTogetherConfiguration(msgspec.Struct, frozen=True):
    """`kept` partners a product; at least `common_min` orders in common, `z_min` standard deviations above chance.

    Below `untested_orders` orders in the shop the test against chance has no power and is left out.
    """

    slow_half_life_days: int = 180
    fast_half_life_days: int = 14
    kept: int = 100
    common_min: int = 3
    z_min: float = 3.0
    untested_orders: int = 100
    shrink: float = 5.0
    weight_raw: float = 0.75
    weight_slow: float = 1.0
    weight_fast: float = 0.5

    @property
    def tuning(self) -> FloatVector:
        """The parameters in the order of `kernels/scoring.py`."""
        values = (self.shrink, self.weight_raw, self.weight_slow, self.weight_fast)
        return np.array([*values, self.z_min, self.common_min, self.untested_orders], dtype=np.float64)


class SimilarConfiguration(msgspec.Struct, frozen=True):
    """`kept` substitutes and `styles` other styles a product; words on more than `postings_max` are void.

    Of one kind is what shares a word in one category (`kind_cosine_min`), or, without any, half of the words
    (`alike_cosine_min`).
    """

    kept: int = 100
    styles: int = 30
    styles_cosine_min: float = 0.5
    kind_cosine_min: float = 0.08
    alike_cosine_min: float = 0.5
    price: float = 0.25
    together: float = 1.0
    postings_max: int = 5_000
    visit_gap_min: int = 30

    @property
    def substitutes_tuning(self) -> FloatVector:
        """Least cosine, weight of price, of contexts, of sharing the group, of sharing the colour."""
        return np.array([0.0, self.price, self.together, 0.25, 1.0])

    @property
    def styles_tuning(self) -> FloatVector:
        """The same for other styles: variants above all, the same colour last."""
        return np.array([self.styles_cosine_min, self.price, 0.0, 2.0, 0.25])


class AffinityConfiguration(msgspec.Struct, frozen=True):
    """`lift_max` bounds what a situation does to a score, up and, inverted, down; with 1 nothing is learned of it."""

    lift_max: Annotated[float, Meta(ge=1.0, le=100.0)] = 3.0


class TrainingConfiguration(msgspec.Struct, frozen=True):
    """The configuration of every model.

    Attributes:
        threads: changes the time it takes and nothing else.
        ranker: whether to learn to rank from what is held back: better rows for some ten times the training.
        model: what ranks for a history.
    """

    popularity: PopularityConfiguration = PopularityConfiguration()
    bought_together: BoughtTogetherConfiguration = BoughtTogetherConfiguration()
    similar: SimilarConfiguration = SimilarConfiguration()
    affinity: AffinityConfiguration = AffinityConfiguration()
    threads: int = 1
    ranker: bool = True
    model: Model = "auto"

    def ranking_by(self, model: str) -> TrainingConfiguration:
        """The same with one model that ranks, and the ranker trained where that model is or needs it."""
        return msgspec.structs.replace(self, model=model, ranker=model not in COUNTED)
