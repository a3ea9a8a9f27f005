"""Fixtures of all tests: the loopback server, and the folder of the real data if there is one."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.servers import Server

# Tests of both cores at once: threads that wait for each other on a busy core take ten times as long.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"

REAL_DATA = Path(os.environ.get("MMSREC_MIRROR") or Path(__file__).parents[2] / "shared" / "data")


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Starts a server for the routes that it is given; it stops with the test."""
    with ExitStack() as stack:
        yield lambda routes, **options: stack.enter_context(Server(routes, **options))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real source files, DATASET/FILE; tests that need it are skipped where it is absent."""
    if not (REAL_DATA / "amazon").is_dir():
        pytest.skip(f"no real data at {REAL_DATA} (set MMSREC_MIRROR)")
    return REAL_DATA
