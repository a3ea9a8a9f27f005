"""Means and intervals over seeds."""

import math

import polars as pl
import pytest

from mmsrec.report.seeds import over_seeds


def test_the_interval_of_three_seeds_is_that_of_the_printed_t_table():
    frame = pl.DataFrame({"variant": ["a"] * 3, "recall": [0.05, 0.06, 0.10]})
    row = over_seeds(frame, ["variant"], ["recall"]).row(0, named=True)
    # Deviations -0.02, -0.01 and 0.03 from the mean; 4.302653 is the 0.975 quantile at 2 degrees of freedom.
    deviation = math.sqrt((0.02**2 + 0.01**2 + 0.03**2) / 2)
    assert row["seeds"] == 3
    assert row["recall_measured"] == pytest.approx(0.07)
    assert row["recall_interval"] == pytest.approx(4.302653 * deviation / math.sqrt(3), rel=1e-6)


def test_a_single_seed_has_no_interval():
    row = over_seeds(pl.DataFrame({"variant": ["a"], "recall": [0.05]}), ["variant"], ["recall"]).row(0, named=True)
    assert (row["recall_measured"], row["recall_interval"]) == (0.05, None)


def test_groups_of_different_size_keep_their_order_and_their_own_quantile():
    frame = pl.DataFrame({"variant": ["b", "a", "b"], "recall": [0.0, 0.5, 1.0]})
    rows = over_seeds(frame, ["variant"], ["recall"])
    assert rows["variant"].to_list() == ["b", "a"]
    # Two values h apart: the deviation is h / sqrt(2); 12.706205 is the quantile at 1 degree of freedom.
    assert rows["recall_interval"].to_list() == [pytest.approx(12.706205 / 2, rel=1e-6), None]
