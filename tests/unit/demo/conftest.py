import pytest

from mmsrec.demo.media_files import write_media
from mmsrec.demo.mirror import make_world, raw_files, write_mirror
from mmsrec.demo.taste_world import SIZES


@pytest.fixture(scope="session")
def world():
    """The test-sized world of seed 5."""
    return make_world(SIZES["test"], 5)


@pytest.fixture(scope="session")
def files(world):
    """Its raw files."""
    return raw_files(world)


@pytest.fixture(scope="session")
def mirror(world, tmp_path_factory):
    """A folder with its raw files and media."""
    folder = tmp_path_factory.mktemp("mirror")
    write_mirror(folder, world)
    write_media(folder, world)
    return folder
