"""One step of pre-training on pairs, by gradient caching (Gao et al., 2021).

The batch is encoded in chunks without gradients, and the loss gives the gradient of every vector. Each chunk is then
encoded again with the same dropout, to propagate its gradients. So memory holds the vectors of the whole batch, but
the encoder's activations for one chunk only.
"""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from mmsrec.nn.contrastive_loss import TERMS, compared, contrastive_terms, views_of
from mmsrec.nn.item_encoder import ItemEncoder
from mmsrec.nn.threads import in_threads, one_thread_each
from mmsrec.nn.views import Items, encode_views
from mmsrec.settings.pretraining import Pretraining
from mmsrec.training.distributed import Processes
from mmsrec.training.gradients import add_gradients
from mmsrec.training.runtime import seeded_dropout

# Pairs encoded at a time: few enough for a CPU's caches, many enough to fill a GPU. Both divide the paper's 8 x 6,000.
CHUNK = {"cpu": 200, "cuda": 3000}


def means(sums: Mapping[str, float], settings: Pretraining) -> dict[str, float]:
    """The terms of equation 6 and, as `loss`, their weighted sum of equation 5.

    Args:
        sums: numbers of one step or of several, as `train_step` returns them.
        settings: has the weights of the terms.
    """
    terms = {name: sums[name] / sums[_anchors(name)] for name in TERMS if sums.get(_anchors(name))}
    weights = settings.weights.model_dump()
    return {"loss": sum(weights[name] * value for name, value in terms.items()), **terms}


def _anchors(term: str) -> str:
    """The name of the number of anchors of a term."""
    return f"{term} anchors"


@one_thread_each()
def train_step(
    encoder: ItemEncoder,
    optimizer: torch.optim.Optimizer,
    items: Items,
    settings: Pretraining,
    key: tuple[int, ...],
    processes: Processes,
) -> dict[str, float]:
    """One step of the optimiser on the loss of equation 5, over the items of all processes.

    Args:
        encoder: the same in every process.
        optimizer: optimiser of the encoder's weights.
        items: this process's share of the batch.
        settings: settings of the pre-training.
        key: seeds dropout together with a chunk's place in the whole batch. So the step does not depend on the number
            of processes if their shares begin at multiples of a chunk.
        processes: the processes of the training.

    Returns:
        Sums over all processes: `pairs`, and for each term its loss and its number of anchors (see `means`).
    """
    sizes = processes.sizes(len(items))
    chunks = list(_chunks(sum(sizes[: processes.rank]), len(items), CHUNK[processes.device.type]))
    names = views_of(settings.weights)

    def encoded(chunk: tuple[int, slice]) -> dict[str, Tensor]:
        place, rows = chunk
        reduced = torch.autocast(processes.device.type, torch.bfloat16, enabled=settings.precision == "bfloat16")
        with seeded_dropout(processes.device, *key, place), reduced:
            return encode_views(encoder, items.rows(rows), names)

    def weight_gradients(chunk: tuple[int, slice]) -> Sequence[Tensor | None]:
        vectors = encoded(chunk)
        outputs, given = list(vectors.values()), [gradients[name][chunk[1]] for name in vectors]
        return torch.autograd.grad(outputs, weights, given, allow_unused=True)

    optimizer.zero_grad(set_to_none=False)
    with torch.no_grad():
        parts = list(in_threads(encoded, chunks, processes.device))
    # A process whose share is empty has vectors without rows.
    none = torch.zeros(0, settings.dim, device=processes.device)
    views = {name: torch.cat([none, *(part[name] for part in parts)]) for name in names}
    gradients, sums = _view_gradients(views, items.present, settings, sizes, processes)
    weights = [weight for weight in encoder.parameters() if weight.requires_grad]
    for part in in_threads(weight_gradients, chunks, processes.device):
        add_gradients(weights, part)
    processes.sum_gradients(encoder)
    torch.nn.utils.clip_grad_norm_(encoder.parameters(), settings.clip_norm)
    optimizer.step()
    return sums


def _chunks(start: int, count: int, size: int) -> Iterator[tuple[int, slice]]:
    """Cuts a share at the multiples of `size` of the whole batch.

    Args:
        start: place of the share's first item in the batch.
        count: items of the share.
        size: items of a chunk.

    Yields:
        A chunk's place in the batch, and its slice of the share.
    """
    place = start
    while place < start + count:
        end = min(start + count, (place // size + 1) * size)
        yield place, slice(place - start, end - start)
        place = end


def _view_gradients(
    views: Mapping[str, Tensor],
    present: Mapping[str, Tensor],
    settings: Pretraining,
    sizes: list[int],
    processes: Processes,
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """The gradient of the whole batch's loss with respect to this process's vectors, and the sums of `train_step`."""
    shared = settings.negatives == "global"
    everyone = {name: processes.gather(column, sizes) for name, column in present.items()}
    anchors = {name: int(compared(name, everyone).sum()) for name in TERMS}
    leaves = {name: (processes.gather(x, sizes) if shared else x).requires_grad_() for name, x in views.items()}
    start = sum(sizes[: processes.rank]) if shared else 0
    own = slice(start, start + sizes[processes.rank])
    losses = dict.fromkeys((name for name in TERMS if getattr(settings.weights, name)), 0.0)
    for term in contrastive_terms(leaves, everyone if shared else present, settings, own, anchors):
        term.share.backward()
        losses[term.name] = float(term.total)
    summed = processes.sum_(torch.tensor(list(losses.values()), dtype=torch.float64, device=processes.device)).tolist()
    sums = {"pairs": sum(sizes), **dict(zip(losses, summed, strict=True))}
    sums |= {_anchors(name): anchors[name] for name in losses}
    gradients = {name: torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for name, leaf in leaves.items()}
    return {name: processes.scatter_sum(x, sizes) if shared else x for name, x in gradients.items()}, sums
