"""Sequences/s and memory of training steps, for models of ours and for RecBole's on the same batches in one run.

    python benchmarks/recbole_step.py --data data/processed/beauty/k5/source

Each side of a model is a separate process with one thread. The sides take their steps in turn. All start with a
step that is not counted. Rates are for seconds of the processor, so that other work on the machine changes them little.
The memory is what the steps add to the peak of the process.
"""

import argparse
import itertools
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from recbole_process import ENVIRONMENT, PEERS, Arrays, RecBole

from mmsrec.artifacts import SCHEMAS, read_table
from mmsrec.models.attributes import Attributes
from mmsrec.models.recommender import ModelInputs
from mmsrec.models.registry import MODELS
from mmsrec.nn.training_sequences import examples
from mmsrec.nn.user_sequences import Sequences
from mmsrec.settings.params import ModelSettings, read_params
from mmsrec.settings.trainer import Trainer
from mmsrec.training import runtime
from mmsrec.training.batches import Batches
from mmsrec.training.distributed import Processes
from mmsrec.training.next_item_step import adamw, train_step

SEED, EPOCH = 0, 0
SASREC = "sasrec-paper"
VARIANTS = [SASREC, "gru4rec-paper", "fdsa-paper", "s3rec-pretraining-paper", "duorec-paper"]
CPU = torch.device("cpu")
MIB = 1 << 20


class Measured(NamedTuple):
    """The training of one side."""

    rate: float  # sequences a second
    memory: float  # MiB


def attributes_of(data: Path, chosen: ModelSettings) -> Attributes | None:
    """The attributes of the items, for a model that reads them."""
    if not MODELS[chosen.model].reads_attributes:
        return None
    items = read_table(data.parent / "items.parquet", SCHEMAS["items"]).column("item_id").to_pylist()
    return Attributes.read(data.parent / "attributes.parquet", items)


def serve(data: Path, chosen: ModelSettings) -> None:
    """Runs as many steps as a line of the input says; answers with processor seconds and the MiB added so far."""
    sequences = Sequences.read(data / "sequences.parquet", CPU)
    runtime.start("cpu")
    runtime.seed_everything(SEED)
    items = int(sequences.items_A.max()) + 1
    inputs = ModelInputs(items, {}, attributes_of(data, chosen))
    model = MODELS[chosen.model].network_class()(inputs, chosen.settings, chosen.trainer).train()
    batches, optimizer, numbers = (
        Batches(sequences, model, chosen.trainer),
        adamw(model, chosen.trainer),
        itertools.count(),
    )
    steps = itertools.chain.from_iterable(batches.steps(SEED, epoch) for epoch in itertools.count(EPOCH))
    before = peak()
    for line in sys.stdin:
        started = time.process_time()
        for step in itertools.islice(steps, int(line)):
            train_step(model, optimizer, step, chosen.trainer, (SEED, EPOCH, next(numbers)), Processes(CPU))
        print(time.process_time() - started, (peak() - before) / MIB, flush=True)


def peak() -> int:
    """The most bytes that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def windows(sequences: Sequences, trainer: Trainer, count: int) -> Arrays:
    """The first batches of the epoch: histories [S, B, L] with -1 as padding, and targets [S, B]."""
    chosen = examples(sequences, "prefixes", trainer.max_length)
    order_E = torch.randperm(len(chosen.users_E), generator=runtime.generator_of(SEED, EPOCH))
    batches = [
        sequences.windows(chosen.users_E[batch_B], chosen.ends_E[batch_B], trainer.max_length, -1)
        for batch_B in order_E.split(trainer.batch_size)[:count]
    ]
    windows_SBL = torch.stack(batches).numpy()
    return {"inputs": windows_SBL[..., :-1], "targets": windows_SBL[..., -1]}


class Side:
    """A process that runs training steps when it is told to."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._process = subprocess.Popen(
            command, cwd=folder, env=os.environ | ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> "Side":
        return self

    def __exit__(self, *raised: object) -> None:
        self._process.stdin.close()
        self._process.wait()

    def run(self, steps: int) -> tuple[float, float]:
        """Runs steps; returns their processor seconds, and the MiB that all steps so far have added.

        Raises:
            RuntimeError: the process has ended.
        """
        self._process.stdin.write(f"{steps}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().split()
        if not answer:
            raise RuntimeError(f"A side has ended: {self._process.args}")
        return float(answer[0]), float(answer[1])


def catalogue(sequences: Sequences) -> Sequences:
    """Few short sequences that hold every item once, so that RecBole knows the items and prepares in a moment."""
    items = torch.arange(int(sequences.items_A.max()) + 1)
    bounds = torch.arange(0, len(items), 10)
    # A rest of less than three items would be too short.
    return Sequences(items, torch.cat([bounds[:-1], torch.tensor([len(items)])]))


def compare(variant: str, chosen: ModelSettings, flags: argparse.Namespace) -> dict[str, Measured]:
    """Times the sides of a variant in turn: ours in each precision, and the other side, which is the last.

    The other side is RecBole's model, or for a model that RecBole lacks, our own SASRec.
    """
    batch = chosen.trainer.batch_size
    child = [sys.executable, __file__, "--data", str(flags.data.resolve()), "--batch", str(batch)]
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        commands = {kind: [*child, "--serve", variant, "--precision", kind] for kind in flags.precisions}
        if variant not in PEERS:
            commands[SASREC] = [*child, "--serve", SASREC, "--precision", flags.precisions[0]]
        else:
            sequences = Sequences.read(flags.data / "sequences.parquet", CPU)
            side = RecBole(folder, PEERS[variant](attributes_of(flags.data, chosen)), chosen.trainer.max_length - 1)
            side.write_job(catalogue(sequences))
            np.savez(folder / "question.npz", **windows(sequences, chosen.trainer, 1 + flags.rounds * flags.steps))
            commands["RecBole"] = side.command("steps")
        sides = {label: stack.enter_context(Side(command, folder)) for label, command in commands.items()}
        for side in sides.values():
            side.run(1)
        rates: dict[str, list[float]] = {label: [] for label in sides}
        memory = {}
        for _ in range(flags.rounds):
            for label, side in sides.items():
                seconds, memory[label] = side.run(flags.steps)
                rates[label].append(flags.steps * batch / seconds)
        return {label: Measured(statistics.median(values), memory[label]) for label, values in rates.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of a split")
    parser.add_argument("--variants", nargs="+", default=VARIANTS, help="rows of params.yaml")
    parser.add_argument("--batch", type=int, help="sequences a step; without it, the variant's")
    parser.add_argument("--steps", type=int, default=1, help="of a side in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"], help="of ours")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--precision", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    torch.set_num_threads(1)
    params = read_params(Path(__file__).parents[1] / "params.yaml")

    def settings_of(variant: str, **update: object) -> ModelSettings:
        chosen = params.settings_of("beauty", variant)
        batch = flags.batch or chosen.trainer.batch_size
        update |= {"augment": "prefixes", "batch_size": batch}
        return ModelSettings(chosen.model, chosen.settings, chosen.trainer.model_copy(update=update))

    if flags.serve:
        return serve(flags.data, settings_of(flags.serve, precision=flags.precision))
    print(f"{'variant':<24} {'side':<12} {'batch':>6} {'sequences/s':>12} {'MiB':>7} {'times the last':>15}")
    for variant in flags.variants:
        chosen = settings_of(variant)
        measured = compare(variant, chosen, flags)
        *_, other = measured.values()
        for label, (rate, memory) in measured.items():
            figures = f"{chosen.trainer.batch_size:>6,} {rate:>12,.0f} {memory:>7,.0f} {rate / other.rate:>15.2f}"
            print(f"{variant:<24} {label:<12} {figures}", flush=True)


if __name__ == "__main__":
    main()
