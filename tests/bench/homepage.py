"""What a homepage decision costs without HTTP: headers become a situation, that becomes facts, these a variant."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from personalization.homepage.choosing import read_homepage
from personalization.homepage.fields import FIELDS, Field, facts_from, facts_of
from personalization.homepage.linting import lint
from personalization.situation.client_hints import read_client_hints
from personalization.situation.resolve import Seen, resolve
from personalization.situation.user_agent import read_user_agent
from tests.bench.machine import Row

VARIANTS, CONDITIONS = 500, 10
ROUNDS = 2_000
SITUATIONS = 200
WORDS = tuple(f"word-{number}" for number in range(30))
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36"
PHONE = f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {CHROME}"
SEEN = Seen(
    now=NOW,
    headers={
        "user-agent": PHONE,
        "sec-ch-ua": '"Chromium";v="130", "Google Chrome";v="130", "Not?A_Brand";v="99"',
        "sec-ch-ua-mobile": "?1",
        "sec-ch-ua-platform": '"Android"',
    },
    url="https://shop.example/?utm_source=news&utm_medium=email&utm_campaign=spring",
    referrer="https://mail.example/",
)


def rows(runs: int, seed: int) -> list[Row]:
    """Parsing, facts, the choice among many variants, and what it takes to start and to lint them."""
    chance = random.Random(seed)
    configured = {f"variant-{number:03}": _variant(chance) for number in range(VARIANTS)}
    homepage = read_homepage(configured, ())
    situation = resolve(SEEN)
    asked = [facts_from({field.name: _fact(chance, field) for field in FIELDS}) for _ in range(SITUATIONS)]
    remark = f"{VARIANTS} variants, {CONDITIONS} conditions each, {len(homepage._owners):,} cases"
    return [
        Row("a request's context, parsed", "CPU µs", _each(runs, lambda _: resolve(SEEN)), "of a browser seen lately"),
        Row("", "CPU µs", _each(runs, _as_new), "of one never seen"),
        Row("its facts", "CPU µs", _each(runs, lambda _: facts_of(situation, NOW))),
        Row(
            "the variant chosen", "CPU µs", _each(runs, lambda turn: homepage.choose(asked[turn % SITUATIONS])), remark
        ),
        Row("", "CPU ms", [_once(lambda: read_homepage(configured, ())) for _ in range(runs)], "read and made ready"),
        Row("", "CPU ms", [_once(lambda: lint(homepage)) for _ in range(runs)], "linted"),
    ]


def _as_new(_: int) -> object:
    read_user_agent.cache_clear()
    read_client_hints.cache_clear()
    return resolve(SEEN)


def _each(runs: int, step: Callable[[int], object]) -> list[float]:
    return [_once(lambda: [step(turn) for turn in range(ROUNDS)]) / ROUNDS * 1_000 for _ in range(runs)]


def _once(step: Callable[[], object]) -> float:
    began = time.process_time()
    step()
    return 1_000 * (time.process_time() - began)


def _variant(chance: random.Random) -> dict[str, Any]:
    """A variant whose conditions are about different fields, one of them negated, three of them alternatives."""
    fields = chance.sample([field for field in FIELDS if field.kind != "moment"], CONDITIONS)
    parts = [{field.name: _alternatives(chance, field)} for field in fields]
    together = {name: allowed for part in parts[: CONDITIONS - 4] for name, allowed in part.items()}
    return {"priority": chance.randrange(100), "when": {**together, "not": parts[-4], "any": parts[-3:]}}


def _alternatives(chance: random.Random, field: Field) -> object:
    if not field.numeric:
        return [_fact(chance, field) for _ in range(4)]
    low, high = sorted(_number(chance, field) for _ in range(2))
    return {"from": low, "to": high} if field.kind == "number" else {"from": int(low), "to": int(high)}


def _fact(chance: random.Random, field: Field) -> Any:
    if field.numeric:
        value = _number(chance, field)
        return int(value) if field.whole else value
    return "gb" if field.name == "country" else chance.choice(field.values or WORDS)


def _number(chance: random.Random, field: Field) -> float:
    return chance.uniform(field.low, min(field.high, field.low + 1_000))
