"""Each fault gives the expected state and number of tries, and leaves no partial file."""

from pathlib import Path
from typing import Any

import pytest

from tests.servers import Server
from tests.unit.crawl.examples import files, ledger
from tests.unit.crawl.faults import FAULTS, PICTURE, Fault, crawl_faults, routes


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    patient, hasty = tmp_path_factory.mktemp("patient"), tmp_path_factory.mktemp("hasty")
    with Server(routes()) as server:
        crawl_faults(server, patient, [fault for fault in FAULTS if not fault.hasty])
        crawl_faults(server, hasty, [fault for fault in FAULTS if fault.hasty])
    return patient, hasty


@pytest.fixture(scope="module")
def rows(folders: tuple[Path, Path]) -> dict[str, dict[str, Any]]:
    return ledger(folders[0]) | ledger(folders[1])


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_each_fault_gives_its_state(rows: dict[str, dict[str, Any]], fault: Fault) -> None:
    row = rows[fault.name]

    assert (row["state"], row["attempts"], row["status"]) == (fault.state, fault.attempts, fault.status)
    if fault.error:
        assert fault.error in row["error"]
    else:
        assert row["error"] is None


def test_only_whole_pictures_are_on_disk(folders: tuple[Path, Path], rows: dict[str, dict[str, Any]]) -> None:
    kept = {row["path"] for row in rows.values() if row["state"] == "ok"}
    found = files(folders[0]) | files(folders[1])

    assert set(found) == kept
    assert set(found.values()) == {PICTURE}
