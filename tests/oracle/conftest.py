"""The oracle's tests: opt-in, because they need RecBole's environment. `make oracle` builds it and runs them."""

import os

import numpy as np
import pytest

from benchmarks.recbole_process import INTERPRETER

OPT_IN = "MMSREC_ORACLE"
_differences: dict[str, float] = {}


@pytest.fixture(scope="session")
def opted_in():
    """Skips the tests of a suite that does not ask for them.

    Raises:
        FileNotFoundError: the suite asks for them, but there is no environment.
    """
    if OPT_IN not in os.environ:
        pytest.skip(f"`make oracle` runs the comparison with RecBole ({OPT_IN} is not set)")
    if not INTERPRETER.exists():
        raise FileNotFoundError(f"{INTERPRETER}: `make oracle` builds RecBole's environment")


@pytest.fixture
def differ(request):
    """Returns the largest difference of two arrays, relative to their largest element; the summary shows it."""

    def largest(ours, theirs, scale=None):
        ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
        assert ours.shape == theirs.shape
        difference = float(np.abs(ours - theirs).max() / (np.abs(theirs).max() if scale is None else scale))
        name = request.node.name.removeprefix("test_")
        _differences[name] = max(_differences.get(name, 0.0), difference)
        return difference

    return largest


def pytest_terminal_summary(terminalreporter):
    """Shows the largest difference of each test."""
    if _differences:
        terminalreporter.section("largest relative differences from RecBole")
        for name, difference in _differences.items():
            terminalreporter.line(f"{difference:8.1e}  {name}")
