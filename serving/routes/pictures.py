"""Pictures for products that have none: drawn from the title, the same every time.

The shape comes from the words of the title, else of the category; the colours from those the title names, else from a
palette by the hash of the product id; dots, stripes, hearts and flowers from the title again. Nothing of a product
reaches the SVG but its escaped title and colours of our own.
"""

import functools
import hashlib
import re
from collections.abc import Callable
from html import escape
from importlib import resources
from typing import NamedTuple

from flask import Blueprint, Response, abort, redirect
from werkzeug.wrappers import Response as AnyResponse

from ingest.vocabulary.products import Product

PICTURE_AGE_S = 30 * 24 * 3600
COPIES_MAX = 3  # A set of three is drawn as three; more would be crumbs.

COLOURS = {
    "red": "#c2403a", "pink": "#e08fa5", "fuschia": "#c94b8c", "raspberry": "#b23a5e", "strawberry": "#d2494f",
    "orange": "#dd8a45", "copper": "#b26b45", "amber": "#d09a3e", "yellow": "#e3bd4f", "gold": "#c8a24a",
    "green": "#6f9b6c", "mint": "#9cc9b1", "olive": "#8b8f4f", "jade": "#4f9a80", "pistachio": "#a9c08a",
    "turquoise": "#5fb0b0", "teal": "#3f8a8c", "blue": "#5d86b0", "aqua": "#7fbfc4", "navy": "#3c527c",
    "purple": "#8a6aa3", "lilac": "#b7a0cc", "lavender": "#a99ccb", "amethyst": "#8f6cae",
    "white": "#fbfaf6", "ivory": "#f4ead3", "cream": "#f3e6c8", "natural": "#cbb08a", "wicker": "#c79f6b",
    "wood": "#bb8d5f", "wooden": "#bb8d5f", "brown": "#8a6248", "chocolate": "#6f4a38", "black": "#3b3a3d",
    "grey": "#9a9a9c", "slate": "#5f676c", "silver": "#b9bfc4", "zinc": "#a5adb0", "metal": "#a7aeb3",
    "antique": "#b6a27c", "rose": "#d98796", "retrospot": "#c2403a", "spotty": "#c2403a", "christmas": "#b5403a",
}  # fmt: skip
PALETTE = ("#c7654b", "#d9a441", "#7f9f7a", "#6f93ad", "#c98597", "#8f7fa8", "#5f9a94", "#b98a62")
GROUNDS = ("#f6ead9", "#efe6dc", "#e9ecdf", "#e4ebec", "#f5e3dc", "#ece4ee", "#f3ebcf", "#e3e9e2")
PATTERNS = (
    ("dots", r"retrospots?|polka ?dots?|polkadots?|spots?|spotty|dotty|dolly mix"),
    ("stripes", r"stripes?|stripey|stripy|striped|regatta|deckchair|airline"),
    ("checks", r"gingham|check|tartan|diner"),
    ("hearts", r"hearts?|sweetheart|love|valentine"),
    ("flowers", r"roses?|flowers?|floral|daisy|daisies|paisley|regency|poppies|blossom|doiley|meadow|folk|garden"),
    ("stars", r"stars?|spaceboy|circus|union|christmas|skulls?"),
)
MOTIFS = {
    "dots": '<circle cx="9" cy="9" r="5"/><circle cx="27" cy="27" r="5"/>',
    "stripes": '<path d="M0 0h18v36H0z" opacity=".75"/>',
    "checks": '<path d="M0 0h18v36H0z" opacity=".4"/><path d="M0 0h36v18H0z" opacity=".4"/>',
    "hearts": '<path d="M18 28C6 19 5 14 7 11s8-4 11 2c3-6 9-5 11-2s1 8-11 17z" opacity=".8"/>',
    "flowers": '<g opacity=".85"><circle cx="18" cy="12" r="4"/><circle cx="24" cy="17" r="4"/>'
    '<circle cx="22" cy="24" r="4"/><circle cx="14" cy="24" r="4"/><circle cx="12" cy="17" r="4"/></g>',
    "stars": '<path d="M18 8l3 7 8 1-6 5 2 8-7-4-7 4 2-8-6-5 8-1z" opacity=".8"/>',
}  # fmt: skip


class Look(NamedTuple):
    """What a picture is made of: the name of a shape, two colours and a ground, a pattern and the number of copies."""

    shape: str
    main: str
    second: str
    ground: str
    pattern: str | None
    copies: int


def pictures_blueprint(product_of: Callable[[str], Product | None]) -> Blueprint:
    """Serves `/store/picture/<product_id>.svg`; a product with an image of its own is redirected to it."""
    blueprint = Blueprint("pictures", __name__)

    @blueprint.get("/store/picture/<path:product_id>.svg")
    def picture(product_id: str) -> AnyResponse:
        product = product_of(product_id)
        if product is None:
            abort(404)
        if product.image_url and product.image_url.startswith(("https://", "http://")):
            return redirect(product.image_url)
        response = Response(draw(product), mimetype="image/svg+xml")
        response.cache_control.public = True
        response.cache_control.max_age = PICTURE_AGE_S
        response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return blueprint


def draw(product: Product) -> str:
    """The picture of a product, as an SVG document."""
    look = look_of(product)
    title = escape(product.title or product.product_id)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 320" role="img" aria-label="{title}">'
        f"<title>{title}</title>"
        f"<defs>{_style(look)}{_pattern(look)}<g id='o'>{_shapes()[look.shape]}</g></defs>"
        f'<rect width="320" height="320" fill="{look.ground}"/>'
        f'<circle cx="160" cy="150" r="128" fill="{mix(look.ground, "#ffffff", 0.45)}"/>'
        f'<ellipse cx="160" cy="246" rx="92" ry="10" fill="{mix(look.ground, "#6b5a48", 0.22)}"/>'
        f"{_copies(look.copies)}</svg>"
    )


def look_of(product: Product) -> Look:
    """The look of a product: a pure function of its id, title and category."""
    title = _words(product.title or "")
    digest = hashlib.sha256(product.product_id.encode()).digest()
    shape = shape_of(title) or shape_of(" ".join(_words(name) for name in reversed(product.category))) or "gift"
    named = list(dict.fromkeys(COLOURS[word] for word in title.split() if word in COLOURS))
    main = named[0] if named else PALETTE[digest[0] % len(PALETTE)]
    second = (
        named[1] if len(named) > 1 else ("#fffaf0" if _lightness(main) < 0.82 else PALETTE[digest[1] % len(PALETTE)])
    )
    pattern = next((name for name, words in PATTERNS if re.search(rf"\b(?:{words})\b", title)), None)
    grounds = GROUNDS if _lightness(main) < 0.82 else tuple(mix(ground, "#8a7f74", 0.22) for ground in GROUNDS)
    return Look(shape, main, second, grounds[digest[2] % len(grounds)], pattern, _copies_of(title))


def shape_of(text: str) -> str | None:
    """The name of the first shape with one of its words in the text, or None."""
    return next((name for name, words in _calls() if words.search(text)), None)


def mix(colour: str, other: str, share: float) -> str:
    """A colour `#rrggbb` with a share of another in it, from 0 to 1."""
    pairs = zip(_channels(colour), _channels(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _lightness(colour: str) -> float:
    red, green, blue = _channels(colour)
    return (0.299 * red + 0.587 * green + 0.114 * blue) / 255


def _words(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text.casefold().replace("'", "")).strip()


def _copies_of(title: str) -> int:
    found = re.search(r"\b(?:set|pack|box|s)(?: of)? (\d+)\b", title)
    return max(1, min(COPIES_MAX, int(found[1]))) if found else 1


def _copies(count: int) -> str:
    use = '<use href="#o" transform="translate({x} {y}) scale({scale})"/>'
    if count == 1:
        return use.format(x=34, y=37, scale=1.05)
    if count == 2:
        return use.format(x=20, y=74, scale=0.74) + use.format(x=122, y=100, scale=0.74)
    places = ((84, 26, 0.63), (14, 112, 0.68), (142, 112, 0.68))
    return "".join(use.format(x=x, y=y, scale=scale) for x, y, scale in places)


def _style(look: Look) -> str:
    dark, light = mix(look.main, "#2e211a", 0.3), mix(look.main, "#ffffff", 0.45)
    ink = mix(look.main, "#2e211a", 0.72)
    thick = mix(look.main, "#2e211a", 0.12)
    return (
        f"<style>.m{{fill:url(#p)}}.d{{fill:{dark}}}.l{{fill:{light}}}.w{{fill:{look.second}}}.leaf{{fill:#7c9c74}}"
        f".stem{{fill:none;stroke:#7c9c74;stroke-width:7}}.s{{fill:none;stroke:{ink};stroke-width:4;stroke-linecap:round;"
        f"stroke-linejoin:round}}.t{{fill:none;stroke:{thick};stroke-width:13;stroke-linecap:round;stroke-linejoin:round}}"
        "</style>"
    )


def _pattern(look: Look) -> str:
    motif = MOTIFS[look.pattern] if look.pattern else ""
    colour = look.second if look.second != look.main else "#fffaf0"
    return (
        f'<pattern id="p" width="36" height="36" patternUnits="userSpaceOnUse">'
        f'<rect width="36" height="36" fill="{look.main}"/><g fill="{colour}">{motif}</g></pattern>'
    )


@functools.cache
def _symbols() -> tuple[tuple[str, str, str], ...]:
    text = resources.files("serving").joinpath("static/store/shapes.svg").read_text(encoding="utf-8")
    found = re.findall(r'<symbol id="([^"]+)" data-words="([^"]*)">(.*?)</symbol>', text, flags=re.DOTALL)
    return tuple((name, words, re.sub(r"\s*\n\s*", "", body)) for name, words, body in found)


@functools.cache
def _shapes() -> dict[str, str]:
    return {name: body for name, _, body in _symbols()}


@functools.cache
def _calls() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple(
        (name, re.compile(rf"\b(?:{'|'.join(re.escape(word.strip()) for word in words.split(','))})(?:s|es)?\b"))
        for name, words, _ in _symbols()
        if words
    )
