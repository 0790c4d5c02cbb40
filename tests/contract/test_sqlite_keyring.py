"""What the keyring in a file promises beyond the contract: forgetting leaves no byte in the file or beside it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ingest.embedded import SqliteFile
from ingest.keyrings.sqlite import KEYRING_SCHEMA, KEYRING_VERSION, SqliteKeyring
from ingest.privacy import Alias

MARY = Alias("customer", "mary-17850")
VISITOR = Alias("anonymous", "visitor-a-7")


def files_with(folder: Path, needles: Iterable[bytes]) -> list[tuple[str, bytes]]:
    """Which of the needles are in which file of a folder."""
    return [
        (path.name, needle)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        for needle in needles
        if needle in path.read_bytes()
    ]


def test_no_byte_of_id_subject_or_key_is_left_after_erasure(tmp_path: Path) -> None:
    file = SqliteFile(tmp_path / "keyring.sqlite3", schema=KEYRING_SCHEMA, version=KEYRING_VERSION)
    try:
        keyring = SqliteKeyring(file)
        keyring.resolve([Alias("customer", f"other-{number}") for number in range(300)])
        mary, visitor = keyring.resolve([MARY])[MARY], keyring.resolve([VISITOR])[VISITOR]
        keyring.link(VISITOR, mary)
        row = file.reader().execute("SELECT key FROM subjects WHERE subject IN (?, ?)", (mary, visitor))
        keys = [key for (key,) in row.fetchall()]
        needles = [MARY.value.encode(), VISITOR.value.encode(), mary.encode(), visitor.encode(), *keys]
        assert {needle for _, needle in files_with(tmp_path, needles)} == set(needles), "the search can find them"
        subjects, _ = keyring.begin_erasure(mary)
        keyring.destroy(subjects)
        assert files_with(tmp_path, needles) == []
        keyring.resolve([Alias("customer", f"later-{number}") for number in range(10)])
        assert files_with(tmp_path, needles) == []
    finally:
        file.close()
    assert files_with(tmp_path, needles) == []
