import pytest

from mmsrec.demo.mirror import make_world, raw_files
from mmsrec.demo.world import SIZES


@pytest.fixture(scope="session")
def world():
    """The test-sized world of seed 5."""
    return make_world(SIZES["test"], 5)


@pytest.fixture(scope="session")
def files(world):
    """Its raw files."""
    return raw_files(world)
