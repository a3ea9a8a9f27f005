"""Videos with captions: MSR-VTT's JSON (`sentences` with video_id and caption), or a table of ids and captions.

A table is CSV or Parquet. Its ids are in the column item_id or video_id. Its captions are in the column caption or
sentence, as in the CSV of the JSFusion 1k-A split.
"""

import json
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import polars as pl

from mmsrec.artifacts import SCHEMAS, write_table
from mmsrec.errors import ArtifactError, DataError, ParseError
from mmsrec.settings.corpora import ClipCorpus, split_archive
from mmsrec.settings.crawling import ITEM_ID
from mmsrec.sources.archive import open_member
from mmsrec.sources.malformed import Malformed
from mmsrec.sources.tables import column_names, texts

logger = logging.getLogger(__name__)

ITEMS = "items.parquet"
CAPTIONS = "captions.parquet"
# Separates a clip's id and the number of its caption.
NUMBER = "#"
MAX_TABLE_BYTES = 2**30

_IDS = ("item_id", "video_id")
_CAPTIONS = ("caption", "sentence")


def ingest_clips(corpus: ClipCorpus, raw: Path, output: Path) -> None:
    """Writes the clips and the captions of a corpus as two tables with the schema `items`.

    The table items.parquet has one row for each clip: its item_id, its first caption as text, and the place of its
    video as media_url. The table captions.parquet has one row for each caption, with the caption as text. Its item_id
    is CLIP#N for the caption N of the clip, from 0. Both tables keep the order of the captions file.

    Args:
        corpus: the settings of the corpus.
        raw: folder of the corpus' paths.
        output: folder of the two tables.

    Raises:
        ArtifactError, ArchiveError: a raw file is missing, or an archive is damaged.
        ParseError: a raw file does not follow its format, or more than 1 % of its rows lack an id or a caption.
        DataError: the split has no clips.
    """
    captions = _split(_read(raw, corpus.captions, (_IDS, _CAPTIONS)), corpus, raw)
    if captions.is_empty():
        raise DataError(
            "A corpus has no clips.",
            where=raw / corpus.captions,
            found=f"no clip is left by {corpus.split}",
            fix="Correct the corpus' captions or split in params.yaml.",
        )
    clips = captions.unique("item_id", keep="first", maintain_order=True)
    urls = [media_url(item, corpus.videos) for item in clips.get_column("item_id")]
    _write(clips.with_columns(media_url=pl.Series(urls, dtype=pl.String)), output / ITEMS)
    number = pl.int_range(pl.len()).over("item_id")
    numbered = captions.with_columns(pl.format("{}{}{}", "item_id", pl.lit(NUMBER), number).alias("item_id"))
    _write(numbered.with_columns(media_url=pl.lit(None, pl.String)), output / CAPTIONS)
    logger.info("%s: %s clips, %s captions", output, f"{clips.height:,}", f"{captions.height:,}")


def media_url(item_id: str, videos: str) -> str:
    """The URL or path of a clip's video, from the corpus' pattern."""
    return videos.replace(ITEM_ID, quote(item_id, safe="") if "://" in videos else item_id)


def _split(captions: pl.DataFrame, corpus: ClipCorpus, raw: Path) -> pl.DataFrame:
    include, exclude = (corpus.split.include, corpus.split.exclude) if corpus.split else (None, None)
    if include:
        captions = captions.join(_read(raw, include, (_IDS,)), on="item_id", how="semi", maintain_order="left")
    if exclude:
        captions = captions.join(_read(raw, exclude, (_IDS,)), on="item_id", how="anti", maintain_order="left")
    return captions


def _write(table: pl.DataFrame, path: Path) -> None:
    columns = [pl.int_range(pl.len(), dtype=pl.UInt32).alias("item_index"), "item_id"]
    rows = table.select(*columns, pl.lit(None, pl.String).alias("title"), pl.col("caption").alias("text"), "media_url")
    write_table(path, rows.to_arrow(), SCHEMAS["items"])


def _read(raw: Path, path: str, fields: tuple[tuple[str, ...], ...]) -> pl.DataFrame:
    """Reads columns of a raw file under the first of their names, with whitespace folded; empty values are dropped."""
    with _raw_file(raw, path) as file:
        reader = _READERS.get(file.suffix)
        if reader is None:
            raise ParseError("Captions have an unknown format.", where=raw / path, expected=" or ".join(_READERS))
        malformed = Malformed(raw / path, " and ".join(" or ".join(names) for names in fields))
        folded = [pl.col(names[0]).str.replace_all(r"\s+", " ").str.strip_chars() for names in fields]
        good = pl.all_horizontal(pl.col(names[0]) != "" for names in fields)
        shown = pl.concat_str(pl.all().fill_null(""), separator=",")
        rows = [
            malformed.keep(frame.select(folded), good, pl.format("'{}'", shown))
            for frame in reader(file, raw / path, fields, malformed)
        ]
        malformed.close()
    return pl.concat(rows)


def _sentences(file: Path, where: Path, fields: tuple[tuple[str, ...], ...], _: Malformed) -> Iterator[pl.DataFrame]:
    try:
        raw = json.loads(file.read_text(encoding="utf-8-sig"))
        columns = {names[0]: [_text(row, names) for row in raw["sentences"]] for names in fields}
        yield pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
    except (ValueError, TypeError, KeyError, RecursionError, pl.exceptions.PolarsError) as error:
        raise ParseError(
            "Captions are not in the format of MSR-VTT.",
            where=where,
            expected='JSON, {"sentences": [{"video_id": text, "caption": text}, ...]}',
            found=repr(error)[:200],
        ) from error


def _text(row: Mapping[str, object], names: Sequence[str]) -> str | None:
    value = next((row[name] for name in names if name in row), None)
    return value if isinstance(value, str) else None


def _table(
    file: Path, where: Path, fields: tuple[tuple[str, ...], ...], malformed: Malformed
) -> Iterator[pl.DataFrame]:
    known = column_names(file)
    chosen = [next((name for name in names if name in known), None) for names in fields]
    if None in chosen:
        names = fields[chosen.index(None)]
        raise ParseError(
            "A table lacks a column.", where=where, expected=" or ".join(names), found=f"only {', '.join(known)}"
        )
    for frame in texts(file, tuple(chosen), malformed, ids=(chosen[0],)):
        yield frame.rename({name: names[0] for name, names in zip(chosen, fields, strict=True)})


_READERS: dict[str, Callable[..., Iterator[pl.DataFrame]]] = {".json": _sentences, ".csv": _table, ".parquet": _table}


@contextmanager
def _raw_file(raw: Path, path: str) -> Iterator[Path]:
    """Yields the file of a path below `raw`. A member of an archive is unpacked into a temporary file."""
    file, member = split_archive(path)
    if member is None:
        if not (raw / file).is_file():
            raise ArtifactError("A raw file is missing.", where=raw / file, fix="Run the stage that downloads it.")
        _check_size((raw / file).stat().st_size, raw / path)
        yield raw / file
        return
    with tempfile.TemporaryDirectory() as folder, open_member(raw / file, member) as body:
        content = body.read(MAX_TABLE_BYTES + 1)
        _check_size(len(content), raw / path)
        unpacked = Path(folder) / Path(member).name
        unpacked.write_bytes(content)
        yield unpacked


def _check_size(size: int, where: Path) -> None:
    if size > MAX_TABLE_BYTES:
        raise ParseError(
            "A file of captions is too large.",
            where=where,
            expected=f"at most {MAX_TABLE_BYTES:,} bytes",
            found=f"{size:,} bytes or more",
        )
