"""The catalogue of a loaded model: the items that it can score, in a fixed order."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl

from mmsrec.artifacts import SCHEMAS, read_table
from mmsrec.errors import DataError

logger = logging.getLogger(__name__)

SHOWN = 3  # examples of ids in a message


@dataclass(frozen=True)
class ItemFiles:
    """The files of items that a model can score.

    Attributes:
        items: a table of the schema `items`.
        features: feature files by modality; empty for a model of item ids.
    """

    items: Path
    features: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Catalogue:
    """The items that a model can score. The place of an item is its row.

    Attributes:
        table: columns place, item_id and title.
        scored_I: which items a model can score; None for all.
    """

    table: pl.DataFrame
    scored_I: np.ndarray | None = None

    @classmethod
    def read(cls, files: Sequence[Path]) -> "Catalogue":
        """Joins tables of items, one after another.

        Raises:
            ArtifactError: a table is missing or damaged.
            DataError: an id occurs twice.
        """
        tables = [pl.from_arrow(read_table(file, SCHEMAS["items"]).select(["item_id", "title"])) for file in files]
        table = pl.concat(tables).with_row_index("place")
        repeated = table.filter(~pl.col("item_id").is_first_distinct()).get_column("item_id")
        if len(repeated):
            raise DataError(
                "An item is in the catalogue twice.",
                where=", ".join(map(str, files)),
                expected="each item_id once",
                found=f"{len(repeated):,} ids that occur again, such as {shown(repeated)}",
                fix="Give the new items other ids, or leave out one of the tables.",
            )
        return cls(table)

    def without_unknown(self, scored_I: np.ndarray) -> "Catalogue":
        """The catalogue in which only some items can be recommended; the others are counted and named in the log."""
        unknown = self.ids.filter(~scored_I)
        if len(unknown):
            logger.warning(
                "%s items have no features and are not recommended, such as %s", f"{len(unknown):,}", shown(unknown)
            )
        return replace(self, scored_I=scored_I)

    @property
    def ids(self) -> pl.Series:
        """The ids of the items."""
        return self.table.get_column("item_id")

    @property
    def titles(self) -> pl.Series:
        """The titles of the items, null for an item without one."""
        return self.table.get_column("title")

    def places(self, ids: pl.Series) -> pl.Series:
        """The places of items, null for an unknown id."""
        asked = ids.cast(pl.String).alias("item_id").to_frame()
        return asked.join(self.table, on="item_id", how="left", maintain_order="left").get_column("place")

    def known(self, ids: pl.Series, where: object) -> pl.Series:
        """The places of the known ids. The unknown ids are counted and named in the log.

        Args:
            ids: ids of items, without nulls.
            where: the origin of the ids, for messages.

        Raises:
            DataError: no id is known.
        """
        places = self.places(ids)
        self.report_unknown(ids.filter(places.is_null()), ids, where)
        return places.drop_nulls()

    def report_unknown(self, unknown: pl.Series, asked: pl.Series, where: object) -> None:
        """Logs the ids that are unknown.

        Raises:
            DataError: all ids are unknown.
        """
        missing, all_ids = unknown.unique(maintain_order=True), asked.n_unique()
        if not len(missing):
            return
        if len(missing) == all_ids:
            raise DataError(
                f"None of the {all_ids:,} items is in the catalogue.",
                where=where,
                expected=f"ids such as {shown(self.ids)}",
                found=f"ids such as {shown(missing)}",
                fix="Compare the two spellings, or name the catalogue that has these items.",
            )
        logger.warning(
            "%s: %s of %s items are not in the catalogue and are left out, such as %s",
            where,
            f"{len(missing):,}",
            f"{all_ids:,}",
            shown(missing),
        )


def shown(ids: pl.Series) -> str:
    """The first ids, for a message."""
    return ", ".join(map(repr, ids.head(SHOWN)))
