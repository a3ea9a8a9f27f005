"""Layouts and missing rows of reports: what they select, and which of them are refused."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from mmsrec.errors import ParamsError
from mmsrec.settings.params import parse_params
from mmsrec.settings.plan import (
    Core,
    Cut,
    Experiment,
    Retrieval,
    cores_of,
    experiments_of,
    retrievals_of,
    sequences_of,
)
from mmsrec.settings.reports import Absent

RAW = YAML(typ="safe", pure=True).load((Path(__file__).parents[3] / "params.yaml").read_text(encoding="utf-8"))
TEXTS = {"name": "t", "exhibit": "scores", "title": "T", "caption": "C"}
SCORES = TEXTS | {
    "cuts": [{"domains": ["beauty", "toys"], "k_cores": [5], "splits": ["source"], "seeds": [0, 1]}],
    "models": [
        {"label": "A", "variant": "pop"},
        {"label": "B", "variant": "sasrec", "by_domain": {"toys": "toys-both"}},
    ],
    "ours": "B",
    "metrics": ["recall@10"],
}
POPULAR = {name: value for name, value in SCORES.items() if name != "ours"}
POPULAR |= {"name": "p", "exhibit": "popularity", "bounds": [0, 5]}
SIZES = TEXTS | {"exhibit": "statistics", "name": "s", "sizes": [{"domains": ["sports"], "k_cores": [6]}]}
CLIPS = TEXTS | {
    "exhibit": "retrieval_scores",
    "name": "c",
    "encoders": [{"label": "E", "pretraining": "demo", "corpus": "demo-videos", "model": "encoder"}],
    "metrics": ["recall@5"],
}


def params_with(**report):
    return parse_params(RAW | {"reports": {"r": {"title": "R", "exhibits": [SCORES, SIZES, CLIPS]} | report}})


def test_a_report_runs_what_its_layouts_show():
    params = params_with()
    assert experiments_of(params, "r") == [
        Experiment(domain, 5, "source", variant, seed)
        for domain, variants in {"beauty": ["pop", "sasrec"], "toys": ["pop", "toys-both"]}.items()
        for variant in variants
        for seed in (0, 1)
    ]
    assert cores_of(params, "r") == [Core("beauty", 5), Core("toys", 5), Core("sports", 6)]
    assert retrievals_of(params, "r") == [Retrieval("demo", "demo-videos")]


def test_a_report_reads_the_sequences_of_layouts_by_popularity_alone():
    assert sequences_of(params_with(), "r") == []
    assert sequences_of(params_with(exhibits=[SCORES, POPULAR]), "r") == [
        Cut(domain, 5, "source") for domain in ("beauty", "toys")
    ]
    absent = [{"domains": ["toys"], "reason": "no data"}]
    assert sequences_of(params_with(exhibits=[POPULAR], absent=absent), "r") == [Cut("beauty", 5, "source")]


def test_an_experiment_that_is_named_twice_is_run_once():
    grid = {"domains": ["toys"], "k_cores": [5], "splits": ["source"], "variants": ["pop"], "seeds": [0]}
    rows = experiments_of(params_with(experiments=[grid]), "r")
    assert rows[0] == Experiment("toys", 5, "source", "pop", 0)
    assert len(rows) == len(set(rows)) == 8


def test_what_cannot_be_made_is_not_run():
    absent = [
        {"domains": ["toys"], "variants": ["pop"], "reason": "x"},
        {"domains": ["sports"], "k_cores": [6], "reason": "y"},
        {"corpora": ["demo-videos"], "reason": "z"},
    ]
    params = params_with(absent=absent)
    assert Experiment("toys", 5, "source", "pop", 0) not in experiments_of(params, "r")
    assert Experiment("toys", 5, "source", "toys-both", 0) in experiments_of(params, "r")
    assert cores_of(params, "r") == [Core("beauty", 5), Core("toys", 5)]
    assert retrievals_of(params, "r") == []


@pytest.mark.parametrize(
    ("absent", "row", "matches"),
    [
        ({"domains": ["toys"]}, Experiment("toys", 5, "source", "pop", 0), True),
        ({"domains": ["toys"]}, Core("toys", 5), True),
        ({"domains": ["toys"], "variants": ["pop"]}, Core("toys", 5), False),
        ({"variants": ["pop"]}, Experiment("toys", 5, "source", "pop", 0), True),
        ({"variants": ["pop"]}, Retrieval("pop", "pop"), False),
        ({"domains": ["toys"], "k_cores": [6]}, Core("toys", 5), False),
        ({"pretrainings": ["demo"]}, Retrieval("demo", "clips"), True),
        ({"pretrainings": ["demo"], "corpora": ["other"]}, Retrieval("demo", "clips"), False),
        ({"pretrainings": ["demo"]}, Core("demo", 5), False),
    ],
)
def test_a_key_that_is_left_out_matches_every_value(absent, row, matches):
    assert Absent(reason="x", **absent).matches(row) == matches


def changed(layout, **values):
    return [layout | values]


@pytest.mark.parametrize(
    ("report", "message"),
    [
        ({"exhibits": changed(POPULAR, metrics=["recall@7"])}, "exhibits.0.metrics: unknown name 'recall@7'"),
        ({"exhibits": changed(POPULAR, bounds=[5, 5])}, "exhibits.0: bounds must ascend, found 5, 5"),
        ({"exhibits": changed(POPULAR, ours="B")}, "exhibits.0.ours: unknown key"),
        (
            {"exhibits": changed(POPULAR, candidates=["all", "cold"])},
            "exhibits.0.candidates: cold is not measured on splits.source, but all, unseen",
        ),
        ({"exhibits": changed(SCORES, candidates=["all", "all"])}, "each protocol may be named once, found all, all"),
        ({"exhibits": changed(SCORES, metrics=["recall@7"])}, "exhibits.0.metrics: unknown name 'recall@7'"),
        ({"exhibits": changed(CLIPS, metrics=["ndcg@10"])}, "exhibits.0.metrics: unknown name 'ndcg@10'"),
        ({"exhibits": changed(SCORES, ours="C")}, "ours is 'C', which is none of the labels A, B"),
        ({"exhibits": changed(SCORES, exhibit="score")}, "exhibits.0.exhibit: unknown exhibit 'score'"),
        ({"exhibits": changed(SCORES, best="B")}, "exhibits.0.best: unknown key"),
        (
            {"exhibits": [TEXTS]},
            "exhibits.0: an exhibit is a name, or a layout with one of the keys bounds, cuts, sizes",
        ),
        ({"exhibits": [SCORES, SCORES]}, "exhibits: two exhibits have one name"),
        (
            {"exhibits": changed(SCORES, models=[{"label": "B", "variant": "sasrek"}])},
            "exhibits.0.models.0: unknown name 'sasrek'",
        ),
        (
            {"exhibits": changed(SCORES, models=[{"label": "B", "variant": "pop"}] * 2)},
            "each label may be used once",
        ),
        (
            {"exhibits": changed(SCORES, models=[{"label": "B", "variant": "fdsa"}])},
            "exhibits.0.models: attributes of items are read by fdsa, and domains.toys has no key attributes",
        ),
        (
            {"exhibits": changed(SIZES, sizes=[{"domains": ["sports"], "k_cores": [4]}])},
            "exhibits.0.sizes.0.k_cores: 4 is below domains.sports.k_core, 5",
        ),
        ({"absent": [{"reason": "x"}]}, "absent.0: name some of domains"),
        ({"absent": [{"reason": "x", "domains": ["toys"], "corpora": ["webvid"]}]}, "absent.0: name some of domains"),
        ({"absent": [{"reason": "x", "variants": ["sasrek"]}]}, "absent.0.variants: unknown name 'sasrek'"),
    ],
)
def test_a_wrong_row_is_named(report, message):
    with pytest.raises(ParamsError, match="parameters are not valid") as caught:
        params_with(**report)
    assert message in str(caught.value)


def test_a_model_without_its_inputs_is_allowed_where_it_is_absent():
    models = [{"label": "B", "variant": "fdsa"}]
    absent = [{"domains": ["toys"], "variants": ["fdsa"], "reason": "no attributes"}]
    params = params_with(exhibits=changed(SCORES, models=models), absent=absent)
    assert {row.domain for row in experiments_of(params, "r")} == {"beauty"}
