"""What the archive promises, over a real log: one log without a gap, columns, forgetting, clear errors."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ingest.archive.archive import Archive
from ingest.archive.archivist import Archivist
from ingest.archive.columns import SCHEMA
from ingest.archive.files import alone, partition_folder
from ingest.archive.log import ArchivedLog
from ingest.catalog import CatalogueProjection
from ingest.embedded import SqliteFile
from ingest.folding.replay import rebuild
from ingest.logs.sqlite import SqliteEventLog
from ingest.states.sqlite import STATES_SCHEMA, SqliteStateStore
from ingest.vocabulary.errors import ConfigurationError, Corrupt, DangolError, NewerVersion, Unavailable
from ingest.vocabulary.events import CustomerErased, Event, OrderCompleted, ProductUpserted, ProductViewed
from ingest.vocabulary.ids import PARTITIONS, CustomerId, ProductId, partition_of
from ingest.vocabulary.products import Product
from recommender.interactions import interactions_of
from tests.support.archiving import RefusingLog, archived_facts, forget_before, names_of
from tests.support.build import NOON, fact, incoming, views
from tests.support.embedded import Embedded, embedded, read_all, states_of
from tests.support.histories import erased, order, view
from tests.support.projections import TrailProjection

MARY = partition_of("mary")


@pytest.fixture
def dangol(tmp_path: Path) -> Iterator[Embedded]:
    with embedded(tmp_path) as opened:
        yield opened


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def shop(count: int = 60) -> list[Event]:
    """Facts of several customers and products over three days."""
    facts: list[Event] = []
    for number in range(count):
        at = NOON + timedelta(days=number * 3 // count, seconds=number)
        facts.append(fact(ProductViewed, subject=f"s-{number % 7}", product_id=f"p-{number % 5}", occurred_at=at))
        facts.append(fact(OrderCompleted, subject=f"s-{number % 7}", order_id=f"o-{number}", occurred_at=at))
        named = ProductId(f"p-{number % 5}")
        stated = Product(product_id=named, title=f"title {number}")
        facts.append(fact(ProductUpserted, product_id=named, product=stated, occurred_at=at))
    return facts


def by_turns(dangol: Embedded, place: Path, rounds: int) -> None:
    """Mary's views, one at a time, each archived at once: the smallest files there can be."""
    for number in range(rounds):
        dangol.log.append(views(1, subject="mary", occurred_at=NOON + timedelta(seconds=number)))
        Archivist(dangol.log, place).catch_up()


def test_files_lie_by_partition_and_day_and_are_named_by_their_facts(dangol: Embedded, place: Path) -> None:
    days = [0, 0, 1, 0, 1, 2]
    for day in days:
        dangol.log.append(views(1, subject="mary", occurred_at=NOON + timedelta(days=day)))
    assert Archivist(dangol.log, place).catch_up() == len(days)
    found = sorted(str(path.relative_to(place)) for path in place.rglob("*.parquet"))
    assert found == [
        f"p{MARY:02d}/day=2026-11-22/000000000000000-000000000000001.parquet",
        f"p{MARY:02d}/day=2026-11-23/000000000000002-000000000000004.parquet",
        f"p{MARY:02d}/day=2026-11-24/000000000000005-000000000000005.parquet",
    ]
    assert Archivist(dangol.log, place).catch_up() == 0, "what is there is not written again"


def test_what_the_log_removed_is_read_from_the_archive(dangol: Embedded, place: Path) -> None:
    dangol.log.append(shop())
    whole = read_all(dangol.log)
    Archivist(dangol.log, place, chunk_facts_max=4).catch_up()
    for partition, end in enumerate(dangol.log.ends()):
        forget_before(dangol.file, partition, end)
    assert len(read_all(dangol.log)) <= PARTITIONS
    (later,) = dangol.log.append(views(1, subject="s-1"))
    log = ArchivedLog(Archive(place), dangol.log)
    assert [each for each in read_all(log) if each.position != later] == whole
    assert log.ends() == dangol.log.ends()
    assert log.beginnings() == (0,) * PARTITIONS
    assert max(dangol.log.beginnings()) > 0


KINDS = pytest.mark.parametrize("kind", [SqliteEventLog, RefusingLog])


@KINDS
def test_facts_that_nobody_has_any_more_are_an_error_that_names_them(
    dangol: Embedded, place: Path, kind: type[SqliteEventLog]
) -> None:
    dangol.log.append(views(10, subject="mary"))
    Archivist(dangol.log, place).catch_up()
    dangol.log.append(views(10, subject="mary"))
    forget_before(dangol.file, MARY, 14)
    kept = kind(dangol.file)
    log = ArchivedLog(Archive(place), kept)
    assert len(log.read(MARY, after=-1, limit=10)) == 10
    gone = rf"the facts 10 to 13 of partition {MARY} are neither in the archive nor in the log"
    for read in (
        lambda: log.read(MARY, after=-1, limit=11),
        lambda: log.read(MARY, after=9, limit=1),
        lambda: list(log.columns([], ["offset"])),
        Archivist(kept, place).catch_up,
    ):
        with pytest.raises(Corrupt, match=gone):
            read()
    assert [each.position.offset for each in log.read(MARY, after=13, limit=3)] == [14, 15, 16]


@KINDS
def test_a_reader_that_knew_less_than_was_archived_meanwhile_looks_again(
    dangol: Embedded, place: Path, kind: type[SqliteEventLog]
) -> None:
    by_turns(dangol, place, 2)
    log = ArchivedLog(Archive(place), kind(dangol.file))
    assert len(log.read(MARY, after=-1, limit=10)) == 2
    dangol.log.append(views(5, subject="mary"))
    whole = read_all(dangol.log)
    Archivist(dangol.log, place).catch_up()
    forget_before(dangol.file, MARY, 6)
    assert log.read(MARY, after=-1, limit=10) == whole


def test_the_archive_of_another_log_is_refused(dangol: Embedded, place: Path, tmp_path: Path) -> None:
    by_turns(dangol, place, 3)
    (tmp_path / "other").mkdir()
    with embedded(tmp_path / "other") as other:
        other.log.append(views(1, subject="mary"))
        archive = Archive(place)
        archive.ends()
        for use in (ArchivedLog(archive, other.log).ends, Archivist(other.log, place).catch_up):
            with pytest.raises(Corrupt, match="up to 2, the log ends at 0"):
                use()


def test_small_files_are_put_together_and_nothing_changes_for_readers(dangol: Embedded, place: Path) -> None:
    by_turns(dangol, place, 20)
    archive, whole = Archive(place), read_all(dangol.log)
    assert len(archive.read(MARY, after=-1, limit=1)) == 1
    assert Archivist(dangol.log, place).compact() == 19
    assert names_of(place) == ["000000000000000-000000000000019.parquet"]
    assert archive.read(MARY, after=-1, limit=100) == whole, "a reader that knew the small files finds the large one"
    assert Archivist(dangol.log, place).compact() == 0


def test_readers_see_every_fact_once_while_files_are_put_together(dangol: Embedded, place: Path) -> None:
    archivist, archive, over = Archivist(dangol.log, place), Archive(place), threading.Event()
    by_turns(dangol, place, 1)
    seen: list[str] = []

    def read() -> None:
        while not over.is_set():
            known = archive.end(MARY)
            offsets = [each.position.offset for each in archive.read(MARY, after=-1, limit=10_000)]
            scanned = [each for batch in archive.columns([], ["offset"]) for each in batch["offset"].to_pylist()]
            for found in (offsets, scanned):
                if found != list(range(len(found))) or len(found) <= known:
                    seen.append(f"{found} of {known}")

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(60):
        dangol.log.append(views(1, subject="mary"))
        archivist.catch_up()
        archivist.compact()
    over.set()
    reader.join()
    assert seen == []
    assert len(names_of(place)) < 20


def test_a_file_that_a_crash_left_beside_those_it_covers_changes_nothing(dangol: Embedded, place: Path) -> None:
    by_turns(dangol, place, 12)
    kept = {path: path.read_bytes() for path in place.rglob("*.parquet")}
    Archivist(dangol.log, place).compact()
    for path, content in kept.items():
        path.write_bytes(content)
    half = next(iter(kept)).with_name(".writing-000000000000012-000000000000013.parquet")
    half.write_bytes(b"PAR1 half")
    assert archived_facts(place) == read_all(dangol.log)
    Archivist(dangol.log, place).catch_up()
    assert names_of(place) == ["000000000000000-000000000000011.parquet"]
    assert not half.exists()


def test_two_archivists_never_write_a_partition_at_once(dangol: Embedded, place: Path) -> None:
    by_turns(dangol, place, 1)
    dangol.log.append([*shop(), *views(1, subject="mary")])
    with alone(partition_folder(place, MARY)) as mine:
        assert mine
        Archivist(dangol.log, place).catch_up()
    ends, archived = dangol.log.ends(), Archive(place).ends()
    assert [partition for partition in range(PARTITIONS) if ends[partition] != archived[partition]] == [MARY]
    assert archived[MARY] == 0
    Archivist(dangol.log, place).catch_up()
    assert Archive(place).ends() == ends


def test_states_rebuilt_from_the_archive_are_those_rebuilt_from_the_log(
    dangol: Embedded, place: Path, tmp_path: Path
) -> None:
    dangol.log.append(shop())
    Archivist(dangol.log, place, chunk_facts_max=7).catch_up()
    for partition, end in enumerate(dangol.log.ends()):
        forget_before(dangol.file, partition, end - 2)
    dangol.log.append([each for each in shop(5) if not isinstance(each, OrderCompleted)])
    projections = (TrailProjection(), CatalogueProjection())
    file = SqliteFile(tmp_path / "states.sqlite3", schema=STATES_SCHEMA, version=1)
    store = SqliteStateStore(file)
    rebuilt = rebuild(ArchivedLog(Archive(place), dangol.log), store, projections)
    assert rebuilt.facts == 190
    assert states_of(store, projections) == states_of(dangol.store, projections), "what was folded as it came in"
    assert store.positions() == dangol.store.positions()
    file.close()


def test_training_reads_the_same_from_the_archive_as_from_the_log(dangol: Embedded, place: Path) -> None:
    history = [order(f"o-{number}", "abc"[: number % 3 + 1], number / 9, f"s-{number % 4}") for number in range(30)]
    dangol.log.append([*history, *(view("a", number, "s-1") for number in range(5)), erased("s-2", 9)])
    whole = [each.event for each in read_all(dangol.log)]
    Archivist(dangol.log, place).catch_up()
    plain, archived = interactions_of(whole), interactions_of(each.event for each in archived_facts(place))
    assert archived.products == plain.products
    assert archived.orders.hashes.tolist() == plain.orders.hashes.tolist()
    assert archived.time_s.tolist() == plain.time_s.tolist()
    assert len(archived.orders) == len(plain.orders) == 23, "the erased customer's orders are out of both"


def test_columns_are_those_of_the_facts_in_the_archive_and_behind_it(dangol: Embedded, place: Path) -> None:
    facts = shop()
    dangol.log.append(facts[:90])
    Archivist(dangol.log, place, chunk_facts_max=7).catch_up()
    dangol.log.append(facts[90:])
    log = ArchivedLog(Archive(place), dangol.log)
    batches = list(log.columns([ProductViewed, CustomerErased], ["subject", "product_id", "event_hash", "occurred_at"]))
    rows = [row for batch in batches for row in batch.to_pylist()]
    wanted = [each.event for each in read_all(dangol.log) if isinstance(each.event, ProductViewed)]
    assert len(wanted) == 60
    plain = [(event.subject, event.product_id, event.occurred_at) for event in wanted]
    assert sorted((row["subject"], row["product_id"], row["occurred_at"]) for row in rows) == sorted(plain)
    assert len({batch.schema.remove_metadata() for batch in batches}) == 1
    everything = [row for batch in log.columns([], SCHEMA.names) for row in batch.to_pylist()]
    assert len(everything) == len(facts)


def test_columns_up_to_a_cut_have_what_is_before_it_and_nothing_else(dangol: Embedded, place: Path) -> None:
    dangol.log.append(shop())
    Archivist(dangol.log, place, chunk_facts_max=7).catch_up()
    dangol.log.append([each for each in shop(20) if isinstance(each, ProductViewed)])
    log = ArchivedLog(Archive(place), dangol.log)
    for back in (0, 1, 3, 9):
        cut = tuple(max(-1, end - back) for end in log.ends())
        batches = log.columns([], ["partition", "offset"], upto=cut)
        found = sorted((row["partition"], row["offset"]) for batch in batches for row in batch.to_pylist())
        assert found == [(partition, offset) for partition, last in enumerate(cut) for offset in range(last + 1)]


def test_a_column_that_does_not_exist_is_named(dangol: Embedded, place: Path) -> None:
    log = ArchivedLog(Archive(place), dangol.log)
    with pytest.raises(ConfigurationError, match="no column 'colour'; it has partition, offset, type"):
        list(log.columns([], ["colour"]))


def test_forgetting_a_customer_leaves_nothing_of_them_readable_in_files_that_are_not_written_again(
    dangol: Embedded, place: Path
) -> None:
    told = [
        incoming(ProductViewed, customer="shopper-4711", personal={"email": "mary@example.org"}, received_at=NOON)
        for _ in range(3)
    ]
    dangol.collector.collect(told)
    Archivist(dangol.log, place).catch_up()
    before = {path: path.read_bytes() for path in place.rglob("*.parquet")}
    dangol.erasure = type(dangol.erasure)(
        ArchivedLog(Archive(place), dangol.log), dangol.keyring, dangol.dead_letters, dangol.clock
    )
    assert dangol.erasure.forget(CustomerId("shopper-4711")).subjects == 1
    Archivist(dangol.log, place).catch_up()
    assert {path: path.read_bytes() for path in before} == before
    facts = archived_facts(place)
    assert isinstance(facts[-1].event, CustomerErased)
    for path in place.rglob("*.parquet"):
        plain = b"".join(pq.read_table(path)["stored"].to_pylist()) + path.read_bytes()
        assert b"4711" not in plain
        assert b"mary@" not in plain
    sealed = [(each.event.subject, each.event.personal) for each in facts if isinstance(each.event, ProductViewed)]
    assert len(sealed) == 3
    assert [dangol.keyring.open(subject, personal) for subject, personal in sealed if personal] == [None] * 3


def damaged(path: Path, how: str) -> None:
    """Do something to a file of three facts."""
    content = path.read_bytes()
    match how:
        case "cut":
            path.write_bytes(content[: len(content) // 2])
        case "empty":
            path.write_bytes(b"")
        case "flipped":
            stored = pq.ParquetFile(path).metadata.row_group(0).column(len(SCHEMA.names) + 1)
            assert stored.path_in_schema == "stored"
            at = stored.data_page_offset + stored.total_compressed_size - 20
            path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        case "renamed":
            path.rename(path.with_name("000000000000000-000000000000003.parquet"))
        case "foreign":
            table = pq.read_table(path)
            pq.write_table(table.replace_schema_metadata({}), path)
        case "other columns":
            table = pq.read_table(path)
            pq.write_table(table.drop_columns(["offset"]), path)
        case "shuffled":
            table = pq.read_table(path)
            pq.write_table(table.take([1, 0, 2]), path)


@pytest.mark.parametrize("how", ["cut", "empty", "flipped", "renamed", "foreign", "other columns", "shuffled"])
def test_a_damaged_or_foreign_file_is_named(dangol: Embedded, place: Path, how: str) -> None:
    dangol.log.append(views(3, subject="mary"))
    Archivist(dangol.log, place).catch_up()
    (path,) = place.rglob("*.parquet")
    damaged(path, how)
    (path,) = place.rglob("*.parquet")
    with pytest.raises(Corrupt, match=str(path)):
        archived_facts(place)
    if how != "shuffled":  # a scan does not look at the order of offsets
        with pytest.raises(Corrupt, match=str(path)):
            list(Archive(place).columns([], SCHEMA.names))


@pytest.mark.parametrize("name", ["notes.txt", "000000000000003-000000000000002.parquet", "1-2.parquet"])
def test_what_is_no_file_of_the_archive_is_named(dangol: Embedded, place: Path, name: str) -> None:
    by_turns(dangol, place, 1)
    (path,) = place.rglob("*.parquet")
    path.with_name(name).write_bytes(b"")
    with pytest.raises(Corrupt, match=name):
        Archive(place).ends()


@pytest.mark.parametrize("name", ["day=2026-13-01", "november"])
def test_what_is_no_day_of_the_archive_is_named(dangol: Embedded, place: Path, name: str) -> None:
    by_turns(dangol, place, 1)
    (path,) = place.rglob("*.parquet")
    path.parent.rename(path.parent.with_name(name))
    with pytest.raises(Corrupt, match=name):
        Archive(place).ends()


def test_a_file_that_is_missing_in_the_middle_is_an_error_that_names_its_facts(dangol: Embedded, place: Path) -> None:
    by_turns(dangol, place, 5)
    sorted(place.rglob("*.parquet"))[2].unlink()
    with pytest.raises(Corrupt, match="lacks the facts 2 to 2, before"):
        Archive(place).ends()


def test_a_file_of_a_newer_dangol_asks_for_an_upgrade(dangol: Embedded, place: Path) -> None:
    by_turns(dangol, place, 1)
    (path,) = place.rglob("*.parquet")
    table = pq.read_table(path)
    label = (table.schema.metadata or {})[b"dangol.archive"].replace(b'"version":1', b'"version":2,"more":0')
    pq.write_table(table.replace_schema_metadata({b"dangol.archive": label}), path)
    with pytest.raises(NewerVersion, match=f"{path} has version 2"):
        archived_facts(place)


def test_a_folder_that_cannot_be_written_is_unavailable(dangol: Embedded, place: Path) -> None:
    dangol.log.append(shop(2))
    place.write_bytes(b"")
    with pytest.raises(Unavailable, match="could not be written") as caught:
        Archivist(dangol.log, place).catch_up()
    assert isinstance(caught.value, DangolError)
    assert caught.value.retryable
