"""Snakemake and DVC: the same files, by the same commands, from the same inputs and parameters."""

import subprocess
import sys
from collections import Counter
from contextlib import chdir, redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from pydantic import create_model
from snakemake.api import SnakemakeApi
from snakemake.exceptions import MissingRuleException
from snakemake.settings.types import DAGSettings, OutputSettings, Quietness, ResourceSettings

from mmsrec.costs.jobs import jobs_of
from mmsrec.costs.sizes import Sizes
from mmsrec.errors import ParamsError
from mmsrec.models.registry import MODELS
from mmsrec.settings.crawling import PICTURE_RULES, TRAILER_RULES
from mmsrec.settings.params import read_params
from tests.integration.engines import (
    ANY_DOMAIN,
    ROOT,
    Graph,
    copy_workflow,
    dvc_graph,
    edit,
    make_plan,
    read_yaml,
    redone,
    snakemake_graph,
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

REPORTS = list(read_yaml(ROOT / "params.yaml")["reports"])

SHOP = {
    "source": "amazon",
    "interactions": "amazon/ratings_Beauty.csv",
    "items": "amazon/meta_Beauty.json.gz",
    "text_fields": ["title"],
    "vision": {"kind": "image"},
    "attributes": {"drop_first": True},
    "k_core": 5,
}
FILMS = {
    "source": "movielens",
    "interactions": "ml-1m/ml-1m.zip",
    "items": "ml-1m/ml-1m.zip",
    "text_fields": ["title"],
    "vision": {"kind": "trailer", "trailer_ids": "ml-1m/ml-20m-youtube.zip"},
    "attributes": {},
    "k_core": 3,
    "repeats": "first-of-row",
}
CLIPS = {
    "kind": "clips",
    "captions": "msrvtt/MSRVTT_data.json",
    "split": {"exclude": "msrvtt/MSRVTT_JSFUSION_test.csv"},
    "videos": "msrvtt/MSRVTT.zip/{item_id}.mp4",
}
FEATURES = {
    "kind": "shards",
    "repository": "own/clips",
    "files": "*.tar",
    "frames": "first",
    "count": 3,
    "keep": "mean",
}
# New items of the shop; the raw table is one that the registry has.
LATE = {"domain": "shop", "items": "amazon/meta_Toys_and_Games.json.gz", "variants": ["text", "both", "tuned"]}
NEW_FEATURES = [f"data/features/late/{name}.parquet" for name in ("clip/vision", "clip/text", "lsa/text")]
# Two domains and their union, new items of one, two splits, eleven variants, two pre-trained encoders, and a report on
# cores of two k.
# The variants `moved` and `after` start from `sequences` and `before`, which no report names.
WORLD = {
    "corpora": {"shards": FEATURES, "clips": CLIPS, "items": {"kind": "domain", "domain": "shop", "missing": "drop"}},
    "pretrainings": {
        "small": {"corpus": "shards", "encoder": "clip", "seed": 0},
        "own": {"corpus": "items", "encoder": "clip", "seed": 0},
    },
    "domains": {"shop": SHOP, "films": FILMS, "both": {"source": "union", "of": ["shop", "films"], "k_core": 4}},
    "splits": {"late": {"ties": "source"}, "mixed": {"ties": "shuffle", "seed": 3}},
    **ANY_DOMAIN,
    "catalogues": {"late": LATE},
    "models.mmsrec.by_domain": {"films": {"settings": {"hidden_dropout": 0.2}}},
    # DVC compares the whole of `trainer`, also for a model whose own layer hides the changed key.
    **{
        f"models.{name}.trainer": {}
        for name in ("fdsa", "s3rec-pretraining", "s3rec", "unisrec-pretraining", "unisrec")
    },
    "variants": {
        "pop": {"model": "pop"},
        "ids": {"model": "sasrec"},
        "fields": {"model": "fdsa"},
        "before": {"model": "s3rec-pretraining"},
        "after": {"model": "s3rec", "starts_from": {"variant": "before"}},
        "text": {
            "model": "mmsrec",
            "encoders": {"text": "lsa"},
            "settings": {"dim": 128},
            "by_domain": {"films": {"trainer": {"augment": "none"}}},
        },
        "both": {"model": "mmsrec", "encoders": {"vision": "clip", "text": "lsa"}},
        "tuned": {"model": "mmsrec", "encoders": {"vision": "clip", "text": "clip"}, "pretrained": "small"},
        "owned": {"model": "mmsrec", "encoders": {"text": "clip"}, "pretrained": "own"},
        "mix": {
            "model": "blend",
            "encoders": {"vision": "clip", "text": "lsa"},
            "settings": {"parts": ["ids", "both"], "users": 50},
        },
        "sequences": {"model": "unisrec-pretraining", "encoders": {"text": "minilm"}},
        "moved": {
            "model": "unisrec",
            "encoders": {"text": "minilm"},
            "starts_from": {"variant": "sequences", "domain": "both"},
        },
    },
    "reports": {
        "small": {
            "title": "Small",
            "exhibits": ["statistics", "comparison"],
            "retrievals": [{"pretrainings": ["small"], "corpora": ["clips"]}],
            "statistics": [{"domains": ["films"], "k_cores": [4]}],
            "experiments": [
                {
                    "domains": ["shop", "films"],
                    "k_cores": [5],
                    "splits": ["mixed"],
                    "variants": ["pop", "ids", "text", "both", "tuned", "owned", "mix"],
                    "seeds": [0, 7],
                },
                {
                    "domains": ["shop"],
                    "k_cores": [5],
                    "splits": ["late"],
                    "variants": ["pop"],
                    "seeds": [0],
                },
                {
                    "domains": ["shop"],
                    "k_cores": [5],
                    "splits": ["mixed"],
                    "variants": ["moved"],
                    "seeds": [7],
                },
                {
                    "domains": ["shop", "films"],
                    "k_cores": [5],
                    "splits": ["mixed"],
                    "variants": ["fields", "after"],
                    "seeds": [0],
                },
            ],
        },
    },
}
TRAINING = {"train", "evaluate", "collect", "report"}
PICTURES = {"extract_picture_features", "pair_items", "pretrain"} | TRAINING
RETRIEVAL = {"evaluate_retrieval", "collect"}
PRETRAINING = {"pretrain"} | RETRIEVAL | TRAINING
FRAMES = {"sample_frames", "extract_frame_features"} | TRAINING
ENCODING = {
    "extract_picture_features",
    "extract_frame_features",
    "extract_text_features",
    "encode_pairs",
    "pair_features",
    "pair_items",
}
VIDEOS = {"collect_clips", "sample_frames", "extract_frame_features", "pair_features", "report"} | RETRIEVAL
PREPARING = {
    "prepare",
    "split",
    "attributes",
    "collect",
    "extract_text_features",
    "crawl_images",
    "crawl_trailers",
} | FRAMES


@pytest.fixture(autouse=True)
def workflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the workflow, as the current folder."""
    copy_workflow(tmp_path)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> tuple[Graph, Graph]:
    """The graphs of the small report and of the new items by both engines, before any change."""
    folder = tmp_path_factory.mktemp("before")
    copy_workflow(folder)
    with chdir(folder):
        edit(WORLD)
        return graphs("small", *NEW_FEATURES)


def graphs(report: str, *further: str) -> tuple[Graph, Graph]:
    targets = [f"results/reports/{report}", *further]
    return snakemake_graph(targets), dvc_graph(targets)


def assert_they_agree(snakemake: Graph, dvc: Graph) -> None:
    assert snakemake.keys() == dvc.keys()
    for output, job in snakemake.items():
        assert (job.stage, job.command, job.inputs) == (dvc[output].stage, dvc[output].command, dvc[output].inputs)


@pytest.mark.parametrize("report", REPORTS)
def test_both_engines_make_a_report_from_the_same_files_by_the_same_commands(report):
    snakemake, dvc = graphs(report)
    assert_they_agree(snakemake, dvc)
    assert planned(report) == run_by(snakemake), "the plan of a report has the jobs that Snakemake runs"


def planned(report: str) -> Counter[str]:
    """The number of jobs of each stage by the plan of a report."""
    params, nowhere = read_params(Path("params.yaml")), Path("nowhere")
    sizes = Sizes(ROOT / "workflow" / "sizes.csv", params, lambda _: nowhere, lambda _: nowhere)
    return Counter(job.stage for job in jobs_of(params, report, sizes))


def run_by(graph: Graph) -> Counter[str]:
    """The number of jobs of each stage by Snakemake, where one job copies all files of a report."""
    commands = {(job.stage, "" if job.stage == "collect" else job.command) for job in graph.values()}
    return Counter(stage for stage, _ in commands)


def test_they_agree_on_both_modalities_further_seeds_and_further_cores(before):
    snakemake, dvc = before

    assert_they_agree(snakemake, dvc)
    assert {
        "data/features/shop/clip/vision.parquet",
        "data/features/shop/lsa/text.parquet",
    } <= dvc["models/shop/k5/mixed/both/seed7/config.json"].inputs
    assert "data/media/shop/ledger.parquet" in dvc["data/features/shop/clip/vision.parquet"].inputs
    assert "data/frames/films.parquet" in dvc["data/features/films/clip/vision.parquet"].inputs
    assert not any("features" in path for path in dvc["models/shop/k5/mixed/pop/seed7/config.json"].inputs)
    start = "models/both/k4/mixed/sequences/seed7/weights.safetensors"
    assert start in dvc["models/shop/k5/mixed/moved/seed7/config.json"].inputs
    assert dvc[start].stage == "train"
    assert {dvc[path].stage for path in dvc[start].inputs} == {"split", "prepare", "extract_text_features"}
    parts = {f"models/shop/k5/mixed/{part}/seed7/weights.safetensors" for part in ("ids", "both")}
    assert parts <= dvc["models/shop/k5/mixed/mix/seed7/config.json"].inputs
    assert dvc["data/ingested/both/items.parquet"].inputs == {
        f"data/ingested/{domain}/{table}.parquet" for domain in ("shop", "films") for table in ("items", "interactions")
    }
    assert not any("sequences/" in path for path in dvc if path.startswith("results/shop"))
    assert "results/both/k4/mixed/sequences/seed7/metrics.json" not in dvc
    table = "data/processed/films/k5/attributes.parquet"
    assert dvc[table].inputs == {"data/raw/ml-1m/ml-1m.zip", "data/processed/films/k5/items.parquet"}
    readers = ("fields/seed0/config.json", "before/seed0/config.json")
    assert all(table in dvc[f"models/films/k5/mixed/{reader}"].inputs for reader in readers)
    assert table in dvc["results/films/k5/mixed/fields/seed0/metrics.json"].inputs
    assert table not in dvc["models/films/k5/mixed/after/seed0/config.json"].inputs
    assert "results/collected/small/data/processed/films/k4/statistics.json" in dvc["results/reports/small"].inputs


def test_the_target_of_a_catalogue_is_the_features_of_its_items(before):
    edit(WORLD)
    graph = snakemake_graph(["late"])

    assert {path for path in graph if path.startswith("data/features/late/")} == set(NEW_FEATURES)
    assert not any(path.startswith(("models/", "data/features/shop/")) for path in graph)
    old, new = "data/processed/shop/k5/items.parquet", "data/catalogues/late/items.parquet"
    assert graph[new].inputs == {f"data/raw/{LATE['items']}", old}
    assert graph["data/features/late/lsa/text.parquet"].inputs == {new, old}
    assert graph["data/features/late/clip/vision.parquet"].inputs == {new, "data/media/late/ledger.parquet"}
    assert all(graph[path] == before[0][path] for path in graph)


def test_a_catalogue_redoes_nothing_old(before):
    edit(WORLD | {"catalogues.more": LATE, "catalogues.late.variants": ["text", "both", "tuned", "moved"]})
    files = ["data/features/more/clip/text.parquet", "data/features/late/minilm/text.parquet"]
    for was, graph in zip(before, graphs("small", *NEW_FEATURES, *files), strict=True):
        assert {path for path in redone(was, graph) if "/more/" not in path} == {files[1]}

    edit(WORLD | {"catalogues.late.items": "amazon/meta_Home_and_Kitchen.json.gz"})
    new = {"data/catalogues/late/items.parquet", "data/media/late/ledger.parquet", *NEW_FEATURES}
    for was, graph in zip(before, graphs("small", *NEW_FEATURES), strict=True):
        assert {path for path in redone(was, graph) if not path.startswith("data/raw/")} == new


def test_new_films_have_trailers_and_given_vectors():
    row = {"domain": "films", "items": "ml-1m/ml-20m-youtube.zip", "variants": ["both", "given"]}
    given = {"kind": "table", "text": "ml-1m/efficientnet-lite0/posters.parquet"}
    variant = {"model": "mmsrec", "encoders": {"text": "own"}}
    edit(WORLD | {"catalogues.late": row, "encoders.own": given, "variants.given": variant})
    files = [f"data/features/late/{name}.parquet" for name in ("clip/vision", "lsa/text", "own/text")]
    snakemake, dvc = graphs("small", *files)

    assert_they_agree(snakemake, dvc)
    assert [snakemake[file].stage.split("_")[1] for file in files] == ["frame", "text", "table"]
    assert snakemake["data/media/late/ledger.parquet"].stage == "crawl_trailers"
    items = "data/catalogues/late/items.parquet"
    assert snakemake[files[2]].inputs == {items, f"data/raw/{given['text']}"}


def test_the_name_of_a_rule_is_no_target():
    edit(WORLD | {"catalogues": {"crawl_images": LATE}})
    with pytest.raises(ParamsError, match="A row has the name of a rule"):
        snakemake_graph(["results/reports/small"])


def test_a_key_of_one_model_redoes_that_model_alone(before):
    edit(WORLD | {"models.sasrec.settings.layers": 3})
    after = graphs("small", *NEW_FEATURES)

    by_snakemake, by_dvc = map(redone, before, after)
    assert by_snakemake == by_dvc
    trained = {output for output in by_snakemake if after[0][output].stage == "train"}
    assert trained
    assert {output.split("/")[4] for output in trained} == {"ids", "mix"}, "the model, and a blend that it is a part of"


def test_a_new_setting_with_a_default_redoes_nothing(before, monkeypatch):
    edit(WORLD)
    old = MODELS["sasrec"].settings
    new = create_model(old.__name__, __base__=old, bias=(bool, True))
    monkeypatch.setitem(MODELS, "sasrec", replace(MODELS["sasrec"], settings=new))
    assert read_params(Path("params.yaml")).settings_of("shop", "ids").settings.bias

    assert list(map(redone, before, graphs("small", *NEW_FEATURES))) == [set(), set()]


def test_another_split_crawls_and_extracts_nothing_again(before):
    edit(WORLD | {"splits.other": {"ties": "item"}})
    grid = {"domains": ["shop"], "k_cores": [5], "splits": ["other"], "variants": ["both"], "seeds": [0]}
    params = read_yaml(Path("params.yaml"))
    edit({"reports.small.experiments": [*params["reports"]["small"]["experiments"], grid]})
    after = graphs("small", *NEW_FEATURES)

    for was, graph in zip(before, after, strict=True):
        assert {graph[output].stage for output in redone(was, graph)} == {"split"} | TRAINING


def test_the_plan_is_in_step():
    make_plan()

    assert Path("workflow/plan.yaml").read_text() == (ROOT / "workflow/plan.yaml").read_text(), "run: make plan"


@pytest.mark.parametrize(
    ("path", "value", "stages"),
    [
        ("trainer.learning_rate", 0.5, TRAINING),
        ("models.sasrec.settings.dim", 256, TRAINING),
        ("models.unisrec-pretraining.settings.item_drop", 0.5, TRAINING),
        ("domains.both.of", ["films", "shop"], {"unite", "prepare", "split", "extract_text_features"} | TRAINING),
        (
            "domains.films.repeats",
            "first-of-pair",
            {"prepare_repeats", "split", "attributes", "crawl_trailers", "extract_text_features"} | FRAMES | TRAINING,
        ),
        ("variants.text.settings.dim", 256, TRAINING),
        ("evaluation.cutoffs", [5], {"evaluate", "collect", "report"}),
        ("encoders.lsa.dim", 8, {"extract_text_features"} | TRAINING),
        ("encoders.clip.weights", "laion2b_e16", ENCODING | {"pair_items"} | PRETRAINING),
        ("frames.count", 3, FRAMES | {"pair_features"} | RETRIEVAL),
        ("corpora.shards.revision", "v2", {"download_corpus", "encode_pairs"} | PRETRAINING),
        ("corpora.shards.count", 5, {"encode_pairs"} | PRETRAINING),
        ("corpora.clips.split", None, {"ingest_clips", "extract_text_features"} | VIDEOS),
        ("corpora.clips.max_bytes", 9, VIDEOS),
        ("corpora.clips.missing", "keep", {"pair_features"} | RETRIEVAL | {"report"}),
        ("corpora.items.missing", "keep", {"pair_items", "pretrain"} | TRAINING),
        ("pretraining.learning_rate", 0.5, PRETRAINING),
        ("pretrainings.small.settings", {"max_epochs": 2}, PRETRAINING),
        ("crawl.respect_robots", False, {"crawl_images"} | PICTURES | VIDEOS),
        ("domains.shop.crawl", {"max_bytes": 10}, {"crawl_images"} | PICTURES),
        ("crawl.trailers.max_height", 720, {"crawl_trailers"} | FRAMES),
        ("crawl.host_rate", 1, set()),
        ("reports.small.title", "Another title", {"report"}),
        ("domains.shop.published", "beauty", {"report"}),
        ("domains.shop.attributes", {"min_items": 2}, {"attributes"} | TRAINING),
        ("splits.mixed.seed", 1, {"split"} | TRAINING),
        ("splits.late.ties", "item", {"split"} | TRAINING),
        ("splits.mixed.cold_items", 0.2, {"split"} | TRAINING),
        (
            "domains.shop.text_fields",
            ["title", "brand"],
            {"ingest", "ingest_items", "unite", "crawl_images", "pair_items", "pretrain"}
            | (PREPARING - FRAMES - {"crawl_trailers"})
            | PICTURES,
        ),
    ],
)
def test_a_parameter_redoes_the_same_files_in_both_engines_and_no_more(before, path, value, stages):
    edit(WORLD | {path: value})
    after = graphs("small", *NEW_FEATURES)

    by_snakemake, by_dvc = map(redone, before, after)
    assert by_snakemake == by_dvc
    assert {after[0][output].stage for output in by_snakemake} == stages


@pytest.mark.parametrize(
    ("path", "value", "stages"),
    [
        ("pretraining.learning_rate", 0.5, PRETRAINING),
        ("pretrainings.small.seed", 1, PRETRAINING),
        ("corpora.shards.count", 5, {"encode_pairs"} | PRETRAINING),
        ("corpora.clips.split", None, {"ingest_clips", "extract_text_features"} | VIDEOS),
        ("crawl.respect_robots", False, {"crawl_images"} | PICTURES | VIDEOS),
        ("crawl.trailers.max_height", 720, {"crawl_trailers"} | FRAMES),
    ],
)
def test_an_edit_of_a_value_needs_no_new_plan(before, path, value, stages):
    edit(WORLD)
    edit({path: value}, plan=False)
    after = dvc_graph(["results/reports/small", *NEW_FEATURES])

    assert {after[output].stage for output in redone(before[1], after)} == stages


@pytest.mark.parametrize(
    ("stage", "prefix", "rules"),
    [
        ("crawl_images", "crawl.", PICTURE_RULES),
        ("collect_clips", "crawl.", PICTURE_RULES),
        ("crawl_trailers", "crawl.trailers.", TRAILER_RULES),
    ],
)
def test_dvc_knows_every_rule_of_a_crawl(stage, prefix, rules):
    keys = read_yaml(Path("dvc.yaml"))["stages"][stage]["do"]["params"]
    assert {key.removeprefix(prefix) for key in keys if key.startswith(prefix)} == rules


# A value that nearer rows override, and an override for one domain. Snakemake compares the settings that a job uses,
# DVC the rows that they come from.
@pytest.mark.parametrize(
    ("path", "value"),
    [("models.mmsrec.settings.dim", 64), ("variants.text.by_domain.films.trainer.augment", "prefixes")],
)
def test_dvc_redoes_at_least_what_snakemake_redoes(before, path, value):
    edit(WORLD | {path: value})

    by_snakemake, by_dvc = map(redone, before, graphs("small", *NEW_FEATURES))
    assert by_snakemake
    assert by_snakemake < by_dvc


def test_a_new_checksum_fetches_the_file_again_and_a_new_address_does_not(before):
    edit(WORLD)
    registry = Path("workflow/sources.csv")

    registry.write_text(registry.read_text().replace("snap.stanford.edu", "example.org"))
    make_plan()
    assert list(map(redone, before, graphs("small", *NEW_FEATURES))) == [set(), set()]

    registry.write_text(registry.read_text().replace("ml-1m.zip,,", f"ml-1m.zip,{'0' * 64},"))
    make_plan()
    by_snakemake, by_dvc = map(redone, before, graphs("small", *NEW_FEATURES))
    assert by_snakemake == by_dvc
    assert "data/raw/ml-1m/ml-1m.zip" in by_snakemake
    assert "data/raw/amazon/ratings_Beauty.csv" not in by_snakemake


def test_a_run_in_another_folder_takes_parameters_and_scripts_from_the_repository(tmp_path, monkeypatch):
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1), snakefile=tmp_path / "Snakefile", workdir=elsewhere
        )
        with redirect_stdout(StringIO()):
            workflow.dag(DAGSettings(targets={"data/ingested/beauty/items.parquet"}, forceall=True)).summary()
        commands = [job.shellcmd for job in workflow._workflow.dag.jobs if job.output]

    assert all(command.startswith("python ../workflow/scripts/") for command in commands)
    script = subprocess.run(
        [sys.executable, "../workflow/scripts/prepare.py", "--domain", "beauty", "--k-core", "5"],
        capture_output=True,
        text=True,
    )
    assert "data/ingested/beauty/interactions.parquet" in script.stderr


def test_any_combination_can_be_asked_for():
    edit(WORLD)

    graph = snakemake_graph(["results/films/k9/late/text/seed3/metrics.json"])
    assert "data/processed/films/k9/late/sequences.parquet" in graph
    assert graph["data/features/films/lsa/text.parquet"].inputs == {"data/processed/films/k3/items.parquet"}


def test_pictures_need_no_domain_with_trailers():
    edit(
        {
            "splits": WORLD["splits"],
            **ANY_DOMAIN,
            "corpora": {},
            "pretrainings": {},
            "domains": {"shop": SHOP},
            "variants": {"both": WORLD["variants"]["both"]},
            "reports": {},
        }
    )

    graph = snakemake_graph(["models/shop/k5/mixed/both/seed0/config.json"])
    assert graph["data/features/shop/clip/vision.parquet"].stage == "extract_picture_features"


def test_a_domain_of_ones_own_needs_a_row_and_its_files():
    own = {"source": "table", "interactions": "own/sales.csv", "items": "own/articles.csv", "attributes": {}}
    edit({"domains.own": SHOP | own})
    Path("data/raw/own").mkdir(parents=True)
    for file in ("sales.csv", "articles.csv"):
        Path("data/raw/own", file).touch()

    graph = snakemake_graph(["results/own/k5/source/pop/seed0/metrics.json"])
    assert {job.stage for job in graph.values()} == {"ingest", "prepare", "split", "train", "evaluate"}


@pytest.mark.parametrize(
    "target",
    [
        "models/beauty/k5/source/unknown/seed0/config.json",
        "data/raw/unknown/file.csv",
        "data/processed/unknown/k5/items.parquet",
        "results/beauty/k5/source/unisrec-pretraining/seed0/metrics.json",
    ],
)
def test_names_without_a_row_are_refused(target):
    with pytest.raises(MissingRuleException, match=f"No rule to produce {target}"):
        snakemake_graph([target])
