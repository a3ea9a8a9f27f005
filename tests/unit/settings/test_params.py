"""params.yaml: what is refused, by which message, and how the settings of an experiment come together."""

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from mmsrec.errors import ParamsError
from mmsrec.models.registry import MODELS
from mmsrec.settings.params import parse_params, read_params, schema

ROOT = Path(__file__).parents[3]
RAW = YAML(typ="safe", pure=True).load(ROOT / "params.yaml")
DELETED = object()
GRID = {"domains": ["beauty"], "k_cores": [5], "splits": ["source"], "variants": ["pop"], "seeds": [0]}


def report(**grid: Any) -> dict[str, Any]:
    """The table of reports with one row, whose only experiments are GRID with these values instead."""
    return {"r": {"title": "R", "exhibits": ["comparison"], "experiments": [GRID | grid]}}


def edited(*edits: tuple[str, Any]) -> dict[str, Any]:
    """The repository's parameters after edits of dotted keys."""
    raw = deepcopy(RAW)
    for path, value in edits:
        *parents, last = (int(part) if part.isdigit() else part for part in path.split("."))
        place = raw
        for parent in parents:
            place = place[parent]
        if value is DELETED:
            del place[last]
        else:
            place[last] = value
    return raw


def message_of(*edits: tuple[str, Any]) -> str:
    with pytest.raises(ParamsError) as caught:
        parse_params(edited(*edits), "params.yaml")
    return str(caught.value)


def test_the_repositorys_parameters_are_valid_and_cannot_change():
    params = read_params(ROOT / "params.yaml")

    assert params == parse_params(RAW)
    with pytest.raises(ValueError, match="frozen"):
        params.trainer.patience = 1


def test_the_schema_file_is_in_step():
    assert json.loads((ROOT / "params.schema.json").read_text()) == schema(), "run: make schema"


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("trainig", {}, "trainig: unknown key"),
        ("trainer.learning_rat", 0.1, "trainer.learning_rat: unknown key"),
        ("models.mmsrek", {}, "models.mmsrek: unknown key"),
        ("models.sasrec.settings.dims", 8, "models.sasrec.settings.dims: unknown key"),
        ("models.sasrec.settings.temperature", 0.1, "models.sasrec.settings.temperature: unknown key"),
        ("models.pop", {"trainer": {"patience": 1}}, "models.pop.trainer.patience: unknown key"),
        ("variants.sasrec.settings", {"whiten": True}, "variants.sasrec.settings.whiten: unknown key"),
        ("variants.sasrec.trainer", {"dim": 8}, "variants.sasrec.trainer.dim: unknown key"),
        (
            "variants.sasrec.by_domain",
            {"sports": {"settings": {"missing": "drop"}}},
            "variants.sasrec.by_domain.sports.settings.missing: unknown key",
        ),
        ("variants.pop.settings", {"dim": 8}, "variants.pop.settings.dim: unknown key"),
        ("variants.pop.model", "popp", "variants.pop: Input tag 'popp' found using 'model' does not match"),
        ("trainer.patience", DELETED, "trainer.patience: missing"),
        ("models.sasrec.settings.dim", DELETED, "variants.sasrec in the domain beauty: settings: dim: missing"),
        ("splits.source.ties", DELETED, "splits.source.ties: missing"),
        ("models.mmsrec.settings.dim", "512", "models.mmsrec.settings.dim: Input should be a valid integer"),
        ("trainer.batch_size", 512.5, "trainer.batch_size: Input should be a valid integer"),
        ("trainer.batch_size", True, "trainer.batch_size: Input should be a valid integer, found True"),
        ("trainer.patience", 0, "trainer.patience: Input should be greater than or equal to 1, found 0"),
        (
            "models.mmsrec.settings.hidden_dropout",
            1.0,
            "hidden_dropout: Input should be less than 1, found 1.0",
        ),
        (
            "models.mmsrec.settings.temperature",
            0,
            "temperature: Input should be greater than 0, found 0",
        ),
        ("trainer.weight_decay", float("inf"), "trainer.weight_decay: Input should be a finite number"),
        ("trainer.learning_rate", float("nan"), "trainer.learning_rate: Input should be"),
        ("trainer.precision", "float16", "trainer.precision: Input should be 'float32' or 'bfloat16'"),
        ("splits.source.ties", "random", "splits.source.ties: Input should be 'source', 'item' or 'shuffle'"),
        ("domains.beauty.text_fields", [], "domains.beauty.text_fields: List should have at least 1 item"),
        (
            "domains.beauty.attributes",
            {"min_items": 0},
            "domains.beauty.attributes.min_items: Input should be greater than or equal to 1, found 0",
        ),
        ("domains.beauty.attributes", {"first": True}, "domains.beauty.attributes.first: unknown key"),
        ("domains.beauty.items", "../secret", "domains.beauty.items: String should match pattern"),
        ("domains.beauty.items", "/etc/passwd", "domains.beauty.items: String should match pattern"),
        ("domains.beauty.items", "amazon/../../secret", "domains.beauty.items: String should match pattern"),
        ("domains", {"a/b": {}}, "domains.a/b.[key]: String should match pattern"),
        ("domains", {"a.b": {}}, "domains.a.b.[key]: String should match pattern"),
        ("reports", report(domains=["beuty"]), "reports.r.experiments.0.domains: unknown name 'beuty'; known: beauty"),
        ("reports", report(splits=["sorce"]), "reports.r.experiments.0.splits: unknown name 'sorce'"),
        ("reports", report(variants=["sasrek"]), "reports.r.experiments.0.variants: unknown name 'sasrek'"),
        ("reports", report(seeds=[]), "reports.r.experiments.0.seeds: List should have at least 1 item"),
        ("reports", report(seeds=[-1]), "reports.r.experiments.0.seeds.0: Input should be greater than or equal to 0"),
        ("reports", report(k_cores=[7, 4]), "reports.r.experiments.0.k_cores: 4 is below domains.beauty.k_core, 5"),
        (
            "variants.mmsrec-text.encoders",
            {"text": "clipp"},
            "variants.mmsrec-text.encoders.text: unknown name 'clipp'",
        ),
        (
            "variants.toys-vision.encoders",
            {"vision": "minilm"},
            "variants.toys-vision.encoders.vision: minilm encodes text alone, not vision",
        ),
        ("corpora.toys-pairs.domain", "toy", "corpora.toys-pairs.domain: unknown name 'toy'; known: beauty"),
        ("pretrainings.webvid.encoder", "efficientnet", "efficientnet encodes vision alone, not text"),
        ("variants.mmsrec-text.by_domain", {"moon": {}}, "variants.mmsrec-text.by_domain: unknown name 'moon'"),
        ("variants.mmsrec-text.encoders", {}, "variants.mmsrec-text: the model mmsrec needs an encoder"),
        (
            "variants.mmsrec-text.encoders",
            {"sound": "lsa"},
            "variants.mmsrec-text.encoders.sound.[key]: Input should be",
        ),
        ("variants.pop.encoders", {"text": "lsa"}, "variants.pop: the model pop knows item ids only"),
        ("splits.item.cold_items", 1, "splits.item.cold_items: Input should be less than 1"),
        ("splits.item.cold_items", -0.1, "splits.item.cold_items: Input should be greater than or equal to 0"),
        (
            "variants.sasrec.trainer.max_epochs",
            0,
            "variants.sasrec in the domain beauty: max_epochs 0 keeps the weights of a start, so it needs starts_from",
        ),
        ("evaluation.candidates", ["cold"], "evaluation.candidates.0: Input should be 'all' or 'unseen'"),
    ],
)
def test_a_wrong_value_is_refused_by_its_key(path, value, expected):
    message = message_of((path, value))

    assert expected in message
    assert "params.yaml" in message


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ({"variant": "sasrek"}, "variants.sasrec.starts_from.variant: unknown name 'sasrek'"),
        ({"variant": "sasrec"}, "variants.sasrec.starts_from: the starts form a cycle: sasrec from sasrec"),
        ({"variant": "first"}, "the starts form a cycle: sasrec from first from sasrec"),
        ({"variant": "pop"}, "variants.sasrec.starts_from: the model sasrec starts from sasrec, and pop is a pop"),
        ({"variant": "free", "domain": "moon"}, "variants.sasrec.starts_from: unknown name 'moon'"),
        ({"variant": "free", "domain": "toys"}, "the model sasrec knows items by their ids, so it starts in its own"),
        ({"variant": "free", "by_domain": {"beauty": "moon"}}, "variants.sasrec.starts_from: unknown name 'moon'"),
        ({"variant": "free", "k_core": 5}, "variants.sasrec.starts_from.k_core: unknown key"),
    ],
)
def test_a_wrong_start_is_refused_by_its_key(monkeypatch, start, expected):
    monkeypatch.setitem(MODELS, "sasrec", replace(MODELS["sasrec"], starts=frozenset({"sasrec"})))
    rows = {"free": {"model": "sasrec"}, "first": {"model": "sasrec", "starts_from": {"variant": "sasrec"}}}
    assert expected in message_of(
        ("variants.sasrec.starts_from", start), *((f"variants.{name}", row) for name, row in rows.items())
    )


def test_a_model_without_starts_and_two_starts_are_refused():
    assert "the model sasrec starts from no other model, and pop is a pop" in message_of(
        ("variants.sasrec.starts_from", {"variant": "pop"})
    )
    assert "variants.mmsrec-paper: a training starts from pretrained or from starts_from, not from both" in message_of(
        ("variants.mmsrec-paper.starts_from", {"variant": "mmsrec-text"})
    )


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"settings": {"parts": ["sasrec", "moon"]}}, "variants.mix.settings.parts: unknown name 'moon'"),
        ({"settings": {"parts": ["sasrec", "mix"]}}, "variants.mix.settings.parts: mix is a blend, which is no part"),
        ({"settings": {"parts": ["sasrec", "s3rec-pretraining"]}}, "s3rec-pretraining is a s3rec-pretraining, which"),
        ({"settings": {"parts": []}}, "variants.mix.settings.parts"),
        ({"settings": {"parts": ["sasrec", "sasrec"]}}, "a blend names each part once, found sasrec, sasrec"),
        ({"settings": {"parts": ["sasrec", "pop", "gru4rec", "duorec", "content-minilm"]}}, "variants.mix.settings.p"),
        ({"settings": {}}, "variants.mix in the domain beauty: settings: parts: missing"),
        ({"by_domain": {"toys": {"settings": {"parts": ["sasrec", "moon"]}}}}, "unknown name 'moon'"),
        (
            {"encoders": {"text": "lsa"}},
            "variants.mix.encoders: content-minilm reads text by minilm, and",
        ),
        ({"encoders": {"vision": "clip"}}, "content-minilm reads text by minilm, and the blend has no encoder"),
        ({"starts_from": {"variant": "sasrec"}}, "variants.mix.starts_from: the model blend starts from no other"),
        ({"pretrained": "toys", "encoders": {"text": "toys-clip"}}, "variants.mix: a blend has no weights to start"),
        ({"trainer": {"max_epochs": 3}}, "variants.mix.trainer.max_epochs: unknown key"),
    ],
)
def test_a_wrong_part_of_a_blend_is_refused_by_its_key(row, expected):
    mix = {"model": "blend", "encoders": {"text": "minilm"}, "settings": {"parts": ["sasrec", "content-minilm"]}}
    parse_params(edited(("variants.mix", mix)))
    assert expected in message_of(("variants.mix", mix | row))


FEATURES = {"model": "mmsrec", "encoders": {"text": "minilm"}}


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (FEATURES, None),
        ({"encoders": {"text": "lsa"}}, "lsa is fitted on the texts of each domain, so vectors of two domains"),
        ({"encoders": {"text": "toys-clip"}}, "first reads text by toys-clip, and a union of domains has computed"),
        ({"encoders": {"vision": "clip"}}, "first reads vision by clip, and a union of domains has computed texts"),
    ],
)
def test_a_start_in_a_union_reads_texts_that_both_domains_share(monkeypatch, first, expected):
    monkeypatch.setitem(MODELS, "mmsrec", replace(MODELS["mmsrec"], starts=frozenset({"mmsrec"})))
    edits = [
        ("domains.both", {"source": "union", "of": ["beauty", "sports"], "k_core": 5}),
        ("variants.first", FEATURES | first),
        ("variants.last", FEATURES | {"starts_from": {"variant": "first", "domain": "both"}}),
    ]
    if expected:
        assert expected in message_of(*edits)
    else:
        parse_params(edited(*edits))


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (["beauty", "moon"], "domains.both.of: unknown name 'moon'"),
        (["beauty", "both"], "domains.both.of: both is a union, and a union has no unions in it"),
        (["beauty", "inner"], "domains.both.of: inner is a union, and a union has no unions in it"),
        (["beauty", "beauty"], "domains.both.of: beauty and beauty read the same amazon/ratings_Beauty.csv"),
        (["ml-1m", "ml-1m-plots"], "domains.both.of: ml-1m and ml-1m-plots read the same ml-1m/ml-1m.zip"),
        (["beauty"], "domains.both.of: List should have at least 2 items"),
    ],
)
def test_a_union_of_no_two_domains_with_files_is_refused(of, expected):
    unions = {"both": of, "inner": ["beauty", "sports"]}
    assert expected in message_of(
        *((f"domains.{name}", {"source": "union", "of": members, "k_core": 5}) for name, members in unions.items())
    )


@pytest.mark.parametrize("key", ["items", "vision", "text_fields"])
def test_a_union_has_no_files_of_its_own(key):
    row = {"source": "union", "of": ["beauty", "sports"], "k_core": 5, key: "amazon/x.csv"}
    assert f"domains.both.{key}: unknown key" in message_of(("domains.both", row))


def test_a_report_on_a_union_reads_no_table_of_vectors():
    assert "reports.r.experiments.0.variants: toys-text reads text by toys-clip" in message_of(
        ("domains.both", {"source": "union", "of": ["beauty", "toys"], "k_core": 5}),
        ("reports", report(domains=["both"], variants=["toys-text"])),
    )


LATE = {"domain": "beauty", "items": "amazon/today.csv", "variants": ["mmsrec-text"]}


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("late", {"domain": "beuty"}, "catalogues.late.domain: unknown name 'beuty'; known: beauty"),
        ("late", {"domain": "fhckm"}, "catalogues.late.domain: fhckm is a union; name the member"),
        ("late", {"variants": ["pop"]}, "catalogues.late.variants: pop reads no features"),
        ("late", {"variants": ["popp"]}, "catalogues.late.variants: unknown name 'popp'"),
        ("late", {"variants": []}, "catalogues.late.variants: List should have at least 1 item"),
        (
            "late",
            {"variants": ["mmsrec-paper"], "domain": "plain"},
            "mmsrec-paper reads vision, and domains.plain",
        ),
        ("late", {"items": "../secret.csv"}, "catalogues.late.items: String should match pattern"),
        ("late", {"seeds": [0]}, "catalogues.late.seeds: unknown key"),
        ("Late", {}, "catalogues.Late.[key]: String should match pattern"),
        ("beauty", {}, "catalogues: beauty is a domain too"),
        ("msrvtt-test", {}, "catalogues: msrvtt-test is a corpus too"),
        ("demo", {}, "catalogues: demo is a report too"),
    ],
)
def test_a_wrong_catalogue_is_refused_by_its_key(name, changes, expected):
    plain = {key: value for key, value in RAW["domains"]["beauty"].items() if key != "vision"}
    assert expected in message_of(("domains.plain", plain), ("catalogues", {name: LATE | changes}))


def test_given_vectors_need_no_place_of_pictures():
    plain = {key: value for key, value in RAW["domains"]["toys"].items() if key != "vision"}
    row = LATE | {"domain": "plain", "variants": ["toys-both"]}
    assert parse_params(edited(("domains.plain", plain), ("catalogues", {"late": row}))).domain_of("late") == "plain"


def test_a_pretraining_is_no_row_of_a_report(monkeypatch):
    monkeypatch.setitem(MODELS, "gru4rec", replace(MODELS["gru4rec"], validated=False))
    assert "reports.r.experiments.0.variants: gru4rec is a pre-training, which is not evaluated" in message_of(
        ("reports", report(variants=["pop", "gru4rec"]))
    )


def test_a_report_names_no_domain_without_attributes_for_a_model_that_reads_them():
    message = message_of(("reports", report(domains=["beauty", "toys"], variants=["pop", "fdsa"])))
    assert (
        "reports.r.experiments.0: attributes of items are read by fdsa, and domains.toys has no key attributes"
        in message
    )


def test_only_a_shop_has_paths_of_categories():
    message = message_of(("domains.ml-1m.attributes", {"drop_first": True}))
    assert "domains.ml-1m: attributes.drop_first: items of source: movielens have no paths of categories" in message


def test_every_wrong_key_is_named_at_once():
    message = message_of(("trainer.patience", "9"), ("evaluation.tops", 3), ("splits.source.seed", -1))

    assert all(key in message for key in ("trainer.patience", "evaluation.tops", "splits.source.seed"))


@pytest.mark.parametrize(
    "edit",
    [
        ("models.sasrec.settings.heads", 7),
        ("models.mmsrec.by_domain", {"ml-1m": {"settings": {"dim": 100}}}),
        ("variants.mmsrec-text.settings", {"heads": 3}),
        ("variants.mmsrec-text.by_domain", {"ml-1m": {"settings": {"heads": 3}}}),
    ],
)
def test_heads_divide_the_width_in_every_experiment_that_can_be_asked_for(edit):
    assert "heads must divide dim" in message_of(edit)


def test_the_nearest_override_wins():
    params = parse_params(
        edited(
            ("trainer.max_epochs", 1),
            (
                "models.mmsrec.by_domain",
                {"ml-1m": {"trainer": {"max_epochs": 2, "patience": 2, "batch_size": 2}, "settings": {"layers": 2}}},
            ),
            ("variants.mmsrec-text.trainer", {"max_epochs": 3, "patience": 3}),
            ("variants.mmsrec-text.settings", {"dim": 128, "heads": 4, "layers": 3}),
            ("variants.mmsrec-text.by_domain", {"ml-1m": {"trainer": {"max_epochs": 4}}}),
        )
    )

    ours = params.settings_of("ml-1m", "mmsrec-text")
    elsewhere = params.settings_of("beauty", "mmsrec-text")
    assert (ours.trainer.max_epochs, ours.trainer.patience, ours.trainer.batch_size) == (4, 3, 2)
    assert (ours.settings.dim, ours.settings.layers) == (128, 3)
    assert (elsewhere.trainer.max_epochs, elsewhere.trainer.batch_size) == (3, params.trainer.batch_size)


def test_the_record_of_a_training_holds_what_its_model_reads_and_no_default():
    params = read_params(ROOT / "params.yaml")

    assert params.settings_of("beauty", "pop").dump() == {"model": "pop", "settings": {}}
    sasrec = params.settings_of("beauty", "sasrec").dump()
    assert sasrec["settings"].keys() == {
        "dim",
        "layers",
        "heads",
        "feedforward",
        "embedding_dropout",
        "hidden_dropout",
    }
    assert sasrec["trainer"]["augment"] == "windows"


def test_a_domains_crawl_changes_only_what_its_row_names():
    row = {"allow_private": True, "trailers": {"pause": 0.5}}
    params = parse_params(edited(("domains.beauty.crawl", row)))

    ours, common = params.crawl_of("beauty"), params.crawl
    assert ours.allow_private
    assert ours.trailers == common.trailers.model_copy(update={"pause": 0.5})
    assert ours.model_copy(update={"allow_private": False, "trailers": common.trailers}) == common


def test_an_override_obeys_the_bounds_of_what_it_overrides():
    assert "variants.sasrec.settings.hidden_dropout" in message_of(
        ("variants.sasrec.settings", {"hidden_dropout": 1.5})
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("trainer: {dim: 1, dim: 2}", 'duplicate key "dim"'),
        ("trainer: [", "not YAML"),
        ("[" * 2000, "not YAML"),
        ("trainer: " + "9" * 5000, "not YAML"),
        ("trainer: 2023-02-31", "not YAML"),
        ("trainer: !!python/object/apply:os.system [echo]", "not YAML"),
        ("trainer: 2023-01-01", "neither text, a number"),
        ("trainer: &self [*self]", "neither text, a number"),
        ("", "Input should be an object, found None"),
    ],
)
def test_a_file_that_is_no_parameter_file_is_refused(tmp_path, text, expected):
    path = tmp_path / "other.yaml"
    path.write_text(text)

    with pytest.raises(ParamsError) as caught:
        read_params(path)
    assert expected in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_of_another_encoding_is_refused(tmp_path):
    path = tmp_path / "latin.yaml"
    path.write_bytes("title: café".encode("latin-1"))

    with pytest.raises(ParamsError, match="not YAML"):
        read_params(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ParamsError, match=r"missing(.|\n)*nowhere\.yaml"):
        read_params(tmp_path / "nowhere.yaml")
