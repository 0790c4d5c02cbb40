"""The protocols by name, with the files they read. Apart from what reads them, so that naming them loads nothing."""

from __future__ import annotations

from typing import NamedTuple

_BASKETS = "A basket a line: items separated by spaces."


class Described(NamedTuple):
    """What a protocol is about, and for each of its files the name of the option and what is in it."""

    about: str
    files: dict[str, str]


DESCRIBED = {
    "next-item": Described(
        "The next item of a session.",
        {"train": "A session a line: items in order, separated by spaces.", "test": "`item item …<TAB>target` a line."},
    ),
    "leave-one-out": Described("Everyone's last item.", {"sequences": "`user item item …` a line, in order of time."}),
    "split": Described(
        "Items of a customer that were left out, in no order.",
        {"train": "`user item item …` a line.", "test": "The same, with the items that were left out."},
    ),
    "held-out": Described(
        "A purchase of a customer, from views, carts and purchases.",
        {
            "train": "CSV: timestamp,customer,event,product; events are view, addtocart, transaction.",
            "test": "CSV: customer,product.",
        },
    ),
    "next-basket": Described(
        "What a customer orders next, repeats included.",
        {"train": "JSON: {user: [[item…]…]}, baskets in order of time.", "test": "JSON: {user: [item…]}."},
    ),
    "basket-completion": Described("The last item of a basket.", {"train": _BASKETS, "test": _BASKETS}),
    "relations": Described(
        "What was bought together with, and is similar to, a product.",
        {
            "train": "CSV: customer,product,timestamp.",
            "test": "CSV: product,category,also_bought,also_viewed; lists separated by spaces.",
        },
    ),
}
