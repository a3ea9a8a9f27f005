"""Tables 2 and 4 of the paper: the size of every k-core, reported and measured."""

import polars as pl

from mmsrec.report.inputs import Inputs
from mmsrec.report.published import published_statistics
from mmsrec.report.table import Column, Table, fixed, integer, signed, signed_integer
from mmsrec.settings.params import Params

COUNTS = ("users", "items", "actions")
COMPARED = (*COUNTS, "sparsity")


def exhibit(inputs: Inputs) -> Table:
    """The measured statistics of a report's k-cores next to the paper's Tables 2 and 4."""
    frame = statistics_frame(inputs.statistics(), inputs.params)
    return Table(
        title="Data sets",
        caption="Size of the data sets after k-core filtering: the paper's Tables 2 and 4 next to measured values.",
        frame=frame,
        columns=_columns(),
        notes=[
            *_reported_notes(frame),
            "A k-core keeps the users and items that have at least k interactions each.",
            "Sparsity is the share of empty cells of the users × items matrix.",
            "Table 2 of the paper has the 5-cores. Table 4 has other values of k for Sports and Home.",
        ],
    )


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
            Column(name, "measured", over=name.capitalize(), show=show),
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
