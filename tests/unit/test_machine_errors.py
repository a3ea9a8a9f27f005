import errno
import os
import resource
import tempfile

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from mmsrec.artifacts import SCHEMAS, write_table
from mmsrec.errors import ArtifactError, MmsrecError
from mmsrec.machine_errors import KNOWN, machine_errors_explained

FULL = "/dev/full"  # writing to it fails as on a full disk


@pytest.mark.parametrize("number", KNOWN, ids=errno.errorcode.get)
def test_a_number_of_the_system_has_a_sentence_and_a_fix(number):
    with pytest.raises(ArtifactError) as raised, machine_errors_explained():
        raise OSError(number, os.strerror(number), "some/file")
    assert raised.value.what == KNOWN[number][0]
    assert raised.value.details["where"] == "some/file"
    assert raised.value.details["fix"]


@pytest.mark.skipif(not os.path.exists(FULL), reason="no /dev/full")
def test_a_full_disk_under_each_library():
    table = pl.DataFrame({"a": range(100_000)})

    def plain():
        with open(FULL, "w") as file:
            file.write("x" * 100_000)

    def arrow():
        with pa.OSFile(FULL, "wb") as file:
            pa.parquet.write_table(table.to_arrow(), file)

    def numpy():
        with open(FULL, "wb", buffering=0) as file:
            np.save(file, np.zeros(100_000))

    for write in (plain, arrow, numpy, lambda: table.write_csv(FULL), lambda: table.write_parquet(FULL)):
        with pytest.raises(ArtifactError, match="disk is full"), machine_errors_explained():
            write()


def test_an_array_that_is_written_in_part():
    with pytest.raises(ArtifactError, match="disk is full"), machine_errors_explained():
        raise OSError("7424 requested and 6080 written")


def test_an_output_below_a_file(tmp_path):
    (tmp_path / "file").touch()
    empty = SCHEMAS["interactions"].empty_table()
    with pytest.raises(ArtifactError, match="file is in the way"), machine_errors_explained():
        write_table(tmp_path / "file" / "out.parquet", empty, SCHEMAS["interactions"])


def test_no_folder_for_temporary_files(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("tempfile._candidate_tempdir_list", lambda: [str(tmp_path / "none")])
    with pytest.raises(ArtifactError, match="no folder for temporary files"), machine_errors_explained():
        tempfile.gettempdir()


def open_forever(opened):
    while True:
        opened.append(os.open(os.devnull, os.O_RDONLY))


def test_too_many_open_files():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, before[1]))
    opened = []
    try:
        with pytest.raises(ArtifactError, match="may open no more files"), machine_errors_explained():
            open_forever(opened)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for number in opened:
            os.close(number)


@pytest.mark.parametrize("error", [ValueError("a fault of ours"), OSError("without a number"), MmsrecError("known")])
def test_other_errors_pass(error):
    with pytest.raises(type(error)) as raised, machine_errors_explained():
        raise error
    assert raised.value is error
