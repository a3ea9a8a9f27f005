"""Describes an artifact in words: schema, counts, the share of missing values, and details of its kind."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from mmsrec.artifacts import SCHEMAS, fits, open_table, read_table
from mmsrec.errors import ArtifactError
from mmsrec.features.feature_file import read_features, read_provenance
from mmsrec.features.frame_table import read_undecodable
from mmsrec.inspect.other_files import describe_file

REASONS_SHOWN = 5
FILES_SHOWN = 20
TABLE = ".parquet"
# The kinds of files that a folder's description names; it may hold a million pictures besides.
IN_FOLDERS = {TABLE, ".json", ".safetensors"}


def describe(artifact: Path, items: Path | None = None) -> str:
    """Describes a file, or every table, JSON file and file of weights below a folder.

    Args:
        artifact: a file or a folder.
        items: items.parquet, to count the items without features.

    Raises:
        ArtifactError: there is no such file, the folder is empty, or a file is damaged.
        FeatureError: a feature file is damaged.
    """
    if not artifact.is_dir():
        return "\n".join(_file(artifact, items))
    files = [path for path in sorted(artifact.rglob("*")) if path.is_file() and not _is_hidden(path, artifact)]
    chosen = [path for path in files if path.suffix in IN_FOLDERS] or files[:FILES_SHOWN]
    if not chosen:
        raise ArtifactError(
            "The folder holds no artifact.",
            where=artifact,
            expected="tables, JSON, weights, or any other file",
            fix="Run the stage that writes it.",
        )
    described = ["\n".join(_file(path, items)) for path in chosen]
    if rest := len(files) - len(chosen):
        described.append(f"and {rest:,} further files; name one of them to see it")
    return "\n\n".join(described)


def _is_hidden(path: Path, folder: Path) -> bool:
    """Whether a file lies in a hidden folder, which holds partial work."""
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _file(path: Path, items: Path | None) -> Iterable[str]:
    return _table(path, items) if path.suffix == TABLE else describe_file(path)


def kind_of(file: pq.ParquetFile) -> str:
    """The kind of artifact, from a file's columns; `table` for other columns."""
    schema = file.schema_arrow.remove_metadata()
    if "embedding" in schema.names:
        return "features"
    # Kinds with equal columns share one description, so the first match serves.
    return next((kind for kind, known in SCHEMAS.items() if fits(schema, known)), "table")


def _table(path: Path, items: Path | None) -> Iterator[str]:
    with open_table(path) as file:
        kind = kind_of(file)
        yield f"{path}: {kind}"
        yield f"  {file.metadata.num_rows:,} rows, {file.num_row_groups:,} row groups, {path.stat().st_size:,} bytes"
        yield from _columns(path, file)
    yield from DETAILS.get(kind, lambda path, items: ())(path, items)


def _columns(path: Path, file: pq.ParquetFile) -> Iterator[str]:
    schema = file.schema_arrow
    nullable = [field.name for field in schema if field.nullable]
    missing, rows = Counter(), file.metadata.num_rows
    for batch in file.iter_batches(columns=nullable) if nullable else ():
        missing.update({name: batch.column(name).null_count for name in nullable})
    for field in schema:
        share = f"{missing[field.name] / max(rows, 1):.1%} missing" if field.nullable else ""
        yield f"  {field.name:<16}{field.type!s:<40}{share}".rstrip()


def _ledger(path: Path, items: Path | None) -> Iterator[str]:
    ledger = pl.from_arrow(read_table(path))
    states = ledger.group_by("state").agg(pl.len().alias("items")).sort("items", "state", descending=[True, False])
    for state, count in states.iter_rows():
        yield f"  {state:<16}{count:>10,} items{count / ledger.height:>8.1%}"
    yield f"  {ledger.get_column('bytes').sum():,} bytes fetched, {ledger.get_column('attempts').sum():,} attempts"
    yield from _reasons(ledger.get_column("error").drop_nulls().to_list())


def _frames(path: Path, items: Path | None) -> Iterator[str]:
    counts = columns_of(path, "item_id").group_by("item_id").len().get_column("len")
    undecodable = read_undecodable(path)
    total = len(counts) + len(undecodable)
    if len(counts):
        yield f"  {len(counts):,} videos with {counts.min()} to {counts.max()} frames, {counts.mean():.2f} on average"
    yield f"  {len(undecodable):,} of {total:,} videos undecodable, {len(undecodable) / max(total, 1):.1%}"
    yield from _reasons(undecodable.values())


def _features(path: Path, items: Path | None) -> Iterator[str]:
    provenance = read_provenance(path)
    yield f"  {provenance.modality} by {provenance.encoder}"
    yield f"  digest {provenance.digest[:12]}, weights {provenance.weights[:12]}"
    yield f"  {provenance.preprocessing}"
    own = columns_of(path, "item_id", "frames")
    embeddings = read_features(path, own.get_column("item_id").to_arrow()).embeddings
    norms = np.linalg.norm(embeddings.astype(np.float32), axis=1)
    if len(norms):
        yield f"  length of a vector: {norms.min():.3f} to {norms.max():.3f}, {norms.mean():.3f} on average"
        yield f"  inputs averaged in a vector: {own.get_column('frames').mean():.2f} on average"
    if items is not None:
        known = columns_of(items, "item_id").get_column("item_id")
        present = int(known.is_in(own.get_column("item_id").implode()).sum())
        yield f"  {len(known) - present:,} of {len(known):,} items missing, {1 - present / max(len(known), 1):.1%}"


def columns_of(path: Path, *names: str) -> pl.DataFrame:
    """Some columns of a table.

    Raises:
        ArtifactError: the table is missing or damaged, or lacks a column.
    """
    with open_table(path) as file:
        if absent := [name for name in names if name not in file.schema_arrow.names]:
            raise ArtifactError(
                "A table lacks a column.",
                where=path,
                expected=", ".join(absent),
                found=", ".join(file.schema_arrow.names),
                fix="Name another table, such as items.parquet.",
            )
        return pl.from_arrow(file.read(list(names)))


def _reasons(reasons: Iterable[str]) -> Iterator[str]:
    counts = pl.Series("reason", list(reasons), pl.String).value_counts(sort=True).head(REASONS_SHOWN)
    for reason, count in counts.iter_rows():
        yield f"  {count:>10,} x {reason}"


DETAILS: dict[str, Callable[[Path, Path | None], Iterable[str]]] = {
    "ledger": _ledger,
    "frames": _frames,
    "features": _features,
}
