"""A pre-trained item encoder as a folder: config.json, history.parquet and weights.safetensors."""

from pathlib import Path

from pydantic import Field

from mmsrec.nn.item_encoder import ItemEncoder
from mmsrec.settings.pretraining import Pretraining
from mmsrec.settings.row import Frozen, Positive, Seed, Width
from mmsrec.training.config_file import read_config_file
from mmsrec.training.runtime import seed_everything
from mmsrec.training.weights import load_weights

FIX = "Name a folder that pretrain wrote, or pre-train again."


class PretrainedConfig(Frozen):
    """Everything that decides the weights of a pre-trained item encoder.

    Attributes:
        name, corpus, encoder, seed: values of its row of `pretrainings`.
        settings: settings of the pre-training.
        widths: widths of the features, by modality.
        encoder_digest: identity of the frozen encoder that made the features (`encoders.pairs_digest`).
        pairs: number of pairs of the corpus; None for imported weights.
        corpus_digest: identifies the content of all shards; None for imported weights.
        processes: number of processes that shared a batch; None with global negatives, which do not depend on it.
        untrained: tensors that received no gradient.
        imported: SHA-256 of the file that the weights were imported from; None for weights that were trained here.
    """

    name: str
    corpus: str
    encoder: str
    seed: Seed
    settings: Pretraining
    widths: dict[str, Width]
    encoder_digest: str
    pairs: Positive | None
    corpus_digest: str | None
    processes: Positive | None
    untrained: list[str] = Field([])
    imported: str | None = None


def read_pretrained_config(folder: Path) -> PretrainedConfig:
    """The config.json of a pre-trained item encoder.

    Raises:
        ArtifactError: the file is missing.
        CheckpointError: it is not JSON, or a key is unknown, missing or of the wrong type.
    """
    return read_config_file(folder, PretrainedConfig, FIX)


def untrained_encoder(config: PretrainedConfig) -> ItemEncoder:
    """The item encoder with random weights from the config's seed; its whitening is not fitted yet."""
    seed_everything(config.seed, 0)
    return ItemEncoder(config.widths, config.settings)


def load_untrained(folder: Path) -> ItemEncoder:
    """The item encoder before its first step, with the fitted whitening; errors as in `load_pretrained`."""
    encoder, trained = untrained_encoder(read_pretrained_config(folder)), load_pretrained(folder)
    encoder.embedding.whiten.load_state_dict(trained.embedding.whiten.state_dict())
    return encoder.eval()


def load_pretrained(folder: Path) -> ItemEncoder:
    """A pre-trained item encoder in evaluation mode, on the CPU.

    Raises:
        ArtifactError: a file is missing.
        CheckpointError: the configuration or the weights are damaged or do not fit.
    """
    encoder = untrained_encoder(read_pretrained_config(folder))
    load_weights(encoder, folder)
    return encoder.eval()
