from dataclasses import replace

from mmsrec.demo.mirror import make_world, raw_files, write_mirror
from mmsrec.demo.taste_world import SIZES
from mmsrec.files import sha256


def test_another_seed_changes_every_file(files):
    other = raw_files(make_world(SIZES["test"], 6))
    assert other.keys() == files.keys()
    assert all(other[name] != files[name] for name in files)


def test_a_site_does_not_depend_on_the_other_sites(files):
    size = SIZES["test"]
    other = raw_files(make_world(replace(size, shops={"shop": size.shops["shop"]}, films=SIZES["demo"].films), 5))
    assert files.keys() - other.keys() == {"demo/ratings_Wear.csv", "demo/meta_Wear.json.gz"}
    assert {name for name in other if other[name] != files[name]} == {"demo/films.zip", "demo/ml-youtube.csv"}


def test_another_media_base_changes_the_metadata_only(world, files):
    other = raw_files(world, "http://elsewhere.example")
    changed = [name for name in files if other[name] != files[name]]
    assert changed == ["demo/meta_Demo.json.gz", "demo/meta_Wear.json.gz", "demo/meta_New.json.gz"]


def test_a_second_run_rewrites_only_a_damaged_file(world, tmp_path):
    paths = write_mirror(tmp_path, world)
    assert len(paths) == 9
    times = {path: path.stat().st_mtime_ns for path in paths}
    assert write_mirror(tmp_path, world) == []
    assert times == {path: path.stat().st_mtime_ns for path in paths}
    digest = sha256(paths[0])
    paths[0].write_bytes(paths[0].read_bytes()[:-1])
    assert write_mirror(tmp_path, world) == [paths[0]]
    assert sha256(paths[0]) == digest
