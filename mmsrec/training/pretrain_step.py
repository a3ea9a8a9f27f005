"""A step of pre-training whose memory grows with the batch's vectors, not with what the encoder computes for them.

Gradient caching (Gao et al., 2021): the batch is encoded in chunks without gradients, the loss gives the gradient of
every vector, and each chunk is encoded once more, with the same dropout, to propagate its own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mmsrec.nn.contrastive_loss import TERMS, compared, contrastive_terms, views_of
from mmsrec.nn.item_encoder import ItemEncoder
from mmsrec.nn.views import Items, encode_views
from mmsrec.settings.pretraining import Pretraining
from mmsrec.training.distributed import Processes
from mmsrec.training.runtime import seed_everything

# Pairs encoded at a time: what leaves a CPU's caches last, and what fills a GPU. They divide the paper's 8 x 6,000.
CHUNK = {"cpu": 200, "cuda": 3000}


@dataclass
class Totals:
    """Sums over steps, from which means are made.

    Attributes:
        pairs: pairs seen.
        losses: of each term, what its anchors added.
        anchors: of each term, how many there were.
    """

    pairs: int = 0
    losses: dict[str, float] = field(default_factory=dict)
    anchors: dict[str, int] = field(default_factory=dict)

    def add(self, other: "Totals") -> None:
        self.pairs += other.pairs
        for name, count in other.anchors.items():
            self.losses[name] = self.losses.get(name, 0.0) + other.losses[name]
            self.anchors[name] = self.anchors.get(name, 0) + count

    def means(self, settings: Pretraining) -> dict[str, float]:
        """The terms of equation 6 and, as `loss`, their weighted sum of equation 5."""
        terms = {name: self.losses[name] / count for name, count in self.anchors.items() if count}
        weights = settings.weights.model_dump()
        return {"loss": sum(weights[name] * value for name, value in terms.items()), **terms}


def train_step(
    encoder: ItemEncoder,
    optimizer: torch.optim.Optimizer,
    items: Items,
    settings: Pretraining,
    key: tuple[int, ...],
    processes: Processes,
) -> Totals:
    """One step of the optimiser on the loss of equation 5, over the items of all processes.

    Args:
        encoder: the same in every process.
        optimizer: of its weights.
        items: this process's share of the batch.
        settings: of the pre-training.
        key: of dropout, together with a chunk's place in the whole batch; so the step does not depend on the number of
            processes, as long as shares begin at multiples of a chunk.
        processes: the processes.

    Returns:
        Sums over all processes.
    """
    sizes = processes.sizes(len(items))
    chunks = list(_chunks(sum(sizes[: processes.rank]), len(items), CHUNK[processes.device.type]))
    names = views_of(settings.weights)

    def encoded(place: int, rows: slice) -> dict[str, Tensor]:
        seed_everything(*key, place)
        with torch.autocast(processes.device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"):
            return encode_views(encoder, items.rows(rows), names)

    optimizer.zero_grad(set_to_none=False)
    views = {name: torch.zeros(len(items), settings.dim, device=processes.device) for name in names}
    with torch.no_grad():
        for place, rows in chunks:
            for name, vectors in encoded(place, rows).items():
                views[name][rows] = vectors
    gradients, totals = _view_gradients(views, items.present, settings, sizes, processes)
    for place, rows in chunks:
        vectors = encoded(place, rows)
        torch.autograd.backward(list(vectors.values()), [gradients[name][rows] for name in vectors])
    processes.sum_gradients(encoder)
    torch.nn.utils.clip_grad_norm_(encoder.parameters(), settings.clip_norm)
    optimizer.step()
    return totals


def _chunks(start: int, count: int, size: int) -> Iterator[tuple[int, slice]]:
    """Cuts rows that stand at `start` of a batch at the batch's multiples of `size`: a chunk's place, and its rows."""
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
) -> tuple[dict[str, Tensor], Totals]:
    """The gradient of the whole batch's loss with respect to this process's vectors, and the sums of the terms."""
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
    totals = Totals(sum(sizes), dict(zip(losses, summed, strict=True)), {name: anchors[name] for name in losses})
    gradients = {name: torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for name, leaf in leaves.items()}
    return {name: processes.scatter_sum(x, sizes) if shared else x for name, x in gradients.items()}, totals
