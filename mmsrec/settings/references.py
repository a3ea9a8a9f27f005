"""Checks of rows that name other rows: unions of domains, trainings that start from others, and catalogues.

Every function raises ValueError with the key of the wrong row; pydantic turns it into a `ParamsError`.
"""

from collections.abc import Mapping
from typing import Any

from mmsrec.models.registry import MODELS
from mmsrec.settings.catalogues import Catalogue
from mmsrec.settings.data import AnyDomain, UnionDomain
from mmsrec.settings.encoding import Encoder, LsaEncoder, TableEncoder
from mmsrec.settings.variants import Variant


def known(name: str, rows: Mapping[str, Any], key: str) -> None:
    """Checks that a row exists."""
    if name not in rows:
        raise ValueError(f"{key}: unknown name {name!r}; known: {', '.join(sorted(rows))}")


def check_union(union: UnionDomain, domains: Mapping[str, AnyDomain], key: str) -> None:
    """Checks that the members of a union are different domains with raw files."""
    readers: dict[str, str] = {}
    for name in union.of:
        known(name, domains, key)
        row = domains[name]
        if isinstance(row, UnionDomain):
            raise ValueError(f"{key}: {name} is a union, and a union has no unions in it")
        if row.interactions in readers:
            raise ValueError(f"{key}: {readers[row.interactions]} and {name} read the same {row.interactions}")
        readers[row.interactions] = name


def check_union_features(variant: Variant, domain: AnyDomain, encoders: Mapping[str, Encoder], key: str) -> None:
    """Checks that a union has the features of a variant: only texts are computed for it, and no table has its ids."""
    if not isinstance(domain, UnionDomain):
        return
    for modality, encoder in variant.encoders.items():
        if modality != "text" or isinstance(encoders.get(encoder), TableEncoder):
            raise ValueError(f"{key} reads {modality} by {encoder}, and a union of domains has computed texts alone")


def check_catalogue(
    catalogue: Catalogue,
    domains: Mapping[str, AnyDomain],
    variants: Mapping[str, Variant],
    encoders: Mapping[str, Encoder],
    key: str,
) -> None:
    """Checks that a domain with raw files can read the items, and that features can be made by every variant."""
    known(catalogue.domain, domains, f"{key}.domain")
    domain = domains[catalogue.domain]
    if isinstance(domain, UnionDomain):
        raise ValueError(f"{key}.domain: {catalogue.domain} is a union; name the member that the items belong to")
    for name in catalogue.variants:
        known(name, variants, f"{key}.variants")
        by_modality = variants[name].encoders
        if not by_modality:
            raise ValueError(f"{key}.variants: {name} reads no features, so it cannot know an item that is new")
        encoder = encoders.get(by_modality.get("vision", ""))
        if encoder and not domain.vision and not isinstance(encoder, TableEncoder):
            raise ValueError(f"{key}.variants: {name} reads vision, and domains.{catalogue.domain} has no key vision")


def check_start(
    name: str, variants: Mapping[str, Variant], domains: Mapping[str, AnyDomain], encoders: Mapping[str, Encoder]
) -> None:
    """Checks the key `starts_from` of a variant: its rows, its domains, its models, and that no start needs itself."""
    variant, key = variants[name], f"variants.{name}.starts_from"
    start = variant.starts_from
    if start is None:
        return
    known(start.variant, variants, f"{key}.variant")
    for domain in filter(None, [start.domain, *start.by_domain, *start.by_domain.values()]):
        known(domain, domains, key)
    if variant.pretrained:
        raise ValueError(f"variants.{name}: a training starts from pretrained or from starts_from, not from both")
    allowed, model = MODELS[variant.model].starts, variants[start.variant].model
    if model not in allowed:
        expected = " or ".join(sorted(allowed)) or "no other model"
        raise ValueError(f"{key}: the model {variant.model} starts from {expected}, and {start.variant} is a {model}")
    _check_no_cycle(name, variants, key)
    elsewhere = [domain for domain in (start.domain, *start.by_domain.values()) if domain]
    if elsewhere and not MODELS[variant.model].reads_features:
        raise ValueError(f"{key}: the model {variant.model} knows items by their ids, so it starts in its own domain")
    for domain in elsewhere:
        check_union_features(variants[start.variant], domains[domain], encoders, f"{key}: {start.variant}")
    for encoder in variants[start.variant].encoders.values():
        if elsewhere and isinstance(encoders.get(encoder), LsaEncoder):
            raise ValueError(
                f"{key}: {encoder} is fitted on the texts of each domain, so vectors of two domains cannot be compared"
            )


def check_parts(name: str, variants: Mapping[str, Variant]) -> None:
    """Checks the parts of a blend: rows of models that recommend, with the encoders of the blend."""
    blend, key = variants[name], f"variants.{name}"
    if not MODELS[blend.model].blends:
        return
    if blend.pretrained or blend.starts_from:
        raise ValueError(f"{key}: a blend has no weights to start from; name the start in the rows of its parts")
    named = [layer.settings.parts or [] for layer in (blend, *blend.by_domain.values())]
    for part in dict.fromkeys(part for parts in named for part in parts):
        known(part, variants, f"{key}.settings.parts")
        row = variants[part]
        if MODELS[row.model].blends or not MODELS[row.model].validated:
            raise ValueError(f"{key}.settings.parts: {part} is a {row.model}, which is no part of a blend")
        for modality, encoder in row.encoders.items():
            if blend.encoders.get(modality) != encoder:
                given = blend.encoders.get(modality, "no encoder")
                raise ValueError(f"{key}.encoders: {part} reads {modality} by {encoder}, and the blend has {given}")


def _check_no_cycle(name: str, variants: Mapping[str, Variant], key: str) -> None:
    passed = [name]
    while (row := variants.get(passed[-1])) and row.starts_from:
        following = row.starts_from.variant
        if following in passed:
            raise ValueError(f"{key}: the starts form a cycle: {' from '.join([*passed, following])}")
        passed.append(following)
