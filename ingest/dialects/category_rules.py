"""A product without a category gets one from the words of its title, by rules that a shop writes in a TOML file.

The file is an ordered list of categories with words; the first category that has one of its words in the title wins.
It is meant for catalogues that know nothing but titles, such as histories of order lines:

    fallback = ["Gifts", "Other Gifts"]

    [[category]]
    path = ["Kitchen", "Mugs & Teapots"]
    words = ["mug", "cup and saucer"]
"""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.vocabulary.errors import ConfigurationError

CategoryPath = tuple[str, ...]

RULES_MAX = 1_000  # One regular expression holds them all; Python compiles a thousand groups in well under a second.


@dataclass(frozen=True, slots=True)
class CategoryRules:
    """An ordered mapping from title words to category paths.

    `paths[i]` belongs to the i-th group of `pattern`. The pattern looks ahead at the beginning of every word, so
    phrases that overlap are all seen.
    """

    paths: tuple[CategoryPath, ...]
    fallback: CategoryPath
    pattern: re.Pattern[str]

    def category_of(self, title: str) -> CategoryPath:
        """The path of the first rule with a word in the title, else the fallback.

        Cost: one pass over the title, a few tens of microseconds.
        """
        rule = min((match.lastindex or 0 for match in self.pattern.finditer(_plain(title))), default=0)
        return self.paths[rule - 1] if rule else self.fallback


def load_category_rules(path: Path) -> CategoryRules:
    """The rules in a TOML file.

    Raises: `ConfigurationError` that names the file and the rule; the file is to be mended and the import repeated.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"cannot read the category rules in {path}: {error}") from error
    try:
        return parse_category_rules(tables)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def parse_category_rules(tables: dict[str, Any]) -> CategoryRules:
    """The rules in the tables of a TOML file. Raises: `ConfigurationError` that names the rule."""
    unknown = sorted(tables.keys() - {"fallback", "category"})
    if unknown:
        raise ConfigurationError(f"unknown setting {unknown[0]!r}; there are fallback and category")
    rules = tables.get("category", [])
    if not isinstance(rules, list) or not 1 <= len(rules) <= RULES_MAX:
        raise ConfigurationError(f"there must be 1..{RULES_MAX} [[category]] tables")
    fallback = _texts(tables, "fallback", "the file")
    paths = []
    groups = []
    for number, rule in enumerate(rules, start=1):
        where = f"category {number}"
        if not isinstance(rule, dict) or rule.keys() != {"path", "words"}:
            raise ConfigurationError(f"{where} must have path and words, and nothing else")
        paths.append(_texts(rule, "path", where))
        groups.append(_group(_texts(rule, "words", where), where))
    return CategoryRules(tuple(paths), fallback, re.compile(rf"\b(?:(?=(?:{'|'.join(groups)})\b))"))


def _texts(table: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
    texts = table.get(key)
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise ConfigurationError(f"{where}: {key} must be a list of texts, and not an empty one")
    return tuple(texts)


def _group(words: Sequence[str], where: str) -> str:
    phrases = [_plain(word).split() for word in words]
    if not all(phrases):
        raise ConfigurationError(f"{where}: a word needs a letter or a digit")
    return f"({'|'.join(' '.join(_either_number(word) for word in phrase) for phrase in phrases)})"


def _plain(text: str) -> str:
    """Lower case, no apostrophes, single spaces between words: CHILDREN'S MUG,RED becomes "childrens mug red"."""
    return re.sub(r"[\W_]+", " ", text.casefold().replace("'", "").replace("\N{RIGHT SINGLE QUOTATION MARK}", ""))


def _either_number(word: str) -> str:
    """A pattern for a word and its regular plural: mug(s), box(es), candy or candies."""
    escaped = re.escape(word)
    if word.endswith("y") and len(word) > 2:
        return f"{re.escape(word[:-1])}(?:y|ys|ies)"
    return f"{escaped}(?:s|es)?"
