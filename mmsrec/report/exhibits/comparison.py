"""Table 3: the metrics of every variant, reported beside measured."""

from collections.abc import Mapping, Sequence
from typing import get_args

import polars as pl

from mmsrec.report.inputs import Inputs, metric_names
from mmsrec.report.published import published_comparison
from mmsrec.report.seeds import over_seeds
from mmsrec.report.table import Column, Table, fixed, signed
from mmsrec.settings.experiments import Modality, Overrides
from mmsrec.settings.params import Params

FAMILIES = {"recall": "Recall", "ndcg": "NDCG", "mrr": "MRR"}
KEYS = ("domain", "k_core", "variant")
CHANCE = "chance"
GROUPS = (Column("domain", "Data set"), Column("k_core", "Core", show="{}-core".format))
# Section 4.2: the features of the paper's own rows, of the models whose features a variant chooses.
PAPER_FEATURES = {"mmsrec": dict.fromkeys(get_args(Modality), "open_clip ViT-B-32 openai")}


def comparison_table(inputs: Inputs) -> Table:
    """The test metrics of a report's variants beside those of the paper's Table 3."""
    metrics = metric_names(inputs.params)
    frame = comparison_frame(inputs.metrics(), inputs.params, metrics)
    return Table(
        name="table3",
        title="Comparison of models",
        caption="Table 3: test metrics of every variant, reported by the paper beside measured.",
        frame=frame,
        columns=_columns(metrics),
        groups=GROUPS,
        notes=[*_departure_notes(frame), f"The row {CHANCE} is what a random ranking is expected to score."],
    )


def comparison_frame(measured: pl.DataFrame, params: Params, metrics: Sequence[str]) -> pl.DataFrame:
    """One row a domain, k and variant: means over its seeds beside the paper's row of the same model.

    Args:
        measured: rows as `Inputs.metrics` returns them.
        params: describes the variants and names the domains in the paper.
        metrics: the metrics to show.

    Returns:
        domain, k_core, variant, features, ties, candidates, seeds (how many), reported_for (the model of the paper's
        row), departures (what makes it a different configuration), and for each metric METRIC_reported,
        METRIC_measured, METRIC_interval (half the 95 % interval) and METRIC_difference (measured less reported). A
        number that the paper does not give is null. One more row a core, `CHANCE`, is of a random ranking.
    """
    means = over_seeds(measured, KEYS, metrics)
    described = pl.DataFrame(
        [_describe(params, domain, variant) for domain, _, variant in means.select(KEYS).iter_rows()],
        schema=dict.fromkeys(("published", "model", "features", "departures", "ties", "candidates"), pl.String),
    )
    rows = pl.concat([_by_chance(measured, metrics), pl.concat([means, described], how="horizontal")], how="diagonal")
    return (
        rows.join(_reported(metrics), on=["published", "k_core", "model"], how="left", maintain_order="left")
        .with_columns(pl.when(pl.col("reported_for").is_not_null()).then("departures").alias("departures"))
        .with_columns(
            (pl.col(f"{name}_measured") - pl.col(f"{name}_reported")).alias(f"{name}_difference") for name in metrics
        )
        .select(
            *KEYS,
            *("features", "ties", "candidates", "seeds", "reported_for", "departures"),
            *(f"{name}_{part}" for name in metrics for part in ("reported", "measured", "interval", "difference")),
        )
    )


def departures(params: Params, domain: str, variant: str) -> list[str]:
    """What a variant does otherwise than the paper: its features, and the settings that its row names."""
    row = params.variants[variant]
    used = {modality: params.encoders[row.encoders[modality]].label for modality in row.modalities}
    paper = PAPER_FEATURES.get(row.model, used)
    layers = (row.training, row.by_domain.get(domain, Overrides()))
    settings = {name: value for layer in layers for name, value in layer.model_dump(exclude_none=True).items()}
    features = [f"features {_by(used)} instead of {_by(paper)}"] if used != paper else []
    return features + [f"{name} {value}" for name, value in settings.items()]


def _by(encoders: Mapping[Modality, str]) -> str:
    modalities: dict[str, list[str]] = {}
    for modality, encoder in encoders.items():
        modalities.setdefault(encoder, []).append(modality)
    return ", ".join(f"{'+'.join(names)} by {encoder}" for encoder, names in modalities.items())


def _describe(params: Params, domain: str, variant: str) -> dict[str, str | None]:
    row = params.variants[variant]
    return {
        "published": params.domains[domain].published,
        "model": row.model,
        "features": _by({modality: row.encoders[modality] for modality in row.modalities}) or None,
        "departures": "; ".join(departures(params, domain, variant)),
        "ties": params.domains[domain].ties,
        "candidates": params.evaluation.candidates,
    }


def _by_chance(measured: pl.DataFrame, metrics: Sequence[str]) -> pl.DataFrame:
    return measured.group_by("domain", "k_core", maintain_order=True).agg(
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
        "model",
        pl.col("model").alias("reported_for"),
        *(values.alias(f"{name}_reported") for name, values in given.items()),
    )


def _columns(metrics: Sequence[str]) -> list[Column]:
    compared = [
        column
        for name in metrics
        for column in (
            Column(f"{name}_reported", "reported", over=_title(name), show=fixed, remark="departures"),
            Column(
                f"{name}_measured", "measured", over=_title(name), show=fixed, interval=f"{name}_interval", best=True
            ),
            Column(f"{name}_difference", "difference", over=_title(name), show=signed),
        )
    ]
    described = [Column("reported_for", "Reported for"), Column("features", "Features"), Column("seeds", "Seeds")]
    return [Column("variant", "Variant"), *compared, *described]


def _title(metric: str) -> str:
    family, at, cutoff = metric.partition("@")
    return f"{FAMILIES[family]}{at}{cutoff}"


def _departure_notes(frame: pl.DataFrame) -> list[str]:
    rows = (
        frame.filter(pl.col("departures") != "")
        .group_by("variant", "reported_for", "departures", maintain_order=True)
        .agg(pl.col("domain").unique(maintain_order=True))
    )
    return [
        f"* {variant} in {', '.join(domains)}: a different configuration from the paper's {model}, whose numbers stand "
        f"beside it ({changes})."
        for variant, model, changes, domains in rows.iter_rows()
    ]
