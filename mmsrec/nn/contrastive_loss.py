"""The contrastive loss of pre-training (equations 5 and 6 of the paper), never as a matrix of a batch by itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from mmsrec.nn.catalogue_loss import catalogue_cross_entropy
from mmsrec.nn.precision import PRECISIONS
from mmsrec.settings.pretraining import Pretraining, Weights

# What an item shows of itself in each view. Two views that show the same differ by their dropout (SimCSE).
VIEWS = {
    "v": ("vision",),
    "v'": ("vision",),
    "t": ("text",),
    "t'": ("text",),
    "vt": ("vision", "text"),
    "vt'": ("vision", "text"),
}
# The two views of each term of equation 5, by the name of its weight.
TERMS = {"vv": ("v", "v'"), "tt": ("t", "t'"), "vt": ("v", "t"), "both": ("vt", "vt'")}


@dataclass(frozen=True)
class TermLoss:
    """One term of the loss.

    Attributes:
        name: of its weight.
        share: this process's share of the weighted term; those of all processes add up to it.
        total: what its anchors add to equation 6 before the mean, no gradient.
    """

    name: str
    share: Tensor
    total: Tensor


def views_of(weights: Weights) -> list[str]:
    """The views that the terms of positive weight compare."""
    needed = {view for term, views in TERMS.items() if getattr(weights, term) for view in views}
    return [view for view in VIEWS if view in needed]


def compared(term: str, present: Mapping[str, Tensor]) -> Tensor:
    """Which items [N] take part in a term, as anchors and as negatives: those that have all that its views show."""
    shown = {modality for view in TERMS[term] for modality in VIEWS[view]}
    return torch.stack([present[modality] for modality in sorted(shown)]).all(0)


def contrastive_terms(
    views: Mapping[str, Tensor],
    present: Mapping[str, Tensor],
    settings: Pretraining,
    own: slice | None = None,
    anchors: Mapping[str, int] | None = None,
) -> Iterator[TermLoss]:
    """The terms of equation 5, one at a time, so that the gradients of one need not wait for the others.

    Each is the sum of both directions of equation 6. Its expectation is the mean over the items that take part in the
    term, not over the batch: an item without text is neither anchor nor negative of (t, t'), (v, t) and (vt, vt').

    Args:
        views: vectors of length one [N, D] of the items that are compared with each other, by view.
        present: which of them have a modality [N].
        settings: weights, temperature and precision.
        own: the rows whose anchors are counted here; None for all.
        anchors: items that take part in each term, over all processes; None where these are all there are.
    """
    own = own or slice(0, len(next(iter(views.values()))))
    for name, (first, second) in TERMS.items():
        weight = getattr(settings.weights, name)
        among_N = compared(name, present)
        count = int(among_N.sum()) if anchors is None else anchors[name]
        if not weight or not count:
            continue
        x_ND, y_ND = _rows(views[first], among_N), _rows(views[second], among_N)
        chosen = slice(*(int(among_N[:row].sum()) for row in (own.start, own.stop)))
        total = info_nce(x_ND, y_ND, chosen, settings.temperature, PRECISIONS[settings.precision])
        yield TermLoss(name, weight * total / count, total.detach())


def info_nce(x_ND: Tensor, y_ND: Tensor, anchors: slice, temperature: float, precision: torch.dtype) -> Tensor:
    """Equation 6 without its means: both directions of noise contrastive estimation, summed over some anchors.

    Args:
        x_ND, y_ND: vectors of length one; those of a row belong together.
        anchors: rows that are to find their other half among all N.
        temperature: divides the cosines.
        precision: of the matrix products.
    """
    targets = torch.arange(len(x_ND), device=x_ND.device)[anchors]
    return catalogue_cross_entropy(x_ND[anchors] / temperature, y_ND, targets, precision) + catalogue_cross_entropy(
        y_ND[anchors] / temperature, x_ND, targets, precision
    )


def _rows(x_ND: Tensor, chosen_N: Tensor) -> Tensor:
    return x_ND if chosen_N.all() else x_ND.index_select(0, chosen_N.nonzero().flatten())
