"""Fixtures of the tests with several processes."""

import multiprocessing
from collections.abc import Iterator
from multiprocessing.context import BaseContext
from pathlib import Path

import pytest

from tests.unit.training import next_item_worker, pretrain_worker


@pytest.fixture(scope="module")
def forks() -> Iterator[BaseContext]:
    """Starts copies of one process that has imported torch, because the import takes most of a test's time."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([pretrain_worker.__name__, next_item_worker.__name__])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
        patch.setenv("OMP_NUM_THREADS", "1")
        yield context
