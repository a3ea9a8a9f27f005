"""Where the time of a training step goes: to which parts, which operators, and how well its matrix products run."""

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
from mmsrec.settings.experiments import Training
from mmsrec.training.batches import Batches, Step
from mmsrec.training.distributed import World
from mmsrec.training.next_item_step import adamw, train_step

# The batch is labelled here, the others in `train_step`.
PARTS = ("batch", "item table", "forward", "backward", "item table, backward", "sum over processes", "optimiser")
OPERATORS = 12
MATRIX_PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm")
PEAK_SIZE, PEAK_ROUNDS = 2048, 3
PEAK_PRODUCTS = {"cpu": 1, "cuda": 64}  # of a round: on a GPU one is over sooner than it is waited for


def profile_steps(
    model: Recommender, sequences: Sequences, settings: Training, seed: int, count: int, world: World | None = None
) -> str:
    """Times some steps without a profiler, then looks into one more with torch's, in one thread.

    Args:
        model: untrained, on the device of the sequences, the same in every process.
        sequences: of all users.
        settings: of the training.
        seed: of dropout, batches, masks and negatives.
        count: steps that are timed, after one that is not.
        world: the processes; None for this one alone.

    Returns:
        Tables as text. Their seconds are those of this process; on a GPU, those of its kernels.

    Raises:
        CatalogueError: no sequence is long enough to be trained on.
        TrainingError: the model is fitted by counting.
    """
    if not isinstance(model, TrainedRecommender):
        raise TrainingError("A model that counts has no steps.", found=type(model).__name__)
    world = world or World(sequences.items_A.device)
    run = _run(model.train(), sequences, settings, seed, world)
    next(run)
    started = time.perf_counter()
    steps = list(itertools.islice(run, count))
    rates = _rates(steps, time.perf_counter() - started, settings)
    # Otherwise the profiler reports on itself, and that a machine without a GPU has none is an error to it.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    on_gpu = world.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with _one_thread():
        with profile(activities=activities, with_flops=True) as recorded, record_function("step"):
            next(run)
        calls = _calls(recorded, on_gpu)
        products = _products(calls, settings, world)
    return "\n\n".join([rates, _table(calls, "part"), _table(calls, "operator"), products])


@contextmanager
def _one_thread() -> Iterator[None]:
    """A CPU's operations one after another, so that their seconds add up."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _run(
    model: TrainedRecommender, sequences: Sequences, settings: Training, seed: int, world: World
) -> Iterator[Step]:
    """Trains without end on whole batches: what is left for the last step of an epoch would tell little."""
    batches, optimizer = Batches(sequences, model, settings), adamw(model, settings)
    steps = itertools.chain.from_iterable(batches.steps(seed, epoch) for epoch in itertools.count(1))
    whole = (step for step in steps if step.sequences == min(len(batches), settings.batch_size))
    for number in itertools.count():
        with record_function("batch"):
            step = next(whole)
        train_step(model, optimizer, step, settings, (seed, number), world)
        yield step


def _rates(steps: Sequence[Step], seconds: float, settings: Training) -> str:
    sequences, positions, useful, computed = (
        sum(getattr(step, name) for step in steps) for name in ("sequences", "positions", "useful", "computed")
    )
    return (
        f"{len(steps)} steps of {steps[0].sequences:,} sequences in {settings.precision}, {seconds / len(steps):.3f} s "
        f"each\n{sequences / seconds:,.0f} sequences/s, {positions / seconds:,.0f} predictions/s, "
        f"{useful / computed:.1%} of the places that attention sees hold an item"
    )


def _calls(recorded: profile, on_gpu: bool) -> pl.DataFrame:
    """What each call took itself, without those that it made; on a GPU, the kernels that it launched."""
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


def _products(calls: pl.DataFrame, settings: Training, world: World) -> str:
    """Those inside fused attention are not among them: the profiler counts no operations there."""
    products = calls.filter(pl.col("operator").is_in(MATRIX_PRODUCTS))
    flops, seconds, total = products["flops"].sum(), products["seconds"].sum(), calls["seconds"].sum()
    peak = matmul_peak(PRECISIONS[settings.precision], world.device)
    return (
        f"matrix products: {flops / 1e9:.1f} GFLOP in {seconds / total:.1%} of the step, {flops / seconds / 1e9:,.1f} "
        f"GFLOP/s, {flops / seconds / peak:.1%} of the peak; over the whole step {flops / total / peak:.1%}\n"
        f"peak: {peak / 1e9:,.1f} GFLOP/s, measured now on {PEAK_SIZE} x {PEAK_SIZE} matrices in {settings.precision}"
    )


def matmul_peak(precision: torch.dtype, device: torch.device) -> float:
    """Operations a second of a large matrix product, in the best of some rounds."""
    first, second = (torch.randn(PEAK_SIZE, PEAK_SIZE, device=device).to(precision) for _ in range(2))
    product, best, count = first @ second, float("inf"), PEAK_PRODUCTS[device.type]
    for _ in range(PEAK_ROUNDS):
        started = time.perf_counter()
        for _ in range(count):
            torch.mm(first, second, out=product)
        product[0, 0].item()  # waits for a GPU
        best = min(best, time.perf_counter() - started)
    return 2 * PEAK_SIZE**3 * count / best
