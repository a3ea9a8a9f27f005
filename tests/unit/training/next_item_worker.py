"""One process of a training on a domain, for tests with several processes."""

import os
import signal
from pathlib import Path
from unittest import mock

import torch
import torch._dynamo  # the first step of an optimiser imports it, which takes each process seconds

from mmsrec.models.dataset import Dataset
from mmsrec.models.recommender import Features
from mmsrec.settings.plan import Experiment
from mmsrec.training import next_item
from mmsrec.training.batches import GROUP_POSITIONS
from mmsrec.training.distributed import Processes, processes
from mmsrec.training.train import train
from tests.unit.training.examples import SETTINGS, walks

ITEMS, WIDTH = 12, 8
# A small learning rate, because AdamW turns the rounding error of a zero gradient into a full step.
COMMON = SETTINGS.model_copy(update={"learning_rate": 5e-5, "max_epochs": 3, "patience": 3})
SCENARIOS = {
    "masked": COMMON,
    "causal": COMMON.model_copy(
        update={
            "objective": "causal",
            "augment": "windows",
            "missing": "drop",
            "item_tower": "own",
            "item_embedding": True,
            "sampled_items": 6,
            "batch_size": 16,
        }
    ),
    "killed": COMMON,
}
KILLED_AT = 7
# Small groups: some steps have no multiple of four groups, and the last step of an epoch has fewer than four.
GROUPS = (8, 24)


def dataset() -> Dataset:
    """Walks over items with vision and text; some items lack one of them."""
    generator = torch.Generator().manual_seed(0)
    vectors = {name: torch.randn(ITEMS, WIDTH, generator=generator) for name in ("vision", "text")}
    present = {"vision": torch.arange(ITEMS) % 3 > 0, "text": torch.arange(ITEMS) % 5 > 0}
    return Dataset(
        item_ids=[str(item) for item in range(ITEMS)],
        users=[str(user) for user in range(40)],
        sequences=walks(),
        features={name: Features(vectors[name], present[name]) for name in vectors},
        inputs={},
    )


def run(name: str, folder: Path, processes: Processes, *, dies: bool = False) -> None:
    """Trains into FOLDER/NAME, with a checkpoint after each step."""
    train_step, done = next_item.train_step, []

    def step(*arguments: object) -> float:
        done.append(1)
        if dies and len(done) == KILLED_AT and processes.leads:
            os.kill(os.getpid(), signal.SIGKILL)
        return train_step(*arguments)

    with mock.patch.dict(GROUP_POSITIONS, cpu=GROUPS), mock.patch.object(next_item, "train_step", step):
        settings = SCENARIOS[name]
        experiment = Experiment("shop", 3, name, 3)
        train(experiment, "mmsrec", settings, settings, dataset(), folder / name, None, processes, save_minutes=0)


def main(folder: Path, scenarios: tuple[str, ...], environment: dict[str, str]) -> None:
    os.environ.update(environment)
    torch.set_num_threads(1)
    with processes(torch.device("cpu")) as group:
        for name in scenarios:
            run(name, folder, group, dies=name == "killed")
