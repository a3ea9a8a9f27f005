"""A small data set, and one of our models on it with weights far from their initial values."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from mmsrec.models.attributes import Attributes
from mmsrec.models.recommender import ModelInputs, TrainedRecommender
from mmsrec.models.registry import MODELS
from mmsrec.nn.user_sequences import Sequences
from mmsrec.settings.params import read_params
from mmsrec.settings.trainer import Trainer
from mmsrec.training.runtime import seed_everything

PARAMS = Path(__file__).parents[2] / "params.yaml"
ITEMS, USERS = 80, 150
LONGEST = 50  # items of a history
SCALE = 5  # of the initial weights, so that no score is near zero


class World(NamedTuple):
    """One of our models, and the data."""

    model: TrainedRecommender
    trainer: Trainer
    attributes: Attributes
    sequences: Sequences
    reads_from_end: bool  # positions count from the end of a history


def world(variant: str) -> World:
    """The model of a variant, for training steps of all sequences together in float32, and without dropout."""
    chosen = read_params(PARAMS).settings_of("beauty", variant)
    update = {"augment": "none", "batch_size": 1 << 20, "precision": "float32", "sampled_items": 0, "clip_norm": None}
    trainer = chosen.trainer.model_copy(update=update | {"max_length": LONGEST + 1})
    attributes = Attributes(described())
    seed_everything(1)
    network = MODELS[chosen.model].network_class()
    settings = chosen.settings
    if hasattr(settings, "objective"):
        # RecBole trains on prefixes.
        settings = settings.model_copy(update={"objective": "next"})
    model = network(ModelInputs(ITEMS, {}, attributes), settings, trainer).eval()
    with torch.no_grad():
        for weight in model.parameters():
            # Biases and LayerNorms, too, so that an error in them shows.
            weight.copy_(SCALE * weight if weight.dim() > 1 else weight + 0.1 * torch.randn(weight.shape))
    return World(model, trainer, attributes, sequences_of(walks()), getattr(settings, "positions", "") == "end")


def weights_of(model: torch.nn.Module) -> dict[str, np.ndarray]:
    """The weights by name."""
    return {name: weight.detach().numpy() for name, weight in model.named_parameters()}


def sequences_of(lists: list[list[int]]) -> Sequences:
    """Sequences of the users in order."""
    lengths = torch.tensor([0, *map(len, lists)])
    return Sequences(torch.tensor([item for items in lists for item in items]), lengths.cumsum(0))


def walks() -> list[list[int]]:
    """Users' sequences of 4 items and more, some longer than the longest history, in which every item occurs."""
    generator = np.random.default_rng(3)
    lengths = generator.integers(4, LONGEST + 10, USERS)
    return [generator.integers(ITEMS, size=length).tolist() for length in lengths] + [[*range(ITEMS)]]


def described() -> list[list[str]]:
    """Each item's attributes: at most one brand and up to three categories; some items have none."""
    generator = np.random.default_rng(5)
    brands = [[f"brand={generator.integers(9)}"] if generator.random() < 0.7 else [] for _ in range(ITEMS)]
    counts = generator.integers(4, size=ITEMS)
    categories = [[f"category={name}" for name in generator.choice(12, count, replace=False)] for count in counts]
    return [[*brand, *row] for brand, row in zip(brands, categories, strict=True)]
