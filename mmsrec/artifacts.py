"""The schema of every table that a stage writes; reading and writing check it.

| kind | columns |
| --- | --- |
| interactions | user, item, timestamp (seconds since 1970), in the order of the source file |
| raw_items | item_id, title, text, media_url: one row per item that the source describes |
| sequences | user_index, user, items (item_index values in time order), timestamps (of the items) |
| items | item_index (the row number), item_id, title, text, media_url |
| attributes | item_id (in the order of `items`), attributes (each `FIELD=NAME`, such as `brand=COKA`) |
| ledger | item_id, state, url, status (HTTP), bytes, sha256, attempts, error, path (below the ledger's folder) |
| frames | item_id, frame_index (in display order), seconds, jpeg; the frames of a video are consecutive rows |
| features | item_id, frames (images that the vector averages, 1 for text), embedding (float16) |
| pairs | pair_id, vision (float16) or frames (a list of such vectors), text (float16); null if missing |
| history | a row per epoch: epoch, loss, recall@10 (validation), learning_rate, seconds, positions, efficiency |
| pretrain_history | one row per epoch: epoch, loss, its terms (null where not used), learning_rate, seconds, pairs |
| ranks | user, target, rank (among all items; 1 is best; equal scores share the mean), ties, |
|       | unseen_rank and unseen_ties (the same without the user's history), top (best item_index values) |
| cold_ranks | the columns of `ranks`, cold_rank and cold_ties (the same among the cold items alone) |
| retrieval_ranks | model, direction (text_to_video, video_to_text), pair_id, rank (1 is best), ties |
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mmsrec.errors import ArtifactError
from mmsrec.files import atomic_path

COMPACT = {"compression": "zstd"}
# float16 vectors hardly compress. Plain pages are read and written fastest, and their checksums show damage.
VECTORS = {"compression": "none", "use_dictionary": False, "write_statistics": False, "write_page_checksum": True}

_RANKS = [
    pa.field("user", pa.string(), nullable=False),
    pa.field("target", pa.string(), nullable=False),
    pa.field("rank", pa.float64(), nullable=False),
    pa.field("ties", pa.uint32(), nullable=False),
    pa.field("unseen_rank", pa.float64(), nullable=False),
    pa.field("unseen_ties", pa.uint32(), nullable=False),
    pa.field("top", pa.list_(pa.uint32()), nullable=False),
]

SCHEMAS: dict[str, pa.Schema] = {
    "interactions": pa.schema(
        [
            pa.field("user", pa.string(), nullable=False),
            pa.field("item", pa.string(), nullable=False),
            pa.field("timestamp", pa.int64(), nullable=False),
        ]
    ),
    "raw_items": pa.schema(
        [
            pa.field("item_id", pa.string(), nullable=False),
            ("title", pa.string()),
            ("text", pa.string()),
            ("media_url", pa.string()),
        ]
    ),
    "sequences": pa.schema(
        [
            pa.field("user_index", pa.uint32(), nullable=False),
            pa.field("user", pa.string(), nullable=False),
            pa.field("items", pa.list_(pa.uint32()), nullable=False),
            pa.field("timestamps", pa.list_(pa.int64()), nullable=False),
        ]
    ),
    "items": pa.schema(
        [
            pa.field("item_index", pa.uint32(), nullable=False),
            pa.field("item_id", pa.string(), nullable=False),
            ("title", pa.string()),
            ("text", pa.string()),
            ("media_url", pa.string()),
        ]
    ),
    "attributes": pa.schema(
        [
            pa.field("item_id", pa.string(), nullable=False),
            pa.field("attributes", pa.list_(pa.field("item", pa.string(), nullable=False)), nullable=False),
        ]
    ),
    "ledger": pa.schema(
        [
            pa.field("item_id", pa.string(), nullable=False),
            pa.field("state", pa.string(), nullable=False),
            ("url", pa.string()),
            ("status", pa.uint16()),
            ("bytes", pa.uint64()),
            ("sha256", pa.string()),
            pa.field("attempts", pa.uint32(), nullable=False),
            ("error", pa.string()),
            ("path", pa.string()),
        ]
    ),
    "frames": pa.schema(
        [
            pa.field("item_id", pa.string(), nullable=False),
            pa.field("frame_index", pa.uint32(), nullable=False),
            pa.field("seconds", pa.float64(), nullable=False),
            pa.field("jpeg", pa.binary(), nullable=False),
        ]
    ),
    "history": pa.schema(
        [
            pa.field("epoch", pa.uint32(), nullable=False),
            pa.field("loss", pa.float64(), nullable=False),
            ("recall@10", pa.float64()),
            pa.field("learning_rate", pa.float64(), nullable=False),
            pa.field("seconds", pa.float64(), nullable=False),
            pa.field("positions", pa.uint64(), nullable=False),
            pa.field("efficiency", pa.float64(), nullable=False),
        ]
    ),
    "pretrain_history": pa.schema(
        [
            pa.field("epoch", pa.uint32(), nullable=False),
            pa.field("loss", pa.float64(), nullable=False),
            ("vv", pa.float64()),
            ("tt", pa.float64()),
            ("vt", pa.float64()),
            ("both", pa.float64()),
            pa.field("learning_rate", pa.float64(), nullable=False),
            pa.field("seconds", pa.float64(), nullable=False),
            pa.field("pairs", pa.uint64(), nullable=False),
        ]
    ),
    "ranks": pa.schema(_RANKS),
    "cold_ranks": pa.schema(
        [
            *_RANKS,
            pa.field("cold_rank", pa.float64(), nullable=False),
            pa.field("cold_ties", pa.uint32(), nullable=False),
        ]
    ),
    "retrieval_ranks": pa.schema(
        [
            pa.field("model", pa.string(), nullable=False),
            pa.field("direction", pa.string(), nullable=False),
            pa.field("pair_id", pa.string(), nullable=False),
            pa.field("rank", pa.float64(), nullable=False),
            pa.field("ties", pa.uint32(), nullable=False),
        ]
    ),
}


def features_schema(dim: int) -> pa.Schema:
    """The schema of a feature file whose vectors have `dim` components."""
    return pa.schema(
        [
            pa.field("item_id", pa.string(), nullable=False),
            pa.field("frames", pa.uint16(), nullable=False),
            pa.field("embedding", pa.list_(pa.float16(), dim), nullable=False),
        ]
    )


def pairs_schema(vision: int, text: int, keep: str = "mean") -> pa.Schema:
    """The schema for a shard of pairs, whose vectors have `vision` and `text` components.

    Args:
        keep: `mean` for one vision vector for each pair, `frames` for one vector for each frame.
    """
    vectors = vectors_type(vision)
    kept = ("vision", vectors) if keep == "mean" else ("frames", pa.list_(pa.field("item", vectors, nullable=False)))
    return pa.schema([pa.field("pair_id", pa.string(), nullable=False), kept, ("text", vectors_type(text))])


def vectors_type(dim: int) -> pa.DataType:
    """The type of a pair's vector. Components without nulls halve the time to read them."""
    return pa.list_(pa.field("item", pa.float16(), nullable=False), dim)


def write_table(path: Path, table: pa.Table, schema: pa.Schema, metadata: Mapping[str, str] | None = None) -> None:
    """Writes a table atomically, cast to `schema`; `metadata` is added to the file's key-value metadata.

    Raises:
        ArtifactError: a column is missing, has another type or holds a null where the schema forbids it.
    """
    write_batches(path, [table], schema, metadata)


def write_batches(
    path: Path,
    tables: Iterable[pa.Table],
    schema: pa.Schema,
    metadata: Mapping[str, str] | None = None,
    storage: Mapping[str, Any] = COMPACT,
    notes: Callable[[], Mapping[str, str]] = dict,
) -> int:
    """Writes tables one after another to one file, so memory holds one at a time; errors as in `write_table`.

    Args:
        storage: options of `pyarrow.parquet.ParquetWriter`.
        notes: returns further key-value metadata after the last table.

    Returns:
        The number of rows written.
    """
    rows = 0
    metadata = dict(metadata or {})
    with (
        atomic_path(path) as temporary,
        pq.ParquetWriter(temporary, schema.with_metadata(metadata), **storage) as writer,
    ):
        for table in tables:
            writer.write_table(_conform(table, schema, path).replace_schema_metadata(metadata))
            rows += table.num_rows
        writer.add_key_value_metadata(dict(notes()))
    return rows


def _conform(table: pa.Table, schema: pa.Schema, path: Path) -> pa.Table:
    expected = set(schema.names)
    if set(table.column_names) != expected:
        raise ArtifactError(
            "A table does not have the columns of its artifact.",
            where=path,
            expected=sorted(expected),
            found=sorted(table.column_names),
        )
    try:
        table = table.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise ArtifactError(
            "A table does not fit the schema of its artifact.", where=path, expected=schema, found=error
        ) from error
    for field in schema:
        if not field.nullable and table.column(field.name).null_count:
            raise ArtifactError("A column holds nulls that its schema forbids.", where=f"{path}: {field.name}")
    return table


def open_table(path: Path, schema: pa.Schema | None = None) -> pq.ParquetFile:
    """Opens a Parquet file for reading in parts, after a check of its columns.

    Raises:
        ArtifactError: the file is missing, is not Parquet, or its columns are not those of `schema`.
    """
    try:
        file = pq.ParquetFile(path, memory_map=True, page_checksum_verification=True)
    except FileNotFoundError as error:
        raise ArtifactError("An artifact is missing.", where=path, fix="Run the stage that writes it.") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise ArtifactError(
            "An artifact is not a readable Parquet file.",
            where=path,
            found=error,
            fix="If a stage wrote it, delete it and run the stage again. Else save it again as Parquet.",
        ) from error
    found = file.schema_arrow.remove_metadata()
    if schema is not None and not fits(found, schema):
        raise ArtifactError(
            "An artifact does not follow its schema.",
            where=path,
            expected=schema.to_string(),
            found=found.to_string(),
            fix="Delete it and run the stage that writes it: another version of mmsrec may have written it.",
        )
    return file


def fits(found: pa.Schema, schema: pa.Schema) -> bool:
    """Whether a table of the schema `found` is one of `schema`; a column that allows nulls may be one without nulls."""
    return found.names == schema.names and all(
        own.type == field.type and (field.nullable or not own.nullable)
        for own, field in zip(found, schema, strict=True)
    )


def read_table(path: Path, schema: pa.Schema | None = None) -> pa.Table:
    """Reads a whole Parquet file after a check of its columns; errors as in `open_table`."""
    with open_table(path, schema) as file, damage_named(path):
        return file.read()


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turns the errors of a read of damaged rows into an ArtifactError. The footer may be sound all the same."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise ArtifactError(
            "An artifact is damaged.",
            where=path,
            found=str(error)[:200],
            fix="If a stage wrote it, delete it and run the stage again. Else save it again as Parquet.",
        ) from error
