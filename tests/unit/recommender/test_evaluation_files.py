"""Files as people have them: odd line ends, ids of any characters, and whatever cannot be used."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from ingest.vocabulary.errors import ConfigurationError
from recommender.evaluation.files import text
from recommender.evaluation.files.lines import read_questions, read_sequences, read_users
from recommender.evaluation.files.tables import Table, read_baskets, tokens
from recommender.evaluation.files.text import Lines
from recommender.evaluation.files.tokens import Numbering
from recommender.evaluation.protocols import READERS
from tests.support.questions import written


def sessions(path: Path) -> list[list[str]]:
    products = Numbering()
    found = read_sequences(path, products)
    names = products.names(path)
    ends = np.cumsum(found.size)
    return [[names[number] for number in part] for part in np.split(found.product, ends[:-1])]


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\n\n", " \n", "\t\n"])
@pytest.mark.parametrize("block_bytes", [1, 7, 1 << 24])
def test_line_ends_blank_lines_and_blocks_do_not_matter(
    ends: str, block_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "BLOCK_BYTES", block_bytes)
    expected = [["b", "a"], ["85123A", "ü-1", "b"], ["x,y;z"]]
    content = ends.join(" ".join(line) for line in expected)
    for number, raw in enumerate((content, content + ends, "\ufeff" + content)):
        assert sessions(written(tmp_path, {f"file{number}": raw})[f"file{number}"]) == expected
    assert sessions(written(tmp_path, {"packed.gz": content})["packed"]) == expected


def test_a_gzipped_file_needs_no_ending_in_its_name(tmp_path: Path) -> None:
    path = tmp_path / "sessions"
    path.write_bytes(gzip.compress(b"a b\n"))
    assert sessions(path) == [["a", "b"]]


def test_ids_are_numbered_in_order_of_appearance_and_sorted_in_the_catalogue(tmp_path: Path) -> None:
    files = written(tmp_path, {"train": "b c\na b\n10 9\n", "test": "b\tc\n"})
    assert READERS["next-item"](files).interactions.products == ("10", "9", "a", "b", "c")


UNUSABLE = {
    "empty": (b"", "it is empty"),
    "blank": (b" \n\n", "it is empty"),
    "binary": (b"a b\n\0\0\n", "line 2: it has NUL bytes"),
    "not UTF-8": (b"a \xff\n", "is not UTF-8"),
    "cut short": (gzip.compress(b"a b c d e f\n" * 99)[:-9], "gzip data are damaged or cut short"),
    "damaged": (b"\x1f\x8b" + b"not gzip at all", "gzip data are damaged or cut short"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_file_that_cannot_be_used_is_one_clear_sentence(name: str, tmp_path: Path) -> None:
    content, why = UNUSABLE[name]
    with pytest.raises(ConfigurationError, match=why) as raised:
        sessions(written(tmp_path, {"train": content})["train"])
    assert "train.txt" in raised.value.message
    assert "\n" not in raised.value.message


def test_a_file_that_is_missing_a_folder_or_not_gzip_is_told_by_name(tmp_path: Path) -> None:
    plain = tmp_path / "plain.gz"
    plain.write_text("a b\n")
    for path, why in ((tmp_path / "nowhere", "No such file"), (tmp_path, "directory"), (plain, "it is not gzip")):
        with pytest.raises(ConfigurationError, match=why):
            list(Lines(path).blocks())


def test_a_file_without_line_ends_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "LINE_BYTES_MAX", 100)
    monkeypatch.setattr(text, "BLOCK_BYTES", 64)
    with pytest.raises(ConfigurationError, match="longer than"):
        sessions(written(tmp_path, {"train": "a" * 300})["train"])


@pytest.mark.parametrize(
    ("line", "why"),
    [("a b c", "no tab"), ("\tb", "0 items and 1 targets"), ("a\t", "1 items and 0"), ("a\tb c", "1 items and 2")],
)
def test_a_question_is_items_a_tab_and_one_target(line: str, why: str, tmp_path: Path) -> None:
    path = written(tmp_path, {"test": f"a b\tc\n\n{line}\n"})["test"]
    questions = read_questions(path)
    assert next(questions) == ([b"a", b"b"], b"c")
    with pytest.raises(ConfigurationError, match=f"line 3: .*{why}"):
        next(questions)


def test_a_user_is_on_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="line 3: the user u is on a line before"):
        list(read_users(written(tmp_path, {"train": "u a\nv b\nu c\n"})["train"]))


def rows(content: str, folder: Path) -> list[list[bytes]]:
    return list(Table(written(folder, {"table": content})["table"], ("customer", "product")).rows())


def test_columns_are_found_by_name_and_quotes_are_taken_off(tmp_path: Path) -> None:
    assert rows('Product,extra,CUSTOMER\np,1,c\n"q, r",2, d \n\n', tmp_path) == [[b"c", b"p"], [b"d", b"q, r"]]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("c1,p1\nc2,p2\n", "the header must name customer,product; customer, product is not there"),
        ("customer\nc1\n", "product is not there"),
        ("customer,product\nc1\n", "line 2: it has 1 fields, the header 2"),
        ('customer,product\nc1,"p\n', "line 2: it is not CSV"),
    ],
)
def test_a_table_without_its_header_or_with_other_rows_is_refused(content: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=why):
        rows(content, tmp_path)


@pytest.mark.parametrize("time", [b"1430625798", b"1430625798.9", b"2015-05-03T04:03:18Z", b"2015-05-03 04:03:18"])
def test_times_are_unix_seconds_or_rfc_3339(time: bytes, tmp_path: Path) -> None:
    assert Table(tmp_path, ()).seconds(time) == 1430625798


def test_what_is_no_time_is_refused(tmp_path: Path) -> None:
    for time in (b"yesterday", b"", b"nan", b"inf", b"\xff", b"9" * 30, b"-1e300", b"10000-01-01"):
        with pytest.raises(ConfigurationError, match="is not a time"):
            Table(tmp_path, ()).seconds(time)


def test_baskets_hold_numbers_or_words_and_nothing_else(tmp_path: Path) -> None:
    path = written(tmp_path, {"train": '{"u": [[1, "b", "1"], []]}'})["train"]
    assert tokens(read_baskets(path)["u"][0]) == [b"1", b"b"]
    for content, why in (("{", "truncated"), ("[]", "Expected `object`"), ('{"u": [1]}', "Expected `array`")):
        with pytest.raises(ConfigurationError, match=why):
            read_baskets(written(tmp_path, {"train": content})["train"])
