"""Pictures of the demo store's home in situations that differ: `python -m tests.support.home_pictures SHOP FOLDER`.

SHOP is a data folder of the example shop, imported and trained; it is copied, and the copy gets the example's variants.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.browser import Browser, browsers
from tests.support.service import EXAMPLE, copy_of, serving

DESKTOP, PHONE = (1200, 1000), (520, 1000)  # a headless window is no narrower than 500 points
REGULAR = "17850"
HOME = """
if (!document.body.dataset.variant || document.readyState !== "complete") return null;
const rows = [...document.querySelectorAll('[data-home="rows"] > .row')];
const pictures = [...document.images].filter((image) => image.getBoundingClientRect().top < innerHeight);
if (!pictures.every((image) => image.complete)) return null;
return {
  variant: document.body.dataset.variant,
  headline: document.querySelector('[data-home="headline"]').textContent,
  colour: getComputedStyle(document.querySelector('[data-home="hero"]')).backgroundColor,
  rows: Object.fromEntries(rows.filter((row) => !row.hidden).map((row) => [row.querySelector("h2").textContent,
    [...row.querySelectorAll("[data-product-id]")].map((card) => card.dataset.productId)])),
};
"""


class Scene(NamedTuple):
    """A situation: the address of the home that pretends it, the size of the window, who has signed in."""

    query: str
    size: tuple[int, int] = DESKTOP
    customer: str | None = None


NOON = "time=13:00&day=06-10"
SCENES = {
    "sun": Scene(f"weather=sunny,26&{NOON}"),
    "rain": Scene(f"weather=rain,9&{NOON}"),
    "snow": Scene(f"weather=snow,-2&{NOON}"),
    "phone": Scene(f"device=mobile&{NOON}", PHONE),
    "desktop": Scene(f"device=desktop&{NOON}"),
    "newsletter": Scene(f"source=newsletter&{NOON}"),
    "search-ad": Scene(f"source=search-ad&{NOON}"),
    "evening": Scene("device=desktop&time=20:30&day=06-10"),
    "gifts": Scene("device=desktop&time=13:00&day=12-25"),
    "rain-on-a-phone": Scene(f"weather=rain,9&device=mobile&{NOON}", PHONE),
    "regular": Scene(f"device=desktop&{NOON}", DESKTOP, REGULAR),  # who stays signed in, and so comes last
}


def with_variants(shop: Path, folder: Path) -> Path:
    """A copy of the example shop with the example's variants."""
    made = copy_of(shop, folder)
    (made / "dangol.toml").write_bytes((EXAMPLE / "homepage.toml").read_bytes())
    return made


def seen(browser: Browser, url: str, scene: Scene) -> dict[str, Any]:
    """What a home shows in a situation, once it is all there."""
    browser.resize(*scene.size)
    if scene.customer is not None:
        browser.open(f"{url}/cart")
        browser.run("window.dangol.identify(arguments[0]); return window.dangol.flush()", scene.customer)
    browser.open(f"{url}/?{scene.query}")
    found: dict[str, Any] = browser.wait(HOME, what=f"the home at {scene.query}")
    return found


def take(shop: Path, folder: Path) -> None:
    """One picture of each scene."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        own = with_variants(shop, Path(made) / "data")
        with serving(own) as service, browsers(Path(made)) as new:
            browser = new()
            for name, scene in SCENES.items():
                found = seen(browser, service.url, scene)
                (folder / f"{name}.png").write_bytes(browser.picture())
                print(f"{name}: {found['variant']}, {found['headline']!r}, {', '.join(found['rows'])}")
                for complaint in browser.complaints():
                    print(f"  the browser complains: {complaint}")


if __name__ == "__main__":
    take(Path(sys.argv[1]), Path(sys.argv[2]))
