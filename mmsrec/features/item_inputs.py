"""The inputs of an extraction: the texts, pictures or frames of a domain's items, read a batch at a time."""

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from mmsrec import picture_decoder
from mmsrec.artifacts import SCHEMAS, open_table, read_table
from mmsrec.errors import ArtifactError, FeatureError
from mmsrec.features.frame_table import DECODING, SAMPLING, video_starts
from mmsrec.features.pictures_on_disk import decode_picture, ledger_files, read_picture


class Batch(NamedTuple):
    """Inputs that are encoded together.

    Attributes:
        read: returns the inputs; runs on the CPU, in several threads at once.
        sizes: inputs that each vector averages: the number of a video's frames, else 1.
    """

    read: Callable[[], Sequence[Any]]
    sizes: Sequence[int]


@dataclass(frozen=True)
class ItemInputs:
    """The inputs of one modality.

    Attributes:
        item_ids: the items that have an input.
        vectors: [items], the number of each item's vector; equal inputs share a vector.
        batches: together they have as many sizes as there are vectors.
        identity: changes when the inputs change.
        preprocessing: the steps before the inputs were stored, in words; may be empty.
    """

    item_ids: list[str]
    vectors: np.ndarray
    batches: list[Batch]
    identity: str
    preprocessing: str = ""


def text_inputs(items: Path, domain: str, batch_size: int, *, required: bool = True) -> ItemInputs:
    """The distinct texts of a domain's items, sorted by length.

    Args:
        items: the domain's items.parquet.
        domain: name of the domain, for messages.
        batch_size: texts in a batch.
        required: whether it is an error if no item has a text.

    Raises:
        FeatureError: no item has a text.
    """
    table = item_texts(items, domain, required=required)
    # Texts of equal length are sorted by content: the last bits of a vector depend on its batch.
    distinct = table.select("text").unique().sort(pl.col("text").str.len_bytes(), "text").with_row_index("vector")
    texts = distinct.get_column("text")
    vectors = table.join(distinct, on="text", how="left", maintain_order="left").get_column("vector").to_numpy()
    batches = [
        Batch(partial(_text_slice, texts, start, batch_size), [1] * min(batch_size, len(texts) - start))
        for start in range(0, len(texts), batch_size)
    ]
    return ItemInputs(table.get_column("item_id").to_list(), vectors, batches, _digest(texts))


def item_texts(items: Path, domain: str, *, required: bool = True) -> pl.DataFrame:
    """The columns item_id and text, for the items that have a text; arguments and errors as in `text_inputs`."""
    table = pl.from_arrow(read_table(items, SCHEMAS["items"]).select(["item_id", "text"]))
    described = table.with_columns(pl.col("text").str.strip_chars()).filter(pl.col("text").str.len_bytes() > 0)
    if required and described.is_empty():
        raise FeatureError(
            "No item of the domain has a text.",
            where=f"{domain}: {items}",
            expected="a text for at least some items",
            found=f"{table.height:,} items, none with a text",
            fix="Correct the domain's text_fields, or leave the modality text out of the domain's variants.",
        )
    return described


def picture_inputs(items: Path, media: Path, domain: str, batch_size: int, *, required: bool = True) -> ItemInputs:
    """The distinct pictures of a domain's items; a damaged picture is an error when its batch is read.

    Args:
        items: the domain's items.parquet.
        media: folder of the crawl, with its ledger.parquet.
        domain: name of the domain, for messages.
        batch_size: pictures in a batch.
        required: whether it is an error if no item has a picture.

    Raises:
        FeatureError: no item has a picture.
    """
    known = set(_item_ids(items))
    files = [file for file in ledger_files(media) if file.item_id in known]
    if required and not files:
        raise _no_media(domain, media / "ledger.parquet", "picture in the state ok")
    distinct = {file.sha256: file.path for file in files}
    numbers = {digest: number for number, digest in enumerate(distinct)}
    paths = list(distinct.values())
    chunks = [paths[start : start + batch_size] for start in range(0, len(paths), batch_size)]
    return ItemInputs(
        item_ids=[file.item_id for file in files],
        vectors=np.array([numbers[file.sha256] for file in files], int),
        batches=[Batch(partial(_pictures, chunk), [1] * len(chunk)) for chunk in chunks],
        identity=_digest(distinct),
        preprocessing=picture_decoder.RULE,
    )


def frame_inputs(items: Path, frames: Path, domain: str, batch_size: int, *, required: bool = True) -> ItemInputs:
    """The sampled frames of a domain's videos.

    Args:
        items: the domain's items.parquet.
        frames: the domain's table of frames.
        domain: name of the domain, for messages.
        batch_size: smallest number of frames in a batch; the last batch may have fewer.
        required: whether it is an error if no item has frames.

    Raises:
        FeatureError: no item has frames.
    """
    known = set(_item_ids(items))
    reader = _RowGroups(frames)
    item_ids: list[str] = []
    batches: list[Batch] = []
    groups: list[int] = []
    sizes: list[int] = []
    for group in range(reader.count):
        ids, counts = reader.videos(group)
        kept = [(item, count) for item, count in zip(ids, counts, strict=True) if item in known]
        item_ids += [item for item, _ in kept]
        sizes += [count for _, count in kept]
        groups.append(group)
        if sum(sizes) >= batch_size or group == reader.count - 1:
            batches.append(Batch(partial(reader.pictures, groups, known), sizes))
            groups, sizes = [], []
    if required and not item_ids:
        raise _no_media(domain, frames, "frame")
    return ItemInputs(
        item_ids=item_ids,
        vectors=np.arange(len(item_ids)),
        batches=[batch for batch in batches if batch.sizes],
        identity=_digest([*item_ids, str(frames.stat().st_size), str(frames.stat().st_mtime_ns)]),
        preprocessing="; ".join(filter(None, [f"frames {reader.sampling}", reader.decoding])),
    )


class _RowGroups:
    """Reads row groups of a table of frames; several threads may call it at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._file: pq.ParquetFile = open_table(path, SCHEMAS["frames"])
        self.count = self._file.num_row_groups
        metadata = self._file.schema_arrow.metadata or {}
        if SAMPLING.encode() not in metadata:
            raise ArtifactError(
                "A table of frames does not tell how its frames were sampled.",
                where=path,
                expected=f"the metadata {SAMPLING}",
                found=f"the metadata {', '.join(sorted(key.decode() for key in metadata)) or 'of no key'}",
                fix="Run the stage sample_frames again.",
            )
        self.sampling = metadata[SAMPLING.encode()].decode()
        self.decoding = metadata.get(DECODING.encode(), b"").decode()

    def videos(self, group: int) -> tuple[list[str], list[int]]:
        """The items of a row group, and how many frames each has."""
        table = self._read([group], ["item_id"])
        starts = video_starts(table)
        return table.column("item_id").take(pa.array(starts)).to_pylist(), np.diff(starts, append=len(table)).tolist()

    def pictures(self, groups: Sequence[int], known: set[str]) -> list[Any]:
        """The decoded frames of the known items."""
        table = self._read(groups, ["item_id", "frame_index", "jpeg"])
        return [
            decode_picture(row["jpeg"], f"{self._path}: {row['item_id']}, frame {row['frame_index']}")
            for row in table.to_pylist()
            if row["item_id"] in known
        ]

    def _read(self, groups: Sequence[int], columns: list[str]) -> pa.Table:
        with self._lock:
            return self._file.read_row_groups(groups, columns=columns)


def _text_slice(texts: pl.Series, start: int, length: int) -> list[str]:
    return texts.slice(start, length).to_list()


def _pictures(paths: Sequence[Path]) -> list[Any]:
    return [read_picture(path) for path in paths]


def _item_ids(items: Path) -> list[str]:
    return read_table(items, SCHEMAS["items"]).column("item_id").to_pylist()


def _digest(values: Any) -> str:
    digest = hashlib.sha256()
    for value in values:
        digest.update(value.encode() + b"\n")
    return digest.hexdigest()


def _no_media(domain: str, where: Path, kind: str) -> FeatureError:
    return FeatureError(
        "No item of the domain has a picture or video to encode.",
        where=f"{domain}: {where}",
        expected=f"at least one {kind} of the domain's items",
        found="none",
        fix="Look at the file with python -m mmsrec.inspect; then run the crawl again.",
    )
