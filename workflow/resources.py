"""The memory and the time of a job on a cluster, by the rows of resources.csv. Without a cluster, nothing is limited.

A row has the minutes of a job, the memory that it takes with small input, and what each MB of input adds. Memory
includes the two processes of Snakemake in each job, 110 MB each. docs/clusters.md has the measured peaks.
"""

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from os.path import getsize
from pathlib import Path

MB = 1_000_000


@dataclass(frozen=True)
class Limits:
    """A row of resources.csv."""

    minutes: int
    mem_mb: int
    mem_mb_per_input_mb: int

    def memory(self, files: Iterable[str], attempt: int) -> int:
        """The megabytes of a job. Each further attempt has twice as many.

        Args:
            files: the job's input. A job that is submitted together with those that make its input has none yet.
            attempt: 1 for the first one.
        """
        megabytes = sum(map(_bytes, files)) / MB
        return int(self.mem_mb + self.mem_mb_per_input_mb * megabytes) << attempt - 1

    def time(self, attempt: int) -> int:
        """The minutes of a job. Each further attempt has twice as many: the first may have lacked time."""
        return self.minutes << attempt - 1


def read_limits(path: Path) -> dict[str, Limits]:
    """The limits of each stage."""
    with path.open(encoding="utf-8", newline="") as file:
        return {
            row.pop("stage"): Limits(**{name: int(value) for name, value in row.items()})
            for row in csv.DictReader(file)
        }


def resources(limits: Limits) -> dict[str, Callable[..., int]]:
    """A rule's resources as Snakemake takes them: functions of a job, in the units of its standard resources."""
    return {
        "mem_mb": lambda wildcards, input, attempt: limits.memory(input, attempt),
        "runtime": lambda wildcards, attempt: limits.time(attempt),
    }


def _bytes(file: str) -> int:
    try:
        return getsize(file)
    except OSError:
        return 0
