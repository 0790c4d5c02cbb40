"""Writes a database in MaxMind's format, of a few IPv4 addresses: what an operator supplies, small enough for a test.

Source: MaxMind DB File Format Specification 2.0, with records of 24 bits.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_SEPARATOR = bytes(16)
_MARKER = b"\xab\xcd\xefMaxMind.com"
_BITS = 32


def write_database(path: Path, records: Mapping[str, Mapping[str, Any]]) -> Path:
    """A database with these records, by address."""
    nodes: list[list[int | None]] = [[None, None]]
    leaves: dict[tuple[int, int], int] = {}
    section = b""
    for address, record in records.items():
        number, node = int(ipaddress.IPv4Address(address)), 0
        for depth in range(_BITS - 1, 0, -1):
            side = number >> depth & 1
            if nodes[node][side] is None:
                nodes.append([None, None])
                nodes[node][side] = len(nodes) - 1
            following = nodes[node][side]
            assert following is not None
            node = following
        leaves[node, number & 1] = len(section)
        section += _encoded(dict(record))
    tree = b""
    for place, node_of in enumerate(nodes):
        for side, following in enumerate(node_of):
            at = leaves.get((place, side))
            value = len(nodes) + len(_SEPARATOR) + at if at is not None else following
            tree += (len(nodes) if value is None else value).to_bytes(3, "big")
    path.write_bytes(tree + _SEPARATOR + section + _MARKER + _metadata(len(nodes)))
    return path


def _metadata(nodes: int) -> bytes:
    return _encoded(
        {
            "binary_format_major_version": _whole(5, 2),
            "binary_format_minor_version": _whole(5, 0),
            "build_epoch": _whole(9, 1_700_000_000),
            "database_type": "Test-City",
            "description": {"en": "A test"},
            "ip_version": _whole(5, 4),
            "languages": ["en"],
            "node_count": _whole(6, nodes),
            "record_size": _whole(5, 24),
        }
    )


def _encoded(value: Any) -> bytes:
    match value:
        case str():
            return _control(2, len(value.encode())) + value.encode()
        case float():
            return _control(3, 8) + struct.pack(">d", value)
        case bytes():
            return value  # encoded already
        case dict():
            return _control(7, len(value)) + b"".join(_encoded(key) + _encoded(each) for key, each in value.items())
        case list():
            return _control(11, len(value)) + b"".join(map(_encoded, value))
    raise TypeError(value)


def _whole(kind: int, value: int) -> bytes:
    """A whole number of a kind, in as many bytes as it needs."""
    content = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return _control(kind, len(content)) + content


def _control(kind: int, size: int) -> bytes:
    assert size < 29 + 256
    short = min(29, size)
    first = bytes([kind << 5 | short]) if kind <= 7 else bytes([short, kind - 7])
    return first + (b"" if size < 29 else bytes([size - 29]))
