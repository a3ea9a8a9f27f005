"""The files that DVC shows as metrics and plots."""

import json

import pytest

from mmsrec.report.numbers import KINDS, write_numbers


@pytest.fixture
def numbers(inputs, tmp_path) -> dict[str, dict]:
    write_numbers(inputs, lambda kind: tmp_path / "numbers" / kind)
    return {path.relative_to(tmp_path / "numbers").as_posix(): read(path) for path in tmp_path.glob("numbers/*/*")}


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_an_experiment_has_its_scores_by_protocol(numbers):
    scores = numbers["metrics/own-k5-source-pop-seed2.json"]

    assert list(scores) == ["all", "unseen"]
    assert next(iter(scores["all"])) == "recall@10"
    assert all(0 <= value <= 1 for values in scores.values() for value in values.values())
    assert sum(name.startswith("metrics/") for name in numbers) == 12


def test_a_data_set_has_the_curves_of_its_trainings_and_the_bars_of_its_variants(numbers):
    curves, bars = numbers["curves/sports-k5-source.json"], numbers["bars/sports-k5-source.json"]

    assert {"variant": "mmsrec-text", "seed": 2, "epoch": 2, "recall@10": 0.05} in curves
    assert not any(row["variant"] == "pop" for row in curves), "no epochs"
    pop = {"variant": "pop", "candidates": "all", "metric": "recall@10", "score": 0.01}
    assert pop in bars
    assert len({row["variant"] for row in bars}) == len(bars) / 10, "two protocols with five metrics"


def test_a_second_writing_replaces_the_folder(inputs, tmp_path):
    for kind in KINDS:
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "old.json").touch()
    write_numbers(inputs, tmp_path.joinpath)

    assert not list(tmp_path.glob("*/old.json"))
