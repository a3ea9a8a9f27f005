"""Metrics by popularity: a slow count gives the same numbers, and a missing file has its reason."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from mmsrec.artifacts import SCHEMAS, write_table
from mmsrec.errors import ArtifactError
from mmsrec.files import write_json
from mmsrec.report.exhibits.popularity import exhibit
from mmsrec.report.popularity_means import bucket_names, popularity_frame
from mmsrec.report.rendering import figure_files, figure_html
from mmsrec.report.target_counts import target_counts
from mmsrec.settings.layouts import PopularityLayout
from mmsrec.settings.plan import Cut, experiments_of
from tests.unit.report.conftest import METRICS, SCORES

ITEMS = 40
BOUNDS = [0, 2, 6]
BUCKETS = ["0", "1-2", "3-6", "> 6"]
LAYOUT = PopularityLayout.model_validate(
    {name: value for name, value in SCORES.items() if name != "ours"}
    | {"name": "popularity", "exhibit": "popularity", "bounds": BOUNDS}
)
CUTS = [Cut("sports", 5, "source"), Cut("own", 5, "source")]


def sequences_of(seed):
    """Sequences of 60 users over items of very different popularity, some with repeated actions."""
    generator = np.random.default_rng(seed)
    shares = 1 / np.arange(1, ITEMS + 1) ** 1.3
    return {
        f"user{number:02d}": generator.choice(ITEMS, generator.integers(3, 9), p=shares / shares.sum()).tolist()
        for number in generator.permutation(60)
    }


def plant_sequences(path, sequences):
    frame = pl.DataFrame({"user": list(sequences), "items": list(sequences.values())}).with_row_index("user_index")
    times = pl.Series("timestamps", [list(range(len(items))) for items in sequences.values()])
    write_table(path, frame.with_columns(times).to_arrow(), SCHEMAS["sequences"])


def ranks_of(sequences, seed):
    """Ranks with ties, in another order of the users."""
    generator = np.random.default_rng(seed)
    users = sorted(sequences, reverse=True)
    ties, unseen_ties = generator.integers(1, 4, len(users)), generator.integers(1, 3, len(users))
    return pl.DataFrame(
        {
            "user": users,
            "target": [str(sequences[user][-1]) for user in users],
            "rank": generator.integers(1, 15, len(users)) + (ties - 1) / 2,
            "ties": ties,
            "unseen_rank": generator.integers(1, 13, len(users)) + (unseen_ties - 1) / 2,
            "unseen_ties": unseen_ties,
            "top": [[0, 1]] * len(users),
        }
    )


@pytest.fixture
def planted(laid_out):
    """Sequences of two data sets, and ranks of the variants pop and mmsrec-text with three seeds each."""
    for core in {cut.domain for cut in CUTS}:
        path = next(
            laid_out.statistics_path(row.core)
            for row in experiments_of(laid_out.params, "planted")
            if row.domain == core
        )
        sizes = {"users": 60, "items": ITEMS, "actions": 300, "sparsity": 0.9, "mean_length": 5.0}
        write_json(path, {"domain": core, "k_core": 5} | sizes)
    for number, cut in enumerate(CUTS):
        plant_sequences(laid_out.sequences_path(cut), sequences_of(number))
    for place, experiment in enumerate(experiments_of(laid_out.params, "planted")):
        table = ranks_of(sequences_of(CUTS.index(experiment.cut)), place).select(SCHEMAS["ranks"].names)
        write_table(laid_out.ranks_path(experiment), table.to_arrow(), SCHEMAS["ranks"])
    return laid_out


@pytest.fixture
def frame(planted):
    return popularity_frame(planted, LAYOUT)


def slow_gain(rank, ties, metric):
    """The mean gain over the ranks that a tied target may have."""
    first = rank - (ties - 1) / 2
    ranks = [first + place for place in range(ties)]
    return np.mean([(rank <= 10) / (np.log2(rank + 1) if metric == "ndcg@10" else 1) for rank in ranks])


def slow_bucket(sequences, user):
    count = sum(items[:-2].count(sequences[user][-1]) for items in sequences.values())
    return next((name for name, bound in zip(BUCKETS, BOUNDS, strict=False) if count <= bound), BUCKETS[-1])


@pytest.mark.parametrize("cut", CUTS, ids=lambda cut: cut.domain)
@pytest.mark.parametrize(("protocol", "prefix"), [("all", ""), ("unseen", "unseen_")])
def test_the_means_equal_a_slow_count(planted, frame, cut, protocol, prefix):
    sequences = sequences_of(CUTS.index(cut))
    variant = {"Ours": "mmsrec-text", "Pop": "pop"}
    for bucket in BUCKETS:
        users = [user for user in sequences if slow_bucket(sequences, user) == bucket]
        rows = frame.filter(domain=cut.domain, candidates=protocol, bucket=bucket)
        assert rows["users"].to_list() == [len(users)] * 4
        assert users, "every bucket is tested"
        for label, metric in [(label, metric) for label in variant for metric in METRICS]:
            (row,) = rows.filter(label=label).to_dicts()
            seeds = []
            for experiment in experiments_of(planted.params, "planted"):
                if (experiment.cut, experiment.variant) == (cut, variant[label]):
                    ranks = pl.read_parquet(planted.ranks_path(experiment)).filter(pl.col("user").is_in(users))
                    pairs = ranks.select(f"{prefix}rank", f"{prefix}ties").rows()
                    seeds.append(np.mean([slow_gain(*pair, metric) for pair in pairs]))
            assert row["seeds"] == len(seeds) == 3
            assert row[f"{metric}_measured"] == pytest.approx(np.mean(seeds))
            assert row[f"{metric}_interval"] == pytest.approx(4.302653 * np.std(seeds, ddof=1) / np.sqrt(3))


@pytest.mark.parametrize("protocol", ["all", "unseen"])
def test_chance_is_that_of_the_candidates_of_each_user(frame, protocol):
    sequences = sequences_of(0)
    for bucket in BUCKETS:
        users = [user for user in sequences if slow_bucket(sequences, user) == bucket]
        seen = [len(set(sequences[user][:-1]) - {sequences[user][-1]}) for user in users]
        expected = np.mean([10 / (ITEMS - (number if protocol == "unseen" else 0)) for number in seen])
        (row,) = frame.filter(domain="sports", candidates=protocol, bucket=bucket, label="chance").to_dicts()
        assert row["recall@10_measured"] == pytest.approx(expected)
        assert (row["seeds"], row["recall@10_interval"], row["missing"]) == (None, None, None)


def test_cold_targets_are_in_no_training_or_validation_part(tmp_path):
    sequences = sequences_of(0) | {"cold": [0, 1, ITEMS], "validated": [0, ITEMS + 1, 1], "warm": [0, 1, ITEMS + 1]}
    warm = {item for items in sequences.values() for item in items[:-1]}
    plant_sequences(tmp_path / "sequences.parquet", sequences)
    counts = target_counts(tmp_path / "sequences.parquet", ITEMS + 2, cold=True)
    assert counts.users["user"].to_list() == ["cold"]
    assert counts.candidates("cold", ITEMS + 2).tolist() == [ITEMS + 2 - len(warm)]
    users = target_counts(tmp_path / "sequences.parquet", ITEMS + 2).users
    assert users.filter(user="warm").row(0) == ("warm", 0, 2, False)


def test_a_bucket_without_users_has_no_number_and_no_reason(planted):
    frame = popularity_frame(planted, LAYOUT.model_copy(update={"bounds": [0, 1000]}))
    rows = frame.filter(bucket="> 1000", domain="own")
    assert rows["users"].to_list() == [0] * len(rows)
    assert rows["recall@10_measured"].null_count() == rows["missing"].null_count() == len(rows)


def test_a_missing_number_has_its_reason(planted, frame):
    assert set(frame.filter(label="SASRec", domain="sports")["missing"]) == {"not run"}
    assert set(frame.filter(label="SASRec", domain="own")["missing"]) == {"no ids"}
    assert frame.filter(label="Ours")["missing"].null_count() == 16

    earlier = planted.metrics().drop("recall@10_chance").filter(domain="own", variant="mmsrec-text")
    for experiment in experiments_of(planted.params, "planted"):
        if (experiment.domain, experiment.variant) == ("own", "mmsrec-text"):
            planted.metrics_path(experiment).unlink()
    there = popularity_frame(replace(planted, earlier=earlier), LAYOUT).filter(label="Ours", domain="own")
    assert set(there["missing"]) == {"ranks on another machine"}
    assert there["recall@10_measured"].null_count() == len(there)


def test_without_sequences_a_partial_report_says_so_and_a_whole_one_is_refused(planted):
    planted.sequences_path(CUTS[1]).unlink()
    frame = popularity_frame(planted, LAYOUT).filter(domain="own")
    assert set(frame.filter(label="Ours")["missing"]) == {"no sequences here"}
    assert frame["users"].null_count() == len(frame)
    with pytest.raises(ArtifactError, match="1 files of the stage split; 1 are missing"):
        replace(planted, partial=False).sequences(CUTS[1])


def test_a_result_of_other_sequences_is_refused(planted):
    sequences = sequences_of(0)
    del sequences["user07"]
    plant_sequences(planted.sequences_path(CUTS[0]), sequences)
    with pytest.raises(ArtifactError, match=r"ranks other users(.|\n)*59 users of"):
        popularity_frame(planted, LAYOUT)


def test_the_table_marks_the_best_of_each_bucket_and_shows_chance(planted):
    table = exhibit(planted, LAYOUT).table
    assert len(table.body) == 2 * 2 * len(BUCKETS)
    first = table.body[0]
    assert first.names[0::3][:2] == ("sports", "history among the candidates")
    assert first.names[4:] == (
        "0 in training",
        f"{sum(slow_bucket(sequences_of(0), user) == '0' for user in sequences_of(0))} users",
    )
    assert [row[0].text for row in first.rows] == ["Pop", "SASRec", "Ours", "chance"]
    values = {row[0].text: float(row[1].text.split(" ± ")[0]) for row in first.rows if row[0].text != "SASRec"}
    best = max(values, key=values.get)
    assert [row[0].text for row in first.rows if row[1].mark == "best"] == [best]


def test_the_figure_has_a_line_for_each_model_with_intervals(planted):
    figure = exhibit(planted, LAYOUT)
    assert [chart.title for chart in figure.charts] == [
        f"{metric} on {domain}" for domain in ("sports", "own") for metric in ("Recall@10", "NDCG@10")
    ]
    chart = figure.charts[0]
    assert chart.ticks == BUCKETS
    assert [line.label for line in chart.series] == ["Pop", "Ours", "chance"]
    assert all(round(place) == number for line in chart.series for number, place in enumerate(line.x))
    assert None not in chart.series[1].margins
    assert chart.series[2].margins == [None] * 4
    assert set(figure_files(figure, "p")) == {f"p.{kind}" for kind in ("csv", "md", "tex", "svg", "png")}
    assert "<td" in figure_html(figure, "p")


def test_one_protocol_may_be_named(planted):
    layout = LAYOUT.model_copy(update={"candidates": ["unseen"]})
    figure = exhibit(planted, layout)
    assert set(figure.frame["candidates"]) == {"unseen"}
    assert len(figure.charts) == 4


@pytest.mark.parametrize(
    ("bounds", "names"),
    [([0, 5, 20], ["0", "1-5", "6-20", "> 20"]), ([3], ["0-3", "> 3"]), ([0, 1, 2], ["0", "1", "2", "> 2"])],
)
def test_buckets_are_named_by_their_numbers(bounds, names):
    assert bucket_names(bounds) == names
