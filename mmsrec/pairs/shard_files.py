"""Reads the files of a folder of pairs: the index, the shards' footers and their row groups."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from mmsrec.artifacts import open_table, pairs_schema
from mmsrec.errors import ArtifactError
from mmsrec.files import read_json

INDEX = "index.json"


class Footer(NamedTuple):
    """The contents of a shard's footer.

    Attributes:
        schema: its columns.
        widths: components of a vector, by modality.
        digest: identity of the encoder.
        groups: [row groups], the number of pairs in each.
    """

    schema: pa.Schema
    widths: dict[str, int]
    digest: str
    groups: np.ndarray


def read_index(folder: Path) -> dict[str, int]:
    """The number of pairs in each shard of a complete folder.

    Raises:
        ArtifactError: the folder is missing or not finalised, or its index is not valid.
    """
    index = folder / INDEX
    if not index.is_file():
        raise ArtifactError(
            "A folder of pairs is missing or not complete.",
            where=folder,
            expected=f"shards and {INDEX}, which is written last",
            found=f"{len(list(folder.glob('*.parquet'))):,} shards" if folder.is_dir() else "no such folder",
            fix="Run the stage that writes the folder; it resumes.",
        )
    listed = read_json(index)
    shards = listed.get("shards") if isinstance(listed, dict) else None
    good = isinstance(shards, dict) and all(
        PurePath(name).name == name and type(rows) is int and rows >= 0 for name, rows in shards.items()
    )
    if not good or not sum(shards.values()):
        raise ArtifactError(
            "The index of a folder of pairs is not valid.",
            where=index,
            expected='{"shards": {"NNNNN.parquet": pairs, ...}}, with at least one pair',
            fix="Delete it and run the stage that writes the pairs.",
        )
    return shards


def read_footer(path: Path) -> Footer:
    """Reads the footer of a shard.

    Raises:
        ArtifactError: the file is missing, damaged or no shard of pairs.
    """
    with open_table(path) as file:
        schema, metadata = file.schema_arrow.remove_metadata(), file.schema_arrow.metadata or {}
        groups = np.array([file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)], np.int64)
    names = schema.names
    types = [kind.value_type if pa.types.is_list(kind) else kind for kind in schema.types[1:]]
    widths = {name: kind.list_size for name, kind in zip(("vision", "text"), types, strict=False) if _is_vector(kind)}
    keep = "frames" if "frames" in names else "mean"
    if len(widths) != 2 or not schema.equals(pairs_schema(**widths, keep=keep)) or b"digest" not in metadata:
        raise ArtifactError(
            "A file is no shard of pairs.",
            where=path,
            expected="the columns pair_id, vision or frames, text, and the metadata digest",
            found=f"{schema.to_string()} and the metadata {sorted(key.decode() for key in metadata)}",
            fix="Delete the folder and run the stage that writes it.",
        )
    return Footer(schema, widths, metadata[b"digest"].decode(), groups)


def read_ids(path: Path, schema: pa.Schema) -> pa.ChunkedArray:
    """The ids of a shard's pairs; errors as in `read_group`."""
    with _damage_named(path), open_table(path, schema) as file:
        return file.read(["pair_id"]).column(0)


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise damaged(path, error) from error


def _is_vector(kind: pa.DataType) -> bool:
    return pa.types.is_fixed_size_list(kind) and kind.list_size > 0  # a damaged footer may state any number


def read_group(
    path: Path,
    group: int,
    schema: pa.Schema,
    vision: np.ndarray,
    vision_present: np.ndarray,
    text: np.ndarray,
    text_present: np.ndarray,
) -> None:
    """Reads a row group into the given arrays, which have its size. The vision vector is the mean over frames.

    Raises:
        ArtifactError: the shard is damaged.
    """
    with _damage_named(path), open_table(path, schema) as file:
        table = file.read_row_group(group, columns=schema.names[1:], use_threads=False)
    vision_column, text_column = (column.combine_chunks() for column in table.columns)
    copy = _copy_vectors if _is_vector(vision_column.type) else _average_frames
    copy(vision_column, vision, vision_present)
    _copy_vectors(text_column, text, text_present)


def _copy_vectors(column: pa.FixedSizeListArray, vectors: np.ndarray, present: np.ndarray) -> None:
    vectors[:] = _components(column)
    present[:] = column.is_valid().to_numpy(zero_copy_only=False)
    vectors[~present] = 0


def _average_frames(column: pa.ListArray, vectors: np.ndarray, present: np.ndarray) -> None:
    counts = column.value_lengths().fill_null(0).to_numpy()
    present[:] = counts > 0
    if present.any():
        starts = (np.cumsum(counts) - counts)[present]
        sums = np.add.reduceat(_components(column.flatten()), starts, axis=0, dtype=np.float32)
        vectors[present] = sums / counts[present, None]


def _components(column: pa.FixedSizeListArray) -> np.ndarray:
    """The vectors [n, width] without a copy; null entries hold arbitrary numbers."""
    width = column.type.list_size
    components = np.frombuffer(column.values.buffers()[1], np.float16)
    return components[column.offset * width : (column.offset + len(column)) * width].reshape(-1, width)


def damaged(path: Path, found: object) -> ArtifactError:
    """The error for a shard whose bytes have changed."""
    return ArtifactError(
        "A shard of pairs is damaged.",
        where=path,
        found=found,
        fix="Delete the shard and index.json, and run the stage that writes the pairs.",
    )
