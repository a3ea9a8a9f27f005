"""Turns vectors that the user already has, a table with the columns item_id and embedding, into a feature file."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mmsrec.artifacts import SCHEMAS, read_table
from mmsrec.errors import FeatureError
from mmsrec.features.encoders.encoder import encoder_digest
from mmsrec.features.feature_file import Provenance, check_finite, check_unique, write_features
from mmsrec.files import sha256
from mmsrec.settings.encoding import TableEncoder

logger = logging.getLogger(__name__)

COLUMNS = ["item_id", "embedding"]
PREPROCESSING = "given"
BATCH_ROWS = 8192
IDS_SHOWN = 3


def extract_table(
    items: Path,
    table: Path,
    name: str,
    row: TableEncoder,
    modality: str,
    output: Path,
    *,
    domain: str,
    required: bool = True,
) -> None:
    """Writes the vectors of a table as the feature file of a domain, in the order of its items.

    A null or a zero vector counts as no vector. Ids of an integer column are read as text.

    Args:
        items: the domain's items.parquet.
        table: Parquet file with the columns item_id (text or integers) and embedding (lists of equally many floats).
        name: name of the encoder's row in the parameters.
        row: the encoder's row.
        modality: vision or text; the row must name a table for it.
        output: the feature file.
        domain: name of the domain, for messages.
        required: whether it is an error if no item has a vector. Otherwise the feature file then has no rows.

    Raises:
        ArtifactError: items.parquet is missing or damaged.
        FeatureError: the row names no table for this modality, or the table cannot be read or does not follow the
            format above. Or a number is not finite, an item_id occurs twice, or no item of the domain has a vector.
    """
    if modality not in row.modalities:
        raise FeatureError(
            "The encoder has no table for this modality.",
            where=f"encoders.{name}",
            expected=f"the key {modality}, with the path of a table",
            found=f"only {', '.join(row.modalities)}",
            fix="Add the key to the encoder's row, or leave the modality out of the variant.",
        )
    known = read_table(items, SCHEMAS["items"]).column("item_id").combine_chunks()
    ids, vectors = _read(table, known, required)
    with_vector = vectors.any(axis=1)
    ids, vectors = ids.filter(pa.array(with_vector)), vectors[with_vector]
    if required and not len(ids):
        raise _misfit(table, "vectors with a number other than zero", "vectors of zeros for all items of the domain")
    _report_coverage(known, ids, f"{domain}: {table}")
    places = pc.index_in(ids, value_set=known).to_numpy()
    order = np.argsort(places)
    provenance = Provenance(name, encoder_digest(row, [table]), modality, PREPROCESSING, sha256(table))
    write_features(output, known.take(pa.array(places[order])), np.ones(len(order)), vectors[order], provenance)


def _read(table: Path, known: pa.StringArray, required: bool) -> tuple[pa.StringArray, np.ndarray]:
    """The ids of a table that are known, and their vectors: float16 [ids, width]."""
    kept_ids, kept_vectors, all_ids = [], [], []
    for ids, vectors in _batches(table):
        check_finite(vectors, ids, table)
        selected = pc.is_in(ids, value_set=known)
        all_ids.append(ids)
        kept_ids.append(ids.filter(selected))
        kept_vectors.append(vectors[selected.to_numpy(zero_copy_only=False)])
    check_unique(pa.chunked_array(all_ids, pa.string()), table)
    widths = sorted({vectors.shape[1] for vectors in kept_vectors})
    if len(widths) != 1:
        raise _misfit(table, "vectors of one width", f"the widths {widths}" if widths else "no vector")
    if required and not sum(map(len, kept_ids)):
        raise _no_match(table, known, pa.chunked_array(all_ids, pa.string()))
    return pa.concat_arrays(kept_ids), np.concatenate(kept_vectors)


def _batches(table: Path) -> Iterator[tuple[pa.StringArray, np.ndarray]]:
    """Ids and float16 vectors [rows, width], some rows at a time; a row without a vector is left out."""
    try:
        with pq.ParquetFile(table) as file:
            if missing := [name for name in COLUMNS if name not in file.schema_arrow.names]:
                raise _misfit(
                    table, f"the columns {', '.join(COLUMNS)}", f"no column {' and no column '.join(missing)}"
                )
            for batch in file.iter_batches(BATCH_ROWS, columns=COLUMNS):
                batch.validate(full=True)  # Parquet's reader does not check texts
                with_vector = batch.filter(batch.column("embedding").is_valid())
                if with_vector.num_rows:
                    yield _ids(with_vector.column("item_id"), table), _vectors(with_vector.column("embedding"), table)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise FeatureError(
            "A table of vectors cannot be read.",
            where=table,
            expected=f"a Parquet file with the columns {', '.join(COLUMNS)}",
            found=error,
            fix="Correct the path in the encoder's row, or fetch the file again.",
        ) from error


def _ids(column: pa.Array, table: Path) -> pa.StringArray:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    if not (is_text or pa.types.is_integer(kind)):
        raise _misfit(table, "item_id as text or integers", f"type {kind}")
    if column.null_count:
        raise _misfit(table, "an item_id in every row", f"{column.null_count:,} rows without one")
    return column.cast(pa.string())


def _vectors(column: pa.Array, table: Path) -> np.ndarray:
    kind = column.type
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if not (is_list and pa.types.is_floating(kind.value_type)):
        raise _misfit(table, "embedding as a list of float16, float32 or float64", f"type {kind}")
    widths = pc.unique(pc.list_value_length(column)).to_pylist()
    if len(widths) != 1 or not widths[0]:
        raise _misfit(table, "vectors of one width, 1 or more", f"the widths {sorted(widths)}")
    numbers = column.flatten().to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):  # an overflow becomes an infinity, which `check_finite` refuses
        return np.ascontiguousarray(numbers.reshape(-1, widths[0]), dtype=np.float16)


def _report_coverage(known: pa.StringArray, ids: pa.StringArray, where: str) -> None:
    coverage = f"{len(ids):,} of {len(known):,} items have a vector"
    without = known.filter(pc.invert(pc.is_in(known, value_set=ids)))
    if len(without):
        logger.warning("%s: only %s; the first without one: %s", where, coverage, _first(without))
    else:
        logger.info("%s: %s", where, coverage)


def _first(ids: pa.Array | pa.ChunkedArray) -> str:
    return ", ".join(ids[:IDS_SHOWN].to_pylist())


def _no_match(table: Path, known: pa.StringArray, found: pa.ChunkedArray) -> FeatureError:
    return FeatureError(
        "No item of the domain has a vector in the table.",
        where=table,
        expected=f"ids such as {_first(known)}",
        found=f"{len(found):,} ids such as {_first(found)}",
        fix="Write the ids of the domain's items into the table's column item_id.",
    )


def _misfit(table: Path, expected: str, found: str) -> FeatureError:
    return FeatureError(
        "A table of vectors does not follow its format.",
        where=table,
        expected=expected,
        found=found,
        fix="Correct the table; docs/data.md describes its format.",
    )
