"""One process of a training on a domain, for tests; it finds the others as one of torchrun's does."""

import os
import signal
from pathlib import Path
from unittest import mock

import torch
import torch._dynamo  # the first step of an optimiser imports it, in each process for seconds

from mmsrec.models.attributes import Attributes
from mmsrec.models.dataset import Dataset
from mmsrec.models.fdsa_settings import FDSASettings
from mmsrec.models.recommender import Features
from mmsrec.models.s3rec_pretraining_settings import S3RecPretrainingSettings, TaskWeights
from mmsrec.settings.plan import Experiment
from mmsrec.training import next_item
from mmsrec.training.batches import GROUP_POSITIONS
from mmsrec.training.distributed import Processes, processes
from mmsrec.training.train import train
from tests.unit.models.examples import BLOCKS, GRU4REC, UNISREC
from tests.unit.training.examples import SETTINGS, TRAINER, chosen, walks

ITEMS, WIDTH = 12, 8
# Small steps: where a gradient is zero but for rounding, AdamW makes a whole step of it.
COMMON = TRAINER.model_copy(update={"learning_rate": 5e-5, "max_epochs": 3, "patience": 3})
SCENARIOS = {
    "masked": chosen(trainer=COMMON),
    "causal": chosen(
        settings=SETTINGS.model_copy(
            update={"objective": "causal", "missing": "drop", "item_tower": "own", "item_embedding": True}
        ),
        trainer=COMMON.model_copy(update={"augment": "windows", "sampled_items": 6, "batch_size": 16}),
    ),
    "gru4rec": chosen("gru4rec", GRU4REC, COMMON.model_copy(update={"clip_norm": None})),
    "unisrec": chosen("unisrec", UNISREC, COMMON),
    "fdsa": chosen("fdsa", FDSASettings(**BLOCKS), COMMON),
    "s3rec-pretraining": chosen(
        "s3rec-pretraining",
        S3RecPretrainingSettings(
            **BLOCKS, mask_probability=0.3, weights=TaskWeights(aap=0.2, mip=1.0, map=1.0, sp=0.5)
        ),
        COMMON,
    ),
    "killed": chosen(trainer=COMMON),
}
SHARED = [name for name in SCENARIOS if name != "killed"]
KILLED_AT = 7
# So small that four processes share some steps unevenly, and that the last step of an epoch has fewer groups than that.
GROUPS = (8, 24)


def dataset() -> Dataset:
    """Walks over items of two modalities, of which some items lack one, and with attributes, which some lack."""
    generator = torch.Generator().manual_seed(0)
    vectors = {name: torch.randn(ITEMS, WIDTH, generator=generator) for name in ("vision", "text")}
    present = {"vision": torch.arange(ITEMS) % 3 > 0, "text": torch.arange(ITEMS) % 5 > 0}
    return Dataset(
        item_ids=[str(item) for item in range(ITEMS)],
        users=[str(user) for user in range(40)],
        sequences=walks(),
        features={name: Features(vectors[name], present[name]) for name in vectors},
        inputs={},
        attributes=Attributes([[f"brand={item % 5}", f"kind={item % 2}"][: item % 3] for item in range(ITEMS)]),
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
        experiment = Experiment("shop", 3, "source", name, 3)
        train(experiment, SCENARIOS[name], dataset(), folder / name, None, processes, save_minutes=0)


def main(folder: Path, scenarios: tuple[str, ...], environment: dict[str, str]) -> None:
    os.environ.update(environment)
    torch.set_num_threads(1)
    with processes(torch.device("cpu")) as group:
        for name in scenarios:
            run(name, folder, group, dies=name == "killed")
