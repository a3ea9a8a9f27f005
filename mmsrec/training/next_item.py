"""Training on a domain: AdamW, early stopping on validation Recall@10, checkpoints between steps (Section 4.2.4)."""

import logging
import math
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from mmsrec.errors import TrainingError
from mmsrec.evaluation.metrics import metrics
from mmsrec.evaluation.ranks import rank
from mmsrec.models.recommender import TrainedRecommender
from mmsrec.nn.user_sequences import Sequences
from mmsrec.progress import progress
from mmsrec.settings.experiments import Training
from mmsrec.training.batches import Batches
from mmsrec.training.checkpoint import Checkpoint, State, on_cpu
from mmsrec.training.distributed import World
from mmsrec.training.next_item_step import adamw, train_step

logger = logging.getLogger(__name__)

VALIDATION = 2  # place of the validation item, counted from the end of a sequence
METRIC = "recall@10"


def finetune(
    model: TrainedRecommender,
    sequences: Sequences,
    settings: Training,
    seed: int,
    folder: Path,
    key: Mapping[str, object],
    world: World | None = None,
    *,
    save_minutes: float = 10.0,
) -> State:
    """Trains until the validation metric has not risen for `patience` epochs, or for `max_epochs`.

    A run that was killed goes on after the last step that was saved and ends with the weights of an unbroken one.

    Args:
        model: on the device of the sequences, the same in every process; ends with the best weights.
        sequences: of all users.
        settings: of the training.
        seed: of dropout, batches, masks and negatives.
        folder: where the checkpoint lives, the same for all processes.
        key: what the result depends on; a checkpoint of another key is not continued.
        world: the processes; None for this one alone.
        save_minutes: time between checkpoints; there is one after each epoch besides.

    Returns:
        The final state: `model` the last weights, `best` those of the best epoch, `history` one row an epoch.

    Raises:
        CatalogueError: no sequence is long enough to be trained on.
        CheckpointError: the checkpoint of an interrupted training is damaged.
        TrainingError: the loss has become infinite or no number.
    """
    world = world or World(sequences.items_A.device)
    run = _Run(model, sequences, settings, seed, Checkpoint(folder, key), world, 60 * save_minutes)
    state = run.state
    while state.epoch <= settings.max_epochs and state.epoch - 1 - state.best_epoch < settings.patience:
        run.epoch()
    model.load_state_dict(state.best)
    return state


class _Run:
    """The model, its optimiser and where their training stands, in one of the processes."""

    def __init__(
        self,
        model: TrainedRecommender,
        sequences: Sequences,
        settings: Training,
        seed: int,
        checkpoint: Checkpoint[State],
        world: World,
        save_seconds: float,
    ) -> None:
        self._model, self._sequences, self._settings, self._seed = model, sequences, settings, seed
        self._checkpoint, self._world, self._save_seconds = checkpoint, world, save_seconds
        self._batches = Batches(sequences, model, settings)
        self._optimizer = adamw(model, settings)
        self.state = checkpoint.load() or State()
        if self.state.model:
            model.load_state_dict(self.state.model)
            self._optimizer.load_state_dict(self.state.optimizer)
            logger.info("continuing in epoch %d after step %d", self.state.epoch, self.state.step)
        # None may write, and so remove, a checkpoint before all have read theirs.
        world.wait()

    def epoch(self) -> None:
        """What is left of the epoch in progress, its validation and its row of the history."""
        state = self.state
        totals = state.totals or {"loss": 0.0, "sequences": 0, "positions": 0, "useful": 0, "computed": 0}
        saved = time.monotonic()
        started = saved - state.seconds
        self._model.train()
        options = {"initial": totals["sequences"], "disable": not self._world.leads}
        with progress(f"epoch {state.epoch}", len(self._batches), "sequences", **options) as bar:
            for step in self._batches.steps(self._seed, state.epoch, state.step):
                key = (self._seed, state.epoch, state.step)
                totals["loss"] += train_step(self._model, self._optimizer, step, self._settings, key, self._world)
                for name in ("sequences", "positions", "useful", "computed"):
                    totals[name] += getattr(step, name)
                bar.update(step.sequences)
                state.step, state.totals, state.seconds = state.step + 1, totals, time.monotonic() - started
                if time.monotonic() - saved > self._save_seconds:
                    self._save()
                    saved = time.monotonic()
        self._close(totals, started)

    def _close(self, totals: Mapping[str, float], started: float) -> None:
        state, trained = self.state, self.state.seconds
        loss = totals["loss"] / totals["positions"]
        if not math.isfinite(loss):
            raise TrainingError(
                "The loss is no longer a finite number.",
                where=f"epoch {state.epoch}",
                found=loss,
                fix="Lower learning_rate or clip_norm, or raise temperature.",
            )
        metric = validation_metric(self._model, self._sequences, self._world)
        row = {
            "epoch": state.epoch,
            "loss": loss,
            METRIC: metric,
            "learning_rate": self._optimizer.param_groups[0]["lr"],
            "seconds": time.monotonic() - started,
            "positions": totals["positions"],
            "efficiency": totals["useful"] / totals["computed"],
        }
        state.history.append(row)
        if metric > state.best_metric:
            state.best, state.best_metric, state.best_epoch = on_cpu(self._model.state_dict()), metric, state.epoch
        if self._world.leads:
            logger.info(
                "epoch %d: loss %.4f, validation Recall@10 %.4f, %.1f s of training and %.1f s of validation",
                *(state.epoch, row["loss"], metric, trained, row["seconds"] - trained),
            )
        state.epoch, state.step, state.totals, state.seconds = state.epoch + 1, 0, {}, 0.0
        self._save()

    def _save(self) -> None:
        self.state.model = on_cpu(self._model.state_dict())
        self.state.optimizer = self._optimizer.state_dict()
        if self._world.leads:
            self._checkpoint.save(self.state, self._done())

    def _done(self) -> int:
        steps = -(-len(self._batches) // self._settings.batch_size)
        return (self.state.epoch - 1) * (steps + 1) + self.state.step


def validation_metric(model: TrainedRecommender, sequences: Sequences, world: World) -> float:
    """Recall@10 of the validation items, among all items; ranked in the leading process."""
    value = torch.zeros((), dtype=torch.float64, device=world.device)
    if world.leads:
        ranks = rank(model, sequences, VALIDATION)
        value += metrics(ranks.rank_U.numpy(), ranks.ties_U.numpy(), [10])[METRIC]
    return float(world.sum_(value))
