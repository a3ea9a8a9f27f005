"""The experiments of the reports and their data, as rows such as (domain, k_core, split, variant, seed)."""

from collections.abc import Iterable
from dataclasses import replace
from typing import get_args

from mmsrec.errors import DataError
from mmsrec.models.registry import MODELS
from mmsrec.settings.corpora import ClipCorpus, DomainCorpus, ShardCorpus
from mmsrec.settings.crawling import Vision
from mmsrec.settings.data import AnyDomain, AttributeRules, Modality, UnionDomain
from mmsrec.settings.encoding import TableEncoder
from mmsrec.settings.params import Params, row_of
from mmsrec.settings.plan_rows import Core, Cut, Experiment, FeatureFile, PairFolder, Retrieval


def experiments_of(params: Params, report: str) -> list[Experiment]:
    """The experiments of a report, in the order of its rows, each once."""
    return params.reports[report].experiment_rows()


def cores_of(params: Params, report: str) -> list[Core]:
    """The k-cores whose statistics a report shows, each once: those of its experiments, then the named ones."""
    return params.reports[report].core_rows()


def sequences_of(params: Params, report: str) -> list[Cut]:
    """The data sets whose sequences a report reads, each once."""
    return params.reports[report].sequence_rows()


def retrievals_of(params: Params, report: str) -> list[Retrieval]:
    """The retrievals of a report, in the order of its rows, each once."""
    return params.reports[report].retrieval_rows()


def all_retrievals(params: Params) -> list[Retrieval]:
    """The retrievals of every report, each once."""
    return _union(retrievals_of(params, report) for report in params.reports)


def pairs_of(params: Params, retrieval: Retrieval) -> PairFolder:
    """The pairs that a retrieval is measured on, made by the encoder of the pre-training."""
    return PairFolder(retrieval.corpus, params.pretrainings[retrieval.pretraining].encoder)


def all_pairs(params: Params) -> list[PairFolder]:
    """The pairs of every pre-training and of every retrieval, each once."""
    trained = [PairFolder(row.corpus, row.encoder) for row in params.pretrainings.values()]
    return _union([trained, [pairs_of(params, row) for row in all_retrievals(params)]])


def reported_experiments(params: Params) -> list[Experiment]:
    """The experiments of every report, each once. They are evaluated."""
    return _union(experiments_of(params, report) for report in params.reports)


def start_of(params: Params, experiment: Experiment) -> Experiment | None:
    """The experiment whose weights a training starts from: of the same split, in another domain at its lowest k."""
    row = params.variants[experiment.variant].starts_from
    if row is None:
        return None
    domain = row.domain_of(experiment.domain)
    k_core = experiment.k_core if domain == experiment.domain else params.domains[domain].k_core
    seed = experiment.seed if row.seed is None else row.seed
    return replace(experiment, domain=domain, k_core=k_core, variant=row.variant, seed=seed)


def parts_of(params: Params, experiment: Experiment) -> list[Experiment]:
    """The experiments whose models a blend sums; none for another model."""
    parts = params.settings_of(experiment.domain, experiment.variant).parts
    return [replace(experiment, variant=part) for part in parts]


def sources_of(params: Params, experiment: Experiment) -> list[Experiment]:
    """The experiments whose weights a training reads: its start, or the parts of a blend."""
    start = start_of(params, experiment)
    return [start] if start else parts_of(params, experiment)


def earlier_than(params: Params, experiment: Experiment) -> list[Experiment]:
    """The experiments that come before an experiment, the nearest first."""
    sources = sources_of(params, experiment)
    return _union([sources, *(earlier_than(params, source) for source in sources)])


def all_experiments(params: Params) -> list[Experiment]:
    """The experiments of every report, then those that they read the weights of, each once. They are trained."""
    reported = reported_experiments(params)
    return _union([reported, *(earlier_than(params, experiment) for experiment in reported)])


def all_cuts(params: Params) -> list[Cut]:
    """The sequences that any experiment is trained on, each once."""
    return _union([[experiment.cut for experiment in all_experiments(params)]])


def all_cores(params: Params) -> list[Core]:
    """The k-cores that any stage reads: those of reports and trainings and, for the features, every domain's lowest."""
    lowest = [Core(name, domain.k_core) for name, domain in params.domains.items()]
    trained = [experiment.core for experiment in all_experiments(params)]
    return _union([lowest, *(cores_of(params, report) for report in params.reports), trained])


def features_of(params: Params, experiment: Experiment) -> list[FeatureFile]:
    """The feature files that an experiment reads; none for a model of item ids."""
    variant = params.variants[experiment.variant]
    return [FeatureFile(experiment.domain, variant.encoders[modality], modality) for modality in variant.modalities]


def paired_features(params: Params, pairs: PairFolder) -> list[FeatureFile]:
    """The vision and the text features that pairs are joined from; none for shards, which have features already."""
    row = params.corpora[pairs.corpus]
    if isinstance(row, ShardCorpus):
        return []
    collection = row.domain if isinstance(row, DomainCorpus) else pairs.corpus
    return [FeatureFile(collection, pairs.encoder, modality) for modality in get_args(Modality)]


def all_features(params: Params) -> list[FeatureFile]:
    """The feature files of every training, of the pairs of every corpus and of every catalogue, each once."""
    trained = [features_of(params, experiment) for experiment in all_experiments(params)]
    pairs = [paired_features(params, row) for row in all_pairs(params)]
    return _union([*trained, *pairs, *(catalogue_features(params, name) for name in params.catalogues)])


def catalogue_features(params: Params, name: str) -> list[FeatureFile]:
    """The feature files of a catalogue: of each modality by the encoders of its variants, each once.

    Raises:
        ParamsError: there is no such catalogue.
    """
    row = row_of(params.catalogues, name, "catalogues")
    variants = [params.variants[variant] for variant in row.variants]
    return _union(
        [FeatureFile(name, variant.encoders[modality], modality) for modality in variant.modalities]
        for variant in variants
    )


def attributes_of(params: Params, experiment: Experiment) -> list[Core]:
    """The k-core whose attributes an experiment reads; none for a model that reads no attributes.

    Raises:
        DataError: the domain has no attributes.
    """
    models = [params.variants[row.variant].model for row in [experiment, *parts_of(params, experiment)]]
    if not any(MODELS[model].reads_attributes for model in models):
        return []
    attribute_rules(params, experiment.domain)
    return [experiment.core]


def all_attributes(params: Params) -> list[Core]:
    """The k-cores whose attributes any experiment reads, each once."""
    return _union(attributes_of(params, experiment) for experiment in all_experiments(params))


def attribute_rules(params: Params, domain: str) -> AttributeRules:
    """The rules for the attributes of a domain.

    Raises:
        ParamsError: there is no such domain.
        DataError: the domain has no attributes.
    """
    rules = row_of(params.domains, domain, "domains").attributes
    if rules is None:
        raise DataError(
            "A model reads attributes of items, and the domain has none.",
            where=f"domains.{domain}",
            expected="the key attributes",
            fix="If its raw items have brands, categories, genres or the column attributes, add `attributes: {}`. "
            "Otherwise choose another model or domain.",
        )
    return rules


def domain_files(domain: AnyDomain) -> list[str]:
    """The raw files of a domain's tables, each once; none for a union."""
    if isinstance(domain, UnionDomain):
        return []
    return list(dict.fromkeys([domain.interactions, domain.items, *domain.texts]))


def file_domains(params: Params) -> list[str]:
    """The domains that are read from raw files."""
    return [name for name in params.domains if name not in union_domains(params)]


def union_domains(params: Params) -> list[str]:
    """The domains that join others."""
    return [name for name, row in params.domains.items() if isinstance(row, UnionDomain)]


def repeat_domains(params: Params) -> list[str]:
    """The domains whose row has a rule for repeated rows."""
    return [name for name, row in params.domains.items() if "repeats" in row.model_fields_set]


def picture_collections(params: Params) -> list[str]:
    """The domains and catalogues whose items have a picture each."""
    return [name for name, vision in _visions(params).items() if vision.kind != "trailer"]


def trailer_collections(params: Params) -> list[str]:
    """The domains and catalogues whose items have a video each."""
    return [name for name, vision in _visions(params).items() if vision.kind == "trailer"]


def _visions(params: Params) -> dict[str, Vision]:
    names = [*params.domains, *params.catalogues]
    return {name: vision for name in names if (vision := params.domains[params.domain_of(name)].vision)}


def table_encoders(params: Params) -> list[str]:
    """The encoders whose vectors are given in tables."""
    return [name for name, row in params.encoders.items() if isinstance(row, TableEncoder)]


def computing_encoders(params: Params) -> list[str]:
    """The encoders that compute vectors from texts or pictures."""
    return [name for name in params.encoders if name not in table_encoders(params)]


def has_videos(params: Params, collection: str) -> bool:
    """Whether the items of a collection have videos, whose frames are encoded; otherwise pictures."""
    return collection in trailer_collections(params) or collection in clip_corpora(params)


def shard_corpora(params: Params) -> list[str]:
    """The corpora that come as shards of features."""
    return [name for name, row in params.corpora.items() if isinstance(row, ShardCorpus)]


def clip_corpora(params: Params) -> list[str]:
    """The corpora that come as videos with captions."""
    return [name for name, row in params.corpora.items() if isinstance(row, ClipCorpus)]


def domain_corpora(params: Params) -> list[str]:
    """The corpora that pair the media and the texts of a domain's items."""
    return [name for name, row in params.corpora.items() if isinstance(row, DomainCorpus)]


def recommending(params: Params) -> list[str]:
    """The variants that recommend items, and so can be evaluated; the others are pre-trainings on sequences."""
    return [name for name, row in params.variants.items() if MODELS[row.model].validated]


def _union(lists: Iterable[Iterable]) -> list:
    return list(dict.fromkeys(row for rows in lists for row in rows))
