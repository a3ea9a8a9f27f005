"""Descriptions of artifacts, for each kind that has its own details."""

import gzip
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from mmsrec.errors import ArtifactError, FeatureError
from mmsrec.features.feature_file import Provenance, write_features
from mmsrec.files import write_json
from mmsrec.inspect.describe import describe
from mmsrec.inspect.nearest import nearest
from mmsrec.inspect.sheet import CELL, LABEL, write_sheet
from tests.unit.features.test_extract import frame_table
from tests.unit.features.worlds import picture, write_items, write_media

PROVENANCE = Provenance("clip", "d" * 64, "vision", "resized", "w" * 64)


@pytest.fixture
def features(tmp_path):
    """Vectors of unit length at growing angles from that of i0."""
    angles = np.linspace(0, 2, 5)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    path = tmp_path / "features" / "vision.parquet"
    write_features(path, [f"i{number}" for number in range(5)], [1, 2, 3, 4, 5], vectors, PROVENANCE)
    return path


def test_items_show_what_is_missing(tmp_path):
    write_items(tmp_path / "items.parquet", ["a", None, None, "d"])
    text = describe(tmp_path / "items.parquet")
    assert "items.parquet: items" in text
    assert "4 rows" in text
    lines = {line.split()[0]: line for line in text.splitlines()[2:]}
    assert "50.0% missing" in lines["text"]
    assert "100.0% missing" in lines["media_url"]
    assert "missing" not in lines["item_id"]


def test_a_ledger_shows_its_states(tmp_path):
    media = write_media(tmp_path / "media", {"a": b"1", "b": b"2"}, c="dead", d="dead", e="missing")
    text = describe(media)
    assert "ledger.parquet: ledger" in text
    assert "dead                     2 items   40.0%" in text
    assert "missing                  1 items   20.0%" in text


def test_frames_show_their_videos(tmp_path):
    frame_table(tmp_path / "frames.parquet", {"a": 2, "b": 4})
    text = describe(tmp_path / "frames.parquet")
    assert "2 videos with 2 to 4 frames, 3.00 on average" in text
    assert "0 of 2 videos undecodable, 0.0%" in text


def test_features_show_their_origin_and_the_missing_share(tmp_path, features):
    write_items(tmp_path / "items.parquet", [None] * 8)
    text = describe(features, tmp_path / "items.parquet")
    assert "vision by clip" in text
    assert "1.000 on average" in text
    assert "inputs averaged in a vector: 3.00" in text
    assert "3 of 8 items missing, 37.5%" in text


def test_a_folder_shows_its_tables_but_no_partial_work(tmp_path, features):
    hidden = tmp_path / "features" / ".text.parquet.parts" / "0.parquet"
    hidden.parent.mkdir()
    hidden.write_bytes(b"")
    write_items(tmp_path / "features" / "items.parquet", ["a"])
    text = describe(tmp_path / "features")
    assert "vision.parquet: features" in text
    assert "items.parquet: items" in text
    assert "parts" not in text


def test_a_file_that_is_no_artifact_is_an_error(tmp_path):
    with pytest.raises(ArtifactError, match="no artifact"):
        describe(tmp_path)
    with pytest.raises(ArtifactError, match="missing"):
        describe(tmp_path / "none.parquet")


def test_the_nearest_items_come_first(features):
    found = nearest(features, "i0", 3)
    assert [neighbour.item_id for neighbour in found] == ["i1", "i2", "i3"]
    assert [neighbour.cosine for neighbour in found] == pytest.approx(np.cos([0.5, 1.0, 1.5]), abs=2e-3)
    assert len(nearest(features, "i0", 100)) == 4


def test_an_item_without_features_is_an_error(features):
    with pytest.raises(FeatureError, match="no features") as error:
        nearest(features, "i9", 3)
    assert "i9" in str(error.value)


def test_a_contact_sheet_of_pictures(tmp_path):
    bodies = {f"i{number:02}": picture(number, (60, 60)) for number in range(12)} | {"video": b"no picture"}
    media = write_media(tmp_path / "media", bodies)
    assert write_sheet(media, tmp_path / "sheet.png") == 12
    sheet = Image.open(tmp_path / "sheet.png")
    assert sheet.size == (10 * CELL, 2 * (CELL + LABEL))
    colours = len(sheet.crop((0, 0, CELL, CELL)).getcolors(CELL * CELL))
    assert colours > 100, "the first cell shows a picture"
    assert sheet.crop((9 * CELL, CELL + LABEL, 10 * CELL, 2 * CELL)).getcolors() == [
        (CELL * (CELL - LABEL), (255,) * 3)
    ]


def test_a_contact_sheet_of_frames(tmp_path):
    frame_table(tmp_path / "frames.parquet", {"a": 2, "b": 4})
    assert write_sheet(tmp_path / "frames.parquet", tmp_path / "sheet.png") == 6


def test_a_folder_of_videos_has_no_contact_sheet(tmp_path):
    media = write_media(tmp_path / "media", {"a": b"no picture"})
    assert write_sheet(media, tmp_path / "sheet.png") == 0
    assert not (tmp_path / "sheet.png").exists()


def run(*arguments, folder):
    command = [sys.executable, "-m", "mmsrec.inspect", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def test_the_command_line(tmp_path, features):
    write_items(tmp_path / "items.parquet", [None] * 8)
    media = write_media(tmp_path / "media", {"a": picture(0)})
    shown = run(media, folder=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "contact" not in shown.stdout
    assert not list(tmp_path.glob("*.png"))

    near = run(features.parent, "nearest", "i0", "--count", "2", "--items", tmp_path / "items.parquet", folder=tmp_path)
    assert near.stdout.splitlines() == ["vision: nearest to i0 i0", "  0.878  i1  i1", "  0.541  i2  i2"]

    absent = run("none.parquet", folder=tmp_path)
    assert absent.returncode == 1
    assert absent.stderr.startswith("error: An artifact is missing.")


def test_a_reader_that_has_seen_enough_ends_it_quietly(tmp_path):
    save_file({f"{number}.weight": torch.zeros(1) for number in range(2000)}, tmp_path / "weights.safetensors")
    command = f"{sys.executable} -m mmsrec.inspect weights.safetensors | head -1"
    ended = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert ended.stdout.startswith("weights.safetensors: weights of a model")
    assert not ended.stderr


def test_every_kind_of_file_says_what_it_is(tmp_path):
    write_json(tmp_path / "metrics.json", {"metrics": {"all": {"mrr": 0.5}}, "users": 3})
    save_file({"a.weight": torch.tensor([[1.0, float("nan")]])}, tmp_path / "weights.safetensors")
    (tmp_path / "interactions.csv").write_text("user,item,timestamp\nu,i,1\n")
    (tmp_path / "meta.json.gz").write_bytes(gzip.compress(b"{'asin': 'B1'}\n"))
    with zipfile.ZipFile(tmp_path / "ml-1m.zip", "w") as archive:
        archive.writestr("ml-1m/movies.dat", "1::A::B")
    (tmp_path / "index.html").write_text("<html>")
    (tmp_path / "odd.bin").write_bytes(b"\x00odd")
    picture_file = tmp_path / "figure.png"
    Image.new("RGB", (3, 2)).save(picture_file)
    expected = {
        "metrics.json": ("JSON", "users: 3"),
        "weights.safetensors": ("weights of a model", "1 NaN or infinite"),
        "interactions.csv": ("a CSV table", "user,item,timestamp"),
        "meta.json.gz": ("a gzip file", "{'asin': 'B1'}"),
        "ml-1m.zip": ("a zip archive", "movies.dat"),
        "index.html": ("a page", "<html>"),
        "odd.bin": ("does not write", "odd"),
        "figure.png": ("a picture", "3 x 2 pixels"),
    }
    for name, parts in expected.items():
        text = describe(tmp_path / name)
        assert all(part in text for part in parts), text
    folder = describe(tmp_path)
    assert "metrics.json" in folder
    assert "6 further files" in folder


def test_weights_of_a_small_type_are_described(tmp_path):
    """torch tells whether a number is finite for its larger types alone."""
    save_file({"a": torch.tensor([1.0, float("nan")]).to(torch.float8_e4m3fn)}, tmp_path / "w.safetensors")
    assert "1 NaN or infinite" in describe(tmp_path / "w.safetensors")


def test_a_zip_archive_of_a_later_version_is_an_error(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", "a")
    body = bytearray((tmp_path / "a.zip").read_bytes())
    body[body.index(b"PK\x01\x02") + 6] = 181
    (tmp_path / "a.zip").write_bytes(body)
    with pytest.raises(ArtifactError, match="version 18"):
        describe(tmp_path / "a.zip")


def test_a_damaged_ledger_is_an_error(tmp_path):
    """polars would raise its own kind of error."""
    write_media(tmp_path, {f"i{number}": picture(number) for number in range(20)})
    body = bytearray((tmp_path / "ledger.parquet").read_bytes())
    body[4:300] = bytes(296)
    (tmp_path / "ledger.parquet").write_bytes(body)
    with pytest.raises(ArtifactError, match="damaged"):
        describe(tmp_path / "ledger.parquet")


@pytest.mark.parametrize("name", ["a.json", "a.safetensors", "a.zip", "a.tar", "a.gz", "a.png", "a.parquet"])
def test_a_file_that_is_not_what_its_suffix_says_is_an_error(tmp_path, name):
    (tmp_path / name).write_bytes(b"user,item\n1,2\n")
    with pytest.raises(ArtifactError) as caught:
        describe(tmp_path / name)
    assert "download it again" not in str(caught.value)
