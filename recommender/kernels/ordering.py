"""Order by counting: what stable sorts of a whole history give, in a few passes and without their copies."""

from __future__ import annotations

from recommender.kernels import row_kernel
from recommender.kernels.arrays import Array


@row_kernel
def count_keys(key: Array, count: Array) -> None:
    """Add to `count`, (keys,), how often each key occurs."""
    for at in range(len(key)):
        count[key[at]] += 1


@row_kernel
def place_by_key(key: Array, room: Array, out: Array) -> None:
    """The places of `key` in order of their keys, those of one key ascending.

    Args:
        room: (keys,) where each key's places begin in `out`; used up.
    """
    for at in range(len(key)):
        out[room[key[at]]] = at
        room[key[at]] += 1


@row_kernel
def copy_parts(begin: Array, start: Array, entry: Array, source: Array, out: Array) -> None:
    """Parts of a column, one behind the other.

    Args:
        begin: (parts,) where each begins in `entry`; start: (parts + 1,) where it begins in `out`.
        entry: places in `source`.
    """
    for part in range(len(begin)):
        behind = begin[part] - start[part]
        for at in range(start[part], start[part + 1]):
            out[at] = source[entry[at + behind]]


@row_kernel
def newest_distinct(start: Array, product: Array, limit: int, seen: Array, out_start: Array, out_entry: Array) -> int:
    """Of each group the newest entry of each product, by product; only the newest `limit` of a group.

    Args:
        start: (groups + 1,) into product: (entries,) products, the newest of a group last.
        seen: (products,) -1; used up.
        out_start: (groups + 1,), its first 0, filled; out_entry: (entries,) filled as far as told.

    Returns:
        how many entries there are.
    """
    kept = 0
    for group in range(len(start) - 1):
        first = kept
        for entry in range(start[group + 1] - 1, start[group] - 1, -1):
            here = product[entry]
            if seen[here] == group:
                continue
            if kept - first == limit:
                break
            seen[here] = group
            place = kept
            while place > first and product[out_entry[place - 1]] > here:
                out_entry[place] = out_entry[place - 1]
                place -= 1
            out_entry[place] = entry
            kept += 1
        out_start[group + 1] = kept
    return kept
