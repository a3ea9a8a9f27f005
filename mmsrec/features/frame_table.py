"""Writes one table of sampled JPEG frames from the videos that a ledger lists."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np
import pyarrow as pa

from mmsrec import video_decoder
from mmsrec.artifacts import SCHEMAS, open_table, read_table, write_batches, write_table
from mmsrec.errors import ArtifactError, FeatureError
from mmsrec.features.frame_sampler import Frame, sample_video
from mmsrec.features.partial_results import Parts, parts_of
from mmsrec.features.pictures_on_disk import MediaFile, ledger_files
from mmsrec.progress import progress
from mmsrec.settings.encoding import Frames
from mmsrec.workers import WorkerLost, Workers, cores, prefetch

logger = logging.getLogger(__name__)

VIDEO_TIMEOUT_S = 300.0
VIDEOS_A_PART = 64
# A reader reads at least one row group at a time.
VIDEOS_A_ROW_GROUP = 4

SAMPLING = "sampling"
DECODING = "decoding"
UNDECODABLE = "undecodable"


def sample_frames(media: Path, settings: Frames, output: Path, *, required: bool = True) -> None:
    """Samples frames from every video that a ledger marks as ok; an undecodable video gets no rows.

    The output's metadata hold the settings (`sampling`), the decoder's rule (`decoding`) and the reason for each
    undecodable item (`undecodable`). Other processes decode the videos, so a video that crashes the decoder loses only
    its own frames.

    Args:
        media: folder of the crawl, with its ledger.parquet.
        settings: the sampling rule, and the format of the frames.
        output: the table of frames.
        required: whether it is an error if no video can be decoded. Otherwise the table then has no rows.

    Raises:
        ArtifactError: the ledger is missing or damaged.
        FeatureError: the ledger holds no decodable video.
    """
    files = ledger_files(media)
    chunks = [files[start : start + VIDEOS_A_PART] for start in range(0, len(files), VIDEOS_A_PART)]
    sampling = settings.model_dump_json()
    identity = [sampling, video_decoder.RULE, [[file.item_id, file.sha256] for file in files]]
    with parts_of(output, identity, ".parquet") as parts:
        _sample_parts(chunks, settings, parts)
        paths = [parts.path(number) for number in range(len(chunks))]
        undecodable = {item: reason for path in paths for item, reason in read_undecodable(path).items()}
        if required and len(undecodable) == len(files):
            raise FeatureError(
                "No video of the ledger can be decoded.",
                where=media / "ledger.parquet",
                expected="at least one video in the state ok",
                found=next(iter(undecodable.items()), "none"),
                fix="Look at the ledger's states and errors; then run the crawl again.",
            )
        metadata = {SAMPLING: sampling, DECODING: video_decoder.RULE, UNDECODABLE: json.dumps(undecodable)}
        write_batches(output, _row_groups(paths), SCHEMAS["frames"], metadata)
    logger.info("%d of %d videos have frames", len(files) - len(undecodable), len(files))


def read_undecodable(path: Path) -> dict[str, str]:
    """The reason for each item whose video could not be decoded, from a table of frames.

    Raises:
        ArtifactError: the file is missing or damaged, or has no such reasons.
    """
    with open_table(path, SCHEMAS["frames"]) as file:
        found = (file.schema_arrow.metadata or {}).get(UNDECODABLE.encode(), b"")
    try:
        reasons = json.loads(found)
    except (ValueError, RecursionError):
        reasons = None
    if not isinstance(reasons, dict) or not all(isinstance(reason, str) for reason in reasons.values()):
        raise ArtifactError(
            "A table of frames lacks the reasons of videos without frames.",
            where=path,
            expected=f"JSON with a text for each item, in the metadata {UNDECODABLE}",
            found=repr(found[:80]),
            fix="Run the stage sample_frames again.",
        )
    return reasons


def _sample_parts(chunks: Sequence[Sequence[MediaFile]], settings: Frames, parts: Parts) -> None:
    missing = parts.missing(len(chunks))
    jobs = ((number, file) for number in missing for file in chunks[number])
    with (
        Workers(_attempt, cores(), VIDEO_TIMEOUT_S) as workers,
        progress("sample frames", sum(len(chunks[number]) for number in missing), "videos") as bar,
    ):

        def outcome(job: tuple[int, MediaFile]) -> tuple[int, str, list[Frame] | str]:
            number, file = job
            try:
                return number, file.item_id, workers((file.path, settings))
            except WorkerLost as error:
                return number, file.item_id, f"the decoder failed: {error}"

        for number, results in groupby(prefetch(outcome, jobs, cores()), key=itemgetter(0)):
            sampled = {item: frames for _, item, frames in results}
            _write_part(parts.path(number), sampled)
            bar.update(len(sampled))


def _attempt(job: tuple[Path, Frames]) -> list[Frame] | str:
    try:
        return sample_video(*job)
    except FeatureError as error:
        return str(error.details["found"])


def _write_part(path: Path, sampled: Mapping[str, list[Frame] | str]) -> None:
    undecodable = {item: frames for item, frames in sampled.items() if isinstance(frames, str)}
    rows = [
        {"item_id": item, "frame_index": frame.index, "seconds": frame.seconds, "jpeg": frame.jpeg}
        for item, frames in sampled.items()
        if item not in undecodable
        for frame in frames
    ]
    schema = SCHEMAS["frames"]
    write_table(path, pa.Table.from_pylist(rows, schema), schema, {UNDECODABLE: json.dumps(undecodable)})


def _row_groups(paths: Sequence[Path]) -> Iterator[pa.Table]:
    """Tables of VIDEOS_A_ROW_GROUP whole videos each; the last of a part may have fewer."""
    for path in paths:
        table = read_table(path, SCHEMAS["frames"])
        starts = video_starts(table)[::VIDEOS_A_ROW_GROUP]
        for start, end in zip(starts, [*starts[1:], table.num_rows], strict=True):
            yield table.slice(start, end - start)


def video_starts(table: pa.Table) -> np.ndarray:
    """The numbers of the rows where a video begins, int64 [videos]."""
    items = table.column("item_id").to_numpy()
    return np.flatnonzero(np.concatenate([[True] * min(len(items), 1), items[1:] != items[:-1]])).astype(np.int64)
