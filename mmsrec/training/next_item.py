"""Training on the sequences of a domain, which validation Recall@10 stops (Section 4.2.4)."""

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from mmsrec.errors import TrainingError
from mmsrec.evaluation.metrics import metrics
from mmsrec.evaluation.ranks import rank_among
from mmsrec.models.recommender import TrainedRecommender
from mmsrec.nn.user_sequences import Sequences
from mmsrec.settings.trainer import Trainer
from mmsrec.training.batches import Batches, Step
from mmsrec.training.checkpoint import Checkpoint, TrainingState
from mmsrec.training.distributed import Processes
from mmsrec.training.loop import Loop, Validation
from mmsrec.training.next_item_step import adamw, train_step
from mmsrec.training.runtime import generator_of

VALIDATION = 2  # place of the validation item, counted from the end of a sequence
METRIC = "recall@10"
TRAINING_USERS = (0, 1)  # completes the seed of their draw; no epoch is 0
SUMMED = ("sequences", "positions", "useful", "computed")  # attributes of `Step`


def finetune(
    model: TrainedRecommender,
    sequences: Sequences,
    trainer: Trainer,
    seed: int,
    folder: Path,
    key: Mapping[str, object],
    processes: Processes | None = None,
    *,
    known_K: Tensor | None = None,
    save_minutes: float = 10.0,
) -> TrainingState:
    """Trains until validation Recall@10 has not risen for `patience` epochs, or for `max_epochs`.

    A model that is not validated is trained for `max_epochs`, and its last weights are the result.

    A killed training continues from its newest checkpoint and ends with the weights of an uninterrupted one.

    Args:
        model: on the device of the sequences, the same in every process; it ends with the resulting weights.
        sequences: all users' items.
        trainer: settings of the training.
        seed: seed of dropout, batches, masks and negatives.
        folder: folder of the checkpoints, the same for all processes.
        key: everything that the result depends on; a checkpoint of another key is not continued.
        processes: the processes of the training; None for this one alone.
        known_K: the items of training and of validation, ascending; None for all items.
        save_minutes: time between checkpoints; every epoch ends with another one.

    Returns:
        The final state; its history has the columns of `artifacts.SCHEMAS["history"]`.

    Raises:
        DataError: no sequence is long enough for training.
        CheckpointError: the checkpoint of an interrupted training is damaged.
        TrainingError: the loss is not finite, or several processes train a model of whole steps, or a model with
            companions reads a part of the items.
    """
    processes = processes or Processes(sequences.items_A.device)
    _check_processes(model, processes)
    learned = drawn_users(sequences, math.ceil(trainer.training_users * sequences.users), (seed, *TRAINING_USERS))
    batches, optimizer = Batches(learned, model, trainer, known_K), adamw(model, trainer)
    # With many users, ranking all in each epoch can take longer than training on them.
    ranked = drawn_users(sequences, trainer.validation_users or sequences.users, (seed,))
    recall = Validation(METRIC, lambda: validation_metric(model, ranked, processes, known_K), trainer.patience)

    def step(batch: Step, epoch: int, number: int) -> dict[str, float]:
        loss = train_step(model, optimizer, batch, trainer, (seed, epoch, number), processes)
        return {"loss": loss, **{name: getattr(batch, name) for name in SUMMED}}

    return Loop(
        model=model,
        optimizer=optimizer,
        max_epochs=trainer.max_epochs,
        steps_per_epoch=-(-len(batches) // trainer.batch_size),
        batches=partial(batches.steps, seed),
        step=step,
        row=_row,
        learning_rate=trainer.learning_rate_of,
        unit="sequences",
        size=len(batches),
        checkpoint=Checkpoint(folder, key),
        processes=processes,
        save_seconds=60 * save_minutes,
        validation=recall if model.validated else None,
    ).run()


def _check_processes(model: TrainedRecommender, processes: Processes) -> None:
    if model.whole_step and processes.size > 1:
        raise TrainingError(
            "The loss of this model compares all sequences of a step, so several processes cannot share a step.",
            where=type(model).__name__,
            expected="one process",
            found=f"{processes.size} processes",
            fix="Start this training without torchrun.",
        )


def drawn_users(sequences: Sequences, count: int, seeds: tuple[int, ...]) -> Sequences:
    """The sequences of some users, drawn at random, in their order."""
    if count >= sequences.users:
        return sequences
    drawn_U = torch.randperm(sequences.users, generator=generator_of(*seeds))[:count]
    return sequences.of_users(drawn_U.sort().values.to(sequences.items_A.device))


def _row(sums: Mapping[str, float]) -> dict[str, float]:
    return {
        "loss": sums["loss"] / sums["positions"],
        "positions": sums["positions"],
        "efficiency": sums["useful"] / sums["computed"],
    }


def validation_metric(
    model: TrainedRecommender, sequences: Sequences, processes: Processes, known_K: Tensor | None = None
) -> float:
    """Recall@10 of the validation items among the known items; the leading process computes it for all."""
    value = torch.zeros((), dtype=torch.float64, device=processes.device)
    if processes.leads:
        ranks = rank_among(model, sequences, VALIDATION, known_K)
        value += metrics(ranks.rank_U.numpy(), ranks.ties_U.numpy(), [10])[METRIC]
    return float(processes.sum_(value))
