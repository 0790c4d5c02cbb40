"""The protocols, a file each: what they train on, what they ask, and how the answers are judged."""

from __future__ import annotations

from collections.abc import Callable

from recommender.evaluation.protocols import (
    basket_completion,
    held_out,
    leave_one_out,
    next_basket,
    next_item,
    relations,
    split,
)
from recommender.evaluation.protocols.task import Files, Task

READERS: dict[str, Callable[[Files], Task]] = {
    "next-item": next_item.read,
    "leave-one-out": leave_one_out.read,
    "split": split.read,
    "held-out": held_out.read,
    "next-basket": next_basket.read,
    "basket-completion": basket_completion.read,
    "relations": relations.read,
}
"""What reads the files of each protocol; raises ConfigurationError where one cannot be used."""
