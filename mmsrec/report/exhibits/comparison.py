"""Table 3 of the paper: the metrics of every variant, reported and measured."""

from collections.abc import Mapping, Sequence

import polars as pl

from mmsrec.report.cells import CHANCE
from mmsrec.report.experiment_groups import COMPARED, GROUPS
from mmsrec.report.inputs import CANDIDATES, KEYS, Inputs, metric_names, tie_rule
from mmsrec.report.published import PAPER_CANDIDATES, published_comparison
from mmsrec.report.seeds import over_seeds
from mmsrec.report.table import Column, Table, fixed, metric_title, signed
from mmsrec.settings.data import Modality
from mmsrec.settings.params import Params
from mmsrec.settings.plan import Experiment

DESCRIBED = ("published", "model", "features", "departures", "ties")
# The protocol is no part of a training's configuration.
CONFIGURED = [name for name in COMPARED if name != CANDIDATES]
REPORTED = ["published", "k_core", CANDIDATES, "model"]
REMARKS = ("departures", "reported_note")


def exhibit(inputs: Inputs) -> Table:
    """The test metrics of a report's variants next to the paper's Table 3."""
    metrics = metric_names(inputs.params)
    frame = comparison_frame(inputs, metrics)
    return Table(
        title="Comparison of models",
        caption="Test metrics of every variant: the paper's Table 3 next to measured values.",
        frame=frame,
        columns=_columns(metrics),
        groups=GROUPS,
        notes=[
            *_departure_notes(frame),
            *_reported_notes(frame),
            f"{CHANCE} is the expected score of a random ranking.",
        ],
    )


def comparison_frame(inputs: Inputs, metrics: Sequence[str]) -> pl.DataFrame:
    """One row for each combination of `COMPARED`: means over seeds, and the paper's row of this data set and model.

    Args:
        inputs: the report's results and parameters.
        metrics: the metrics to show.

    Returns:
        `COMPARED`, features, ties, and the following columns. A number that the paper does not give is
        null. One more row in each group has the expected values of a random ranking.

        - seeds: number of seeds.
        - reported_for: model of the paper's row.
        - departures: differences between the configuration and the paper's.
        - reported_note: a remark on the paper's row.
        - METRIC_reported, METRIC_measured: the value of each metric.
        - METRIC_interval: half the 95 % interval.
        - METRIC_difference: measured minus reported.
    """
    measured = inputs.metrics()
    described = _described(inputs.params, inputs.experiments)
    means = over_seeds(measured, COMPARED, metrics).join(described, on=CONFIGURED, how="left", maintain_order="left")
    rows = pl.concat([_by_chance(measured, metrics), means], how="diagonal")
    return (
        rows.join(_reported(metrics), on=REPORTED, how="left", maintain_order="left")
        .with_columns(pl.when(pl.col("reported_for").is_not_null()).then("departures").alias("departures"))
        .with_columns(
            (pl.col(f"{name}_measured") - pl.col(f"{name}_reported")).alias(f"{name}_difference") for name in metrics
        )
        .select(
            *COMPARED,
            *("features", "ties", "seeds", "reported_for", *REMARKS),
            *(f"{name}_{part}" for name in metrics for part in ("reported", "measured", "interval", "difference")),
        )
    )


def departures(params: Params, domain: str, variant: str, paper_encoders: str | None) -> list[str]:
    """The ways in which a variant differs from the paper's: its features, and the settings that its row names.

    Args:
        paper_encoders: the paper's encoder of each modality, as published.csv writes them; None accepts any.
    """
    row = params.variants[variant]
    used = _by({modality: params.encoders[row.encoders[modality]].label for modality in row.modalities})
    parts = [part for layer in row.layers(domain) for part in (layer.settings, layer.trainer)]
    settings = {name: value for part in parts for name, value in part.model_dump(exclude_unset=True).items()}
    features = [f"features {used} instead of {paper_encoders}"] if paper_encoders not in {None, used} else []
    return features + [f"{name} {value}" for name, value in settings.items()]


def _by(encoders: Mapping[Modality, str]) -> str:
    modalities: dict[str, list[str]] = {}
    for modality, encoder in encoders.items():
        modalities.setdefault(encoder, []).append(modality)
    return ", ".join(f"{'+'.join(names)} by {encoder}" for encoder, names in modalities.items())


def _described(params: Params, experiments: Sequence[Experiment]) -> pl.DataFrame:
    """One row for each combination of `CONFIGURED`, with the columns `CONFIGURED` and `DESCRIBED`."""
    paper = {(row["published"], row["model"]): row["encoders"] for row in published_comparison().to_dicts()}
    rows = {}
    for experiment in experiments:
        variant, published = params.variants[experiment.variant], params.domains[experiment.domain].published
        keys = {name: getattr(experiment, name) for name in CONFIGURED}
        changes = departures(params, experiment.domain, experiment.variant, paper.get((published, variant.model)))
        rows[tuple(keys.values())] = keys | {
            "published": published,
            "model": variant.model,
            "features": _by({modality: variant.encoders[modality] for modality in variant.modalities}) or None,
            "departures": "; ".join(changes),
            "ties": tie_rule(params, experiment),
        }
    types = {name: kind for name, kind in KEYS.items() if name in CONFIGURED} | dict.fromkeys(DESCRIBED, pl.String)
    return pl.DataFrame(list(rows.values()), schema=types)


def _by_chance(measured: pl.DataFrame, metrics: Sequence[str]) -> pl.DataFrame:
    return measured.group_by([group.field for group in GROUPS], maintain_order=True).agg(
        pl.lit(CHANCE).alias("variant"),
        *(pl.col(f"{name}_chance").first().alias(f"{name}_measured") for name in metrics),
    )


def _reported(metrics: Sequence[str]) -> pl.DataFrame:
    """The paper's rows under the names of the comparison; a metric that the paper does not give is null."""
    rows = published_comparison()
    given = {name: pl.col(name) if name in rows.columns else pl.lit(None, pl.Float64) for name in metrics}
    return rows.select(
        "published",
        "k_core",
        pl.lit(PAPER_CANDIDATES).alias(CANDIDATES),
        "model",
        pl.col("model").alias("reported_for"),
        pl.col("note").alias("reported_note"),
        *(values.alias(f"{name}_reported") for name, values in given.items()),
    )


def _columns(metrics: Sequence[str]) -> list[Column]:
    compared = [
        column
        for name in metrics
        for column in (
            Column(f"{name}_reported", "reported", over=metric_title(name), show=fixed, remarks=REMARKS),
            Column(
                f"{name}_measured",
                "measured",
                over=metric_title(name),
                show=fixed,
                interval=f"{name}_interval",
                best="highest",
            ),
            Column(f"{name}_difference", "difference", over=metric_title(name), show=signed),
        )
    ]
    described = [Column("reported_for", "Reported for"), Column("features", "Features"), Column("seeds", "Seeds")]
    return [Column("variant", "Variant"), *compared, *described]


def _departure_notes(frame: pl.DataFrame) -> list[str]:
    rows = (
        frame.filter(pl.col("departures") != "")
        .group_by("variant", "reported_for", "departures", maintain_order=True)
        .agg(pl.col("domain").unique(maintain_order=True))
    )
    return [
        f"* {variant} on {', '.join(domains)} is another configuration than the paper's {model}: {changes}."
        for variant, model, changes, domains in rows.iter_rows()
    ]


def _reported_notes(frame: pl.DataFrame) -> list[str]:
    rows = frame.filter(pl.col("reported_note").is_not_null()).select("reported_for", "domain", "reported_note")
    return [
        f"* {model} on {domain}: the paper {note}." for model, domain, note in rows.unique().sort("domain").iter_rows()
    ]
