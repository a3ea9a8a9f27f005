"""The weights of a blend and its score of repeats: those under which the users' validation items are most likely."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from mmsrec.evaluation.histories import histories_before
from mmsrec.evaluation.user_vectors import user_vectors
from mmsrec.models.blend import Blend
from mmsrec.nn.threads import in_threads
from mmsrec.nn.training_sequences import HELD_OUT
from mmsrec.nn.user_sequences import Sequences

logger = logging.getLogger(__name__)

SCORES = 1 << 21  # scores of one part that a thread holds
# Share of the curvature at the weights zero that is added as a penalty. Parts that are alike, or a part that tells all
# users' items exactly, would have no best weights without it.
RIDGE = 1e-3
FLOOR = 1e-9
ENOUGH = 1e-6  # a step that promises a smaller gain of the likelihood ends the search
MOST_STEPS, MOST_HALVINGS = 100, 20
HALVINGS = 60  # of the interval that has the score of repeats


class _Read(NamedTuple):
    """The data of the fit.

    Attributes:
        parts: the vectors of the users and of the items, for each part.
        sequences: sequences of the users.
        ends_U: places of the validation items.
        hidden_I: items that are no candidates; None for none.
    """

    parts: Sequence[tuple[Tensor, Tensor]]
    sequences: Sequences
    ends_U: Tensor
    hidden_I: Tensor | None

    def scores(self, users_B: Tensor) -> list[Tensor]:
        """The scores [B, I] of some users, for each part."""
        return [queries_UD[users_B].float() @ items_ID.T for queries_UD, items_ID in self.parts]

    def among_candidates(self, scores_BI: Tensor) -> Tensor:
        """The scores, -inf for items that are no candidates."""
        return scores_BI if self.hidden_I is None else scores_BI.masked_fill(self.hidden_I, -torch.inf)

    def targets(self, users_B: Tensor) -> Tensor:
        """The validation items [B] of some users."""
        return self.sequences.items_A[self.ends_U[users_B]]


class _Likelihood(NamedTuple):
    """The mean log-likelihood of the validation items, its gradient and its negative second derivatives."""

    value: float
    gradient_P: Tensor
    curvature_PP: Tensor


@torch.no_grad()
def fit_weights(model: Blend, sequences: Sequences, users: int, known_K: Tensor | None = None) -> None:
    """Chooses the weights that maximise the likelihood of validation items, by Newton's method; then `repeat`.

    The likelihood is that of a softmax over the items outside the user's history. It is concave in the weights, so the
    start does not matter. Under `repeat`, a softmax over all items expects as many repeats as the validation items
    have, and a half. So items of the history rank low in data without repeats.

    Args:
        model: its parts are trained.
        sequences: sequences of all users.
        users: number of users to read, at even distances.
        known_K: the items of training and of validation; None for all items. Others are no candidates.
    """
    model.eval()
    chosen_B = torch.linspace(0, sequences.users - 1, min(users, sequences.users), dtype=torch.float64).round().long()
    few = sequences.of_users(chosen_B.to(sequences.items_A.device))
    ends_U = few.ends(HELD_OUT)
    items = model.encode_all_items()
    columns = zip(model.parts, items.parts, strict=True)
    parts = [(user_vectors(part, own, few, ends_U), own.vectors_KD.float()) for part, own in columns]
    hidden_I = None
    if known_K is not None:
        hidden_I = torch.ones(model.items, dtype=torch.bool, device=ends_U.device).index_fill(0, known_K, value=False)

    read = _Read(parts, few, ends_U, hidden_I)
    groups = torch.arange(few.users, device=ends_U.device).split(max(1, SCORES // model.items))

    def likelihood(weights_P: Tensor) -> _Likelihood:
        sums = in_threads(partial(_of_group, read, weights_P), groups, ends_U.device)
        value, gradient_P, curvature_PP = (sum(column) / few.users for column in zip(*sums, strict=True))
        return _Likelihood(float(value), gradient_P, curvature_PP)

    model.weights_P.copy_(_maximum(likelihood, len(parts), ends_U.device))
    odds = in_threads(partial(_odds_of_group, read, model.weights_P), groups, ends_U.device)
    odds_U, repeated_U = map(torch.cat, zip(*odds, strict=True))
    model.repeat.fill_(_repeat_score(odds_U, repeated_U))
    weights = ", ".join(f"{weight:.4g}" for weight in model.weights_P.tolist())
    logger.info("weights of the parts: %s; score of repeats: %.4g", weights, model.repeat_score)


def _of_group(read: _Read, weights_P: Tensor, users_B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sums over some users of the log-likelihood, its gradient [P] and its negative second derivatives [P, P]."""
    scores_BPI = torch.stack(read.scores(users_B), dim=1)
    # A constant of a user changes no probability. Without it, the difference of squares below loses fewer digits.
    scores_BPI -= scores_BPI.mean(2, keepdim=True)
    targets_B = read.targets(users_B)
    blended_BI = read.among_candidates(torch.einsum("p,bpi->bi", weights_P.float(), scores_BPI))
    histories_before(read.sequences, users_B, read.ends_U).within(blended_BI, 0, targets_B).hide(blended_BI)
    logs_BI = blended_BI.log_softmax(1)
    expected_BPI = scores_BPI * logs_BI.exp()[:, None]
    mean_BP = expected_BPI.sum(2)
    target_BP = scores_BPI.gather(2, targets_B[:, None, None].expand(-1, len(read.parts), 1))[..., 0]
    curvature_BPP = expected_BPI @ scores_BPI.transpose(1, 2) - mean_BP[:, :, None] * mean_BP[:, None]
    value_B = logs_BI.gather(1, targets_B[:, None])
    return value_B.double().sum(), (target_BP - mean_BP).double().sum(0), curvature_BPP.double().sum(0)


def _odds_of_group(read: _Read, weights_P: Tensor, users_B: Tensor) -> tuple[Tensor, Tensor]:
    """The log-odds [B] of a repeat under the softmax of the blended scores, and whether the validation item is one."""
    scores_BI = sum(weight * part_BI for weight, part_BI in zip(weights_P, read.scores(users_B), strict=True))
    seen_BI = torch.zeros_like(scores_BI)
    histories_before(read.sequences, users_B, read.ends_U).raise_scores(seen_BI, 0, 1.0)
    scores_BI = read.among_candidates(scores_BI)
    mass_B, rest_B = (scores_BI.masked_fill(seen_BI == left, -torch.inf).double().logsumexp(1) for left in (0, 1))
    return mass_B - rest_B, seen_BI.gather(1, read.targets(users_B)[:, None])[:, 0]


def _repeat_score(odds_U: Tensor, repeated_U: Tensor) -> float:
    """The number that, added to all log-odds, makes the mean probability that of a repeat.

    The probability is (repeats + 1/2) / (users + 1), so that it is neither zero nor one. Users who have seen all items,
    or none, say nothing.
    """
    tells_U = odds_U.isfinite()
    odds_U, repeats = odds_U[tells_U], float(repeated_U[tells_U].sum())
    if not len(odds_U):
        return 0.0
    share = torch.tensor((repeats + 0.5) / (len(odds_U) + 1), dtype=torch.float64)
    # With the one bound, no user's probability is above the share. With the other, none is below.
    lowest, highest = float(share.logit() - odds_U.max()), float(share.logit() - odds_U.min())
    for _ in range(HALVINGS):
        middle = (lowest + highest) / 2
        lowest, highest = (lowest, middle) if (odds_U + middle).sigmoid().mean() > share else (middle, highest)
    return (lowest + highest) / 2


def _maximum(likelihood: Callable[[Tensor], _Likelihood], parts: int, device: torch.device) -> Tensor:
    """The weights [P] with the highest likelihood, minus the ridge."""
    weights_P = torch.zeros(parts, dtype=torch.float64, device=device)
    # A part that gives all items one score has no curvature, and its weight changes nothing.
    ridge_P = RIDGE * likelihood(weights_P).curvature_PP.diagonal().clamp(min=FLOOR)

    def penalised(weights_P: Tensor) -> _Likelihood:
        value, gradient_P, curvature_PP = likelihood(weights_P)
        penalty = float(ridge_P @ weights_P**2) / 2
        return _Likelihood(value - penalty, gradient_P - ridge_P * weights_P, curvature_PP + ridge_P.diag())

    found = penalised(weights_P)
    for _ in range(MOST_STEPS):
        step_P = torch.linalg.solve(found.curvature_PP, found.gradient_P)
        if float(found.gradient_P @ step_P) < ENOUGH:
            break
        following = penalised(weights_P + step_P)
        for _ in range(MOST_HALVINGS):
            if following.value >= found.value:
                break
            step_P = step_P / 2
            following = penalised(weights_P + step_P)
        weights_P, found = weights_P + step_P, following
    return weights_P
