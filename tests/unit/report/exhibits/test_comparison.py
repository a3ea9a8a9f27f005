"""Table 3 from planted metrics."""

import csv
import io

import pytest

from mmsrec.report.exhibits.comparison import comparison_table, departures


@pytest.fixture
def table(inputs):
    return comparison_table(inputs)


def row_of(table, domain, variant):
    return next(row for row in table.frame.to_dicts() if (row["domain"], row["variant"]) == (domain, variant))


def test_the_mean_over_seeds_stands_beside_the_paper_s_row_of_the_model(table):
    row = row_of(table, "sports", "mmsrec-text")
    assert (row["reported_for"], row["features"], row["seeds"]) == ("mmsrec", "text by lsa", 3)
    assert row["recall@10_reported"] == 0.0635
    assert row["recall@10_measured"] == pytest.approx(0.07)
    assert row["recall@10_difference"] == pytest.approx(0.0065)
    assert row["recall@10_interval"] == pytest.approx(0.0657, abs=5e-5)
    assert (row["mrr_reported"], row["mrr_measured"], row["mrr_difference"]) == (None, pytest.approx(0.2), None)


def test_a_domain_that_the_paper_does_not_know_has_no_reported_numbers(table):
    row = row_of(table, "own", "pop")
    assert row["recall@10_measured"] == pytest.approx(0.01)
    assert [row[name] for name in ("reported_for", "departures", "recall@10_reported", "recall@10_difference")] == [
        None
    ] * 4


def test_a_random_ranking_is_a_row_of_every_core(table):
    for domain in ("sports", "own"):
        row = row_of(table, domain, "chance")
        assert (row["recall@10_measured"], row["recall@10_interval"], row["seeds"]) == (0.0008, None, None)


def test_a_reported_number_of_a_different_configuration_is_marked_and_explained(table):
    note = next(note for note in table.notes if "different configuration" in note)
    assert note.startswith("* mmsrec-text in sports: ")
    assert "features text by lsa 256 instead of vision+text by open_clip ViT-B-32 openai; dim 128" in note
    cells = [line.split(" | ") for line in table.markdown().splitlines() if line.startswith("| sports | 5-core |")]
    assert [(cell[2], cell[3]) for cell in cells] == [("chance", "–"), ("pop", "0.0177"), ("mmsrec-text", "\\*0.0635")]


def test_a_variant_like_the_paper_s_departs_in_nothing(params):
    assert departures(params, "sports", "pop") == []


def test_the_best_measured_of_a_group_is_bold(table):
    html = table.html()
    assert html.count("<strong>0.0700 ± 0.0657</strong>") == 2
    assert "<strong>0.0635" not in html
    # pop and mmsrec-text share the best of the four other metrics in both domains.
    assert html.count("<strong>0.2000 ± 0.0000</strong>") == 2 * 2 * 4


def test_the_csv_has_full_precision_and_the_page_four_decimals(table):
    row = next(
        row for row in csv.DictReader(io.StringIO(table.files()["table3.csv"])) if row["variant"] == "mmsrec-text"
    )
    assert float(row["recall@10_interval"]) == row_of(table, "sports", "mmsrec-text")["recall@10_interval"]
    assert row["recall@10_interval"] not in table.html()
