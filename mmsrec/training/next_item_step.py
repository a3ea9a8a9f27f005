"""One step of training on a domain: the optimiser, the items' vectors once, the groups of sequences side by side."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.profiler import record_function

from mmsrec.models.recommender import TrainedRecommender
from mmsrec.nn.threads import in_threads
from mmsrec.settings.experiments import Training
from mmsrec.training.batches import Step
from mmsrec.training.distributed import World
from mmsrec.training.runtime import seeded_dropout


def adamw(model: TrainedRecommender, settings: Training) -> torch.optim.Optimizer:
    """The optimiser of a training."""
    return torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )


def train_step(
    model: TrainedRecommender,
    optimizer: torch.optim.Optimizer,
    step: Step,
    settings: Training,
    key: tuple[int, ...],
    world: World,
) -> float:
    """One step of the optimiser on the mean loss of the step's predictions; returns their summed loss.

    The catalogue is computed once and its gradient gathered over the groups before it is propagated: memory grows with
    a group and with the catalogue, not with the batch. Processes, and on a CPU the threads of each, share the groups; a
    group's dropout hangs on its place in the step, so that their number changes no more than the order of a sum.

    Args:
        model: in training mode.
        optimizer: of its weights.
        step: the same in every process.
        settings: of the training.
        key: of dropout, together with a group's place.
        world: the processes.
    """
    optimizer.zero_grad(set_to_none=True)
    with record_function("item table"), seeded_dropout(world.device, *key, 0):
        catalogue = model.catalogue(step.items_K)
    leaves = tuple(tensor.detach().requires_grad_(tensor.requires_grad) for tensor in catalogue)
    sources = [tensor for tensor in (*model.parameters(), *leaves) if tensor.requires_grad]

    def computed(place: int) -> tuple[Tensor, tuple[Tensor | None, ...]]:
        with record_function("forward"), seeded_dropout(world.device, *key, place + 1):
            loss = model.loss(leaves, step.groups[place])
        with record_function("backward"):
            return loss.detach(), torch.autograd.grad(loss / step.positions, sources, allow_unused=True)

    total = torch.zeros((), device=world.device, dtype=torch.float64)
    for loss, gradients in in_threads(computed, range(world.rank, len(step.groups), world.size), world.device):
        total += loss
        _gather(sources, gradients)
    with record_function("item table, backward"):
        _propagate(catalogue, leaves)
    with record_function("sum over processes"):
        world.sum_gradients(model)
    with record_function("optimiser"):
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
        optimizer.step()
    return float(world.sum_(total))


def _gather(sources: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> None:
    """Adds a group's gradients to those of the groups before it."""
    for source, gradient in zip(sources, gradients, strict=True):
        if gradient is not None:
            # What autograd returns may share memory with another gradient.
            source.grad = gradient.clone() if source.grad is None else source.grad.add_(gradient)


def _propagate(catalogue: tuple[Tensor, ...], leaves: tuple[Tensor, ...]) -> None:
    """Passes the gradients that the groups left at the catalogue's copies on to the weights."""
    reached = [pair for pair in zip(catalogue, leaves, strict=True) if pair[1].grad is not None]
    if reached:
        torch.autograd.backward([tensor for tensor, _ in reached], [leaf.grad for _, leaf in reached])
