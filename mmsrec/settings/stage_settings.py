"""The settings that decide the result of a stage, after all overrides; a job runs again when they change."""

from dataclasses import asdict
from typing import Any

from mmsrec.settings.crawling import TRAILER_RULES, picture_rules
from mmsrec.settings.params import Params
from mmsrec.settings.plan import Experiment, parts_of, start_of


def clip_settings(params: Params, corpus: str) -> dict[str, Any]:
    """The settings that decide which videos of a corpus are found."""
    row = params.corpora[corpus].model_dump(mode="json", include={"videos", "max_bytes"})
    return picture_rules(params.crawl_of(corpus)) | row


def pretraining_run(params: Params, name: str) -> dict[str, Any]:
    """All the settings of a pre-training."""
    row = params.pretrainings[name].model_dump(mode="json", exclude={"settings"})
    return params.pretraining_of(name).model_dump(mode="json", exclude_defaults=True) | row


def experiment_settings(params: Params, experiment: Experiment) -> dict[str, Any]:
    """The settings that decide the weights of an experiment's model, besides its data and its seed.

    A start and the parts of a blend count with their own settings.
    """
    row = params.variants[experiment.variant].model_dump(include={"encoders", "pretrained"})
    own = row | params.settings_of(experiment.domain, experiment.variant).dump()
    if start := start_of(params, experiment):
        own["start"] = asdict(start) | experiment_settings(params, start)
    if parts := parts_of(params, experiment):
        own["parts"] = {part.variant: experiment_settings(params, part) for part in parts}
    return own


def crawl_settings(params: Params, collection: str) -> dict[str, Any]:
    """The settings that decide which media a crawl of a domain or a catalogue finds."""
    vision, crawl = params.domains[params.domain_of(collection)].vision, params.crawl_of(collection)
    if vision.kind == "trailer":
        rules = crawl.trailers.model_dump(mode="json", include=TRAILER_RULES)
    else:
        rules = picture_rules(crawl)
    return vision.model_dump(mode="json") | rules
