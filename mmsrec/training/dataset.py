"""What a model is built from, and which class a variant's `model` names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import torch

from mmsrec.artifacts import SCHEMAS, read_table
from mmsrec.errors import CatalogueError
from mmsrec.features.feature_file import read_features, read_provenance
from mmsrec.files import sha256
from mmsrec.models.mmsrec import MMSRec
from mmsrec.models.pop import Pop
from mmsrec.models.recommender import Features, ModelInputs, Recommender
from mmsrec.models.sasrec import SASRec
from mmsrec.nn.user_sequences import Sequences
from mmsrec.settings.experiments import Training

SHORTEST_SEQUENCE = 3  # a training item, the validation item and the test item


@dataclass(frozen=True)
class Catalogue:
    """A k-core with the features that a variant reads.

    Attributes:
        item_ids: in the order of items.parquet.
        users: names, in the order of the sequences.
        sequences: of all users.
        features: by modality.
        inputs: SHA-256 of every file that was read, by name.
        encoder_digests: identity of the encoder that made the features, by modality.
    """

    item_ids: list[str]
    users: list[str]
    sequences: Sequences
    features: dict[str, Features]
    inputs: dict[str, str]
    encoder_digests: dict[str, str] = field(default_factory=dict)


class FeatureInput(NamedTuple):
    """A feature file, and the digest of the encoder that must have made it; None leaves that open."""

    path: Path
    encoder_digest: str | None


def read_catalogue(data: Path, features: Mapping[str, FeatureInput], device: torch.device) -> Catalogue:
    """Reads a k-core's folder and the feature files of a variant.

    Args:
        data: folder with items.parquet and sequences.parquet.
        features: by modality; empty for a model of item ids.
        device: of the sequences; the features follow the model.

    Raises:
        ArtifactError: a table is missing or damaged.
        FeatureError: a feature file is stale or damaged.
        CatalogueError: a sequence is too short, or no item has any of the features.
    """
    items = read_table(data / "items.parquet", SCHEMAS["items"])
    users = read_table(data / "sequences.parquet", SCHEMAS["sequences"]).column("user").to_pylist()
    sequences = Sequences.read(data / "sequences.parquet", device)
    shortest = int(sequences.offsets_U1.diff().min())
    if shortest < SHORTEST_SEQUENCE:
        raise CatalogueError(
            "A sequence is too short for leave-one-out.",
            where=data / "sequences.parquet",
            expected=f"at least {SHORTEST_SEQUENCE} actions a user",
            found=shortest,
            fix=f"Prepare the domain with k_core of at least {SHORTEST_SEQUENCE}.",
        )
    read = {modality: _features(file, items.column("item_id")) for modality, file in features.items()}
    paths = [data / "items.parquet", data / "sequences.parquet", *(file.path for file in features.values())]
    return Catalogue(
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
        raise CatalogueError(
            "No item of the catalogue has these features.",
            where=file.path,
            expected="features of the same domain's items",
            fix="Run extract_features for this domain again.",
        )
    return Features(torch.from_numpy(embeddings).float(), torch.from_numpy(present))


NETWORKS: dict[str, type[Recommender]] = {"pop": Pop, "sasrec": SASRec, "mmsrec": MMSRec}


def build(model: str, catalogue: Catalogue, settings: Training) -> Recommender:
    """The untrained model of a variant, on the device of the catalogue's sequences; torch's seed is the caller's."""
    inputs = ModelInputs(len(catalogue.item_ids), catalogue.features)
    return NETWORKS[model](inputs, settings, settings).to(catalogue.sequences.items_A.device)
