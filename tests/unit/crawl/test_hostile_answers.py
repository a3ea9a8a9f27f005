"""No answer of a server raises anything out of an item, and none fills the memory."""

import os
import resource
import socket
from pathlib import Path

import pytest

from mmsrec.crawl.images import crawl_images
from mmsrec.crawl.ledger import STATES
from tests.hostile_server import hostile_server
from tests.unit.crawl.examples import files, ledger, policy, urls

CASES = int(os.environ.get("MMSREC_FUZZ_CASES", "150"))
SEED = int(os.environ.get("MMSREC_FUZZ_SEED", "0"))
# A long run on a busy machine needs more patience than the few cases of the suite.
PATIENCE = 0.25 if CASES < 1000 else 2.0  # seconds
MORE_MEMORY = 300_000  # KiB


@pytest.fixture
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name below .example is this machine, and no other name resolves."""
    real = socket.getaddrinfo

    def resolve(host: str, port: int, *arguments: object, **options: object) -> list:
        if host.endswith(".example") or host.startswith("127."):
            return real("127.0.0.1", port, *arguments, **options)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.mark.usefixtures("only_loopback")
def test_every_item_ends_with_one_state(tmp_path: Path) -> None:
    before = peak()
    haste = {"read_timeout": PATIENCE, "total_timeout": 2 * PATIENCE, "backoff": 0.01, "max_pause": 0.02}
    # The server sends one picture again and again, which would count as a placeholder, whose file is kept.
    rules = policy(**haste, attempts=2, max_bytes=500_000, host_failures=1000, most_alike=1.0)
    with hostile_server(SEED) as port:
        # Each third item has its own host, and so its own robots.txt.
        hosts = ["h" if number % 3 else f"h{number}" for number in range(CASES)]
        items = {f"{number}": f"http://{host}.example:{port}/{number}" for number, host in enumerate(hosts)}
        counts = crawl_images(urls(items), tmp_path, rules, connections=32)

    rows = ledger(tmp_path)
    assert counts.total() == len(rows) == CASES
    assert {row["state"] for row in rows.values()} <= set(STATES)
    assert {"dead", "failed", "undecodable"} <= counts.keys()
    assert not [row for row in rows.values() if "the request failed" in (row["error"] or "")]
    assert len(files(tmp_path)) == counts["ok"]
    assert peak() - before < MORE_MEMORY
    print(f"seed {SEED}, {CASES} answers: {dict(counts)}, {(peak() - before) / 1024:.0f} MiB more")
