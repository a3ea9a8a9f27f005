"""The rates of workflow/rates.csv: the cost of one unit of a stage's work."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from mmsrec.costs.jobs import Job
from mmsrec.errors import DataError


@dataclass(frozen=True)
class Rate:
    """A row of the table.

    Attributes:
        stages: stages that it is for.
        kind: model or encoder that it is for; empty: all others.
        width: width of the model that was measured; 0: it does not depend on a width.
        unit: unit of work.
        core: seconds on one core.
        gpu: seconds on an H200; None if the stage runs on cores there too.
        waiting: seconds that no processor works.
        disk: bytes on disk.
        download: bytes from other machines.
        measured: whether it was measured, or is an estimate.
        source: where the measurement or the reckoning stands.
    """

    stages: tuple[str, ...]
    kind: str
    width: int
    unit: str
    core: float
    gpu: float | None
    waiting: float
    disk: float
    download: float
    measured: bool
    source: str


def read_rates(path: Path) -> list[Rate]:
    """The rows of the table.

    Raises:
        DataError: a row is wrong.
    """
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    try:
        return [_rate(row) for row in rows]
    except (KeyError, ValueError) as error:
        raise DataError("The table of rates has a wrong row.", where=path, found=error) from None


def _rate(row: dict[str, str]) -> Rate:
    core, waiting, disk, download = (
        float(row[name] or 0) for name in ("core_seconds", "wait_seconds", "disk_bytes", "download_bytes")
    )
    gpu = float(row["h200_seconds"]) if row["h200_seconds"] else None
    stages, width = tuple(row["stage"].split()), int(row["width"] or 0)
    measured = {"measured": True, "estimate": False}[row["basis"]]
    return Rate(stages, row["kind"], width, row["unit"], core, gpu, waiting, disk, download, measured, row["source"])


def rate_of(rates: list[Rate], job: Job, unit: str) -> Rate:
    """The rate of a unit of a job: of the same kind if there is one, and of the nearest width.

    Raises:
        DataError: the table has none.
    """
    fits = [rate for rate in rates if job.stage in rate.stages and rate.unit == unit]
    main, _, detail = job.kind.partition("/")
    for kind in (job.kind, main, f"*/{detail}", ""):
        of_kind = [rate for rate in fits if rate.kind == kind]
        if of_kind:
            return min(
                of_kind, key=lambda rate: abs(math.log((rate.width or 1) / (job.width or 1))) if rate.width else 0
            )
    raise DataError(
        "A plan needs a rate that is not known.",
        where="workflow/rates.csv",
        expected=f"a row of the stage {job.stage} with the unit {unit}" + (f" for {job.kind}" if job.kind else ""),
        fix="Measure it and add the row.",
    )
