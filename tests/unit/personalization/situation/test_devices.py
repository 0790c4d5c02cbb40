"""What user agents and client hints tell, on literal examples."""

from __future__ import annotations

import pytest

from personalization.situation.client_hints import Hints, read_hints
from personalization.situation.user_agent import Agent, read_user_agent

SAFARI = "AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1"
IPHONE = f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) {SAFARI}"
CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0"
WINDOWS = f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (IPHONE, Agent("mobile", "ios", "safari")),
        (WINDOWS, Agent("desktop", "windows", "chrome")),
        (f"{WINDOWS} Edg/130.0", Agent("desktop", "windows", "edge")),
        (f"{WINDOWS} OPR/110.0", Agent("desktop", "windows", "opera")),
        (f"Mozilla/5.0 (Linux; Android 14) {CHROME} Mobile Safari/537.36", Agent("mobile", "android", "chrome")),
        (f"Mozilla/5.0 (Linux; Android 14; SM-X700) {CHROME} Safari/537.36", Agent("tablet", "android", "chrome")),
        ("Mozilla/5.0 (iPad; CPU OS 12_0) Version/12.0 Mobile Safari/604.1", Agent("tablet", "ios", "safari")),
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0",
            Agent("desktop", "linux", "firefox"),
        ),
        (f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {CHROME} Safari/537.36", Agent("desktop", "chromeos", "chrome")),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/17.0 Safari/605.1",
            Agent("desktop", "macos", "safari"),
        ),
        (
            "Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) SamsungBrowser/3.0 TV Safari/537.36",
            Agent("tv", "other", "samsung"),
        ),
        ("Mozilla/5.0 (Linux; Android 9; AFTSSS) Chrome/100 Mobile Safari", Agent("tv", "android", "chrome")),
        ("Mozilla/5.0 (compatible; Googlebot/2.1)", Agent("other", "other", "other", bot=True)),
        ("curl/8.5.0", Agent("other", "other", "other", bot=True)),
        ("something", Agent("other", "other", "other")),
        ("  ", Agent()),
        ("Windows NT " * 200, Agent()),
    ],
)
def test_a_user_agent_tells_families(text: str, expected: Agent) -> None:
    assert read_user_agent(text) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"sec-ch-ua-mobile": "?1", "sec-ch-ua-platform": '"Android"'}, Hints(None, True, "android", None)),
        ({"sec-ch-ua": '"Not?A;B";v="8", "Chromium";v="130", "Microsoft Edge";v="130"'}, Hints(browser="edge")),
        ({"sec-ch-ua": '"Chromium";v="130"'}, Hints(browser="chrome")),
        ({"sec-ch-ua": '"Else";v="Microsoft Edge"'}, Hints()),  # a parameter is no brand
        ({"sec-ch-ua-form-factors": '"Mobile", "Tablet"'}, Hints("tablet")),
        ({"sec-ch-ua-form-factors": '"mobile"'}, Hints()),  # case-sensitive
        ({"sec-ch-ua-form-factors": '"Watch"', "sec-ch-ua-mobile": "1"}, Hints("other")),
        ({"sec-ch-ua-platform": "Android"}, Hints()),
        ({"sec-ch-ua": '"Chromium' * 200}, Hints()),
        ({}, Hints()),
    ],
)
def test_client_hints_are_read_as_structured_fields(headers: dict[str, str], expected: Hints) -> None:
    assert read_hints(headers) == expected
