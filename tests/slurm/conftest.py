"""The tests on a Slurm cluster of this machine: opt-in, because they run the demo several times. `make test-slurm`."""

import importlib.util
import os

import pytest

from tests.slurm.cluster import missing

OPT_IN = "MMSREC_SLURM"
PLUGIN = "snakemake_executor_plugin_slurm"


@pytest.fixture(scope="session")
def slurm():
    """Skips the tests of a suite that does not ask for them, and where Slurm or Snakemake's plugin is missing."""
    if OPT_IN not in os.environ:
        pytest.skip(f"`make test-slurm` runs the demo through Slurm ({OPT_IN} is not set)")
    if absent := missing():
        pytest.skip(f"Slurm is not installed: {', '.join(absent)} (Debian's packages: slurm-wlm, munge)")
    if importlib.util.find_spec(PLUGIN) is None:
        pytest.skip("Snakemake's plugin for Slurm is not installed (make cluster)")
