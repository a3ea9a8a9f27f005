"""Parameters, wildcards and every function that a rule calls; the other files hold rules only."""

import re
from pathlib import Path

from mmsrec.errors import ParamsError
from mmsrec.experiments import (
    Experiment,
    cores_of,
    crawl_settings,
    experiments_of,
    features_of,
    picture_domains,
    trailer_domains,
)
from mmsrec.params import read_params
from mmsrec.sources.registry import read_registry

PARAMS = read_params(Path("params.yaml"))
REGISTRY = read_registry(Path("workflow/sources.csv"))

if config:
    raise ParamsError(
        "The stages read params.yaml alone.",
        where="--config, --configfile",
        found=dict(config),
        fix="Edit params.yaml.",
    )


def any_of(names):
    # No name is matched by nothing, but Snakemake takes an empty constraint for none.
    return "|".join(map(re.escape, names)) or "(?!)"


# A raw file that the registry does not know is the user's own: an input that no rule makes.
wildcard_constraints:
    raw=any_of(REGISTRY),
    domain=any_of(PARAMS.domains),
    k="[1-9][0-9]*",
    encoder=any_of(PARAMS.encoders),
    modality="vision|text",
    variant=any_of(PARAMS.variants),
    seed="[0-9]+",
    report=any_of(PARAMS.reports),


def raw_files(wildcards):
    domain = PARAMS.domains[wildcards.domain]
    return {"interactions": f"data/raw/{domain.interactions}", "catalogue": f"data/raw/{domain.items}"}


def lowest_items(wildcards):
    return f"data/processed/{wildcards.domain}/k{PARAMS.domains[wildcards.domain].k_core}/items.parquet"


def trailer_ids(wildcards):
    return f"data/raw/{PARAMS.domains[wildcards.domain].vision.trailer_ids}"


def features(wildcards):
    experiment = Experiment(wildcards.domain, int(wildcards.k), wildcards.variant, int(wildcards.seed))
    return [
        f"data/features/{row.domain}/{row.encoder}/{row.modality}.parquet" for row in features_of(PARAMS, experiment)
    ]


def collected(wildcards):
    return [
        *(
            f"results/collected/{wildcards.report}/data/processed/{core.domain}/k{core.k_core}/statistics.json"
            for core in cores_of(PARAMS, wildcards.report)
        ),
        *(
            f"results/collected/{wildcards.report}/{root}/{row.domain}/k{row.k_core}/{row.variant}/seed{row.seed}/{file}"
            for row in experiments_of(PARAMS, wildcards.report)
            for root, file in (("models", "history.parquet"), ("results", "metrics.json"))
        ),
    ]


# What a stage reads from params.yaml, resolved: a job runs again when this changes.


def ingest_settings(wildcards):
    return PARAMS.domains[wildcards.domain].model_dump(include={"source", "text_fields"})


def prepare_settings(wildcards):
    return {"ties": PARAMS.ties_of(wildcards.domain), "tie_seed": PARAMS.prepare.tie_seed}


def media_settings(wildcards):
    return crawl_settings(PARAMS, wildcards.domain)


def encoder_settings(wildcards):
    return PARAMS.encoders[wildcards.encoder].model_dump(mode="json")


def train_settings(wildcards):
    variant = PARAMS.variants[wildcards.variant].model_dump(include={"model", "encoders"})
    return variant | PARAMS.training_of(wildcards.domain, wildcards.variant).model_dump()


def report_settings(wildcards):
    published = {core.domain: PARAMS.domains[core.domain].published for core in cores_of(PARAMS, wildcards.report)}
    return PARAMS.reports[wildcards.report].model_dump() | {
        "evaluation": PARAMS.evaluation.model_dump(),
        "published": published,
    }
