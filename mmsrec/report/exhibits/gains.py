"""Our model against the best other model: the gain in per cent, and a paired test over users."""

from typing import Any

import polars as pl

from mmsrec.report.cells import cells
from mmsrec.report.experiment_groups import GROUPS
from mmsrec.report.inputs import Inputs
from mmsrec.report.paired import holm, paired_test
from mmsrec.report.table import Column, Table, fixed, metric_title, percent, probability
from mmsrec.report.user_gains import UserGains
from mmsrec.settings.layouts import ScoreLayout

KEYS = [group.field for group in GROUPS]
FRAME = {
    "metric": pl.String,
    "reported_best": pl.String,
    "reported_gain": pl.Float64,
    "best": pl.String,
    "best_measured": pl.Float64,
    "ours_measured": pl.Float64,
    "gain": pl.Float64,
    "users": pl.Int64,
    "user_difference": pl.Float64,
    "user_interval": pl.Float64,
    "p": pl.Float64,
    "p_holm": pl.Float64,
    "missing": pl.String,
}


def exhibit(inputs: Inputs, layout: ScoreLayout) -> Table:
    """One row for each data set, protocol and metric."""
    frame = gains_frame(inputs, layout)
    tests, untested = frame["p"].count(), frame["gain"].count() > frame["p"].count()
    return Table(
        title=layout.title,
        caption=layout.caption,
        frame=frame,
        columns=[
            Column("metric", "Metric", show=metric_title),
            Column("reported_best", "best other", over="reported"),
            Column("reported_gain", "gain", over="reported", show=percent),
            Column("best", "best other", over="measured"),
            Column("best_measured", "its value", over="measured", show=fixed),
            Column("ours_measured", layout.ours, over="measured", show=fixed),
            Column("gain", "gain", over="measured", show=percent, missing="missing"),
            Column("user_difference", "difference", over="paired test", show=_with_minus, interval="user_interval"),
            Column("p", "p", over="paired test", show=probability),
            Column("p_holm", "p (Holm)", over="paired test", show=probability),
            Column("users", "Users", over="paired test", show="{:,}".format),
        ],
        groups=GROUPS,
        notes=[
            f"The gain is of {layout.ours} over the best other model of this exhibit, as the paper's column Improv. "
            "The best other model is chosen by its mean over seeds.",
            "The test is Student's paired t-test over users. A user's value is the mean over the seeds. Differences "
            "are shown with the 95 % interval over users.",
            f"p (Holm) is corrected for the {tests} tests of this table.",
            "The test is about other users and not about other trainings: the interval over seeds is with the scores.",
            *(["A gain without a test has a training whose ranks are on another machine."] if untested else []),
            *layout.notes,
        ],
    )


def gains_frame(inputs: Inputs, layout: ScoreLayout) -> pl.DataFrame:
    """One row for each data set, protocol and metric: the group's columns, and the columns of `FRAME`.

    - reported_best, reported_gain: the best other model of the paper, and the paper's gain in per cent.
    - best, best_measured, ours_measured, gain: the same with the measured means.
    - user_difference, user_interval, p: the paired test of `mmsrec.report.paired`; p_holm is corrected for the frame.
    - missing: the reason why there is no gain.
    """
    found, gains = cells(inputs, layout), UserGains(inputs, layout)
    groups = found.group_by([*KEYS, "metric"], maintain_order=True)
    rows = [_row(dict(zip([*KEYS, "metric"], key, strict=True)), part, layout, gains) for key, part in groups]
    tested = [row for row in rows if "p" in row]
    for row, p in zip(tested, holm([row["p"] for row in tested]), strict=True):
        row["p_holm"] = p
    return pl.DataFrame(rows, schema={name: found.schema[name] for name in KEYS} | FRAME)


def _row(keys: dict[str, Any], group: pl.DataFrame, layout: ScoreLayout, gains: UserGains) -> dict[str, Any]:
    (ours,) = group.filter(label=layout.ours).to_dicts()
    others = group.filter(pl.col("label") != layout.ours)
    row = keys | _gain(others.filter(pl.col("incomparable").is_null()), ours["reported"], "reported", "reported_")
    measured = _gain(others, ours["measured"], "measured", "")
    if "gain" not in measured:
        return row | {"missing": ours["missing"] or next(iter(others["missing"]), None)}
    (best,) = others.filter(label=measured["best"]).to_dicts()
    row |= measured | {"best_measured": best["measured"], "ours_measured": ours["measured"]}
    users = [gains.of(keys, cell["label"], cell["seeds"]) for cell in (ours, best)]
    if any(values is None for values in users):
        return row
    test = paired_test(*users)
    return row | {"users": test.users, "user_difference": test.difference, "user_interval": test.interval, "p": test.p}


def _gain(others: pl.DataFrame, ours: float | None, column: str, prefix: str) -> dict[str, Any]:
    """The best other model and the gain over it; nothing where one of both is missing."""
    known = others.filter(pl.col(column).is_not_null()).sort(column, descending=True, maintain_order=True)
    if ours is None or known.is_empty():
        return {}
    best = known[column][0]
    return {f"{prefix}best": known["label"][0], f"{prefix}gain": 100 * (ours / best - 1) if best else None}


def _with_minus(value: float) -> str:
    # The sum with 0 makes -0 positive.
    return f"{round(value, 4) + 0.0:.4f}".replace("-", "−")
