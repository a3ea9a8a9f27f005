"""One process of a pre-training, for tests with several processes."""

import json
import os
import signal
from pathlib import Path

import torch
import torch._dynamo  # the first step of an optimiser imports it, which takes each process seconds

from mmsrec.pairs.read import Pairs
from mmsrec.settings.pretraining import Pretraining, PretrainingRow
from mmsrec.training.distributed import Processes, processes
from mmsrec.training.pretrain import pretrain
from mmsrec.training.pretrain_step import CHUNK
from tests.unit.training.examples import PRETRAINING
from tests.unit.training.pairs import DIGEST

CHUNK_OF_TESTS = 6
ROW = PretrainingRow(corpus="corpus", encoder="clip", seed=3)
NO_DROPOUT = {"embedding_dropout": 0.0, "hidden_dropout": 0.0}
# 96 pairs in batches of 24 are 20 steps in 5 epochs. The shares of two and of four processes begin at multiples of a
# chunk. Batches of 47 give unequal shares. The last batch of an epoch has 2 pairs: two of four processes have none.
COMMON = PRETRAINING.model_copy(update={"batch_size": 24, "max_epochs": 5, "learning_rate": 5e-5})
SCENARIOS = {
    "even": COMMON,
    "uneven": COMMON.model_copy(update={"batch_size": 47, "max_epochs": 2} | NO_DROPOUT),
    "local": COMMON.model_copy(update={"negatives": "local", "max_epochs": 1} | NO_DROPOUT),
    "killed": COMMON,
}
KILLED_AT = 7


def run(name: str, folder: Path, processes: Processes, *, dies: bool = False) -> None:
    """Pre-trains on FOLDER/pairs into FOLDER/NAME, and appends the losses of each step to FOLDER/NAME.jsonl."""
    CHUNK["cpu"] = CHUNK_OF_TESTS
    settings: Pretraining = SCENARIOS[name]

    def observe(step: int, losses: dict[str, float]) -> None:
        if dies and step == KILLED_AT:
            os.kill(os.getpid(), signal.SIGKILL)
        with (folder / f"{name}.jsonl").open("a") as file:
            file.write(json.dumps({"step": step, **losses}) + "\n")

    pairs = Pairs(folder / "pairs", DIGEST)
    pretrain(name, ROW, settings, pairs, folder / name, processes, save_minutes=0, observe=observe)


def main(folder: Path, scenarios: tuple[str, ...], environment: dict[str, str]) -> None:
    os.environ.update(environment)
    torch.set_num_threads(1)
    with processes(torch.device("cpu")) as group:
        for name in scenarios:
            run(name, folder, group, dies=name == "killed")
