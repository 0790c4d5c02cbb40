"""Changes to a tail's arrays. Each call is one change, and atomic towards readers in other threads."""

from __future__ import annotations

from ingest.vocabulary.ranking import FloatVector, IntVector
from recommender.decay import ONE, SIZE_MAX
from recommender.interactions import UNIT
from recommender.kernels import kernel
from recommender.kernels.arrays import (
    FAST_NORM,
    FAST_SUM,
    HELD,
    LEVEL,
    LEVEL_SUM,
    NODES,
    ORDERS,
    RAW_NORM,
    RECENT,
    RECENT_SUM,
    SHOP_ORDERS,
    SLOW_NORM,
    SLOW_SUM,
    TODAY,
    TOUCHED,
    UNITS,
    Array,
    Fresh,
)
from recommender.kernels.scoring import SHRINK, norm


@kernel
def weight_at(tables: Array, row: int, age: int) -> int:
    """The fixed-point weight at an age in days."""
    return int(tables[row, age]) if 0 <= age < tables.shape[1] else 0


@kernel
def order_weights(tables: Array, damping: Array, age: int, size: int) -> tuple[int, int, int]:
    """What an order adds to each of its pairs: undecayed, slow, fast; as `models.bought_together.damped_weights`."""
    raw = damping[min(size, SIZE_MAX)]
    return raw, raw * weight_at(tables, SLOW_SUM, age) // ONE, raw * weight_at(tables, FAST_SUM, age) // ONE


@kernel
def refresh_product(fresh: Fresh, product: int) -> None:
    """Bring a product's totals up to its sums."""
    totals, base, added, scale = fresh.totals, fresh.base, fresh.added, fresh.scale
    slow = base[product, SLOW_SUM] * scale[SLOW_SUM] + added[product, SLOW_SUM]
    fast = base[product, FAST_SUM] * scale[FAST_SUM] + added[product, FAST_SUM]
    shrink = fresh.tuning[SHRINK]
    totals[product, RAW_NORM] = norm(totals[product, ORDERS], shrink)
    totals[product, SLOW_NORM] = norm(max(slow, 0.0) / ONE, shrink)
    totals[product, FAST_NORM] = norm(max(fast, 0.0) / ONE, shrink)
    totals[product, LEVEL] = base[product, LEVEL_SUM] * scale[LEVEL_SUM] + added[product, LEVEL_SUM]
    totals[product, RECENT] = base[product, RECENT_SUM] * scale[RECENT_SUM] + added[product, RECENT_SUM]


@kernel
def touch(fresh: Fresh, product: int) -> None:
    """Note that the tail names a product."""
    if not fresh.is_touched[product]:
        fresh.is_touched[product] = True
        fresh.touched[fresh.state[TOUCHED]] = product
        fresh.state[TOUCHED] += 1


@kernel
def add_order_sums(fresh: Fresh, order: int, sign: int) -> None:
    """Add an order's weights to its products' sums, `sign` times."""
    age = fresh.state[TODAY] - fresh.order_numbers[order, 0]
    for node in range(fresh.order_start[order], fresh.order_start[order + 1]):
        product = fresh.node_product[node]
        fresh.added[product, SLOW_SUM] += sign * weight_at(fresh.tables, SLOW_SUM, age)
        fresh.added[product, FAST_SUM] += sign * weight_at(fresh.tables, FAST_SUM, age)
        fresh.added[product, LEVEL_SUM] += sign * UNIT * weight_at(fresh.tables, LEVEL_SUM, age)
        fresh.added[product, RECENT_SUM] += sign * UNIT * weight_at(fresh.tables, RECENT_SUM, age)


@kernel
def resign_order(fresh: Fresh, order: int, sign: int) -> None:
    """Change what an order counts for: 1, 0 or -1 times."""
    change = sign - fresh.order_numbers[order, 1]
    fresh.order_numbers[order, 1] = sign
    add_order_sums(fresh, order, change)
    fresh.state[SHOP_ORDERS] += change
    for node in range(fresh.order_start[order], fresh.order_start[order + 1]):
        product = fresh.node_product[node]
        fresh.totals[product, ORDERS] += change
        refresh_product(fresh, product)


@kernel
def append_order(fresh: Fresh, products: IntVector, day: int, sign: int) -> int:
    """A new order of distinct products; there must be room. Returns its number. Cost: 30 ns a product."""
    order, node = fresh.state[HELD], fresh.state[NODES]
    fresh.order_numbers[order, 0], fresh.order_numbers[order, 1] = day, 0
    fresh.order_start[order] = node
    for product in products:
        fresh.node_product[node], fresh.node_order[node] = product, order
        fresh.node_next[node] = fresh.head[product]
        fresh.head[product] = node
        touch(fresh, product)
        node += 1
    fresh.order_start[order + 1] = node
    fresh.state[HELD], fresh.state[NODES] = order + 1, node
    resign_order(fresh, order, sign)
    return int(order)


@kernel
def replace_order(fresh: Fresh, order: int, sign: int, products: IntVector, day: int) -> int:
    """Let an order count `sign` times and another one in its place; there must be room. Returns the other's number."""
    resign_order(fresh, order, sign)
    return append_order(fresh, products, day, 1)


@kernel
def append_units(fresh: Fresh, product: int, day: int, units: int) -> None:
    """A click's units, or minus them when it is taken back; there must be room."""
    entry = fresh.state[UNITS]
    fresh.units[entry, 0], fresh.units[entry, 1], fresh.units[entry, 2] = product, day, units
    fresh.state[UNITS] = entry + 1
    touch(fresh, product)
    age = fresh.state[TODAY] - day
    fresh.added[product, LEVEL_SUM] += units * weight_at(fresh.tables, LEVEL_SUM, age)
    fresh.added[product, RECENT_SUM] += units * weight_at(fresh.tables, RECENT_SUM, age)
    refresh_product(fresh, product)


@kernel
def begin_day(fresh: Fresh, today: int, scale: FloatVector) -> None:
    """Let a new day begin: everything ages. Cost: one pass over the tail and the catalogue, once a day."""
    fresh.state[TODAY] = today
    fresh.scale[:] = scale
    fresh.added[:, :] = 0
    for order in range(fresh.state[HELD]):
        add_order_sums(fresh, order, fresh.order_numbers[order, 1])
    for entry in range(fresh.state[UNITS]):
        product, age = fresh.units[entry, 0], today - fresh.units[entry, 1]
        fresh.added[product, LEVEL_SUM] += fresh.units[entry, 2] * weight_at(fresh.tables, LEVEL_SUM, age)
        fresh.added[product, RECENT_SUM] += fresh.units[entry, 2] * weight_at(fresh.tables, RECENT_SUM, age)
    for product in range(len(fresh.head)):
        refresh_product(fresh, product)
