"""The reports of the paper's experiment have every cell that the paper has, and no other."""

from collections import Counter
from pathlib import Path

import pytest

from mmsrec.settings.layouts import RetrievalLayout, ScoreLayout, SizeLayout
from mmsrec.settings.params import read_params
from mmsrec.settings.plan import cores_of, experiments_of, retrievals_of

PARAMS = read_params(Path(__file__).parents[3] / "params.yaml")
SIZES = {"table-2": 5, "table-4": 8}
UNTESTED = ("table-1", "beside-table-3")  # they have no table of gains


def shown(report, kind):
    return {layout.name: layout for layout in PARAMS.reports[report].layouts(kind)}


def cells(report):
    """The number of cells of each exhibit with scores, one protocol, one number a cell."""
    scores = {name: sum(len(row.metrics) for _ in row.cells()) for name, row in shown(report, ScoreLayout).items()}
    clips = {name: len(row.encoders) * len(row.metrics) for name, row in shown(report, RetrievalLayout).items()}
    return scores | clips


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ("paper", {"table-1": 4, "table-3": 160, "table-5": 12, "figure-2": 32, "figure-3": 48, "beside-table-3": 60}),
        (
            "paper-small",
            {
                "table-1": 4,
                "table-3": 128,
                "table-5": 12,
                "figure-2": 12,
                "figure-3": 24,
                "beside-table-3": 48,
                "readings": 8,
            },
        ),
    ],
)
def test_the_exhibits_have_the_paper_s_cells(report, expected):
    found = cells(report)
    tests = {f"{name}-gains": count for name, count in expected.items() if name not in UNTESTED}
    assert found == expected | tests


def test_the_tables_of_sizes_have_the_paper_s_rows():
    for name, layout in shown("paper", SizeLayout).items():
        assert sum(len(grid.rows()) for grid in layout.sizes) == SIZES[name]


def test_table_3_has_all_models_on_all_data_sets_with_three_seeds():
    layout = shown("paper", ScoreLayout)["table-3"]
    rows = list(layout.cells())
    assert Counter(cut.domain for cut, *_ in rows) == dict.fromkeys(
        ["beauty", "sports", "clothing", "home", "ml-1m"], 8
    )
    assert {len(experiments) for *_, experiments in rows} == {3}
    assert all(model.reported for model in layout.models)


def test_the_whole_experiment_has_no_training_twice_and_leaves_none_out():
    # Three seeds of 40 trainings of Table 3, 10 beside it, 12 more of Figure 2, 10 more of Figure 3, one of Table 5.
    assert len(experiments_of(PARAMS, "paper")) == 3 * (40 + 10 + 12 + 10 + 1)
    assert PARAMS.reports["paper"].absent == []
    assert len(cores_of(PARAMS, "paper")) == 5 + 6
    assert len(retrievals_of(PARAMS, "paper")) == 1


def test_the_small_report_asks_for_nothing_that_cannot_be_made():
    found = experiments_of(PARAMS, "paper-small")
    assert not {row.variant for row in found if row.domain == "toys"} & {"fdsa", "s3rec"}
    assert {row.domain for row in found} == {"toys", "beauty", "sports", "ml-1m"}
    assert Counter(row.seed for row in found if row.domain != "toys").keys() == {0}
    assert retrievals_of(PARAMS, "paper-small") == []
    layout = shown("paper-small", ScoreLayout)["table-3"]
    absent = [
        (cut.domain, model.label)
        for cut, model, (first, *_) in layout.cells()
        if PARAMS.reports["paper-small"].absence(first)
    ]
    assert absent == [("toys", "FDSA"), ("toys", "S3-Rec")]


@pytest.mark.parametrize("ablation", ["v", "t", "pv", "pt"])
def test_an_ablation_of_the_paper_hides_one_of_two_modalities(ablation):
    variant = PARAMS.variants[f"ours-paper-without-{ablation}"]
    hidden = PARAMS.settings_of("sports", f"ours-paper-without-{ablation}").settings.hidden_modality
    assert hidden == {"v": "vision", "t": "text"}[ablation[-1]]
    assert variant.encoders.keys() == {"vision", "text"}
    assert (variant.pretrained is None) == ("p" in ablation)


def test_the_demo_has_one_of_each_exhibit():
    exhibits = PARAMS.reports["demo"].exhibits
    names = {exhibit if isinstance(exhibit, str) else exhibit.exhibit for exhibit in exhibits}
    of_paper = {exhibit.exhibit for exhibit in PARAMS.reports["paper"].exhibits if not isinstance(exhibit, str)}
    assert of_paper <= names
