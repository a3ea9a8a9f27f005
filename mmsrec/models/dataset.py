"""A data set as a model reads it: the users' sequences of a k-core, and the features of its items."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import torch

from mmsrec.artifacts import SCHEMAS, read_table
from mmsrec.errors import DataError
from mmsrec.features.feature_file import read_features, read_provenance
from mmsrec.files import sha256
from mmsrec.models.recommender import Features
from mmsrec.nn.user_sequences import Sequences

SHORTEST_SEQUENCE = 3  # a training item, the validation item and the test item


@dataclass(frozen=True)
class Dataset:
    """A k-core with the features that a model reads.

    Attributes:
        item_ids: in the order of items.parquet, which is the order of the item indices.
        users: names, in the order of the sequences.
        sequences: all users' items.
        features: by modality; empty for a model that knows item ids only.
        inputs: SHA-256 of every file that was read, by file name.
        encoder_digests: identity of the encoder that made the features, by modality.
    """

    item_ids: list[str]
    users: list[str]
    sequences: Sequences
    features: dict[str, Features]
    inputs: dict[str, str]
    encoder_digests: dict[str, str] = field(default_factory=dict)


class FeatureInput(NamedTuple):
    """A feature file, and the digest of the encoder that must have made it; None accepts any encoder."""

    path: Path
    encoder_digest: str | None


def read_dataset(data: Path, features: Mapping[str, FeatureInput], device: torch.device) -> Dataset:
    """Reads a k-core's folder and the feature files of a model.

    Args:
        data: folder with items.parquet and sequences.parquet.
        features: by modality; empty for a model that knows item ids only.
        device: holds the sequences; the features follow the model to its device.

    Raises:
        ArtifactError: a table is missing or damaged.
        FeatureError: a feature file is stale or damaged.
        DataError: a sequence is too short, or no item has features of a modality.
    """
    items = read_table(data / "items.parquet", SCHEMAS["items"])
    users = read_table(data / "sequences.parquet", SCHEMAS["sequences"]).column("user").to_pylist()
    sequences = Sequences.read(data / "sequences.parquet", device)
    shortest = int(sequences.offsets_U1.diff().min())
    if shortest < SHORTEST_SEQUENCE:
        raise DataError(
            "A sequence is too short for leave-one-out.",
            where=data / "sequences.parquet",
            expected=f"at least {SHORTEST_SEQUENCE} actions per user",
            found=shortest,
            fix=f"Prepare the domain with a k_core of at least {SHORTEST_SEQUENCE}.",
        )
    read = {modality: _features(file, items.column("item_id")) for modality, file in features.items()}
    paths = [data / "items.parquet", data / "sequences.parquet", *(file.path for file in features.values())]
    return Dataset(
        item_ids=items.column("item_id").to_pylist(),
        users=users,
        sequences=sequences,
        features=read,
        inputs={path.name: sha256(path) for path in sorted(paths, key=lambda path: path.name)},
        encoder_digests={modality: read_provenance(file.path).digest for modality, file in features.items()},
    )


def _features(file: FeatureInput, item_ids: pa.ChunkedArray) -> Features:
    embeddings, present = read_features(file.path, item_ids, file.encoder_digest)
    if not present.any():
        raise DataError(
            "No item of the data set has these features.",
            where=file.path,
            expected="features of the items of the same domain",
            fix="Run extract_features for this domain again.",
        )
    return Features(torch.from_numpy(embeddings).float(), torch.from_numpy(present))
