"""Where the time of a training step goes: to its parts, to operators, to matrix products far from the machine's peak."""

import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, count, islice
from typing import NamedTuple

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile, record_function

from mmsrec.errors import TrainingError
from mmsrec.experiment_rows import Training
from mmsrec.model.item_encoder import PRECISIONS
from mmsrec.model.recommender import Recommender, TrainedRecommender
from mmsrec.model.sequences import Sequences
from mmsrec.training.batches import Batches, Step
from mmsrec.training.distributed import World
from mmsrec.training.finetune import adamw, train_step

# The batch is labelled here, the other parts in `train_step`.
PARTS = ("batch", "item table", "forward", "backward", "item table, backward", "sum over processes", "optimiser")
REST = "rest"
TOP_OPERATORS = 12
MATRIX_PRODUCTS = frozenset({"aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm"})
PEAK_SIZE, PEAK_ROUNDS, PEAK_PRODUCTS = 2048, 3, 4


class Cost(NamedTuple):
    """What one call of an operator took itself, without the operators that it called; labels are operators too."""

    part: str
    operator: str
    seconds: float
    flops: int


def profile_steps(
    model: Recommender, sequences: Sequences, settings: Training, seed: int, steps: int, world: World | None = None
) -> str:
    """Times some full steps without a profiler, then looks into one more with torch's.

    Args:
        model: untrained, on the device of the sequences, the same in every process.
        sequences: of all users.
        settings: of the training.
        seed: of dropout, batches, masks and negatives.
        steps: timed, after a first one that is not.
        world: the processes; None for this one alone.

    Returns:
        Tables of text. Seconds are those of this process, on a GPU those of its kernels.

    Raises:
        CatalogueError: no sequence is long enough to be trained on.
        TrainingError: the model is fitted by counting.
    """
    if not isinstance(model, TrainedRecommender):
        raise TrainingError("A model that counts has no steps to be profiled.", found=type(model).__name__)
    world = world or World(sequences.items_A.device)
    run = _run(model.train(), sequences, settings, seed, world)
    next(run)
    started = time.perf_counter()
    timed = list(islice(run, steps))
    seconds = time.perf_counter() - started
    # Imported by the profiler for CPUs as for GPUs; without one, its activity is left out.
    on_gpu = [ProfilerActivity.CUDA] if world.device.type == "cuda" else []
    with profile(activities=[ProfilerActivity.CPU, *on_gpu], with_flops=True) as recorded, record_function("step"):
        next(run)
    costs = _costs(recorded, on_gpu=bool(on_gpu))
    return "\n\n".join([_rates(timed, seconds, settings, world), _parts(costs), _operators(costs), _products(costs, settings, world.device)])


def _run(
    model: TrainedRecommender, sequences: Sequences, settings: Training, seed: int, world: World
) -> Iterator[Step]:
    """Trains without end, over full batches: the last one of an epoch may be a fraction of one."""
    batches = Batches(sequences, model, settings)
    optimizer = adamw(model, settings)
    steps = chain.from_iterable(batches.steps(seed, epoch) for epoch in count(1))
    full = (step for step in steps if step.sequences == min(len(batches), settings.batch_size))
    for number in count():
        with record_function("batch"):
            step = next(full)
        train_step(model, optimizer, step, settings, (seed, number), world)
        yield step
