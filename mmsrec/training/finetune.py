"""Training on a domain: AdamW, early stopping on validation Recall@10, a checkpoint an epoch (Section 4.2.4)."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from mmsrec.evaluation.metrics import metrics
from mmsrec.evaluation.ranks import rank
from mmsrec.experiment_rows import Training
from mmsrec.model.recommender import TrainedRecommender
from mmsrec.model.sequences import Sequences
from mmsrec.progress import progress
from mmsrec.training.batches import Examples, Step, examples, steps
from mmsrec.training.checkpoint import Checkpoint, State, on_cpu
from mmsrec.training.runtime import seed_everything

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
) -> State:
    """Trains until the validation metric has not risen for `patience` epochs, or for `max_epochs`.

    A run that was killed goes on after its last whole epoch and ends with the same weights as an unbroken one.

    Args:
        model: on the device of the sequences; ends with the best weights.
        sequences: of all users.
        settings: of the training.
        seed: of dropout, batches and masks.
        folder: where the checkpoint lives.
        key: what the result depends on; a checkpoint of another key is not continued.

    Returns:
        The final state; its history has one row an epoch.
    """
    checkpoint = Checkpoint(folder, key)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    chosen = examples(sequences, settings.augment)
    state = checkpoint.load() or State()
    if state.epoch:
        model.load_state_dict(state.model)
        optimizer.load_state_dict(state.optimizer)
        logger.info("continuing after epoch %d", state.epoch)

    while state.epoch < settings.max_epochs and state.epoch - state.best_epoch < settings.patience:
        started = time.monotonic()
        state.epoch += 1
        row = train_epoch(model, optimizer, sequences, chosen, settings, seed, state.epoch)
        trained = time.monotonic() - started
        row |= {METRIC: validation_metric(model, sequences), "seconds": time.monotonic() - started}
        state.history.append({"epoch": state.epoch, **row})
        logger.info(
            "epoch %d: loss %.4f, validation Recall@10 %.4f, %.1f s of training and %.1f s of validation",
            *(state.epoch, row["loss"], row[METRIC], trained, row["seconds"] - trained),
        )
        state.model = on_cpu(model.state_dict())
        state.optimizer = optimizer.state_dict()
        if row[METRIC] > state.best_metric:
            state.best, state.best_metric, state.best_epoch = state.model, row[METRIC], state.epoch
        checkpoint.save(state, state.epoch)
    model.load_state_dict(state.best)
    return state


def train_epoch(
    model: TrainedRecommender,
    optimizer: torch.optim.Optimizer,
    sequences: Sequences,
    chosen: Examples,
    settings: Training,
    seed: int,
    epoch: int,
) -> dict[str, float]:
    """One pass over the examples; returns the columns of the history that training knows."""
    model.train()
    generator = seed_everything(seed, epoch)
    loss, positions, useful, computed = 0.0, 0, 0, 0
    with progress(f"epoch {epoch}", len(chosen.users_E), "sequences") as bar:
        for step in steps(sequences, chosen, model, settings, generator):
            loss += train_step(model, optimizer, step, settings.clip_norm)
            positions += step.positions
            useful += step.useful
            computed += step.computed
            bar.update(step.sequences)
    return {
        "loss": loss / positions,
        "learning_rate": optimizer.param_groups[0]["lr"],
        "positions": positions,
        "efficiency": useful / computed,
    }


def train_step(model: TrainedRecommender, optimizer: torch.optim.Optimizer, step: Step, clip_norm: float) -> float:
    """One step of the optimiser on the mean loss of the step's predictions; returns their summed loss.

    The catalogue is computed once and its gradient gathered over the groups before it is propagated, group after
    group: memory grows with a group and with the catalogue, not with the batch.
    """
    optimizer.zero_grad(set_to_none=True)
    catalogue = model.catalogue()
    leaves = tuple(tensor.detach().requires_grad_() for tensor in catalogue)
    total = 0.0
    for group in step.groups:
        loss = model.loss(leaves, group)
        (loss / step.positions).backward()
        total += float(loss.detach())
    torch.autograd.backward(catalogue, [leaf.grad for leaf in leaves])
    torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    optimizer.step()
    return total


def validation_metric(model: TrainedRecommender, sequences: Sequences) -> float:
    """Recall@10 of the validation items, among all items."""
    ranks = rank(model, sequences, VALIDATION)
    return metrics(ranks.rank_U.numpy(), ranks.ties_U.numpy(), [10])[METRIC]
