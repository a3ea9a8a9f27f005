"""What the tests of several processes share."""

import multiprocessing
from collections.abc import Iterator
from multiprocessing.context import BaseContext
from pathlib import Path

import pytest

from tests.unit.training import next_item_worker, worker


@pytest.fixture(scope="module")
def forks() -> Iterator[BaseContext]:
    """Copies of one process that has imported torch, which takes longer than all else here."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([worker.__name__, next_item_worker.__name__])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
        patch.setenv("OMP_NUM_THREADS", "1")
        yield context
