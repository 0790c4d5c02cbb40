"""Placements: named spots on a page or in a mail, as a person configures them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import chain
from types import MappingProxyType
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from ingest.vocabulary.errors import ConfigurationError
from ingest.vocabulary.ids import ProductId
from personalization.experiments.arms import ArmSet, read_arms
from personalization.experiments.learning import LearningSettings
from personalization.page.boosts import Boost, boost_problems
from personalization.page.request import limit_default, limit_max

SeedSource = Literal["asked", "cart", "last_order", "history"]

STRATEGIES = (
    "bought_together",
    "similar",
    "other_styles",
    "for_you",
    "next_item",
    "basket",
    "popular",
    "trending",
    "recently_viewed",
    "buy_again",
    "fallback_popular",
)
placements_max = 200  # each is compiled into every answer's configuration
chain_max = 10  # Dynamic Yield's bound; a longer chain is a sign of a missing model
pins_max = 20  # more is a manual list
exclude_max = 1_000  # looked up for every candidate; a longer list belongs into the catalogue
purchased_days_max = 3_650


class Pin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A product that stands at a position (from 1) whenever the hard filters let it."""

    product_id: ProductId
    position: int


class PlacementArm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another way to rank a placement: what differs from it. What is pinned, boosted or excluded is not for arms."""

    chain: tuple[str, ...] | UnsetType = UNSET
    seeds: tuple[SeedSource, ...] | UnsetType = UNSET
    exclude_seeds: bool | UnsetType = UNSET
    exclude_purchased_days: int | UnsetType | None = UNSET
    same_category: bool | UnsetType = UNSET
    one_per_group: bool | UnsetType = UNSET
    complements_first: bool | UnsetType = UNSET
    category_max: int | UnsetType | None = UNSET
    brand_max: int | UnsetType | None = UNSET


class Placement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One placement. What its chain leaves empty, popularity fills.

    Attributes:
        chain: strategies from top to bottom; each adds to the row until it is full.
        seeds: where the products to start from come from; the first source that has any is taken. `next_item` starts
            from the visit under way and the products asked about, whatever is said here.
        exclude_seeds: what lies in the cart is not shown, and what a strategy started from only where the row would
            stay short. A product asked about never is.
        exclude_purchased_days: what was bought within so many days is shown only where the row would stay short.
        same_category: what is not in the leaf category of a seed is shown only where the row would stay short.
        one_per_group: of the variants of one item only one is shown.
        complements_first: of what is bought together with the products asked about, first what is of another
            kind, each but once; then what is all but the same as one of these, then what goes with everything, then
            what may stand in for the asked, of which the strongest has one place in ten.
        category_max, brand_max: so many of one kind, while there are others in the same strategy's offer.
        boosts: what weighs more or less than its score says, within each strategy's offer.
        arms: other ways to rank it, by name; `rules` is the placement as it stands.
        learning: which of them works is learned; without it, it is the placement as it stands.
        experiments: by name, as they are written: arms with their weights, the control.
    """

    name: str
    chain: tuple[str, ...]
    purpose: str = ""
    limit: int = limit_default
    seeds: tuple[SeedSource, ...] = ("asked", "cart", "history")
    exclude_seeds: bool = True
    exclude_purchased_days: int | None = None
    same_category: bool = False
    one_per_group: bool = True
    complements_first: bool = False
    category_max: int | None = None
    brand_max: int | None = None
    pins: tuple[Pin, ...] = ()
    exclude: tuple[ProductId, ...] = ()
    boosts: tuple[Boost, ...] = ()
    arms: dict[str, PlacementArm] = {}
    learning: LearningSettings | None = None
    experiments: dict[str, dict[str, Any]] = {}


_HISTORY: tuple[SeedSource, ...] = ("asked", "history")

_DEFAULTS = (
    Placement(
        name="home.for-you",
        purpose="What suits this shopper",
        chain=("for_you",),
        seeds=_HISTORY,
        exclude_purchased_days=30,
        category_max=5,
    ),
    Placement(name="home.popular", purpose="What sells best", chain=("popular",), exclude_seeds=False),
    Placement(
        name="home.recently-viewed",
        purpose="What this shopper looked at",
        chain=("recently_viewed",),
        exclude_seeds=False,
    ),
    Placement(
        name="home.buy-again",
        purpose="What this shopper buys again",
        chain=("buy_again",),
        exclude_seeds=False,
    ),
    Placement(name="category.popular", purpose="What sells best in a category", chain=("popular",)),
    Placement(name="product.similar", purpose="What may stand in for this product", chain=("similar",)),
    Placement(
        name="product.other-styles",
        purpose="This product in other styles",
        chain=("other_styles", "similar"),
        one_per_group=False,
    ),
    Placement(
        name="product.bought-together",
        purpose="What goes with this product",
        chain=("bought_together", "similar"),
        complements_first=True,
    ),
    Placement(
        name="cart.cross-sell", purpose="What goes with the cart", chain=("basket", "bought_together", "for_you")
    ),
    Placement(
        name="search.no-results",
        purpose="Instead of nothing",
        chain=("next_item", "for_you", "popular"),
        seeds=_HISTORY,
    ),
    Placement(
        name="email.for-you",
        purpose="What suits this shopper, by mail",
        chain=("for_you",),
        seeds=_HISTORY,
        exclude_purchased_days=30,
        category_max=5,
    ),
    Placement(name="email.cart", purpose="What goes with a cart left behind", chain=("bought_together", "similar")),
    Placement(
        name="email.after-order",
        purpose="What goes with the last order",
        chain=("bought_together", "for_you"),
        seeds=("asked", "last_order", "history"),
        exclude_purchased_days=30,
    ),
)

DEFAULT_PLACEMENTS: Mapping[str, Placement] = MappingProxyType({placement.name: placement for placement in _DEFAULTS})


def read_placements(
    configured: Mapping[str, Mapping[str, object]], base: Mapping[str, Placement] = DEFAULT_PLACEMENTS
) -> dict[str, Placement]:
    """The placements of `base`, with what a configuration changes of them or adds to them.

    Raises:
        ConfigurationError: with the placement and the setting at fault.
    """
    placements = dict(base)
    for name, settings in configured.items():
        plain = msgspec.to_builtins(placements[name]) if name in placements else {"name": name}
        try:
            placements[name] = msgspec.convert({**plain, **settings, "name": name}, Placement)
        except msgspec.ValidationError as error:
            raise ConfigurationError(f"placement {name!r}: {error}") from error
        check_placement(placements[name])
        _check_arms(placements[name])
    if len(placements) > placements_max:
        raise ConfigurationError(f"there may be {placements_max} placements, got {len(placements)}")
    return placements


def with_arm(placement: Placement, arm: str) -> Placement:
    """The placement as an arm ranks it; as it stands where there is no such arm."""
    differs = placement.arms.get(arm)
    return placement if differs is None else replace(placement, **changes_of(differs))


def changes_of(arm: PlacementArm) -> dict[str, Any]:
    """What an arm sets."""
    return {name: value for name in arm.__struct_fields__ if (value := getattr(arm, name)) is not UNSET}


def arms_of(placement: Placement) -> ArmSet | None:
    """The ways to rank a placement; None where there is but one.

    Raises:
        ConfigurationError: says what cannot be.
    """
    return read_arms(placement.name, placement.arms, placement.learning, placement.experiments)


def check_placement(placement: Placement, strategies: Collection[str] = STRATEGIES) -> None:
    """Refuses a placement that could not answer.

    Raises:
        ConfigurationError: with the setting at fault, and what it may be.
    """
    problem = _problem(placement, strategies)
    if problem:
        raise ConfigurationError(f"placement {placement.name!r}: {problem}")


def _check_arms(placement: Placement) -> None:
    """Refuses arms that could not answer, or of which two are one.

    Raises:
        ConfigurationError: with the arm at fault.
    """
    seen = [("the placement as it stands", placement)]
    for name in sorted(placement.arms):
        arm = with_arm(placement, name)
        check_placement(arm)
        alike = next((other for other, its in seen if its == arm), None)
        if alike is not None:
            raise ConfigurationError(f"placement {placement.name!r}: the arm {name!r} ranks as {alike} does")
        seen.append((f"the arm {name!r}", arm))
    _ = arms_of(placement)


def _problem(placement: Placement, strategies: Collection[str]) -> str | None:
    unknown = [strategy for strategy in placement.chain if strategy not in strategies]
    positions = [pin.position for pin in placement.pins]
    days = placement.exclude_purchased_days
    checks = (
        (not placement.name, "it needs a name"),
        (not placement.chain, f"its chain is empty; there are {', '.join(strategies)}"),
        (bool(unknown), f"no strategy is called {', '.join(unknown)}; there are {', '.join(strategies)}"),
        (len(placement.chain) > chain_max, f"its chain may have {chain_max} strategies"),
        (len(set(placement.chain)) < len(placement.chain), "its chain names a strategy twice"),
        (not 1 <= placement.limit <= limit_max, f"limit must be 1 to {limit_max}, got {placement.limit}"),
        (not placement.seeds, "it needs a source of seeds: asked, cart, last_order or history"),
        (days is not None and not 0 < days <= purchased_days_max, f"exclude_purchased_days is {days}"),
        (placement.category_max is not None and placement.category_max < 1, "category_max must be 1 or more"),
        (placement.brand_max is not None and placement.brand_max < 1, "brand_max must be 1 or more"),
        (len(placement.pins) > pins_max, f"it may have {pins_max} pins"),
        (any(not 1 <= position <= limit_max for position in positions), f"a pin's position must be 1 to {limit_max}"),
        (len(set(positions)) < len(positions), "two pins have the same position"),
        (len({pin.product_id for pin in placement.pins}) < len(positions), "a product is pinned twice"),
        (len(placement.exclude) > exclude_max, f"it may exclude {exclude_max} products"),
    )
    found = (message for wrong, message in checks if wrong)
    return next(chain(found, boost_problems(placement.boosts)), None)
