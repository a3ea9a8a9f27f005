"""A small report whose files are planted on disk."""

from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa
import pytest

from mmsrec.artifacts import SCHEMAS, write_table
from mmsrec.files import write_json
from mmsrec.report.inputs import Inputs, metric_names
from mmsrec.settings.params import Params, parse_params, read_params
from mmsrec.settings.plan import Retrieval, cores_of, experiments_of, retrievals_of

ROOT = Path(__file__).parents[3]
METRICS = ["recall@10", "ndcg@10"]
SCORES = {
    "exhibit": "scores",
    "title": "Scores",
    "caption": "Scores of models.",
    "cuts": [{"domains": ["sports", "own"], "k_cores": [5], "splits": ["source"], "seeds": [0, 1, 2]}],
    "models": [
        {"label": "Pop", "variant": "pop", "reported": {"table": "3", "model": "pop"}},
        {"label": "SASRec", "variant": "sasrec", "reported": {"table": "3", "model": "sasrec"}},
        {
            "label": "Ours",
            "variant": "pop",
            "by_domain": {"sports": "mmsrec-text", "own": "mmsrec-text"},
            "reported": {"table": "3", "model": "mmsrec"},
        },
    ],
    "ours": "Ours",
    "metrics": METRICS,
}
CLIPS = {"pretraining": "small", "corpus": "msrvtt-test"}
LAYOUTS = [
    SCORES | {"name": "table-3", "notes": ["A note of the layout."]},
    SCORES | {"name": "table-3-gains", "exhibit": "gains"},
    SCORES | {"name": "figure-2", "exhibit": "core_lines"},
    SCORES | {"name": "figure-3", "exhibit": "ablation_bars"},
    {
        "name": "table-2",
        "exhibit": "statistics",
        "title": "Sizes",
        "caption": "Sizes of data sets.",
        "sizes": [{"domains": ["sports", "beauty"], "k_cores": [5]}],
    },
    {
        "name": "table-1",
        "exhibit": "retrieval_scores",
        "title": "Clips",
        "caption": "Retrieval of clips.",
        "encoders": [
            {"label": "CLIP", "model": "encoder", "reported": {"table": "1", "model": "clip"}} | CLIPS,
            {"label": "Ours", "model": "pretrained", "reported": {"table": "1", "model": "mmsrec"}} | CLIPS,
            {"label": "Other", "pretraining": "small", "corpus": "own-clips", "model": "pretrained"},
        ],
        "metrics": ["recall@5", "recall@10"],
    },
]
ABSENT = [
    {"domains": ["own"], "variants": ["sasrec"], "reason": "no ids"},
    {"domains": ["beauty"], "reason": "no data"},
    {"corpora": ["own-clips"], "reason": "no weights"},
]
TITLE = "Planted <script>alert('1')</script> & numbers"


@pytest.fixture
def params() -> Params:
    """The project's parameters with a report of two real domains, one of our own, two variants and three seeds."""
    raw = read_params(ROOT / "params.yaml").model_dump(mode="json", exclude_none=True)
    own = dict(raw["domains"]["beauty"])
    del own["published"]
    grid = {
        "domains": ["sports", "own"],
        "k_cores": [5],
        "splits": ["source"],
        "variants": ["pop", "mmsrec-text"],
        "seeds": [0, 1, 2],
    }
    raw["models"] = {name: {"settings": row["settings"]} for name, row in raw["models"].items()}
    raw["catalogues"] = {}
    raw["domains"] = {"beauty": raw["domains"]["beauty"], "sports": raw["domains"]["sports"], "own": own}
    raw["variants"] = {
        "pop": {"model": "pop"},
        "mmsrec-text": {"model": "mmsrec", "encoders": {"text": "lsa"}, "settings": {"dim": 128}},
        "sasrec": {"model": "sasrec"},
    }
    test, train = (raw["corpora"][name] for name in ("msrvtt-test", "msrvtt-train"))
    raw["corpora"] = {"msrvtt-train": train, "msrvtt-test": test, "own-clips": test | {"published": None}}
    raw["pretrainings"] = {"small": {"corpus": "msrvtt-train", "encoder": "clip", "seed": 0}}
    raw["reports"] = {
        "planted": {
            "title": TITLE,
            "exhibits": ["retrieval", "statistics", "comparison", "learning"],
            "retrievals": [{"pretrainings": ["small"], "corpora": ["msrvtt-test", "own-clips"]}],
            "statistics": [{"domains": ["sports", "beauty"], "k_cores": [7, 5]}],
            "experiments": [grid],
        },
        "laid-out": {"title": "Laid out", "exhibits": LAYOUTS, "absent": ABSENT},
        "empty": {"title": "Nothing", "exhibits": ["retrieval", "statistics", "comparison", "learning"]},
    }
    return parse_params(raw)


def inputs_at(folder: Path, params: Params, report: str = "planted") -> Inputs:
    return Inputs(
        params,
        report,
        statistics_path=lambda core: folder / f"{core.name}.json",
        metrics_path=lambda experiment: folder / f"{experiment.name}.json",
        history_path=lambda experiment: folder / f"{experiment.name}.parquet",
        ranks_path=lambda experiment: folder / f"{experiment.name}-ranks.parquet",
        retrieval_path=lambda retrieval: folder / f"retrieval-{retrieval.name}.json",
        sequences_path=lambda cut: folder / f"{cut.name}.parquet",
    )


@pytest.fixture
def laid_out(inputs: Inputs) -> Inputs:
    """The same files for the report `laid-out`; the trainings of SASRec are missing, or cannot be made."""
    for experiment in experiments_of(inputs.params, "planted"):
        shift = 0 if experiment.variant == "pop" else experiment.seed + 1
        users = {f"user{number:02d}": float(max(1, number - shift)) for number in range(1, 31)}
        plant_ranks(inputs.ranks_path(experiment), users)
    return replace(inputs, report="laid-out", partial=True)


@pytest.fixture
def inputs(params: Params, tmp_path: Path) -> Inputs:
    """The report `planted`: recall@10 of mmsrec-text is 0.05, 0.06, 0.10 by seed, of pop 0.01; all others are 0.2."""
    planted = inputs_at(tmp_path / "planted", params)
    for core in cores_of(params, "planted"):
        statistics = {"domain": core.domain, "k_core": core.k_core}
        sizes = {"users": 8388, "items": 5134, "actions": 93449, "sparsity": 0.99783, "mean_length": 11.14}
        write_json(planted.statistics_path(core), statistics | sizes)
    for retrieval in retrievals_of(params, "planted"):
        write_json(planted.retrieval_path(retrieval), planted_retrieval(retrieval))
    recall = {"pop": [0.01, 0.01, 0.01], "mmsrec-text": [0.05, 0.06, 0.10]}
    for experiment in experiments_of(params, "planted"):
        names = metric_names(params)
        row = asdict(experiment) | {
            "users": 8388,
            "candidates": ["all", "unseen"],
            "ties": "source",
            "metrics": dict.fromkeys(
                ("all", "unseen"),
                dict.fromkeys(names, 0.2) | {"recall@10": recall[experiment.variant][experiment.seed]},
            ),
            "chance": {"all": dict.fromkeys(names, 0.0008), "unseen": dict.fromkeys(names, 0.001)},
        }
        write_json(planted.metrics_path(experiment), row)
        epochs = {"pop": 0, "mmsrec-text": 3}[experiment.variant]
        plant_history(planted.history_path(experiment), [0.02, 0.05, 0.04][:epochs])
    return planted


def planted_retrieval(retrieval: Retrieval) -> dict[str, object]:
    """Recall@10 of the pre-trained encoder is 0.5, of the others 0.25; the rest is 0.1."""
    values = {"recall@1": 0.1, "recall@5": 0.1, "median_rank": 12.5}
    models = {"encoder": 0.25, "untrained": 0.25, "pretrained": 0.5}
    return {
        "pretraining": retrieval.pretraining,
        "corpus": retrieval.corpus,
        "pairs": 476,
        "metrics": {
            model: {direction: values | {"recall@10": recall} for direction in ("text_to_video", "video_to_text")}
            for model, recall in models.items()
        },
        "chance": {"recall@1": 0.0021, "recall@5": 0.0105, "recall@10": 0.021, "median_rank": 238.5},
    }


def plant_history(path: Path, recall: list[float | None]) -> None:
    constant = {"loss": 5.0, "learning_rate": 0.001, "seconds": 1.5, "positions": 100, "efficiency": 0.8}
    columns = {"epoch": list(range(1, len(recall) + 1)), "recall@10": recall}
    columns |= {name: [value] * len(recall) for name, value in constant.items()}
    schema = SCHEMAS["history"]
    write_table(
        path,
        pa.table([pa.array(columns[name], schema.field(name).type) for name in schema.names], schema=schema),
        schema,
    )


def plant_ranks(path: Path, ranks: dict[str, float]) -> None:
    """The ranks of users by name; every user has the same target and best items."""
    schema, users = SCHEMAS["ranks"], len(ranks)
    columns = {"user": list(ranks), "target": ["item"] * users, "rank": list(ranks.values())}
    columns |= {"ties": [1] * users, "unseen_rank": list(ranks.values()), "unseen_ties": [1] * users}
    columns |= {"top": [[4, 0]] * users}
    write_table(path, pa.table(columns, schema=schema), schema)
