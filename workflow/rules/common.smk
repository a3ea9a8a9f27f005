"""Parameters, wildcards and every function that a rule calls; the other files hold rules only."""

import re
from pathlib import Path

from mmsrec.errors import ParamsError
from mmsrec.settings.plan import (
    Experiment,
    clip_corpora,
    clip_settings,
    cores_of,
    crawl_settings,
    experiments_of,
    features_of,
    picture_domains,
    pretraining_run,
    retrievals_of,
    shard_corpora,
    trailer_domains,
)
from mmsrec.settings.params import read_params
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
    corpus=any_of(PARAMS.corpora),
    catalogue=any_of([*PARAMS.domains, *clip_corpora(PARAMS)]),
    encoder=any_of(PARAMS.encoders),
    modality="vision|text",
    pretraining=any_of(PARAMS.pretrainings),
    variant=any_of(PARAMS.variants),
    seed="[0-9]+",
    report=any_of(PARAMS.reports),


def raw_files(wildcards):
    domain = PARAMS.domains[wildcards.domain]
    return {"interactions": f"data/raw/{domain.interactions}", "catalogue": f"data/raw/{domain.items}"}


# What has items with texts and media is a catalogue: a domain at its lowest k, or a corpus of clips.


def items(wildcards):
    name = wildcards.get("domain") or wildcards.catalogue
    if name in PARAMS.corpora:
        return f"data/corpora/{name}/items.parquet"
    return f"data/processed/{name}/k{PARAMS.domains[name].k_core}/items.parquet"


def texts(wildcards):
    corpus = wildcards.catalogue in PARAMS.corpora
    return f"data/corpora/{wildcards.catalogue}/captions.parquet" if corpus else items(wildcards)


def clip_tables(wildcards):
    return [f"data/raw/{file}" for file in PARAMS.corpora[wildcards.corpus].tables]


def clip_archive(wildcards):
    archive = PARAMS.corpora[wildcards.corpus].archive
    return f"data/raw/{archive}" if archive else []


def pretraining_pairs(wildcards):
    row = PARAMS.pretrainings[wildcards.pretraining]
    return f"data/pairs/{row.corpus}/{row.encoder}/index.json"


def test_pairs(wildcards):
    encoder = PARAMS.pretrainings[wildcards.pretraining].encoder
    return f"data/pairs/{wildcards.corpus}/{encoder}/index.json"


def pretrained(wildcards):
    name = PARAMS.variants[wildcards.variant].pretrained
    return f"models/pretrain/{name}/weights.safetensors" if name else []


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
            f"results/collected/{wildcards.report}/results/retrieval/{row.pretraining}/{row.corpus}/metrics.json"
            for row in retrievals_of(PARAMS, wildcards.report)
        ),
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


def shards_settings(wildcards):
    return PARAMS.corpora[wildcards.corpus].model_dump(include={"repository", "revision", "files"})


def pairs_settings(wildcards):
    corpus = PARAMS.corpora[wildcards.corpus].model_dump(include={"frames", "count", "keep"})
    return {"corpus": corpus, "encoder": encoder_settings(wildcards)}


def clips_settings(wildcards):
    return PARAMS.corpora[wildcards.corpus].model_dump(include={"captions", "split", "videos"})


def videos_settings(wildcards):
    return clip_settings(PARAMS, wildcards.corpus)


def join_settings(wildcards):
    return PARAMS.corpora[wildcards.corpus].model_dump(include={"missing"})


def pretrain_settings(wildcards):
    return pretraining_run(PARAMS, wildcards.pretraining)


def train_settings(wildcards):
    variant = PARAMS.variants[wildcards.variant].model_dump(include={"model", "encoders", "pretrained"})
    return variant | PARAMS.training_of(wildcards.domain, wildcards.variant).model_dump()


def report_settings(wildcards):
    published = {core.domain: PARAMS.domains[core.domain].published for core in cores_of(PARAMS, wildcards.report)}
    return PARAMS.reports[wildcards.report].model_dump() | {
        "evaluation": PARAMS.evaluation.model_dump(),
        "published": published,
    }
