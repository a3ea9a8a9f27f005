"""Small settings of models and of a trainer, and features of items, for tests."""

import torch
from torch import nn

from mmsrec.models.duorec_settings import DuoRecSettings
from mmsrec.models.gru4rec_settings import GRU4RecSettings
from mmsrec.models.mmsrec_settings import MMSRecSettings
from mmsrec.models.recommender import Features, ModelInputs
from mmsrec.models.sasrec_settings import SASRecSettings
from mmsrec.models.unisrec_settings import UniSRecSettings
from mmsrec.settings.trainer import Trainer

BLOCKS = {"dim": 16, "layers": 2, "heads": 2, "feedforward": 32, "embedding_dropout": 0.1, "hidden_dropout": 0.1}
SASREC = SASRecSettings(**BLOCKS)
GRU4REC = GRU4RecSettings(dim=16, hidden=32, dropout=0.1, objective="causal")
DUOREC = DuoRecSettings(**BLOCKS, attention_dropout=0.1, positions="start", weight=0.5, temperature=0.7)
MMSREC = MMSRecSettings(
    **BLOCKS,
    whiten=False,
    missing="mask_token",
    temperature=0.05,
    objective="masked",
    mask_probability=0.3,
    positions="end",
    item_tower="shared",
    item_embedding=False,
)
UNISREC = UniSRecSettings(
    **BLOCKS,
    attention_dropout=0.1,
    experts=3,
    adaptor_dropout=0.1,
    temperature=0.07,
    positions="start",
    objective="next",
)
TRAINER = Trainer(
    max_length=6,
    augment="prefixes",
    sampled_items=0,
    learning_rate=0.003,
    weight_decay=0.01,
    clip_norm=1.0,
    batch_size=32,
    max_epochs=3,
    patience=2,
    precision="float32",
)


def changed(settings, **changes):
    """The settings with other values."""
    return settings.model_copy(update=changes)


def enlarge(network: nn.Module, scale: float) -> None:
    """Gives a network matrices so large that attention does not average evenly, and biases that are not zero."""
    with torch.no_grad():
        for part in network.modules():
            if isinstance(part, nn.Linear | nn.Embedding):
                part.weight.mul_(scale)
            if isinstance(part, nn.Linear):
                nn.init.normal_(part.bias, std=0.3)


def text_inputs(vectors: torch.Tensor) -> ModelInputs:
    """Items that all have a text, with the given features [I, F]."""
    return ModelInputs(len(vectors), {"text": Features(vectors, torch.ones(len(vectors), dtype=torch.bool))})
