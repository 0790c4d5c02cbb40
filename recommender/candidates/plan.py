"""What a shop's candidates are made with: every number that the search chooses, and the defaults it starts from."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ingest.vocabulary.ranking import Purpose
from recommender.models.factors import FactorsConfiguration
from recommender.models.steps import StepsConfiguration

LISTS = ("next", "near", "close", "kin", "walk", "stroll", "alike", "latent", "baskets", "ease", "text")
"""The lists of neighbours, in the order of their features."""
HISTORIES = len(LISTS)  # the component behind the lists: what is in histories like this one
COMPONENT_NAMES = (*LISTS, "histories")
COMPONENTS = len(COMPONENT_NAMES)
LEARNED: tuple[Purpose, ...] = ("next_item", "for_you", "basket", "next_basket")
"""The purposes a ranker is fitted for."""
REPETITION: Mapping[Purpose, float] = {"next_basket": float(COMPONENTS)}
"""What repetition weighs before anything was learned, where it is most of what is taken; a component weighs 1."""
POPULARITY = 0.25  # what being popular weighs before anything was learned
FAMILIARITY = 0.8  # of what was taken one moment earlier, before anything was learned


class Asking(msgspec.Struct, frozen=True):
    """How one component is asked.

    `decay` a product further back in the history; `half_life_s` of what was done so long ago, 0 for none; at most
    `depth` products of the history.
    """

    decay: float = 0.7
    half_life_s: int = 0
    depth: int = 20


class SessionsConfiguration(msgspec.Struct, frozen=True):
    """Histories alike: `kept` of them in a snapshot, the `newest` of each product looked at, `neighbours` used.

    `entry_decay` a step away from the newest product in common; `recency` is the weight of the oldest history;
    `rarity` the share of a product's inverse frequency in its weight.
    """

    kept: int = 200_000
    newest: int = 1_000
    neighbours: int = 200
    entry_decay: float = 0.8
    recency: float = 0.4


class PopularityConfiguration(msgspec.Struct, frozen=True):
    """The `kept` products taken most often, what was taken `half_life_s` ago counting half; 0 for no decay."""

    half_life_s: int = 30 * 86_400
    kept: int = 200


class Plan(msgspec.Struct, frozen=True):
    """Everything the candidates of a snapshot are made with.

    Attributes:
        whole: whether steps and histories alike are of whole people rather than of visits.
        next, near, close, kin: steps ahead, to either side, within a short time, and within a person's life.
        walk, stroll: two steps at random over `near`, and over `kin`, along the best `walk_width` of each.
        alike, baskets: exponents (a, b, c) of the generalised cosine over people and over orders.
        asking: by purpose, one for each component.
        popularity: what is a candidate for everybody.
        blend: by purpose, the weight of each component, of repetition and of popularity when candidates are chosen.
        familiarity: by purpose, how much less it counts to have taken a product a moment earlier: an order, a click.
    """

    visit_gap_s: int = 1_800
    whole: bool = False
    next: StepsConfiguration = StepsConfiguration()
    near: StepsConfiguration = StepsConfiguration(back=0.5, spread=0.125)
    close: StepsConfiguration = StepsConfiguration(window=50, back=1.0, decay=1.0, half_life_s=1_800, spread=0.25)
    kin: StepsConfiguration = StepsConfiguration(
        window=50, back=1.0, decay=1.0, half_life_s=180 * 86_400, spread=0.25, damping=0.25
    )
    walk_width: int = 30
    walk_kept: int = 100
    alike: tuple[float, float, float] = (0.5, 0.375, 0.75)
    alike_kept: int = 100
    baskets: tuple[float, float, float] = (0.625, 0.375, 0.5)
    baskets_kept: int = 100
    ease: float = 250.0
    ease_kept: int = 100
    ease_products_max: int = 4_000  # the time grows with its cube: a minute at 5,000
    latent_kept: int = 100
    latent_products_max: int = 60_000  # every product is compared with every other
    factors: FactorsConfiguration = FactorsConfiguration()
    sessions: SessionsConfiguration = SessionsConfiguration()
    popularity: PopularityConfiguration = PopularityConfiguration()
    candidates: int = 150
    asking: dict[str, tuple[Asking, ...]] = {}
    blend: dict[str, tuple[float, ...]] = {}
    familiarity: dict[str, float] = {}

    def asking_for(self, purpose: Purpose) -> tuple[Asking, ...]:
        """How each component is asked."""
        return self.asking.get(purpose, (Asking(),) * COMPONENTS)

    def blend_for(self, purpose: Purpose) -> tuple[float, ...]:
        """What makes a candidate."""
        blend = self.blend.get(purpose, (1.0,) * COMPONENTS + (REPETITION.get(purpose, 0.5), POPULARITY))
        return blend + (0.0,) * (COMPONENTS + 2 - len(blend))  # an older plan does not know of popularity

    def familiarity_for(self, purpose: Purpose) -> float:
        """How fast what was taken is forgotten."""
        return self.familiarity.get(purpose, FAMILIARITY)
