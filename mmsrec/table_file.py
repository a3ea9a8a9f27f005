"""An open Parquet file whose reads name the damage, so that no reader needs to know how Arrow fails."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from mmsrec.errors import ArtifactError

Rows = TypeVar("Rows", pa.Table, pa.RecordBatch)


class TableFile(pq.ParquetFile):
    """An open Parquet file. A read of damaged rows raises ArtifactError; the footer may be sound all the same.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, memory_map=True, page_checksum_verification=True)
        self._place = path
        _check_metadata(self.schema_arrow)

    def read(self, *arguments: Any, **options: Any) -> pa.Table:
        with damage_named(self._place):
            return _validated(super().read(*arguments, **options))

    def read_row_groups(self, *arguments: Any, **options: Any) -> pa.Table:
        with damage_named(self._place):
            return _validated(super().read_row_groups(*arguments, **options))

    def read_row_group(self, *arguments: Any, **options: Any) -> pa.Table:
        with damage_named(self._place):
            return _validated(super().read_row_group(*arguments, **options))

    def iter_batches(self, *arguments: Any, **options: Any) -> Iterator[pa.RecordBatch]:
        batches = super().iter_batches(*arguments, **options)
        while True:
            with damage_named(self._place):
                batch = next(batches, None)
                if batch is None:
                    return
                _validated(batch)
            yield batch


def _validated(rows: Rows) -> Rows:
    """The same rows, after a check of their texts, offsets and indices, which Parquet's reader does not check."""
    rows.validate(full=True)
    _check_metadata(rows.schema)
    return rows


def _check_metadata(schema: pa.Schema) -> None:
    """Raises UnicodeDecodeError for metadata that are no UTF-8, at which polars stops with a panic."""
    for metadata in (schema.metadata, *(field.metadata for field in schema)):
        for text in (*(metadata or {}).keys(), *(metadata or {}).values()):
            text.decode()


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
