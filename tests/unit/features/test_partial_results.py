"""Partial results stay after an interruption, and are deleted after success or when their identity changes."""

from contextlib import suppress

from mmsrec.features.partial_results import parts_of


def interrupted(output, identity, numbers):
    with suppress(KeyboardInterrupt), parts_of(output, identity, ".txt") as parts:
        for number in numbers:
            parts.path(number).parent.mkdir(parents=True, exist_ok=True)
            parts.path(number).write_text(str(number))
        raise KeyboardInterrupt


def test_an_interrupted_run_leaves_its_parts(tmp_path):
    output = tmp_path / "text.parquet"
    interrupted(output, {"encoder": "a"}, [0, 2])
    with parts_of(output, {"encoder": "a"}, ".txt") as parts:
        assert parts.missing(4) == [1, 3]
        assert parts.path(2).read_text() == "2"
    assert not list(tmp_path.iterdir())


def test_parts_of_another_identity_are_dropped(tmp_path):
    output = tmp_path / "text.parquet"
    interrupted(output, {"encoder": "a"}, [0])
    interrupted(output, {"encoder": "b"}, [1])
    with parts_of(output, {"encoder": "a"}, ".txt") as parts:
        assert parts.missing(2) == [0, 1]


def test_outputs_do_not_share_parts(tmp_path):
    interrupted(tmp_path / "text.parquet", 1, [0])
    with parts_of(tmp_path / "vision.parquet", 1, ".txt") as parts:
        assert parts.missing(1) == [0]
    with parts_of(tmp_path / "text.parquet", 1, ".txt") as parts:
        assert parts.missing(1) == []
