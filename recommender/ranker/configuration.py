"""What can be set about the ranker. Apart from the fits, so that reading a configuration loads neither."""

from __future__ import annotations

import msgspec

from ingest.vocabulary.errors import ConfigurationError

LEAVES_MAX = 32  # a tree's leaves are the bits of one 32-bit word while it is scored
TREES_MAX = 2_000
BINS_MAX = 255  # a bin of LightGBM's is a byte
SEED_MAX = 2**31 - 1  # LightGBM's seeds are C ints


class LogitConfiguration(msgspec.Struct, frozen=True):
    """`l2` is the precision of the prior on standardised weights, as if so many requests had spoken for it."""

    l2: float = 10.0
    iterations_max: int = 50

    def __post_init__(self) -> None:
        _demand(self.l2 > 0, "l2 must be above 0: without it, separable choices have no best weights")
        _demand(self.iterations_max >= 1, "iterations_max must be at least 1")


class TreesConfiguration(msgspec.Struct, frozen=True):
    """One point of the grid that the trainer searches.

    Attributes:
        trees_max: trees at most; fewer when `patience` further ones do not improve NDCG at `evaluated_at` of what
            they do not grow on.
        bins: values of a feature that a split tells apart, at most; rows_in_leaf_min: candidates in a leaf at least.
        query_share, feature_share: what each tree is grown on, drawn by `seed`.
        truncation: pairs count only if one of them is ranked so high (LambdaMART's truncation level).
    """

    trees_max: int = 300
    leaves: int = 15
    bins: int = 63
    learning_rate: float = 0.05
    rows_in_leaf_min: int = 50
    l2: float = 1.0
    query_share: float = 1.0
    feature_share: float = 1.0
    truncation: int = 60
    evaluated_at: int = 10
    patience: int = 30
    seed: int = 1

    def __post_init__(self) -> None:
        _demand(1 <= self.trees_max <= TREES_MAX, f"trees_max must be 1..{TREES_MAX}")
        _demand(2 <= self.leaves <= LEAVES_MAX, f"leaves must be 2..{LEAVES_MAX}")
        _demand(0 < self.learning_rate <= 1, "learning_rate must be above 0 and at most 1")
        _demand(self.l2 >= 0, "l2 must not be negative")
        _demand(2 <= self.bins <= BINS_MAX, f"bins must be 2..{BINS_MAX}")
        for share in (self.query_share, self.feature_share):
            _demand(0 < share <= 1, "query_share and feature_share must be above 0 and at most 1")
        for count in (self.rows_in_leaf_min, self.truncation, self.evaluated_at, self.patience):
            _demand(count >= 1, "rows_in_leaf_min, truncation, evaluated_at and patience must be at least 1")
        _demand(0 <= self.seed <= SEED_MAX, f"seed must be 0..{SEED_MAX}")


def _demand(holds: bool, message: str) -> None:
    if not holds:
        raise ConfigurationError(f"ranker: {message}")
