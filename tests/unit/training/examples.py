"""Small settings, sequences and pairs for tests of models and training."""

import torch

from mmsrec.models.pop_settings import PopSettings
from mmsrec.nn.user_sequences import Sequences
from mmsrec.settings.params import ModelSettings
from mmsrec.settings.pretraining import Pretraining, Weights
from mmsrec.settings.row import Frozen
from mmsrec.settings.trainer import Trainer
from tests.unit.models.examples import MMSREC, TRAINER

SETTINGS = MMSREC


def chosen(model: str = "mmsrec", settings: Frozen = SETTINGS, trainer: Trainer = TRAINER) -> ModelSettings:
    """A model and all its settings."""
    return ModelSettings(model, PopSettings() if model == "pop" else settings, trainer)


PRETRAINING = Pretraining(
    dim=16,
    layers=2,
    heads=2,
    feedforward=32,
    embedding_dropout=0.1,
    hidden_dropout=0.1,
    whiten=False,
    missing="mask_token",
    temperature=0.05,
    weights=Weights(vv=0.25, tt=0.25, vt=0.25, both=0.25),
    negatives="global",
    learning_rate=0.003,
    decay=0.9,
    weight_decay=0.01,
    clip_norm=1.0,
    batch_size=32,
    max_epochs=3,
    precision="float32",
)


def walks(users: int = 40, items: int = 12, shortest: int = 4, longest: int = 9, seed: int = 0) -> Sequences:
    """Users who walk through the items in order from a random start."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(shortest, longest + 1, (users,), generator=generator)
    starts = torch.randint(items, (users,), generator=generator)
    lists = [(int(start) + torch.arange(int(length))) % items for start, length in zip(starts, lengths, strict=True)]
    return Sequences(torch.cat(lists), torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)]))
