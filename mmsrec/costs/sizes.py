"""The sizes of data sets, corpora and raw files: of what is there, or else of workflow/sizes.csv."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mmsrec.costs.training_work import Size
from mmsrec.errors import DataError
from mmsrec.files import read_json
from mmsrec.settings.corpora import DomainCorpus
from mmsrec.settings.data import UnionDomain
from mmsrec.settings.params import Params
from mmsrec.settings.plan import Core

MEGABYTE = 10**6
COUNTS = ("users", "items", "actions")


@dataclass(frozen=True)
class Sizes:
    """Sizes by name.

    Args:
        table: CSV file with the columns name (of a domain, a corpus or a raw file), k_core, users, items, actions,
            megabytes and source.
        params: the parameters, for unions and pairs of a domain.
        statistics: names the file with the measured size of a k-core.
        raw_file: names a raw file.
    """

    table: Path
    params: Params
    statistics: Callable[[Core], Path]
    raw_file: Callable[[str], Path]

    @cached_property
    def _rows(self) -> dict[tuple[str, str], dict[str, str]]:
        with self.table.open(encoding="utf-8", newline="") as lines:
            return {(row["name"], row["k_core"]): row for row in csv.DictReader(lines)}

    def of_core(self, core: Core) -> Size:
        """The size of a k-core. That of a union is the sum of its members'.

        Raises:
            DataError: neither the prepared data nor the table has it.
        """
        path = self.statistics(core)
        if path.exists():
            measured = read_json(path)
            return Size(*(measured[name] for name in COUNTS))
        row = self.params.domains[core.domain]
        if isinstance(row, UnionDomain) and (core.domain, str(core.k_core)) not in self._rows:
            members = [self.of_core(Core(name, core.k_core)) for name in row.of]
            return Size(*(sum(getattr(member, name) for member in members) for name in COUNTS))
        return self._size(core.domain, str(core.k_core))

    def of_corpus(self, name: str) -> Size:
        """The number of clips and of captions of a corpus.

        Raises:
            DataError: the table has no such row.
        """
        return self._size(name, "")

    def of_pairs(self, corpus: object, name: str) -> int:
        """The number of pairs of a corpus: its captions, or the items of its domain."""
        if isinstance(corpus, DomainCorpus):
            return self.of_core(Core(corpus.domain, self.params.domains[corpus.domain].k_core)).items
        return self.of_corpus(name).actions

    def megabytes(self, name: str) -> float:
        """The size of a raw file, or of the shards of a corpus.

        Raises:
            DataError: the file is not there and the table has no such row.
        """
        path = self.raw_file(name)
        return path.stat().st_size / MEGABYTE if path.is_file() else float(self._row(name, "")["megabytes"])

    def _size(self, name: str, k_core: str) -> Size:
        row = self._row(name, k_core)
        return Size(*(int(row[column] or 0) for column in COUNTS))

    def _row(self, name: str, k_core: str) -> dict[str, str]:
        if (name, k_core) not in self._rows:
            raise DataError(
                "A plan needs a size that is not known.",
                where=self.table,
                expected=f"a row with the name {name}" + (f" and the k_core {k_core}" if k_core else ""),
                fix="Add the row, or run the workflow up to this data set, such as `snakemake --cores 1 "
                "data/processed/DOMAIN/kK/statistics.json`.",
            )
        return self._rows[name, k_core]
