"""Training on a domain with several processes gives the history and weights of one process."""

import pytest
import torch
from safetensors.torch import load_file

from mmsrec.artifacts import SCHEMAS, read_table
from mmsrec.training.batches import GROUP_POSITIONS, Batches
from mmsrec.training.distributed import Processes
from mmsrec.training.train import untrained
from tests.unit.training import next_item_worker
from tests.unit.training.processes import launch

ALONE = Processes(torch.device("cpu"))


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    for name in next_item_worker.SHARED:
        next_item_worker.run(name, folder, ALONE)
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory, forks):
    folder = tmp_path_factory.mktemp("two")
    assert all(launch(forks, next_item_worker.main, folder, 2, *next_item_worker.SHARED, "killed")), (
        "the last scenario kills them"
    )
    return folder


@pytest.fixture(scope="module")
def four(tmp_path_factory, forks):
    folder = tmp_path_factory.mktemp("four")
    assert launch(forks, next_item_worker.main, folder, 4, *next_item_worker.SHARED) == [0, 0, 0, 0]
    return folder


def assert_same(one, other):
    """Two folders of trained models have equal histories, except seconds, and equal weights, up to rounding."""
    histories = [read_table(folder / "history.parquet", SCHEMAS["history"]).to_pylist() for folder in (one, other)]
    for rows in histories:
        for row in rows:
            del row["seconds"]
            if row["recall@10"] is None:  # a pre-training, which is not validated
                del row["recall@10"]
    for first, second in zip(*histories, strict=True):
        assert second == pytest.approx(first, rel=1e-5, abs=1e-5)
    for name in ("weights.safetensors", "last.safetensors"):
        expected = load_file(one / name)
        for tensor, value in load_file(other / name).items():
            torch.testing.assert_close(value, expected[tensor], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", next_item_worker.SHARED)
@pytest.mark.parametrize("processes", ["two", "four"])
def test_processes_that_share_steps_equal_one_process(request, alone, processes, name):
    assert_same(alone / name, request.getfixturevalue(processes) / name)


def test_the_scenarios_change_the_weights_and_leave_processes_without_a_group(alone, monkeypatch):
    monkeypatch.setitem(GROUP_POSITIONS, "cpu", next_item_worker.GROUPS)
    for name in next_item_worker.SHARED:
        chosen, data = next_item_worker.SCENARIOS[name], next_item_worker.dataset()
        model, *_ = untrained(3, chosen, data, None)
        groups = {len(step.groups) for step in Batches(data.sequences, model, chosen.trainer).steps(3, 1)}
        assert min(groups) < 4 <= max(groups)
        start, end = model.state_dict(), load_file(alone / name / "last.safetensors")
        assert max((end[tensor] - start[tensor]).abs().max() for tensor in end) > 5e-4


def test_one_process_continues_a_run_of_two_killed_processes(alone, two):
    [checkpoint] = (two / "killed").glob("checkpoint-*.pt")
    saved = torch.load(checkpoint, weights_only=True)
    assert (saved["epoch"], saved["step"]) == (2, 1)
    next_item_worker.run("killed", two, ALONE)
    assert_same(alone / "masked", two / "killed")
    assert not list((two / "killed").glob("checkpoint-*"))
