"""The vectors of users, from histories of similar length that are computed together."""

import torch
from torch import Tensor

from mmsrec.models.recommender import Recommender
from mmsrec.nn.encoded_items import EncodedItems
from mmsrec.nn.threads import in_threads
from mmsrec.nn.user_sequences import Sequences

# Positions of histories of similar length that are computed together, padded likewise. With more positions, few groups
# would be full, and the activations would leave a CPU's caches.
GROUP_POSITIONS = {"cpu": 1 << 12, "cuda": 1 << 17}
# Number of group widths between a length and its double. On a GPU, padding costs less than more groups.
WIDTHS = {"cpu": 8, "cuda": 1}


def user_vectors(model: Recommender, items: EncodedItems, sequences: Sequences, ends_U: Tensor) -> Tensor:
    """Vectors [U, D] of the users, from their actions before `ends_U`; similar lengths are computed together."""
    lengths_U, device = ends_U - sequences.offsets_U1[:-1], ends_U.device
    widths_U = _widths(lengths_U, WIDTHS[device.type]).clamp(max=model.longest_history)
    groups = []
    for width in torch.unique(widths_U).tolist():
        # A power of two, so that there are few shapes of groups.
        group = 1 << max(0, (GROUP_POSITIONS[device.type] // width).bit_length() - 1)
        groups += [(users_B, group, width) for users_B in torch.nonzero(widths_U == width).flatten().split(group)]

    def vectors(part: tuple[Tensor, int, int]) -> Tensor:
        users_B, group, width = part
        padded_B = padded(users_B, group)
        histories_BL = sequences.windows(padded_B, ends_U[padded_B], width, model.absent)
        return model.user_vectors(items, histories_BL)[: len(users_B)]

    vectors_UD = torch.cat(list(in_threads(vectors, groups, device)))
    users_U = torch.cat([users_B for users_B, _, _ in groups])
    return torch.empty_like(vectors_UD).index_copy_(0, users_U, vectors_UD)


def _widths(lengths_U: Tensor, per_octave: int) -> Tensor:
    """Lengths rounded up to one of few widths; a user's width depends on the user's own length alone."""
    step_U = 2 ** (lengths_U / per_octave).log2().floor().clamp(min=0).long()
    return -(-lengths_U // step_U) * step_U


def padded(users_B: Tensor, group: int) -> Tensor:
    """The users, repeated until there are `group` of them."""
    return users_B.repeat(-(-group // len(users_B)))[:group]
