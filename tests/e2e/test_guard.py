"""`dangol train` keeps the published snapshot where a new one is much smaller."""

from __future__ import annotations

from pathlib import Path

from tests.support.service import dangol, serving, told


def test_a_shop_that_lost_most_orders_keeps_its_snapshot_until_forced(small_folder: Path) -> None:
    before = told("status", data=small_folder)["snapshot"]
    kept = sorted((small_folder / "snapshots").iterdir())
    with serving(small_folder) as service:
        for number in range(40):
            cancelled = {"event_id": f"c-{number}", "type": "order_cancelled", "order_id": f"past-{number}"}
            assert service.tell({**cancelled, "customer_id": "somebody"}) == ["accepted"]
    refused = dangol("train", data=small_folder)
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "10 orders after 50 is 80.0% less" in refused.stderr
    assert told("status", data=small_folder)["snapshot"] == before
    assert sorted((small_folder / "snapshots").iterdir()) == kept
    forced = dangol("train", "--force", data=small_folder, check=True)
    assert "10 orders" in forced.stdout
    assert told("status", data=small_folder)["snapshot"] != before
    assert dangol("train", "--force", "--every", "1", data=small_folder).returncode == 2
