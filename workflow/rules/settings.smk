"""The settings that a stage reads, after all overrides. A job runs again when they change."""


def ingest_settings(wildcards):
    return reading(wildcards.domain)


def catalogue_settings(wildcards):
    return reading(PARAMS.domain_of(wildcards.catalogue))


def reading(domain):
    return PARAMS.domains[domain].model_dump(include={"source", "texts", "text_fields"})


def union_settings(wildcards):
    return PARAMS.domains[wildcards.domain].of


def repeats_settings(wildcards):
    return PARAMS.domains[wildcards.domain].repeats


def attributes_settings(wildcards):
    return PARAMS.domains[wildcards.domain].model_dump(include={"source", "attributes"})


def split_settings(wildcards):
    return PARAMS.splits[wildcards.split].model_dump()


def media_settings(wildcards):
    return crawl_settings(PARAMS, wildcards.collection)


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
    return experiment_settings(PARAMS, experiment_of(wildcards))


def report_settings(wildcards):
    published = {core.domain: PARAMS.domains[core.domain].published for core in cores_of(PARAMS, wildcards.report)}
    splits = {row.split: PARAMS.splits[row.split].model_dump() for row in experiments_of(PARAMS, wildcards.report)}
    return PARAMS.reports[wildcards.report].model_dump() | {
        "evaluation": PARAMS.evaluation.model_dump(),
        "published": published,
        "splits": splits,
    }
