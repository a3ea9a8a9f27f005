"""One step of training on a domain: the items are encoded once, then the groups of sequences are computed in turn."""

import torch
from torch import Tensor
from torch.profiler import record_function

from mmsrec.models.recommender import TrainedRecommender
from mmsrec.nn.threads import in_threads, one_thread_each
from mmsrec.settings.trainer import Trainer
from mmsrec.training.batches import Step
from mmsrec.training.distributed import Processes
from mmsrec.training.gradients import add_gradients
from mmsrec.training.item_table import ItemTable
from mmsrec.training.runtime import seeded_dropout


def adamw(model: TrainedRecommender, trainer: Trainer) -> torch.optim.Optimizer:
    """AdamW over all weights of the model."""
    return torch.optim.AdamW(
        model.parameters(), lr=trainer.learning_rate, weight_decay=trainer.weight_decay, fused=True
    )


@one_thread_each()
def train_step(
    model: TrainedRecommender,
    optimizer: torch.optim.Optimizer,
    step: Step,
    trainer: Trainer,
    key: tuple[int, ...],
    processes: Processes,
) -> float:
    """One step of the optimiser on the mean loss of the step's predictions; returns their summed loss.

    The items are encoded once. Their gradients are summed over the groups and then propagated once. So memory grows
    with a group and with the number of items, not with the batch. Processes, and on a CPU the threads of each, share
    the groups. Dropout is seeded by the group's index in the step, and gradients are added in the order of the groups.
    So the number of threads changes nothing, and the number of processes changes only the order of summation.

    Args:
        model: in training mode.
        optimizer: optimiser of the model's weights.
        step: the same in every process.
        trainer: `clip_norm` is read.
        key: seeds dropout, together with a group's index.
        processes: the processes.
    """
    optimizer.zero_grad(set_to_none=True)
    with record_function("item table"):
        table = ItemTable(model, step.items_K, (*key, 0), processes.device)
    leaves = table.leaves
    sources = [tensor for tensor in (*model.parameters(), *leaves.tensors()) if tensor.requires_grad]

    def computed(place: int) -> tuple[Tensor, tuple[Tensor | None, ...]]:
        with record_function("forward"), seeded_dropout(processes.device, *key, place + 1):
            loss = model.loss(leaves, step.groups[place])
        with record_function("backward"):
            return loss.detach(), torch.autograd.grad(loss / step.positions, sources, allow_unused=True)

    total = torch.zeros((), device=processes.device, dtype=torch.float64)
    for loss, gradients in in_threads(
        computed, range(processes.rank, len(step.groups), processes.size), processes.device
    ):
        total += loss
        add_gradients(sources, gradients)
    with record_function("item table, backward"):
        table.propagate()
    with record_function("sum over processes"):
        processes.sum_gradients(model)
    with record_function("optimiser"):
        if trainer.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), trainer.clip_norm)
        optimizer.step()
    return float(processes.sum_(total))
