"""The data set that a model reads, with the users' sequences of a k-core and the features of its items."""

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
from mmsrec.models.attributes import Attributes
from mmsrec.models.recommender import Features
from mmsrec.nn.user_sequences import Sequences

SHORTEST_SEQUENCE = 3  # a training item, the validation item and the test item


@dataclass(frozen=True)
class Dataset:
    """A k-core with the features and attributes that a model reads.

    Attributes:
        item_ids: ids of the items in the order of items.parquet, which is the order of the item indices.
        users: names of the users, in the order of the sequences.
        sequences: all users' items.
        features: features by modality; empty for a model that knows item ids only.
        inputs: SHA-256 of every file that was read, by file name.
        encoder_digests: identity of the encoder that made the features, by modality.
        encoder_weights: SHA-256 of the encoder's weights, by modality. They differ between domains for an encoder that
            is fitted on a domain's texts.
        attributes: attributes of the items; None for a model that does not read them.
        files: the files that were read: items, sequences, attributes, and the features by modality.
        known_K: items of training and validation, ascending, for sequences with cold items; training and validation
            read no other items, and the others are tested. None: all items are known.
    """

    item_ids: list[str]
    users: list[str]
    sequences: Sequences
    features: dict[str, Features]
    inputs: dict[str, str]
    encoder_digests: dict[str, str] = field(default_factory=dict)
    encoder_weights: dict[str, str] = field(default_factory=dict)
    attributes: Attributes | None = None
    files: dict[str, Path] = field(default_factory=dict)
    known_K: torch.Tensor | None = None


class FeatureInput(NamedTuple):
    """A feature file, and the digest of the encoder that must have made it; None accepts any encoder."""

    path: Path
    encoder_digest: str | None


def read_dataset(
    items_file: Path,
    sequences_file: Path,
    features: Mapping[str, FeatureInput],
    device: torch.device,
    attributes_file: Path | None = None,
    *,
    cold_items: bool = False,
) -> Dataset:
    """Reads the items of a k-core, the sequences of a split, and the feature files and attributes of a model.

    Args:
        items_file: items.parquet of the k-core.
        sequences_file: sequences.parquet of the split.
        features: feature files by modality; empty for a model that knows item ids only.
        device: device of the sequences; features and attributes follow the model to its device.
        attributes_file: attributes.parquet of the k-core; None for a model that does not read attributes.
        cold_items: whether the split removed items from training.

    Raises:
        ArtifactError: a table is missing or damaged, or the attributes belong to other items.
        FeatureError: a feature file is stale or damaged.
        DataError: a sequence is too short, or no item has features of a modality.
    """
    items = read_table(items_file, SCHEMAS["items"])
    users = read_table(sequences_file, SCHEMAS["sequences"]).column("user").to_pylist()
    sequences = Sequences.read(sequences_file, device)
    shortest = int(sequences.offsets_U1.diff().min())
    if shortest < SHORTEST_SEQUENCE:
        raise DataError(
            "A sequence is too short for leave-one-out.",
            where=sequences_file,
            expected=f"at least {SHORTEST_SEQUENCE} actions per user",
            found=shortest,
            fix=f"Prepare the domain with a k_core of at least {SHORTEST_SEQUENCE}.",
        )
    read = {modality: _features(file, items.column("item_id")) for modality, file in features.items()}
    made = {modality: read_provenance(file.path) for modality, file in features.items()}
    item_ids = items.column("item_id").to_pylist()
    attributes = Attributes.read(attributes_file, item_ids) if attributes_file else None
    files = {"items": items_file, "sequences": sequences_file}
    files |= {modality: file.path for modality, file in features.items()}
    files |= {"attributes": attributes_file} if attributes_file else {}
    return Dataset(
        item_ids=item_ids,
        users=users,
        sequences=sequences,
        features=read,
        inputs={path.name: sha256(path) for path in sorted(files.values(), key=lambda path: path.name)},
        encoder_digests={modality: origin.digest for modality, origin in made.items()},
        encoder_weights={modality: origin.weights for modality, origin in made.items()},
        attributes=attributes,
        files=files,
        known_K=sequences.known_items() if cold_items else None,
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
