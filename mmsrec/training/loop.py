"""The loop of every training: epochs of steps, validation, history, checkpoints and early stopping.

A training is described by data and a few functions (`Loop`). The loop itself is the same for every training.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import torch
from torch import nn

from mmsrec.errors import TrainingError
from mmsrec.progress import progress
from mmsrec.training.checkpoint import Checkpoint, TrainingState, on_cpu
from mmsrec.training.distributed import Processes

logger = logging.getLogger(__name__)

Batch = TypeVar("Batch")


@dataclass(frozen=True)
class Validation:
    """A metric that is measured after every epoch; the result of the training is the epoch with its highest value.

    Attributes:
        metric: name of its column in the history.
        measure: returns the metric, the same in every process.
        patience: number of epochs without a higher value before training stops.
    """

    metric: str
    measure: Callable[[], float]
    patience: int


@dataclass
class Loop(Generic[Batch]):
    """A training. Every process builds the same loop and calls `run`.

    Epochs count from 1, steps of an epoch from 0. The results of `batches` and `step` must depend on the epoch and
    the step alone, so that a continued training equals an uninterrupted one.

    Attributes:
        model: on the device of this process, the same in every process.
        optimizer: optimiser of the model's weights.
        max_epochs: number of epochs, unless `validation` stops earlier. 0 keeps the first weights.
        steps_per_epoch: number of batches of an epoch.
        batches: `batches(epoch, first)` yields the batches of an epoch from the step `first` on.
        step: `step(batch, epoch, number)` changes the weights once. It returns numbers, the same in every process; the
            loop sums them over the epoch.
        row: `row(sums)` returns columns of the epoch's row in the history; `loss` is one of them.
        learning_rate: `learning_rate(epoch)`.
        unit: name of the sum that the progress bar shows.
        size: its value at the end of an epoch.
        checkpoint: the files that a killed training continues from.
        processes: the processes of the training.
        save_seconds: time between checkpoints; every epoch ends with another one.
        validation: None trains all epochs, and the last weights are the result.
        prepare: called once, before the first step of a training that has no checkpoint.
        state: the progress.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    max_epochs: int
    steps_per_epoch: int
    batches: Callable[[int, int], Iterable[Batch]]
    step: Callable[[Batch, int, int], Mapping[str, float]]
    row: Callable[[Mapping[str, float]], Mapping[str, float]]
    learning_rate: Callable[[int], float]
    unit: str
    size: int
    checkpoint: Checkpoint
    processes: Processes
    save_seconds: float
    validation: Validation | None = None
    prepare: Callable[[], None] = lambda: None
    state: TrainingState = field(default_factory=TrainingState, init=False)

    def run(self) -> TrainingState:
        """Trains to the end, from the newest checkpoint if there is one; the model then has the resulting weights.

        Returns:
            The final state. Its `model` and `optimizer` are filled in the leading process only.

        Raises:
            CheckpointError: every checkpoint is damaged.
            TrainingError: the loss is not finite.
        """
        self._start()
        while self.state.epoch <= self.max_epochs and not self._is_out_of_patience():
            self._train_epoch()
        if not self.state.model:
            # No epoch was asked for, so no checkpoint has the weights.
            self.state.model = on_cpu(self.model.state_dict())
        if self.state.best:
            self.model.load_state_dict(self.state.best)
        return self.state

    def _start(self) -> None:
        saved = self.checkpoint.load()
        if saved is None:
            self.prepare()
        else:
            self.state = saved
            self.model.load_state_dict(saved.model)
            self.optimizer.load_state_dict(saved.optimizer)
            logger.info("continuing in epoch %d after step %d", saved.epoch, saved.step)
        # Writing a checkpoint removes the one before it, so every process must have read it.
        self.processes.wait()

    def _is_out_of_patience(self) -> bool:
        waited = self.state.epoch - 1 - self.state.best_epoch
        return self.validation is not None and waited >= self.validation.patience

    def _train_epoch(self) -> None:
        """The remaining steps of the current epoch, its validation and its row of the history."""
        state, rate = self.state, self.learning_rate(self.state.epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        saved = time.monotonic()
        started = saved - state.seconds
        bar_options = {"initial": state.sums.get(self.unit, 0), "disable": not self.processes.leads}
        with progress(f"epoch {state.epoch}", self.size, self.unit, **bar_options) as bar:
            for batch in self.batches(state.epoch, state.step):
                done = self.step(batch, state.epoch, state.step)
                for name, number in done.items():
                    state.sums[name] = state.sums.get(name, 0) + number
                bar.update(done[self.unit])
                state.step, state.seconds = state.step + 1, time.monotonic() - started
                if time.monotonic() - saved > self.save_seconds:
                    self._save()
                    saved = time.monotonic()
        state.history.append(self._finished_row(rate, started))
        state.epoch, state.step, state.sums, state.seconds = state.epoch + 1, 0, {}, 0.0
        self._save()

    def _finished_row(self, rate: float, started: float) -> dict[str, float]:
        state = self.state
        row = {"epoch": state.epoch, "learning_rate": rate, **self.row(state.sums)}
        if not math.isfinite(row["loss"]):
            raise TrainingError(
                "The loss is not a finite number.",
                where=f"epoch {state.epoch}",
                expected="a finite loss",
                found=row["loss"],
                fix="Lower learning_rate or clip_norm, or raise temperature.",
            )
        validated = self._validate() if self.validation else {}
        row |= validated | {"seconds": time.monotonic() - started}
        if self.processes.leads:
            metrics = "".join(f"validation {name} {value:.4f}, " for name, value in validated.items())
            times = (state.seconds, row["seconds"] - state.seconds)
            logger.info(
                "epoch %d: loss %.4f, %s%.1f s of training, %.1f s of validation",
                *(state.epoch, row["loss"], metrics, *times),
            )
        return row

    def _validate(self) -> dict[str, float]:
        state, metric = self.state, self.validation.measure()
        if metric > state.best_metric:
            state.best, state.best_metric, state.best_epoch = on_cpu(self.model.state_dict()), metric, state.epoch
        return {self.validation.metric: metric}

    def _save(self) -> None:
        if self.processes.leads:
            self.state.model = on_cpu(self.model.state_dict())
            self.state.optimizer = self.optimizer.state_dict()
            # The end of an epoch counts as one more step, because its last step may already have written a checkpoint.
            done = (self.state.epoch - 1) * (self.steps_per_epoch + 1) + self.state.step
            self.checkpoint.save(self.state, done)
