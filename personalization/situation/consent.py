"""What a request says of consent: Global Privacy Control, a TCF string, Google's Consent Mode, or a plain word.

The strictest of them counts. What claims to be a consent string and cannot be read is no consent.

Source: IAB Europe, Transparency & Consent Framework v2.3, the core segment of a TC string (version 2), purposes 1 (keep
on the device), 5 and 6 (profiles for content, and their use); Global Privacy Control; Google Consent Mode v2.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Literal

import msgspec

Granted = Literal["granted", "denied"]

TC_STRING_LENGTH_MAX = 10_000  # core segments have some hundred characters; vendors make the rest
PURPOSES_NEEDED = (1, 5, 6)
_VERSION_BITS, _PURPOSES_AT, _PURPOSES = 6, 152, 24  # of the core segment
_CORE_BITS_MIN = _PURPOSES_AT + _PURPOSES


class Consent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """What the page knows of consent, in the words of whoever asked for it; an absent part says nothing.

    Attributes:
        personalization: whether the visitor agreed that pages are chosen for them.
        gpc: `navigator.globalPrivacyControl`, where the header cannot come through.
        gdpr: whether the GDPR applies (1) or not (0), as in URL macros; only 0 lets a TC string be passed over.
        tcf: the TC string.
        personalization_storage: Consent Mode's word for personalised content; the others are about something else.
    """

    personalization: bool | None = None
    gpc: bool | None = None
    gdpr: Literal[0, 1] | None = None
    tcf: str | None = None
    personalization_storage: Granted | None = None
    ad_storage: Granted | None = None
    ad_user_data: Granted | None = None
    ad_personalization: Granted | None = None
    analytics_storage: Granted | None = None
    functionality_storage: Granted | None = None
    security_storage: Granted | None = None


NOTHING_SAID = Consent()


def refusal(consent: Consent, headers: Mapping[str, str]) -> str:
    """Why the person must be left out, in words; empty where nothing speaks against it.

    Args:
        headers: the request's, names in lower case.
    """
    if headers.get("sec-gpc", "").strip() == "1" or consent.gpc:
        return "the browser asks for privacy (Sec-GPC: 1)"
    if consent.personalization is False:
        return "personalisation was refused"
    if consent.personalization_storage == "denied":
        return "personalization_storage is denied (Consent Mode)"
    if consent.tcf is not None and consent.gdpr != 0:
        return _refused_by(consent.tcf)
    return ""


def _refused_by(tc_string: str) -> str:
    purposes = purposes_of(tc_string)
    if purposes is None:
        return "the TCF string cannot be read"
    missing = [str(purpose) for purpose in PURPOSES_NEEDED if purpose not in purposes]
    return f"no consent to purpose {', '.join(missing)} (TCF)" if missing else ""


def purposes_of(tc_string: str) -> frozenset[int] | None:
    """The purposes a TC string agrees to, from 1; None if it is no such string of version 2."""
    if not 0 < len(tc_string) <= TC_STRING_LENGTH_MAX:
        return None
    core = tc_string.partition(".")[0]
    try:
        raw = urlsafe_b64decode(core + "=" * (-len(core) % 4))
    except (binascii.Error, ValueError):
        return None
    size = 8 * len(raw)
    if size < _CORE_BITS_MIN:
        return None
    bits = int.from_bytes(raw, "big")
    if bits >> (size - _VERSION_BITS) != 2:
        return None
    agreed = bits >> (size - _CORE_BITS_MIN) & ((1 << _PURPOSES) - 1)
    return frozenset(purpose for purpose in range(1, _PURPOSES + 1) if agreed >> (_PURPOSES - purpose) & 1)
