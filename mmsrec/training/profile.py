"""A profile of training steps: time by part, time by operator, and the speed of matrix products."""

import itertools
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import polars as pl
import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile, record_function

from mmsrec.errors import TrainingError
from mmsrec.models.recommender import Recommender, TrainedRecommender
from mmsrec.nn.precision import PRECISIONS
from mmsrec.nn.user_sequences import Sequences
from mmsrec.settings.trainer import Trainer
from mmsrec.training.batches import Batches, Step
from mmsrec.training.distributed import Processes
from mmsrec.training.next_item_step import adamw, train_step

# The label of the batch is set here, the others in `train_step`.
PARTS = ("batch", "item table", "forward", "backward", "item table, backward", "sum over processes", "optimiser")
OPERATORS = 12
MATRIX_PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm")
PEAK_SIZE, PEAK_ROUNDS = 2048, 3
PEAK_PRODUCTS = {"cpu": 1, "cuda": 64}  # per round: a single product is too short to time on a GPU


def profile_steps(
    model: Recommender,
    sequences: Sequences,
    trainer: Trainer,
    seed: int,
    count: int,
    processes: Processes | None = None,
) -> str:
    """Times some steps without a profiler, then records another one with torch's profiler, in one thread.

    Args:
        model: untrained, on the device of the sequences, the same in every process.
        sequences: sequences of all users.
        trainer: settings of the training.
        seed: seed of dropout, batches, masks and negatives.
        count: number of timed steps; an untimed one precedes them.
        processes: the processes; None for this one alone.

    Returns:
        Tables as text, with seconds of this process; on a GPU, with seconds of its kernels.

    Raises:
        DataError: no sequence is long enough for training.
        TrainingError: the model is fitted by counting, without steps.
    """
    if not isinstance(model, TrainedRecommender):
        raise TrainingError(
            "This model has no steps to profile.",
            expected="a model that is trained by gradient descent",
            found=type(model).__name__,
            fix="Profile another variant.",
        )
    processes = processes or Processes(sequences.items_A.device)
    run = _run(model.train(), sequences, trainer, seed, processes)
    next(run)
    started = time.perf_counter()
    steps = list(itertools.islice(run, count))
    rates = _rates(steps, time.perf_counter() - started, trainer)
    # Silences Kineto, which logs an error on machines without a GPU.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    on_gpu = processes.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with _one_thread():
        with profile(activities=activities, with_flops=True) as recorded, record_function("step"):
            next(run)
        calls = _calls(recorded, on_gpu)
        products = _products(calls, trainer, processes)
    return "\n\n".join([rates, _table(calls, "part"), _table(calls, "operator"), products])


@contextmanager
def _one_thread() -> Iterator[None]:
    """Runs a CPU's operations one after another, so that their seconds add up."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _run(
    model: TrainedRecommender, sequences: Sequences, trainer: Trainer, seed: int, processes: Processes
) -> Iterator[Step]:
    """Trains endlessly on full batches; the smaller last batch of an epoch is left out."""
    batches, optimizer = Batches(sequences, model, trainer), adamw(model, trainer)
    steps = itertools.chain.from_iterable(batches.steps(seed, epoch) for epoch in itertools.count(1))
    whole = (step for step in steps if step.sequences == min(len(batches), trainer.batch_size))
    for number in itertools.count():
        with record_function("batch"):
            step = next(whole)
        train_step(model, optimizer, step, trainer, (seed, number), processes)
        yield step


def _rates(steps: Sequence[Step], seconds: float, trainer: Trainer) -> str:
    sequences, positions, useful, computed = (
        sum(getattr(step, name) for step in steps) for name in ("sequences", "positions", "useful", "computed")
    )
    return (
        f"{len(steps)} steps of {steps[0].sequences:,} sequences in {trainer.precision}, {seconds / len(steps):.3f} s "
        f"each\n{sequences / seconds:,.0f} sequences/s, {positions / seconds:,.0f} predictions/s, "
        f"{useful / computed:.1%} of the positions in attention hold an item"
    )


def _calls(recorded: profile, on_gpu: bool) -> pl.DataFrame:
    """The own time of each call, without the calls inside it; on a GPU, the time of the kernels that it launched."""
    events = [event for event in recorded.events() if event.device_type == DeviceType.CPU]
    calls = pl.DataFrame(
        {
            "operator": [event.name for event in events],
            "start": [event.time_range.start for event in events],
            "end": [event.time_range.end for event in events],
            "seconds": [
                (event.self_device_time_total if on_gpu else event.self_cpu_time_total) / 1e6 for event in events
            ],
            "flops": [event.flops or 0 for event in events],
        }
    ).sort("start")
    parts = calls.filter(pl.col("operator").is_in(PARTS)).select("start", part="operator", until="end")
    within = pl.when(pl.col("start") <= pl.col("until")).then("part").otherwise(pl.lit("rest"))
    return calls.join_asof(parts, on="start").with_columns(part=within)


def _table(calls: pl.DataFrame, by: str) -> str:
    total = calls["seconds"].sum()
    rows = calls.group_by(by).agg(pl.col("seconds").sum(), pl.len()).sort("seconds", descending=True).head(OPERATORS)
    width = rows[by].str.len_chars().max()
    return "\n".join(
        [
            f"{by:<{width}}   seconds   share    calls",
            *(
                f"{name:<{width}} {seconds:9.4f} {seconds / total:7.1%} {made:8,}"
                for name, seconds, made in rows.rows()
            ),
        ]
    )


def _products(calls: pl.DataFrame, trainer: Trainer, processes: Processes) -> str:
    """The speed of matrix products; products inside fused attention are missing, the profiler does not count them."""
    products = calls.filter(pl.col("operator").is_in(MATRIX_PRODUCTS))
    flops, seconds, total = products["flops"].sum(), products["seconds"].sum(), calls["seconds"].sum()
    peak = matmul_peak(PRECISIONS[trainer.precision], processes.device)
    return (
        f"matrix products: {flops / 1e9:.1f} GFLOP in {seconds / total:.1%} of the step, {flops / seconds / 1e9:,.1f} "
        f"GFLOP/s, {flops / seconds / peak:.1%} of the peak; over the whole step {flops / total / peak:.1%}\n"
        f"peak: {peak / 1e9:,.1f} GFLOP/s, measured on {PEAK_SIZE} x {PEAK_SIZE} matrices in {trainer.precision}"
    )


def matmul_peak(precision: torch.dtype, device: torch.device) -> float:
    """Operations per second of a large matrix product, in the fastest of some rounds."""
    first, second = (torch.randn(PEAK_SIZE, PEAK_SIZE, device=device).to(precision) for _ in range(2))
    product, best, count = first @ second, float("inf"), PEAK_PRODUCTS[device.type]
    for _ in range(PEAK_ROUNDS):
        started = time.perf_counter()
        for _ in range(count):
            torch.mm(first, second, out=product)
        product[0, 0].item()  # waits for a GPU
        best = min(best, time.perf_counter() - started)
    return 2 * PEAK_SIZE**3 * count / best
