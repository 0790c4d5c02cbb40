"""Lists are served, some of them are clicked, the shop is trained: the model card says how far down people look."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from ingest.vocabulary.events import RankingClicked, RankingShown
from tests.support.client import ids
from tests.support.service import Service, dangol, events_of, serving, told, wait_for
from tests.support.small_shop import MUGS, PLATES, view

VISITORS = 300
PLACEMENT = "product.similar"


def test_what_was_shown_and_clicked_is_learned_from(small_folder: Path) -> None:
    draw = random.Random(5)
    with serving(small_folder) as service:
        tell_all(service, [view(f"v-{visitor}", MUGS[visitor % 6], **who(visitor)) for visitor in range(VISITORS)])
        clicks = [click for visitor in range(VISITORS) for click in browse(service, visitor, draw)]
        tell_all(service, clicks)
        service.row("home.for-you", anonymous_id="visitor-1", limit=4)
        wait_for(lambda: len(shown_in(small_folder)) > VISITORS, "the shown lists to be in the log")
    lists = shown_in(small_folder)
    assert {each.impersonal for each in lists if each.placement == PLACEMENT} == {True}
    assert [each.impersonal for each in lists if each.placement == "home.for-you"] == [False]
    assert all(isinstance(each.position, int) for each in events_of(small_folder) if isinstance(each, RankingClicked))

    after = told("train", data=small_folder)
    shown = after["card"]["shown"]
    assert (shown["lists"], shown["clicks"], shown["personal"]) == (VISITORS + 1, len(clicks), 1)
    whole = shown["curves"][0]
    assert (whole["placement"], whole["device"]) == ("", "")
    examined = whole["examined"]
    assert examined[0] == 1.0
    assert 0.3 < examined[1] < 0.8, "the second position was looked at half as often"
    assert 0.1 <= examined[4] < 0.4, "and the fifth a fifth as often"
    assert examined == sorted(examined, reverse=True)
    said = dangol("train", data=small_folder, check=True).stdout
    assert f"{VISITORS + 1} shown lists with {len(clicks)} clicks" in said
    assert after["snapshot_id"] in said, "the same log gives the same snapshot"


def who(visitor: int) -> dict[str, Any]:
    return {"anonymous_id": f"visitor-{visitor}"}


def browse(service: Service, visitor: int, draw: random.Random) -> list[dict[str, Any]]:
    """A row on a product page, of which some products are left out as if they were sold out, and clicks on it."""
    page, *others = [MUGS[visitor % 3], *draw.sample([*MUGS[3:], *PLATES], 2)]
    answer = service.get(f"/v1/recommendations/{PLACEMENT}", product_ids=page, exclude=others, **who(visitor))
    assert page not in ids(answer["items"])
    return [
        {
            "event_id": f"c-{visitor}-{item['position']}",
            "type": "ranking_clicked",
            "request_id": answer["request_id"],
            "click_token": item["click_token"],
            "product_id": item["product_id"],
            **who(visitor),
        }
        for item in answer["items"]
        if draw.random() < 0.8 / item["position"]
    ]


def tell_all(service: Service, events: list[dict[str, Any]]) -> None:
    for first in range(0, len(events), 100):
        some = events[first : first + 100]
        assert service.tell(*some) == ["accepted"] * len(some)


def shown_in(folder: Path) -> list[RankingShown]:
    return [event for event in events_of(folder) if isinstance(event, RankingShown)]
