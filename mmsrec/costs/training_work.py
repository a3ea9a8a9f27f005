"""How much a training computes, from its settings and the size of its data set."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mmsrec.models.registry import MODELS
from mmsrec.settings.params import ModelSettings
from mmsrec.settings.trainer import Trainer

TESTED = 2  # the last actions of a user, which validation and test have
LONGEST = 50  # lengths up to so many times the mean are counted


@dataclass(frozen=True)
class Size:
    """The size of a data set, or of a corpus, whose clips are items and whose captions are actions."""

    users: int
    items: int
    actions: int

    @property
    def mean_length(self) -> float:
        return self.actions / max(self.users, 1)


def mean_over_users(size: Size, k_core: int, value: Callable[[np.ndarray], np.ndarray]) -> float:
    """The mean of a function of a user's number of actions.

    Lengths are not known before the data are there. So they are geometric from k on, with the mean of the data.
    """
    beyond = max(size.mean_length - k_core, 0)
    steps = np.arange(math.ceil(LONGEST * beyond) + 1)
    stops = 1 / (1 + beyond)
    shares = stops * (1 - stops) ** steps
    return float((shares * value(k_core + steps)).sum() / shares.sum())


def _prefixes(trainer: Trainer) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    def all_of(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        longest = np.maximum(lengths - TESTED, 1)
        short = np.minimum(longest, trainer.max_length)
        # Prefixes of 2 to `short` items, and then windows of the longest length.
        return np.maximum(longest - 1, 0), short * (short + 1) / 2 - 1 + (longest - short) * trainer.max_length

    return all_of


def _random(trainer: Trainer) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    def one_of(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        count, places = _prefixes(trainer)(lengths)
        return np.ones_like(count), places / np.maximum(count, 1)

    return one_of


def _windows(trainer: Trainer) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    def cut(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        longest = lengths - TESTED
        return np.maximum(np.ceil((longest - 1) / (trainer.max_length - 1)), 1), longest

    return cut


def _ends(trainer: Trainer) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    return lambda lengths: (np.ones_like(lengths), np.minimum(lengths - TESTED, trainer.max_length))


# For numbers of actions of users: numbers of training sequences, and of their places, in an epoch.
_SEQUENCES = {"prefixes": _prefixes, "random": _random, "windows": _windows, "none": _ends}


def training_work(settings: ModelSettings, size: Size, k_core: int, modalities: int, epochs: int) -> dict[str, float]:
    """The amounts of a training by unit.

    Args:
        modalities: number of modalities that the model reads; 0 for a model of item ids.
        epochs: largest number of epochs.

    Returns:
        step: number of steps.
        place: items of the training sequences, once for each modality.
        item: items that the steps encode, once for each modality.
        user: users whom validation ranks.
        parameter: numbers of the weights.
    """
    trainer = settings.trainer
    if not MODELS[settings.model].trained:
        return {"action": size.actions}
    count = _SEQUENCES[trainer.augment](trainer)
    epochs = min(trainer.max_epochs, epochs)
    users = trainer.training_users * size.users
    sequences, places = (users * mean_over_users(size, k_core, lambda n, part=part: count(n)[part]) for part in (0, 1))
    steps = epochs * math.ceil(sequences / trainer.batch_size)
    ranked = min(trainer.validation_users or size.users, size.users) if MODELS[settings.model].validated else 0
    return {
        "step": steps,
        "place": epochs * places * max(modalities, 1),
        "item": steps * min(size.items, trainer.sampled_items * 2 or size.items) * max(modalities, 1),
        "user": epochs * ranked,
        "parameter": parameters(settings, size.items, modalities),
    }


def parameters(settings: ModelSettings, items: int, modalities: int, features: int = 512) -> float:
    """About how many numbers the weights of a trained model have; features have this width."""
    own = settings.settings.model_dump()
    dim = own.get("dim", 0)
    block = 4 * dim**2 + 2 * dim * own.get("feedforward", 2 * dim)
    vectors = features * dim * modalities if modalities else items * dim
    return own.get("layers", 1) * block + vectors
