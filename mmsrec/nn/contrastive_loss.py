"""The contrastive loss of pre-training (equations 5 and 6 of the paper), without a batch x batch matrix."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from mmsrec.nn.catalogue_loss import catalogue_cross_entropy
from mmsrec.nn.precision import PRECISIONS
from mmsrec.settings.pretraining import Pretraining, Weights

# The modalities of each view. Two views of the same modalities differ by their dropout (SimCSE).
VIEWS = {
    "v": ("vision",),
    "v'": ("vision",),
    "t": ("text",),
    "t'": ("text",),
    "vt": ("vision", "text"),
    "vt'": ("vision", "text"),
}
# The two views of each term of equation 5, by the name of the term's weight.
TERMS = {"vv": ("v", "v'"), "tt": ("t", "t'"), "vt": ("v", "t"), "both": ("vt", "vt'")}


@dataclass(frozen=True)
class TermLoss:
    """One term of the loss.

    Attributes:
        name: name of the term's weight.
        share: this process's share of the weighted term; the shares of all processes add up to the term.
        total: the sum over this process's anchors in equation 6 before the mean, without gradient.
    """

    name: str
    share: Tensor
    total: Tensor


def views_of(weights: Weights) -> list[str]:
    """The views that the terms with a positive weight compare."""
    needed = {view for term, views in TERMS.items() if getattr(weights, term) for view in views}
    return [view for view in VIEWS if view in needed]


def compared(term: str, present: Mapping[str, Tensor]) -> Tensor:
    """Which items [N] are anchors and negatives of a term: the items with all modalities of its views."""
    shown = {modality for view in TERMS[term] for modality in VIEWS[view]}
    return torch.stack([present[modality] for modality in sorted(shown)]).all(0)


def contrastive_terms(
    views: Mapping[str, Tensor],
    present: Mapping[str, Tensor],
    settings: Pretraining,
    own: slice | None = None,
    anchors: Mapping[str, int] | None = None,
) -> Iterator[TermLoss]:
    """Yields the terms of equation 5 one at a time, so that each can be propagated before the next is computed.

    Each term is the sum of both directions of equation 6. Its mean runs over the items with all modalities of the term,
    not over the batch. So an item without text is neither anchor nor negative of (t, t'), (v, t) and (vt, vt').

    Args:
        views: vectors of length one [N, D] of the compared items, by view.
        present: which items have a modality [N].
        settings: weights, temperature and precision.
        own: rows whose anchors this process counts; None for all.
        anchors: number of anchors of each term over all processes; None if this process has all items.
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
    """Equation 6 (InfoNCE) without its mean: both directions, summed over some anchors.

    Args:
        x_ND, y_ND: vectors of length one; equal rows are positive pairs.
        anchors: rows that are compared with all N rows of the other side.
        temperature: divides the cosines.
        precision: precision of the matrix products.
    """
    targets = torch.arange(len(x_ND), device=x_ND.device)[anchors]
    return catalogue_cross_entropy(x_ND[anchors] / temperature, y_ND, targets, precision) + catalogue_cross_entropy(
        y_ND[anchors] / temperature, x_ND, targets, precision
    )


def _rows(x_ND: Tensor, chosen_N: Tensor) -> Tensor:
    return x_ND if chosen_N.all() else x_ND.index_select(0, chosen_N.nonzero().flatten())
