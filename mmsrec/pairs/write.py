"""Writes shards of pairs, each atomically, and the index that marks their folder as complete."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa

from mmsrec.artifacts import VECTORS, open_table, pairs_schema, vectors_type, write_batches
from mmsrec.errors import FeatureError
from mmsrec.features.feature_file import FLOAT16_EXPONENT, Provenance
from mmsrec.files import write_json
from mmsrec.pairs.read import PairBatch
from mmsrec.pairs.shard_files import INDEX

# Smaller groups shuffle better; larger groups read no faster.
ROWS_A_GROUP = 1024


def shard_name(number: int) -> str:
    """The file name of a shard."""
    return f"{number:05d}.parquet"


def pair_table(pair_ids: Sequence[str] | pa.Array, pairs: PairBatch) -> pa.Table:
    """A table of pairs with one vision vector each."""
    return pa.table(
        {
            "pair_id": pa.array(pair_ids, pa.string()),
            "vision": vectors_column(pairs.vision, ~pairs.vision_present),
            "text": vectors_column(pairs.text, ~pairs.text_present),
        }
    )


def vectors_column(vectors: np.ndarray, missing: np.ndarray | None = None) -> pa.FixedSizeListArray:
    """Turns float16 [n, width] into a column that is null where `missing`."""
    mask = None if missing is None or not missing.any() else pa.array(missing)
    with np.errstate(over="ignore"):  # an overflow becomes an infinity, which is an error when the shard is written
        halves = np.ascontiguousarray(vectors, np.float16)
    return pa.FixedSizeListArray.from_arrays(
        pa.array(halves.reshape(-1)), type=vectors_type(vectors.shape[1]), mask=mask
    )


def frames_column(frames: np.ndarray, counts: np.ndarray) -> pa.ListArray:
    """Turns float16 [frames of all pairs, width] into a column of lists with `counts` vectors each."""
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
    item = pa.field("item", vectors_type(frames.shape[1]), nullable=False)
    return pa.ListArray.from_arrays(offsets, vectors_column(frames), type=pa.list_(item))


def write_shard(
    path: Path,
    tables: Iterable[pa.Table],
    schema: pa.Schema,
    provenance: Provenance,
    notes: Callable[[], Mapping[str, str]] = dict,
) -> int:
    """Writes a shard atomically, a table at a time.

    Args:
        path: the Parquet file.
        tables: tables with the columns of `schema`.
        schema: the schema from `artifacts.pairs_schema`.
        provenance: the origin of the vectors; written to the file's metadata.
        notes: returns further metadata after the last table.

    Returns:
        The number of pairs written.

    Raises:
        FeatureError: a vector is not finite.
        ArtifactError: a table does not fit the schema.
    """
    return write_batches(path, _row_groups(tables, path), schema, asdict(provenance), VECTORS, notes)


def finalise(folder: Path, names: Sequence[str]) -> None:
    """Writes the index of a folder with all its shards, which marks the folder as complete.

    Raises:
        ArtifactError: a shard is missing or damaged.
    """
    shards = {}
    for name in names:
        with open_table(folder / name) as file:
            shards[name] = file.metadata.num_rows
    write_json(folder / INDEX, {"shards": shards})


def write_pairs(
    folder: Path, pair_ids: Sequence[str], pairs: PairBatch, provenance: Provenance, rows_a_shard: int = 2**16
) -> None:
    """Writes pairs from memory as a complete folder of shards; errors as in `write_shard`."""
    (folder / INDEX).unlink(missing_ok=True)
    schema = pairs_schema(pairs.vision.shape[1], pairs.text.shape[1])
    starts = range(0, len(pair_ids), rows_a_shard)
    for number, start in enumerate(starts):
        part = slice(start, start + rows_a_shard)
        write_shard(folder / shard_name(number), [pair_table(pair_ids[part], pairs.rows(part))], schema, provenance)
    finalise(folder, [shard_name(number) for number in range(len(starts))])


def finite(vectors: np.ndarray) -> np.ndarray:
    """Tells for each of the float16 vectors [n, width] whether all its components are finite: bool [n]."""
    # A float16 is an infinity or NaN when all bits of its exponent are set; numpy's isfinite is many times slower.
    return ((vectors.view(np.uint16) & FLOAT16_EXPONENT) != FLOAT16_EXPONENT).all(axis=1)


def _row_groups(tables: Iterable[pa.Table], path: Path) -> Iterator[pa.Table]:
    for table in tables:
        _check_finite(table, path)
        for start in range(0, table.num_rows, ROWS_A_GROUP):
            yield table.slice(start, ROWS_A_GROUP)


def _check_finite(table: pa.Table, path: Path) -> None:
    for name in table.column_names[1:]:
        for chunk in table.column(name).chunks:
            vectors = chunk.flatten() if pa.types.is_list(chunk.type) else chunk
            values = vectors.flatten().to_numpy().reshape(-1, vectors.type.list_size)
            if not finite(values).all():
                raise FeatureError(
                    "Features hold a value that is not finite.",
                    where=f"{path}: {name}",
                    expected="finite float16 values",
                    found=f"{int((~finite(values)).sum()):,} vectors with NaN or infinity",
                    fix="Look at the inputs of this shard; then run the stage again.",
                )
