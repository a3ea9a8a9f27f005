"""The training sequences that a rule of augmentation makes from users' actions."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mmsrec.nn.user_sequences import Sequences
from mmsrec.settings.trainer import Augment

SHORTEST = 2
HELD_OUT = 2  # the validation and the test item of every user


@dataclass(frozen=True)
class Examples:
    """Training sequences: the actions of a user up to an end. A user's sequences stand together, the shortest first.

    Attributes:
        users_E: index of the user.
        ends_E: one past the last action, as a position in `Sequences.items_A`.
    """

    users_E: Tensor
    ends_E: Tensor


def examples(sequences: Sequences, augment: Augment, max_length: int) -> Examples:
    """The training sequences of all users.

    Args:
        sequences: sequences of all users.
        augment: `prefixes` gives every prefix of at least two items. `random` gives the same prefixes, of which an
            epoch draws one for each user. `windows` gives windows of `max_length` items that overlap by one item and
            together hold the whole sequence. `none` gives the whole sequence alone; a model sees its last `max_length`
            items.
        max_length: N.
    """
    lengths_U = sequences.ends(HELD_OUT) - sequences.offsets_U1[:-1]
    stride = max_length - 1
    prefixes = (lengths_U - 1, 1)
    count_U, between = {
        "prefixes": prefixes,
        "random": prefixes,
        "windows": (-(-(lengths_U - 1) // stride), stride),
        "none": (torch.ones_like(lengths_U), 0),
    }[augment]
    count_U = count_U.clamp(min=0) * (lengths_U >= SHORTEST)
    users_E = torch.repeat_interleave(count_U)
    from_last_E = (count_U.cumsum(0))[users_E] - 1 - torch.arange(len(users_E), device=users_E.device)
    return Examples(users_E, sequences.ends(HELD_OUT)[users_E] - from_last_E * between)


def one_of_each_user(chosen: Examples, generator: torch.Generator) -> Tensor:
    """The index of one sequence of each user that has any, drawn uniformly, in the order of the users.

    Args:
        chosen: sequences of users.
        generator: a generator on the CPU, so that every device gets the same draws.
    """
    counts_U = torch.unique_consecutive(chosen.users_E, return_counts=True)[1]
    drawn_U = torch.rand(len(counts_U), dtype=torch.float64, generator=generator).to(counts_U.device)
    return counts_U.cumsum(0) - counts_U + (drawn_U * counts_U).long()
