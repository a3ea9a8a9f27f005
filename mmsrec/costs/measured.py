"""The cost of a run: the measurements of its jobs, and the bytes that it has downloaded."""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from mmsrec.costs.estimate import duration
from mmsrec.files import read_json
from mmsrec.report.table import Column, Table, integer
from mmsrec.sources.listing import read_listing

# The last line of a log where a job ran in a fork of the stages' server, which Snakemake does not see.
USED = re.compile(r"^used ([\d.]+) s of processors, (\d+) MiB$", re.MULTILINE)
NOT_MEASURED = "not measured"
SCHEMA = {
    "stage": pl.String,
    "jobs": pl.UInt32,
    "measured": pl.UInt32,
    "seconds": pl.Float64,
    "processor_seconds": pl.Float64,
    "longest_seconds": pl.Float64,
    "longest_job": pl.String,
    "peak_mib": pl.Float64,
    "downloaded_bytes": pl.UInt64,
    "missing": pl.String,
}


@dataclass(frozen=True)
class Usage:
    """The time and memory of one job; None where they were not measured."""

    name: str
    seconds: float
    processor_seconds: float | None
    peak_mib: float | None


def usages(folder: Path) -> list[Usage]:
    """The measurements below the logs of one stage, by the benchmark files of Snakemake and the logs beside them."""
    return [_usage(path, path.relative_to(folder).with_suffix("").as_posix()) for path in sorted(folder.rglob("*.tsv"))]


def _usage(path: Path, name: str) -> Usage:
    with path.open(encoding="utf-8", newline="") as lines:
        *_, row = csv.DictReader(lines, delimiter="\t")
    log = path.with_suffix(".log")
    found = USED.findall(log.read_text(encoding="utf-8", errors="replace")) if log.exists() else []
    if found:
        processor, peak = map(float, found[-1])
        return Usage(name, float(row["s"]), processor, peak)
    return Usage(name, float(row["s"]), _number(row["cpu_time"]), _number(row["max_rss"]))


def _number(text: str) -> float | None:
    """Snakemake writes NA or - where a job was too short for a measurement."""
    return float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else None


def costs_frame(stages: Sequence[str], logs: Path, downloads: Mapping[str, int]) -> pl.DataFrame:
    """A row for each stage that has run, with the columns of `SCHEMA`.

    Args:
        stages: the stages in their order.
        logs: folder with a folder of logs for each stage.
        downloads: bytes by stage.
    """
    jobs = {stage: len(list((logs / stage).rglob("*.log"))) for stage in stages}
    rows = [_row(stage, usages(logs / stage), downloads.get(stage), jobs[stage]) for stage in stages]
    return pl.DataFrame([row for row in rows if row["jobs"] or row["downloaded_bytes"]], schema=SCHEMA)


def _row(stage: str, found: Sequence[Usage], downloaded: int | None, jobs: int) -> dict:
    longest = max(found, key=lambda usage: usage.seconds, default=None)
    processors = [usage.processor_seconds for usage in found if usage.processor_seconds is not None]
    peaks = [usage.peak_mib for usage in found if usage.peak_mib is not None]
    return {
        "stage": stage,
        "jobs": max(jobs, len(found)),
        "measured": len(found),
        "seconds": sum(usage.seconds for usage in found) if found else None,
        "processor_seconds": sum(processors) if processors else None,
        "longest_seconds": longest.seconds if longest else None,
        "longest_job": longest.name if longest else None,
        "peak_mib": max(peaks, default=None),
        "downloaded_bytes": downloaded,
        "missing": NOT_MEASURED,
    }


def recorded_bytes(records: Iterable[Path]) -> int:
    """The sum of `bytes` in the records beside raw files."""
    return sum(int(read_json(path)["bytes"]) for path in records)


def listed_bytes(lists: Iterable[Path]) -> int:
    """The sum of `bytes` over the shards that lists of shards name."""
    return sum(shard.bytes for path in lists for shard in read_listing(path).shards)


def ledger_bytes(ledgers: Iterable[Path]) -> int:
    """The bytes of all media that ledgers list."""
    return sum(pq.read_table(path, columns=["bytes"])["bytes"].combine_chunks().sum().as_py() or 0 for path in ledgers)


def costs_table(frame: pl.DataFrame) -> Table:
    """The table of a run; its last row has the sums."""
    rows = frame.select("stage", "jobs", "measured").iter_rows()
    left_out = [f"{stage} ({measured} of {jobs})" for stage, jobs, measured in rows if measured < max(jobs, 1)]
    notes = [
        "Seconds are on the clock of each job. Jobs that ran at the same time count fully.",
        "Downloads are what is on disk now, also from a mirror.",
        f"Stages with unmeasured jobs (measured of all): {', '.join(left_out) or 'none'}. "
        "DVC and a command by hand measure nothing.",
    ]
    return Table(
        title="Cost of the run",
        caption="Jobs, time, memory and downloads of each stage, as they were measured.",
        frame=pl.concat([frame, _sums(frame)]),
        columns=[
            Column("stage", "Stage"),
            Column("jobs", "Jobs", show=integer),
            Column("seconds", "Time", show=duration, missing="missing"),
            Column("processor_seconds", "Processors", show=duration, missing="missing"),
            Column("longest_seconds", "Longest job", show=duration, missing="missing"),
            Column("longest_job", "which"),
            Column("peak_mib", "Peak MiB", show="{:,.0f}".format, missing="missing"),
            Column("downloaded_bytes", "Downloaded bytes", show=integer),
        ],
        notes=notes,
    )


def _sums(frame: pl.DataFrame) -> pl.DataFrame:
    longest = frame.drop_nulls("longest_seconds").sort("longest_seconds").tail(1)
    row = {name: frame[name].sum() for name in ("jobs", "measured", "seconds", "processor_seconds", "downloaded_bytes")}
    row |= {"stage": "all", "peak_mib": frame["peak_mib"].max(), "missing": NOT_MEASURED}
    row |= {name: longest[name].item() if len(longest) else None for name in ("longest_seconds", "longest_job")}
    return pl.DataFrame([row], schema=SCHEMA)
