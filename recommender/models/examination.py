"""How often each position of a row is looked at: the first is looked at once, others less, by placement and device.

A click is an examined product that appeals: P(click) = examination of the position × appeal of the product there. Where
rows are ordered by what appeals, clicks by position say both at once. They come apart where the same product was shown
to the same question (placement, products asked about, category) at different positions within four weeks, because
trainings, stock and filters moved it: of its clicks, given how many there are, the share of each position is that of
shown × examined, whatever the product's appeal. That is a conditional logit of positions with no parameter per product.
Its logarithms are shrunk towards 1/√position as a random walk, those of a placement towards the shop's, those of a
device towards its placement's; then the curve is made not to rise, and cut off from below.

Rows whose order depends on who asks (`PERSONAL`) are not compared: the same product is higher up for whoever likes it.
They have the curve of their placement's other rows, or the shop's.

Source: Craswell, Zoeter, Taylor, Ramsey, An experimental comparison of click position-bias models (WSDM 2008), for the
position-based model; Agarwal, Zaitsev, Wang, Li, Najork, Joachims, Estimating position bias without intrusive
interventions (WSDM 2019), for harvesting what moved by itself. There ratios of weighted clicks of pairs of positions
are fitted; here all positions of a product are one conditional likelihood (Chamberlain 1980), which weighs them itself.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.vocabulary.clock import DAY_S
from ingest.vocabulary.ranking import CountVector, FloatVector
from recommender.shown import PERSONAL, POSITIONS_MAX, ShownLists

PERIOD_DAYS = 28  # what is compared with what: a product's appeal changes with the season
CLICKS_MIN = 100  # that tell positions apart, or the shop learns nothing from shown lists
PLACEMENT_CLICKS_MIN = 100  # a placement with fewer has the shop's curve
DEVICE_CLICKS_MIN = 400  # a device with fewer has its placement's
STEP_SD = 0.2  # of the logarithm from one position to the next, about the curve it is shrunk towards
CHILD_STEP_SD = 0.1  # the same where that is the shop's own or the placement's
LEAST = 0.1  # examination is no less, so that no click counts for more than ten
PRIOR = -0.5 * np.log(np.arange(1.0, POSITIONS_MAX + 1))

_ITERATIONS_MAX = 50
_DONE = 1e-9
_STEP_MAX = 1.0
_AT_ONCE = 65_536

FloatMatrix = NDArray[np.float64]


class Curve(msgspec.Struct, frozen=True):
    """What was learned about positions, for people.

    Attributes:
        placement, device: whose it is; "" for all.
        telling: clicks on products that were shown at several positions.
        examined: by position, relative to the first; sd: of the logarithm of each, before it was made not to rise.
    """

    placement: str
    device: str
    telling: int
    examined: tuple[float, ...]
    sd: tuple[float, ...]


class Examination(NamedTuple):
    """The curves: that of the shop, then those of placements and, behind each, of its devices."""

    curves: tuple[Curve, ...]

    def of(self, shown: ShownLists) -> FloatVector:
        """(products shown,) how much each was looked at, in [LEAST, 1]."""
        of_list = np.zeros(len(shown), np.int64)
        for at, curve in enumerate(self.curves):
            if curve.placement in shown.placements:
                here = shown.placement == shown.placements.index(curve.placement)
                if curve.device:
                    here &= shown.device == (shown.devices.index(curve.device) if curve.device in shown.devices else -1)
                of_list[here] = at
        table = np.array([curve.examined for curve in self.curves])
        examined: FloatVector = table[of_list[shown.owners()], shown.positions()]
        return examined


class _Cells(NamedTuple):
    """Products that were shown at several positions and clicked, each with its positions; cells of one are adjacent.

    Attributes:
        product: (cells,) a number for each product, question and period, ascending; position: (cells,);
        seen, clicks: (cells,) how often.
    """

    product: CountVector
    position: CountVector
    seen: FloatVector
    clicks: FloatVector

    @property
    def telling(self) -> int:
        """All clicks."""
        return int(self.clicks.sum())


def fit_examination(shown: ShownLists) -> Examination | None:
    """The curves of a shop; None where too few clicks tell positions apart.

    Guarantees: the same for lists in any order; at 1 for the first position, not rising, at least `LEAST`.
    Cost: a sort of what was shown; memory: some 100 bytes a product shown.
    """
    kept = _Shown.of(shown)
    whole = kept.cells(np.ones(len(shown), np.bool_))
    if whole.telling < CLICKS_MIN:
        return None
    logs, sd = _fit(whole, PRIOR, STEP_SD)
    curves = [_curve("", "", whole.telling, logs, sd)]
    for placement, name in enumerate(shown.placements):
        here = shown.placement == placement
        cells = kept.cells(here)
        if cells.telling < PLACEMENT_CLICKS_MIN:
            continue
        of_placement, sd = _fit(cells, logs, CHILD_STEP_SD)
        curves.append(_curve(name, "", cells.telling, of_placement, sd))
        for device, label in enumerate(shown.devices):
            there = here & (shown.device == device)
            cells = kept.cells(there)
            if label and cells.telling >= DEVICE_CLICKS_MIN:
                curves.append(_curve(name, label, cells.telling, *_fit(cells, of_placement, CHILD_STEP_SD)))
    return Examination(tuple(curves))


class _Shown(NamedTuple):
    """What was shown, without what is personal or no product of the catalogue.

    Attributes:
        product: a number for each product, question and period; list, position, clicked: of each.
    """

    product: CountVector
    list: CountVector
    position: CountVector
    clicked: FloatVector

    @classmethod
    def of(cls, shown: ShownLists) -> _Shown:
        owners = shown.owners()
        used = (shown.about[owners] != PERSONAL) & (shown.product >= 0)
        owners = owners[used]
        period = shown.time_s[owners] // (PERIOD_DAYS * DAY_S)
        names = np.stack((shown.about[owners].view(np.int64), period, shown.product[used].astype(np.int64)), axis=1)
        order = np.lexsort(names.T[::-1])
        is_new = np.any(np.diff(names[order], axis=0, prepend=names[order][:1] - 1) != 0, axis=1)
        product = np.empty(len(order), np.int64)
        product[order] = np.cumsum(is_new) - 1
        return cls(product, owners, shown.positions()[used], shown.clicked[used].astype(np.float64))

    def cells(self, lists: NDArray[np.bool_]) -> _Cells:
        """What some of the lists say."""
        used = lists[self.list]
        key = self.product[used] * POSITIONS_MAX + self.position[used]
        cell, of_cell = np.unique(key, return_inverse=True)
        seen = sums(of_cell, np.ones(len(of_cell)), len(cell))
        clicks = sums(of_cell, self.clicked[used], len(cell))
        _, product = np.unique(cell // POSITIONS_MAX, return_inverse=True)
        told = (np.bincount(product) > 1) & (np.bincount(product, weights=clicks) > 0)
        kept = told[product] if len(cell) else np.zeros(0, np.bool_)
        _, product = np.unique(product[kept], return_inverse=True)
        return _Cells(product, (cell % POSITIONS_MAX)[kept], seen[kept], clicks[kept])


def sums(at: NDArray[np.integer[Any]], values: FloatVector, size: int) -> FloatVector:
    """The sum of the values at each of so many numbers."""
    total: FloatVector = np.bincount(at, weights=values, minlength=size).astype(np.float64)
    return total


def _fit(cells: _Cells, towards: FloatVector, step_sd: float) -> tuple[FloatVector, FloatVector]:
    """Logarithms of examination by position, the first 0, and their standard deviations: Newton's method."""
    step = np.diff(np.eye(POSITIONS_MAX), axis=0) / step_sd
    precision = step.T @ step
    logs = towards.copy()
    for _ in range(_ITERATIONS_MAX):
        gradient, hessian = _slope(cells, logs)
        gradient = (gradient - precision @ (logs - towards))[1:]
        change = np.clip(np.linalg.solve((hessian + precision)[1:, 1:], gradient), -_STEP_MAX, _STEP_MAX)
        logs[1:] += change
        if float(np.abs(change).max()) < _DONE:
            break
    _, hessian = _slope(cells, logs)
    variance = np.diag(np.linalg.inv((hessian + precision)[1:, 1:]))
    return logs, np.concatenate((np.zeros(1), np.sqrt(variance)))


def _slope(cells: _Cells, logs: FloatVector) -> tuple[FloatVector, FloatMatrix]:
    """The gradient of the logarithm of the likelihood, and what its Hessian lacks to 0."""
    products = int(cells.product[-1]) + 1 if len(cells.product) else 0
    weight = cells.seen * np.exp(logs[cells.position])
    share = weight / sums(cells.product, weight, products)[cells.product]
    clicks = sums(cells.product, cells.clicks, products)
    by_position = sums(cells.position, clicks[cells.product] * share, POSITIONS_MAX)
    gradient = sums(cells.position, cells.clicks, POSITIONS_MAX) - by_position
    hessian = np.diag(by_position)
    for first in range(0, products, _AT_ONCE):
        rows = slice(*np.searchsorted(cells.product, (first, first + _AT_ONCE)))
        shares = np.zeros((min(_AT_ONCE, products - first), POSITIONS_MAX))
        shares[cells.product[rows] - first, cells.position[rows]] = share[rows]
        hessian -= shares.T @ (shares * clicks[first : first + _AT_ONCE, None])
    return gradient, hessian


def _curve(placement: str, device: str, telling: int, logs: FloatVector, sd: FloatVector) -> Curve:
    falling = np.minimum(not_rising(np.minimum(logs[1:], 0.0), 1.0 / sd[1:] ** 2), 0.0)
    examined = np.maximum(np.exp(np.concatenate((np.zeros(1), falling))), LEAST)
    return Curve(placement, device, telling, _rounded(examined), _rounded(sd))


def not_rising(values: FloatVector, weight: FloatVector) -> FloatVector:
    """The nearest values that never rise, by weighted squares: neighbours that do are pooled."""
    pools: list[tuple[float, float, int]] = []
    for value, heavy in zip(values.tolist(), weight.tolist(), strict=True):
        pools.append((value, heavy, 1))
        while len(pools) > 1 and pools[-2][0] < pools[-1][0]:
            (left, left_weight, left_size), (right, right_weight, right_size) = pools[-2:]
            both = left_weight + right_weight
            mean = (left * left_weight + right * right_weight) / both
            pools[-2:] = [(mean, both, left_size + right_size)]
    return np.repeat([value for value, _, _ in pools], [size for _, _, size in pools])


def _rounded(values: FloatVector) -> tuple[float, ...]:
    """Four decimals: the last bits of a sum are not in a snapshot."""
    return tuple(float(value) for value in np.round(values, 4))
