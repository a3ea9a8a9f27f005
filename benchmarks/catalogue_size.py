"""Memory and time against the size of a generated catalogue: the softmax, ranking, and a step of training.

    python benchmarks/catalogue_size.py --items 12000 50000 200000 1000000

Each is compared with the plain way in float32: all logits in one matrix, all scores sorted, a step without sampling.
Each measurement runs in a separate process. Its memory is the peak that the computation adds to the process, less the
requested gradients. Seconds are measured on a second call.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch.nn import functional as F

from mmsrec.evaluation.ranks import rank_vectors
from mmsrec.models.mmsrec import MMSRec
from mmsrec.models.recommender import Features, ModelInputs
from mmsrec.nn.catalogue_loss import catalogue_cross_entropy
from mmsrec.nn.user_sequences import Sequences
from mmsrec.settings.params import read_params
from mmsrec.training import runtime
from mmsrec.training.batches import Batches
from mmsrec.training.distributed import Processes
from mmsrec.training.next_item_step import adamw, train_step

MIB = 1 << 20
DIM, FEATURES = 128, 64
PREDICTIONS, USERS, TOP = 2_000, 1_024, 50
SEQUENCES, ACTIONS, DRAWN = 1_024, 12, 8_192


class Job(NamedTuple):
    """The measured computation, and the bytes of the gradients that it leaves behind."""

    compute: Callable[[], object]
    gradients: int = 0


def unit_vectors(count: int) -> torch.Tensor:
    vectors = torch.randn(count, DIM)
    return vectors.div_(vectors.norm(dim=1, keepdim=True))


def softmax(items: int, plain: bool) -> Job:
    """Loss and gradients of predictions among all items."""
    queries, vectors = (unit_vectors(count).requires_grad_() for count in (PREDICTIONS, items))
    targets = torch.randint(items, (PREDICTIONS,))

    def compute() -> None:
        queries.grad = vectors.grad = None
        logits = queries / 0.05
        if plain:
            loss = F.cross_entropy(logits @ vectors.T, targets, reduction="sum")
        else:
            loss = catalogue_cross_entropy(logits, vectors, targets, torch.bfloat16)
        (loss / PREDICTIONS).backward()

    return Job(compute, 4 * DIM * (PREDICTIONS + items))


def ranking(items: int, plain: bool) -> Job:
    """Ranks of a target a user, and the best items."""
    queries, vectors, targets = unit_vectors(USERS), unit_vectors(items), torch.randint(items, (USERS,))

    def compute() -> object:
        if not plain:
            return rank_vectors(queries, vectors, targets, top=TOP)
        order = torch.argsort(queries @ vectors.T, dim=1, descending=True)
        return (order == targets[:, None]).nonzero()[:, 1], order[:, :TOP].clone()

    return Job(compute)


def step(items: int, plain: bool) -> Job:
    """A step of fine-tuning, with items drawn for the softmax, or in the plain way with all.

    It computes the vectors of the items in the step: up to 18,000, fewer if a small catalogue repeats them.
    """
    common = read_params(Path(__file__).parents[1] / "params.yaml").settings_of("beauty", "mmsrec-text")
    settings = common.settings.model_copy(update={"dim": DIM, "heads": 4, "feedforward": 2 * DIM, "whiten": False})
    changes = {"augment": "none", "batch_size": SEQUENCES, "sampled_items": 0 if plain else DRAWN}
    trainer = common.trainer.model_copy(update=changes)
    sequences = Sequences(
        torch.randint(items, (SEQUENCES * ACTIONS,)), torch.arange(0, SEQUENCES * ACTIONS + 1, ACTIONS)
    )
    features = Features(torch.randn(items, FEATURES), torch.ones(items, dtype=torch.bool))
    model = MMSRec(ModelInputs(items, {"text": features}), settings, trainer).train()
    optimizer, processes = adamw(model, trainer), Processes(torch.device("cpu"))
    steps = Batches(sequences, model, trainer)

    def compute() -> None:
        train_step(model, optimizer, next(steps.steps(0, 1)), trainer, (0, 1, 0), processes)

    return Job(compute)


# Each with about the bytes that the plain way adds for an item.
JOBS = {
    "softmax": (softmax, 4 * 4 * PREDICTIONS),
    "ranking": (ranking, 4 * 4 * USERS),
    "step": (step, 20_000),
}


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(name: str, items: int, plain: bool) -> None:
    """Prints the MiB that a job adds, and its seconds."""
    runtime.start("cpu")
    torch.manual_seed(0)
    make, _ = JOBS[name]
    make(100, plain).compute()  # what the first call of a process loads
    job = make(items, plain)
    before = peak()
    job.compute()
    added, started = peak() - before - job.gradients, time.perf_counter()
    job.compute()
    print(added / MIB, time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, nargs="+", default=[12_000, 50_000, 200_000, 1_000_000])
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--plain-limit", type=float, default=8, help="GiB above which the plain way is left out")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.measure:
        name, items, plain = flags.measure
        return measure(name, int(items), plain == "plain")
    for name in flags.jobs:
        make, bytes_an_item = JOBS[name]
        print(f"{name}: {make.__doc__.splitlines()[0]}")
        print(
            f"{'items':>11}"
            + " ".join(f"{way:>10} {'seconds':>8} {'us/item':>8}" for way in ("MiB added", "plain MiB"))
        )
        for items in flags.items:
            fits = bytes_an_item * items < flags.plain_limit * (1 << 30)
            ways = [_child(name, items, way) for way in ("ours", "plain")[: 1 + fits]]
            print(f"{items:>11,} {' '.join(ways)}{'' if fits else '   left out'}", flush=True)


def _child(name: str, items: int, way: str) -> str:
    command = [sys.executable, __file__, "--measure", name, str(items), way]
    mib, seconds = map(float, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
    return f"{mib:>10,.0f} {seconds:>8.2f} {seconds / items * 1e6:>8.2f}"


if __name__ == "__main__":
    main()
