"""Reports as lists of rows, each row once and in the order of params.yaml."""

from dataclasses import replace
from pathlib import Path

import pytest

from mmsrec.errors import DataError, ParamsError
from mmsrec.models.registry import MODELS
from mmsrec.settings.catalogues import Catalogue
from mmsrec.settings.corpora import DomainCorpus
from mmsrec.settings.params import Params, read_params
from mmsrec.settings.plan import (
    Core,
    Cut,
    Experiment,
    FeatureFile,
    PairFolder,
    all_cores,
    all_cuts,
    all_experiments,
    all_features,
    attribute_rules,
    attributes_of,
    catalogue_features,
    cores_of,
    earlier_than,
    experiments_of,
    features_of,
    has_videos,
    paired_features,
    parts_of,
    picture_collections,
    reported_experiments,
    sources_of,
    start_of,
)
from mmsrec.settings.pretraining import PretrainingRow
from mmsrec.settings.stage_settings import crawl_settings, experiment_settings


@pytest.fixture(scope="module")
def params() -> Params:
    """Two domains (lowest k 5 and 3), and two reports that share an experiment."""
    repository = read_params(Path(__file__).parents[3] / "params.yaml")
    shop = repository.domains["beauty"]
    dumped = shop.model_dump(exclude_none=True)
    cut = {"k_cores": [5], "splits": ["source"], "variants": ["pop"], "seeds": [0]}
    raw = repository.model_dump(exclude_none=True) | {
        "corpora": {},
        "catalogues": {},
        "pretrainings": {},
        "domains": {"shop": dumped, "films": dumped | {"k_core": 3}},
        "models": {name: {"settings": row.settings.model_dump(exclude_none=True)} for name, row in repository.models},
        "variants": {
            "pop": {"model": "pop"},
            "own": {"model": "fdsa"},
            "text": {"model": "mmsrec", "encoders": {"text": "lsa"}},
            "both": {"model": "mmsrec", "encoders": {"vision": "clip", "text": "lsa"}},
        },
        "reports": {
            "first": {
                "title": "First",
                "exhibits": ["statistics"],
                "statistics": [{"domains": ["shop"], "k_cores": [7, 5]}],
                "experiments": [
                    cut | {"domains": ["films", "shop"], "variants": ["text", "pop"]},
                    cut | {"domains": ["shop"], "k_cores": [5, 6], "seeds": [0, 1]},
                ],
            },
            "second": {
                "title": "Second",
                "exhibits": ["comparison"],
                "experiments": [
                    cut | {"domains": ["shop"], "variants": ["both", "pop"]},
                    cut | {"domains": ["shop"], "splits": ["item"]},
                ],
            },
        },
    }
    return Params.model_validate(raw)


def test_the_pairs_of_a_domain_need_its_features_of_both_modalities(params):
    items = {"items": DomainCorpus(kind="domain", domain="shop")}
    row = PretrainingRow(corpus="items", encoder="clip", seed=0)
    with_pairs = params.model_copy(update={"corpora": items, "pretrainings": {"own": row}})
    pairs = [FeatureFile("shop", "clip", "vision"), FeatureFile("shop", "clip", "text")]
    assert paired_features(with_pairs, PairFolder("items", "clip")) == pairs
    assert set(pairs) <= set(all_features(with_pairs))


def test_the_experiments_of_a_report_keep_their_order_and_come_once(params):
    assert experiments_of(params, "first") == [
        Experiment("films", 5, "source", "text", 0),
        Experiment("films", 5, "source", "pop", 0),
        Experiment("shop", 5, "source", "text", 0),
        Experiment("shop", 5, "source", "pop", 0),
        Experiment("shop", 5, "source", "pop", 1),
        Experiment("shop", 6, "source", "pop", 0),
        Experiment("shop", 6, "source", "pop", 1),
    ]


def test_the_cores_of_a_report_are_those_of_its_experiments_then_those_it_names(params):
    assert cores_of(params, "first") == [Core("films", 5), Core("shop", 5), Core("shop", 6), Core("shop", 7)]


def test_an_experiment_that_two_reports_share_is_one_experiment(params):
    rows = all_experiments(params)

    assert len(rows) == len(set(rows)) == 9
    assert rows[-2:] == [Experiment("shop", 5, "source", "both", 0), Experiment("shop", 5, "item", "pop", 0)]


@pytest.fixture
def started(monkeypatch) -> Params:
    """A report on `last`, which starts from `middle` in films, which starts from `first` in the same domain."""
    monkeypatch.setitem(MODELS, "mmsrec", replace(MODELS["mmsrec"], starts=frozenset({"mmsrec"})))
    raw = read_params(Path(__file__).parents[3] / "params.yaml").model_dump(exclude_none=True)
    shop = raw["domains"]["beauty"]
    cut = {"k_cores": [6], "splits": ["source"], "variants": ["last"], "seeds": [2]}
    text = {"model": "mmsrec", "encoders": {"text": "minilm"}}
    middle = {"variant": "middle", "domain": "films", "by_domain": {"wear": "shop"}}
    raw |= {
        "corpora": {},
        "catalogues": {},
        "pretrainings": {},
        "domains": {"shop": shop, "wear": shop, "films": shop | {"k_core": 3}},
        "models": {name: {"settings": row["settings"]} for name, row in raw["models"].items()},
        "variants": {
            "first": text | {"trainer": {"max_epochs": 7}},
            "middle": text | {"starts_from": {"variant": "first"}},
            "last": text | {"starts_from": middle},
        },
        "reports": {
            "r": {"title": "R", "exhibits": ["learning"], "experiments": [cut | {"domains": ["shop", "films"]}]}
        },
    }
    return Params.model_validate(raw)


def test_the_parts_of_a_blend_are_trained_before_it_with_all_that_they_start_from(started):
    blend = {"model": "blend", "encoders": {"text": "minilm"}, "settings": {"parts": ["last", "fields"], "users": 9}}
    raw = started.model_dump(exclude_none=True)
    raw["variants"] |= {"fields": {"model": "fdsa"}, "mix": blend}
    raw["reports"]["r"]["experiments"] = [
        {"domains": ["shop"], "k_cores": [6], "splits": ["source"], "variants": ["mix"], "seeds": [2]}
    ]
    params = Params.model_validate(raw)
    mix = Experiment("shop", 6, "source", "mix", 2)
    last, fields = replace(mix, variant="last"), replace(mix, variant="fields")
    middle = Experiment("films", 3, "source", "middle", 2)

    assert parts_of(params, mix) == sources_of(params, mix) == [last, fields]
    assert sources_of(params, last) == [middle]
    assert earlier_than(params, mix) == [last, fields, middle, replace(middle, variant="first")]
    assert reported_experiments(params) == [mix]
    assert all_experiments(params) == [mix, *earlier_than(params, mix)]
    assert attributes_of(params, mix) == [mix.core]
    record = experiment_settings(params, mix)["parts"]
    assert list(record) == ["last", "fields"]
    assert record["last"]["start"]["start"]["trainer"]["max_epochs"] == 7


def test_starts_have_the_lowest_k_of_another_domain_and_are_trained_but_not_evaluated(started):
    shop, films = (Experiment(domain, 6, "source", "last", 2) for domain in ("shop", "films"))
    assert start_of(started, shop) == Experiment("films", 3, "source", "middle", 2)
    assert start_of(started, films) == Experiment("films", 6, "source", "middle", 2)
    assert start_of(started, replace(shop, domain="wear")) == Experiment("shop", 5, "source", "middle", 2)
    assert start_of(started, replace(shop, variant="first")) is None
    row = started.variants["last"].starts_from.model_copy(update={"seed": 0})
    of_one_seed = started.variants["last"].model_copy(update={"starts_from": row})
    params = started.model_copy(update={"variants": started.variants | {"last": of_one_seed}})
    assert start_of(params, shop) == Experiment("films", 3, "source", "middle", 0)
    assert reported_experiments(started) == [shop, films]
    assert all_experiments(started) == [
        shop,
        films,
        *(Experiment("films", 3, "source", variant, 2) for variant in ("middle", "first")),
        *(Experiment("films", 6, "source", variant, 2) for variant in ("middle", "first")),
    ]
    assert Cut("films", 3, "source") in all_cuts(started)
    assert Core("films", 3) in all_cores(started)


def test_a_training_depends_on_the_settings_of_its_start(started):
    last = experiment_settings(started, Experiment("shop", 6, "source", "last", 2))
    assert last["start"]["variant"] == "middle"
    assert last["start"]["start"]["trainer"]["max_epochs"] == 7
    assert "start" not in last["start"]["start"]


def test_the_sequences_of_a_split_are_made_once(params):
    assert all_cuts(params) == [
        Cut("films", 5, "source"),
        Cut("shop", 5, "source"),
        Cut("shop", 6, "source"),
        Cut("shop", 5, "item"),
    ]


def test_every_domain_is_prepared_at_its_lowest_k(params):
    assert set(all_cores(params)) == {
        Core("shop", 5),
        Core("films", 3),
        Core("films", 5),
        Core("shop", 6),
        Core("shop", 7),
    }


def test_a_model_reads_the_features_of_its_modalities(params):
    assert features_of(params, Experiment("shop", 9, "source", "both", 4)) == [
        FeatureFile("shop", "clip", "vision"),
        FeatureFile("shop", "lsa", "text"),
    ]
    assert features_of(params, Experiment("shop", 5, "source", "pop", 0)) == []


def test_a_model_reads_the_attributes_of_its_k_core(params):
    experiment = Experiment("shop", 9, "source", "own", 4)
    assert attributes_of(params, experiment) == [Core("shop", 9)]
    assert attributes_of(params, replace(experiment, variant="pop")) == []


def test_a_domain_without_attributes_refuses_the_models_that_read_them(params):
    bare = {"films": params.domains["films"].model_copy(update={"attributes": None})}
    reading = params.model_copy(update={"domains": params.domains | bare})
    with pytest.raises(DataError, match="reads attributes of items") as caught:
        attributes_of(reading, Experiment("films", 5, "source", "own", 0))
    assert "domains.films" in str(caught.value)
    assert "attributes: {}" in str(caught.value)
    with pytest.raises(ParamsError, match="moon"):
        attribute_rules(reading, "moon")


def test_a_feature_file_that_many_experiments_read_is_made_once(params):
    assert set(all_features(params)) == {
        FeatureFile("films", "lsa", "text"),
        FeatureFile("shop", "lsa", "text"),
        FeatureFile("shop", "clip", "vision"),
    }
    assert len(all_features(params)) == 3


@pytest.fixture
def extended(params) -> Params:
    """The parameters with new items of the shop for three variants, two of which read one text encoder."""
    text = params.variants["text"]
    vision = text.model_copy(update={"encoders": {"vision": "demo-clip"}})
    row = Catalogue(domain="shop", items="shop/today.csv", variants=["text", "both", "seen"])
    return params.model_copy(
        update={"catalogues": {"late": row}, "variants": params.variants | {"seen": vision}},
    )


def test_a_catalogue_has_the_features_of_its_variants_each_once(extended):
    files = catalogue_features(extended, "late")
    assert files == [
        FeatureFile("late", "lsa", "text"),
        FeatureFile("late", "clip", "vision"),
        FeatureFile("late", "demo-clip", "vision"),
    ]
    assert set(files) <= set(all_features(extended))
    with pytest.raises(ParamsError, match="no such row"):
        catalogue_features(extended, "early")


def test_the_media_of_a_catalogue_follow_the_rules_of_its_domain(extended):
    assert picture_collections(extended) == ["shop", "films", "late"]
    assert not has_videos(extended, "late")
    assert crawl_settings(extended, "late") == crawl_settings(extended, "shop")
    assert extended.crawl_of("late") == extended.crawl_of("shop")


def test_names_tell_rows_apart(params):
    rows = [*all_experiments(params), *all_cuts(params), *all_cores(params), *all_features(params)]

    assert len({row.name for row in rows}) == len(rows)
    assert Experiment("ml-1m", 5, "item", "pop", 2).name == "ml-1m-k5-item-pop-seed2"
