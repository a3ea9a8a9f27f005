"""A pre-trained item encoder as a folder: weights.safetensors, config.json and history.parquet."""

from dataclasses import dataclass, field
from pathlib import Path

from mmsrec.errors import ArtifactError
from mmsrec.files import read_json
from mmsrec.nn.item_encoder import ItemEncoder
from mmsrec.settings.pretraining import Pretraining
from mmsrec.training.runtime import seed_everything
from mmsrec.training.weights import load_weights


@dataclass(frozen=True)
class PretrainedConfig:
    """What an item encoder was pre-trained from.

    Attributes:
        name, corpus, encoder, seed: of its row.
        settings: of the pre-training.
        widths: of the features, by modality.
        encoder_digest: identity of the frozen encoder that made the features.
        pairs: how many.
        corpus_digest: stands for the content of all shards.
        processes: how many shared a batch, where negatives are local and so depend on it; None where they are global.
        untrained: tensors that no gradient reached.
    """

    name: str
    corpus: str
    encoder: str
    seed: int
    settings: dict[str, object]
    widths: dict[str, int]
    encoder_digest: str
    pairs: int
    corpus_digest: str
    processes: int | None
    untrained: list[str] = field(default_factory=list)


def read_pretrained_config(folder: Path) -> PretrainedConfig:
    """The config.json of a pre-trained item encoder.

    Raises:
        ArtifactError: it is missing or is not one.
    """
    try:
        return PretrainedConfig(**read_json(folder / "config.json"))
    except TypeError as error:
        raise ArtifactError(
            "The config.json of a pre-trained item encoder does not have the expected keys.",
            where=folder / "config.json",
            expected=", ".join(PretrainedConfig.__dataclass_fields__),
            found=error,
            fix="Name a folder that pretrain wrote, or run it again.",
        ) from error


def untrained_encoder(config: PretrainedConfig) -> ItemEncoder:
    """The item encoder as drawn at random, its whitening not fitted; draws from torch's global generator."""
    seed_everything(config.seed, 0)
    return ItemEncoder(config.widths, Pretraining(**config.settings))


def load_untrained(folder: Path) -> ItemEncoder:
    """The item encoder as it was before its first step; errors as in `load_encoder`."""
    encoder, trained = untrained_encoder(read_pretrained_config(folder)), load_encoder(folder)
    encoder.embedding.whiten.load_state_dict(trained.embedding.whiten.state_dict())
    return encoder.eval()


def load_encoder(folder: Path) -> ItemEncoder:
    """A pre-trained item encoder in evaluation mode, on the CPU.

    Raises:
        ArtifactError: a file is missing.
        CheckpointError: the weights are damaged or do not fit.
    """
    encoder = untrained_encoder(read_pretrained_config(folder))
    load_weights(encoder, folder)
    return encoder.eval()
