"""A log of shown homepages with a known truth: what each variant earns in each weather."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from ingest.vocabulary.events import Chosen, Event, HomepageShown, RankingClicked, RankingShown
from ingest.vocabulary.ids import EventId, ProductId, RequestId, Subject

Rates = Mapping[tuple[str, str], float]  # how often (weather, variant) is clicked
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
RAINY_SHARE = 0.5


def shown_homepages(
    count: int, rates: Rates, shares: Mapping[str, float], *, seed: int = 1, visits: int = 3, **fields: Any
) -> Iterator[Event]:
    """Drawn homepages a minute apart, each of some visits of a person, and the clicks on their rows."""
    draw = np.random.default_rng(seed)
    names = sorted(shares)
    for number in range(count):
        at = BEGIN + timedelta(minutes=number)
        weather = "rain" if draw.random() < RAINY_SHARE else "sunny"
        variant = names[int(draw.choice(len(names), p=[shares[name] for name in names]))]
        subject = Subject(f"person-{number // visits}")
        yield shown(number, at, subject, variant, shares, weather, **fields)
        if draw.random() < rates[weather, variant]:
            yield clicked(number, at + timedelta(minutes=5), subject)


def ranked_rows(
    placement: str, count: int, rates: Mapping[str, float], shares: Mapping[str, float], *, seed: int = 1, **choice: Any
) -> Iterator[Event]:
    """Drawn rows of a placement a minute apart, each of somebody else, and the clicks on them."""
    draw = np.random.default_rng(seed)
    names = sorted(shares)
    for number in range(count):
        at, subject = BEGIN + timedelta(minutes=number), Subject(f"person-{number}")
        arm = names[int(draw.choice(len(names), p=[shares[name] for name in names]))]
        fields = {"policy": "bandit", "learner": placement, **choice}
        chosen = Chosen(arm, eligible=dict(shares), propensity=shares[arm], **fields)
        yield RankingShown(
            event_id=EventId(f"row-{number}"),
            occurred_at=at,
            received_at=at,
            subject=subject,
            request_id=RequestId(f"row-{number}"),
            placement=placement,
            product_ids=(ProductId("p"),),
            propensity=chosen.propensity,
            choice=chosen,
        )
        if draw.random() < rates[arm]:
            yield clicked(number, at + timedelta(minutes=5), subject)


def shown(
    number: int, at: datetime, subject: Subject, variant: str, shares: Mapping[str, float], weather: str, **fields: Any
) -> HomepageShown:
    """A homepage that was drawn."""
    told: dict[str, Any] = {
        "policy": "bandit",
        "learner": "homepage",
        "eligible": dict(shares),
        "propensity": shares[variant],
        **fields,
    }
    return HomepageShown(
        event_id=f"page-{number}",  # type: ignore[arg-type]
        occurred_at=at,
        received_at=at,
        subject=subject,
        request_id=RequestId(f"page-{number}"),
        variant=variant,
        facts={"weather": weather},
        rows=(RequestId(f"row-{number}"),),
        **told,
    )


def clicked(number: int, at: datetime, subject: Subject) -> RankingClicked:
    """A click on the row of a homepage."""
    return RankingClicked(
        event_id=f"click-{number}",  # type: ignore[arg-type]
        occurred_at=at,
        received_at=at,
        subject=subject,
        request_id=RequestId(f"row-{number}"),
        product_id=ProductId("p"),
    )


def tell(folder: Path, events: Iterator[Event]) -> None:
    """Put facts into the log of a data folder, as the server's own threads do."""
    from serving.wiring import open_engine

    with open_engine(folder, None) as engine:
        engine.log.append(list(events), once=False)
