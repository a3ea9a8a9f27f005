"""Table 3 from planted metrics."""

from collections import Counter
from dataclasses import fields, replace

import pytest

from mmsrec.report.exhibits.comparison import departures, exhibit
from mmsrec.settings.plan import Experiment


@pytest.fixture
def table(inputs):
    return exhibit(inputs)


def row_of(table, domain, variant, candidates="all"):
    keys = (domain, variant, candidates)
    return next(row for row in table.frame.to_dicts() if (row["domain"], row["variant"], row["candidates"]) == keys)


def test_the_mean_over_seeds_is_in_one_row_with_the_paper_s_numbers(table):
    row = row_of(table, "sports", "mmsrec-text")
    assert (row["reported_for"], row["features"], row["seeds"]) == ("mmsrec", "text by lsa", 3)
    assert row["recall@10_reported"] == 0.0635
    assert row["recall@10_measured"] == pytest.approx(0.07)
    assert row["recall@10_difference"] == pytest.approx(0.0065)
    assert row["recall@10_interval"] == pytest.approx(0.0657, abs=5e-5)
    assert (row["mrr_reported"], row["mrr_measured"], row["mrr_difference"]) == (None, pytest.approx(0.2), None)


def test_the_paper_s_numbers_stand_beside_its_own_protocol_alone(table):
    row = row_of(table, "sports", "mmsrec-text", "unseen")
    assert (row["reported_for"], row["recall@10_reported"]) == (None, None)
    assert row["recall@10_measured"] == pytest.approx(0.07)
    assert row_of(table, "sports", "chance", "unseen")["recall@10_measured"] == 0.001


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


def test_a_reported_number_of_another_configuration_has_an_asterisk_and_a_note(table):
    note = next(note for note in table.notes if "another configuration" in note)
    assert note.startswith("* mmsrec-text on sports ")
    assert "features text by lsa 256 instead of vision+text by open_clip ViT-B-32 openai; dim 128" in note
    sports = table.body[0]
    assert sports.names == ("sports", "5-core", "source", "history among the candidates")
    assert [(row[0].text, row[1].text) for row in sports.rows] == [
        ("chance", "–"),
        ("pop", "0.0177"),
        ("mmsrec-text", "*0.0635"),
    ]


def test_an_impossible_number_of_the_paper_has_an_asterisk_and_a_note(inputs):
    domains = inputs.params.domains
    films = domains | {"own": domains["own"].model_copy(update={"published": "ml-1m"})}
    table = exhibit(replace(inputs, params=inputs.params.model_copy(update={"domains": films})))
    assert "* pop on own: the paper reports NDCG@10 above Recall@10" in "\n".join(table.notes)
    own = table.body[2]
    assert [row[1].text for row in own.rows] == ["–", "*0.0749", "*0.3124"]


def test_a_variant_with_the_paper_s_features_and_settings_has_no_departure(params):
    assert departures(params, "sports", "pop", None) == []
    text = "text by lsa 256"
    assert departures(params, "sports", "mmsrec-text", text) == ["dim 128"]


def test_the_best_measured_of_a_group_is_marked_and_no_reported_number(table):
    cells = [cell for group in table.body for row in group.rows for cell in row if cell.mark == "best"]
    # pop and mmsrec-text share the best of the four other metrics in both domains, under both protocols.
    assert Counter(cell.text for cell in cells) == {"0.0700 ± 0.0657": 2 * 2, "0.2000 ± 0.0000": 2 * 2 * 2 * 4}


def test_the_groups_are_the_protocol_and_the_fields_of_an_experiment_but_variant_and_seed(table):
    *shown, protocol = [column.field for column in table.groups]
    assert [*shown, "variant", "seed"] == [field.name for field in fields(Experiment)]
    assert protocol == "candidates"
