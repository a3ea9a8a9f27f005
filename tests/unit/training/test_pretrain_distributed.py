"""Pre-training with several processes gives the losses and weights of one process."""

import json
import shutil
from pathlib import Path
from unittest import mock

import pytest
import torch

from mmsrec.nn.contrastive_loss import TERMS, compared, contrastive_terms, views_of
from mmsrec.nn.item_encoder import ItemEncoder
from mmsrec.nn.views import Items, encode_views
from mmsrec.pairs.read import Pairs
from mmsrec.training import pretrain_step
from mmsrec.training.distributed import Processes
from mmsrec.training.runtime import seed_everything
from mmsrec.training.weights import read_weights
from tests.unit.training import pretrain_worker
from tests.unit.training.pairs import batch, corpus
from tests.unit.training.processes import launch

ALONE = Processes(torch.device("cpu"))


def losses(folder: Path, name: str) -> dict[int, dict[str, float]]:
    """The losses of each step; a step that was repeated after a kill counts once."""
    rows = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
    return {row["step"]: row for row in rows}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    corpus(folder / "pairs", batch())
    with mock.patch.dict(pretrain_step.CHUNK):
        for name in ("even", "uneven"):
            pretrain_worker.run(name, folder, ALONE)
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory, alone, forks):
    folder = tmp_path_factory.mktemp("two")
    shutil.copytree(alone / "pairs", folder / "pairs")
    assert all(launch(forks, pretrain_worker.main, folder, 2, "even", "uneven", "local", "killed")), (
        "the last scenario kills the processes"
    )
    return folder


@pytest.fixture(scope="module")
def four(tmp_path_factory, alone, forks):
    folder = tmp_path_factory.mktemp("four")
    shutil.copytree(alone / "pairs", folder / "pairs")
    assert launch(forks, pretrain_worker.main, folder, 4, "even", "uneven") == [0, 0, 0, 0]
    return folder


@pytest.mark.parametrize("processes", ["two", "four"])
@pytest.mark.parametrize(("name", "steps"), [("even", 20), ("uneven", 6)])
def test_processes_that_share_a_batch_equal_one_process(request, alone, processes, name, steps):
    folder = request.getfixturevalue(processes)
    one, several = losses(alone, name), losses(folder, name)
    assert len(one) == len(several) == steps
    for step, row in one.items():
        assert several[step] == pytest.approx(row, rel=1e-5, abs=1e-5)
    expected = read_weights(alone / name)
    for tensor, value in read_weights(folder / name).items():
        torch.testing.assert_close(value, expected[tensor], rtol=0, atol=1e-5)


def test_local_negatives_come_from_one_process_and_means_from_all(alone, two):
    settings = pretrain_worker.SCENARIOS["local"]
    pairs = Pairs(alone / "pairs")
    items = Items.of(next(pairs.batches(settings.batch_size, pretrain_worker.ROW.seed, 0)), ALONE.device)
    seed_everything(pretrain_worker.ROW.seed, 0)
    encoder = ItemEncoder(pairs.widths, settings)
    anchors = {name: int(compared(name, items.present).sum()) for name in TERMS}
    expected = 0.0
    for half in (items.rows(slice(0, 12)), items.rows(slice(12, 24))):
        views = encode_views(encoder, half, views_of(settings.weights))
        terms = contrastive_terms(views, half.present, settings, anchors=anchors)
        expected += sum(float(term.share.detach()) for term in terms)
    assert losses(two, "local")[1]["loss"] == pytest.approx(expected, rel=1e-5)


def test_one_process_continues_a_run_of_two_killed_processes(alone, two):
    assert sorted(losses(two, "killed")) == list(range(1, pretrain_worker.KILLED_AT))
    with mock.patch.dict(pretrain_step.CHUNK):
        pretrain_worker.run("killed", two, ALONE)
    one, resumed = losses(alone, "even"), losses(two, "killed")
    assert len(one) == len(resumed) == 20
    for step, row in one.items():
        assert resumed[step] == pytest.approx(row, rel=1e-5, abs=1e-5)
    assert not list((two / "killed").glob("checkpoint-*"))
