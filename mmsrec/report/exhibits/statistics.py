"""Tables 2 and 4 of the paper: the size of every k-core, reported and measured."""

from collections.abc import Sequence
from dataclasses import asdict, fields

import polars as pl

from mmsrec.report.inputs import STATISTICS, Inputs
from mmsrec.report.published import published_statistics
from mmsrec.report.table import Column, Table, fixed, integer, signed, signed_integer
from mmsrec.settings.layouts import SizeLayout
from mmsrec.settings.params import Params
from mmsrec.settings.plan import Core

COUNTS = ("users", "items", "actions")
COMPARED = (*COUNTS, "sparsity")
KEYS = [field.name for field in fields(Core)]
TITLE = "Data sets"
CAPTION = "Size of the data sets after k-core filtering: the paper's Tables 2 and 4 next to measured values."
NOTES = ["Table 2 of the paper has the 5-cores. Table 4 has other values of k for Sports and Home."]


def exhibit(inputs: Inputs, layout: SizeLayout | None = None) -> Table:
    """The measured statistics next to the paper's, of a layout's k-cores or else of all k-cores of the report."""
    measured = inputs.statistics()
    if layout:
        measured = _of_cores(inputs, measured, [core for grid in layout.sizes for core in grid.rows()])
    frame = statistics_frame(measured, inputs.params)
    return Table(
        title=layout.title if layout else TITLE,
        caption=layout.caption if layout else CAPTION,
        frame=frame,
        columns=_columns(),
        notes=[
            *_reported_notes(frame),
            "A k-core keeps the users and items that have at least k interactions each.",
            "Sparsity is the share of empty cells of the users × items matrix.",
            *(layout.notes if layout else NOTES),
        ],
    )


def _of_cores(inputs: Inputs, measured: pl.DataFrame, cores: Sequence[Core]) -> pl.DataFrame:
    """One row for each of the k-cores; one without statistics has the reason in the column `missing`."""
    rows = [asdict(core) | {"missing": inputs.absence(core)} for core in cores]
    asked = pl.DataFrame(rows, schema={name: STATISTICS[name] for name in (*KEYS, "missing")})
    found = asked.join(measured.drop("missing"), on=KEYS, how="left", maintain_order="left")
    return found.with_columns(missing=pl.when(pl.col("users").is_null()).then("missing")).select(measured.columns)


def statistics_frame(measured: pl.DataFrame, params: Params) -> pl.DataFrame:
    """One row for each k-core; the k-cores of a domain follow each other.

    Args:
        measured: rows as `Inputs.statistics` returns them.
        params: has the name of a domain in the paper.

    Returns:
        The columns of `measured`, and for each of `COMPARED` STATISTIC_reported and STATISTIC_difference (measured
        minus reported). The column reported_in is the paper's table, and note is a remark on the reported values.
    """
    reported = published_statistics().rename({name: f"{name}_reported" for name in COMPARED})
    names = {name: domain.published for name, domain in params.domains.items()}
    return (
        measured.with_row_index("place")
        .sort(pl.col("place").min().over("domain"), "k_core")
        .with_columns(published=pl.col("domain").replace_strict(names, return_dtype=pl.String))
        .join(reported, on=["published", "k_core"], how="left", maintain_order="left")
        .with_columns((pl.col(name) - pl.col(f"{name}_reported")).alias(f"{name}_difference") for name in COMPARED)
        .select(
            *measured.columns,
            *(f"{name}_{kind}" for name in COMPARED for kind in ("reported", "difference")),
            "reported_in",
            "note",
        )
    )


def _columns() -> list[Column]:
    compared = [
        column
        for name in COMPARED
        for show, show_signed in [(integer, signed_integer) if name in COUNTS else (fixed, signed)]
        for column in (
            Column(f"{name}_reported", "reported", over=name.capitalize(), show=show, remarks=("note",)),
            Column(name, "measured", over=name.capitalize(), show=show, missing="missing"),
            Column(f"{name}_difference", "difference", over=name.capitalize(), show=show_signed),
        )
    ]
    return [
        Column("domain", "Data set"),
        Column("k_core", "k"),
        *compared,
        Column("mean_length", "Mean length", show="{:.2f}".format),
        Column("reported_in", "Reported in"),
    ]


def _reported_notes(frame: pl.DataFrame) -> list[str]:
    noted = frame.filter(pl.col("note").is_not_null()).select("domain", "k_core", "reported_in", "note")
    return [f"* {domain}, {k_core}-core: {table} {note}." for domain, k_core, table, note in noted.iter_rows()]
