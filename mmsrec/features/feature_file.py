"""Reads and writes feature files, which are Parquet files with one float16 vector for each item_id.

There is one file for each domain, encoder and modality.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mmsrec.artifacts import VECTORS, features_schema, open_table, write_batches
from mmsrec.errors import FeatureError
from mmsrec.table_file import damage_named
from mmsrec.workers import prefetch, threads_of_job

FLOAT16_EXPONENT = np.uint16(0x7C00)
CHECKED_TOGETHER = 1 << 10  # vectors; larger intermediate arrays would leave the caches
ROWS_A_GROUP = 1 << 15  # vectors that memory holds beside the result


@dataclass(frozen=True)
class Provenance:
    """The origin of a file's vectors; the file's metadata hold it.

    Attributes:
        encoder: name of the encoder's row.
        digest: identity of the encoder (`encoders.encoder_digest`).
        modality: vision or text.
        preprocessing: the steps before the encoder, in words.
        weights: SHA-256 of the encoder's weights, or of the table that the vectors were read from.
    """

    encoder: str
    digest: str
    modality: str
    preprocessing: str
    weights: str


class ItemVectors(NamedTuple):
    """Vectors in the order of a list of items.

    Attributes:
        embeddings: float16 [items, dim]; zeros where the item has no features.
        present: bool [items].
    """

    embeddings: np.ndarray
    present: np.ndarray


def write_features(
    path: Path,
    item_ids: Sequence[str] | pa.Array,
    frames: Sequence[int],
    embeddings: np.ndarray,
    provenance: Provenance,
) -> None:
    """Writes a feature file atomically.

    Args:
        path: the Parquet file.
        item_ids: [n], all different.
        frames: [n], images that each vector averages; 1 for a text.
        embeddings: floating point [n, dim], stored as float16.
        provenance: written to the file's metadata.

    Raises:
        FeatureError: an item occurs twice, or a vector is not finite as float16.
    """
    with np.errstate(over="ignore"):  # an overflow becomes an infinity, which is an error below
        vectors = np.ascontiguousarray(embeddings, dtype=np.float16)
    if vectors.ndim != 2 or not len(item_ids) == len(frames) == len(vectors):
        raise FeatureError(
            "Features do not fit their items.",
            where=path,
            expected=f"{len(item_ids)} vectors and {len(item_ids)} frame counts",
            found=f"vectors of shape {vectors.shape} and {len(frames)} frame counts",
        )
    ids = pa.array(item_ids, pa.string())
    check_finite(vectors, ids, path)
    check_unique(ids, path)
    dim = vectors.shape[1]
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), dim)
    table = pa.table({"item_id": ids, "frames": pa.array(frames, pa.uint16()), "embedding": column})
    groups = (table.slice(start, ROWS_A_GROUP) for start in range(0, max(1, len(ids)), ROWS_A_GROUP))
    write_batches(path, groups, features_schema(dim), asdict(provenance), VECTORS)


def read_provenance(path: Path) -> Provenance:
    """Reads the origin of a feature file's vectors.

    Raises:
        ArtifactError: the file is missing or is not Parquet.
        FeatureError: the file is no feature file.
    """
    with open_table(path) as file, damage_named(path):
        return _provenance(file, path)


def read_features(path: Path, item_ids: Sequence[str] | pa.Array, digest: str | None = None) -> ItemVectors:
    """Reads the vectors of `item_ids`, in their order. Each thread holds one row group of the file at a time.

    Args:
        path: the Parquet file.
        item_ids: [items], such as the column of items.parquet; all different.
        digest: identity of the encoder that must have made the file (`encoders.encoder_digest`).

    Raises:
        ArtifactError: the file is missing or is not Parquet.
        FeatureError: the file is no feature file, another encoder made it, or a vector is not finite.
    """
    ids = item_ids if isinstance(item_ids, pa.Array | pa.ChunkedArray) else pa.array(item_ids, pa.string())
    check_unique(ids, "item_ids")
    with open_table(path) as file:
        with damage_named(path):
            provenance = _provenance(file, path)
        if digest is not None and provenance.digest != digest:
            raise FeatureError(
                "A feature file is stale: another encoder, or the same one with other settings, made it.",
                where=path,
                expected=f"{provenance.encoder} with digest {digest}",
                found=f"{provenance.encoder} with digest {provenance.digest}",
                fix="Run extract_features again, or restore the encoder's row in params.yaml.",
            )
        with damage_named(path):
            return _gather(file, ids, path)


def _gather(file: pq.ParquetFile, ids: pa.Array | pa.ChunkedArray, path: Path) -> ItemVectors:
    dim = file.schema_arrow.field("embedding").type.list_size
    embeddings = np.zeros((len(ids), dim), np.float16)
    present = np.zeros(len(ids), bool)
    stored = file.read(columns=["item_id"]).column("item_id")
    # The place of each stored item among the wanted ones; -1 for an item that is not wanted.
    places = pc.fill_null(pc.index_in(stored, value_set=ids), -1).to_numpy()
    ends = np.cumsum([file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)], dtype=int)

    def gather_group(group: int) -> None:
        with open_table(path) as own:  # threads cannot share a reader
            column = own.read_row_group(group, columns=["embedding"]).column("embedding").combine_chunks()
        vectors = column.flatten().to_numpy(zero_copy_only=True).reshape(-1, dim)
        rows = slice(ends[group] - len(vectors), ends[group])
        check_finite(vectors, stored[rows], path)
        known = places[rows] >= 0
        # Without a copy where all items are wanted, as in the file of a whole domain.
        embeddings[places[rows][known]] = vectors if known.all() else vectors[known]

    for _ in prefetch(gather_group, range(file.num_row_groups), threads_of_job()):
        pass
    present[places[places >= 0]] = True
    return ItemVectors(embeddings, present)


def _provenance(file: pq.ParquetFile, path: Path) -> Provenance:
    kind = file.schema_arrow.field("embedding").type if "embedding" in file.schema_arrow.names else None
    dim = kind.list_size if isinstance(kind, pa.FixedSizeListType) else 0
    found: Mapping[bytes, bytes] = file.schema_arrow.metadata or {}
    names = tuple(Provenance.__dataclass_fields__)
    if not file.schema_arrow.remove_metadata().equals(features_schema(dim)) or any(
        name.encode() not in found for name in names
    ):
        raise FeatureError(
            "The file is no feature file.",
            where=path,
            expected=f"{features_schema(dim).names} and the metadata {list(names)}",
            found=f"{file.schema_arrow.names} and the metadata {sorted(key.decode() for key in found)}",
            fix="Delete it and run extract_features again.",
        )
    return Provenance(**{name: found[name.encode()].decode() for name in names})


def check_finite(vectors: np.ndarray, ids: pa.Array | pa.ChunkedArray, where: object) -> None:
    """Checks float16 vectors [items, dim]; `ids` [items] name the first bad one.

    Raises:
        FeatureError: a component is NaN or an infinity.
    """
    # A float16 is an infinity or NaN when all bits of its exponent are set; numpy's isfinite is many times slower.
    parts = (vectors[start : start + CHECKED_TOGETHER] for start in range(0, len(vectors), CHECKED_TOGETHER))
    broken = [((part.view(np.uint16) & FLOAT16_EXPONENT) == FLOAT16_EXPONENT).any(axis=1) for part in parts]
    if any(part.any() for part in broken):
        rows = np.flatnonzero(np.concatenate(broken))
        raise FeatureError(
            "Features hold a value that is not finite.",
            where=where,
            expected="finite numbers within float16's range, up to 65,504",
            found=f"{len(rows):,} vectors with NaN or infinity, the first for {ids[int(rows[0])]}",
            fix="Correct this item's text, media or given vector; then run extract_features again.",
        )


def check_unique(ids: pa.Array | pa.ChunkedArray, where: object) -> None:
    """Checks that each id occurs once.

    Raises:
        FeatureError: an id occurs twice.
    """
    counts = pc.value_counts(ids)
    repeated = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(repeated):
        raise FeatureError(
            "An item occurs more than once.",
            where=where,
            expected="each item_id once",
            found=f"{len(repeated):,} ids that occur again, the first is {repeated[0]['values']}",
            fix="Keep one row for each item_id.",
        )
