"""Processor seconds until validation Recall@10 reaches a goal, for variants of ours and for RecBole's SASRec.

    python benchmarks/time_to_metric.py --data data/processed/beauty/k5/source --goal 0.08 --limit 300

Each side trains with one thread. RecBole has its own settings. It stops after the first epoch past the limit. Seconds
are those of the processor, so that other work on the machine changes them little. They include validation, and leave
out the preparation of the data.
"""

import argparse
import logging
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from recbole_process import Peer, RecBole

from mmsrec.models.recommender import ModelInputs
from mmsrec.models.registry import MODELS
from mmsrec.nn.user_sequences import Sequences
from mmsrec.settings.params import read_params
from mmsrec.training import runtime
from mmsrec.training.next_item import finetune

SEED = 0
METRIC = "recall@10"

History = list[tuple[float, float]]  # seconds since the start and the metric, after each epoch


class Clock(logging.Handler):
    """Notes the processor seconds since its start at the end of each epoch, which the loop of training logs."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._started = time.process_time()

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg.startswith("epoch "):
            self.seconds.append(time.process_time() - self._started)


def ours(sequences: Sequences, variant: str, epochs: int | None) -> History:
    """A training of a variant, with all its epochs or with the first of them."""
    chosen = read_params(Path(__file__).parents[1] / "params.yaml").settings_of("beauty", variant)
    trainer = chosen.trainer.model_copy(update={"max_epochs": epochs or chosen.trainer.max_epochs})
    runtime.seed_everything(SEED, 0)
    items = int(sequences.items_A.max()) + 1
    model = MODELS[chosen.model].network_class()(ModelInputs(items, {}), chosen.settings, trainer)
    log, clock = logging.getLogger("mmsrec.training.loop"), Clock()
    log.setLevel(logging.INFO)
    log.addHandler(clock)
    with tempfile.TemporaryDirectory() as folder:
        rows = finetune(model, sequences, trainer, SEED, Path(folder), {}).history
    log.removeHandler(clock)
    return list(zip(clock.seconds, (row[METRIC] for row in rows), strict=True))


def recbole(sequences: Sequences, goal: float, limit: float) -> History:
    """RecBole's SASRec with its own settings, until the goal or the limit."""
    with tempfile.TemporaryDirectory() as folder:
        side = RecBole(Path(folder), Peer("SASRec"), 50, {"valid_metric": "Recall@10"})
        side.write_job(sequences)
        answer = side.ask("training", {"goal": np.array(goal), "limit": np.array(limit)})
    return [(float(seconds), float(value)) for seconds, value in answer["history"]]


def reached(history: Iterable[tuple[float, float]], goal: float) -> float | None:
    """The seconds after which the metric is no lower than the goal; None if it stays below."""
    return next((seconds for seconds, value in history if value >= goal), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of a split")
    parser.add_argument(
        "--variants", nargs="+", default=["sasrec"], help="rows of params.yaml, of models that read ids"
    )
    parser.add_argument("--epochs", type=int, help="of ours at most; without it, the variant's")
    parser.add_argument("--goal", type=float, default=0.08, help="validation Recall@10")
    parser.add_argument("--of-best", action="store_true", help="the goal of ours is nine tenths of each one's best")
    parser.add_argument("--limit", type=float, help="seconds of RecBole; without it, RecBole does not run")
    flags = parser.parse_args()
    torch.set_num_threads(1)
    runtime.start("cpu")
    sequences = Sequences.read(flags.data / "sequences.parquet", torch.device("cpu"))

    def show(label: str, history: History, goal: float) -> None:
        seconds = reached(history, goal)
        last, best = history[-1][0], max(value for _, value in history)
        found = f"not reached in {last:.0f} s" if seconds is None else f"reached in {seconds:.0f} s"
        print(f"{label:<24} {goal:.4f} {found}; best {best:.4f} in {len(history)} epochs of {last:.0f} s", flush=True)

    for variant in flags.variants:
        history = ours(sequences, variant, flags.epochs)
        show(variant, history, 0.9 * max(value for _, value in history) if flags.of_best else flags.goal)
    if flags.limit is not None:
        show("RecBole's SASRec", recbole(sequences, flags.goal, flags.limit), flags.goal)


if __name__ == "__main__":
    main()
