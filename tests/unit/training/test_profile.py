import re

import pytest
import torch

from mmsrec.errors import TrainingError
from mmsrec.models.mmsrec import MMSRec
from mmsrec.models.pop import Pop
from mmsrec.models.pop_settings import PopSettings
from mmsrec.models.recommender import ModelInputs
from mmsrec.training import profile
from mmsrec.training.profile import PARTS, profile_steps
from tests.unit.models.examples import text_inputs
from tests.unit.training.examples import SETTINGS, TRAINER, walks

ITEMS = 12


@pytest.fixture(scope="module")
def report():
    model = MMSRec(text_inputs(torch.eye(ITEMS)), SETTINGS, TRAINER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profile, "PEAK_SIZE", 64)
        return profile_steps(model, walks(), TRAINER, 0, 6).split("\n\n")


def rows(table):
    """Name, seconds, share and calls of each row."""
    found = [re.fullmatch(r"(.+?) +([\d.]+) +([\d.]+)% +([\d,]+)", line) for line in table.splitlines()[1:]]
    return {row[1]: (float(row[2]), float(row[3]) / 100, int(row[4].replace(",", ""))) for row in found}


def test_every_part_is_shown_and_shares_sum_to_one(report):
    parts = rows(report[1])
    assert parts.keys() == {*PARTS, "rest"}
    assert sum(share for _, share, _ in parts.values()) == pytest.approx(1, abs=0.005)
    assert all(share > 0 for name, (_, share, _) in parts.items() if name != "sum over processes")
    assert all(calls > 1 for name, (_, _, calls) in parts.items() if name != "sum over processes")


def test_operators_are_sorted_by_time_and_have_calls(report):
    operators = rows(report[2])
    assert len(operators) == profile.OPERATORS
    shares = [share for _, share, _ in operators.values()]
    assert shares == sorted(shares, reverse=True)
    assert any(name.startswith("aten::") and calls > 1 for name, (_, _, calls) in operators.items())


def test_rates_are_measured_on_full_batches(report):
    assert report[0].startswith("6 steps of 32 sequences in float32")  # more than an epoch has
    found = [re.search(pattern, report[0])[1] for pattern in (r"([\d.]+) s each", r"([\d,]+) sequences/s")]
    seconds, sequences = (float(number.replace(",", "")) for number in found)
    assert sequences == pytest.approx(32 / seconds, rel=0.1)


def test_operations_of_matrix_products_are_counted():
    with torch.profiler.profile(with_flops=True) as recorded:
        torch.randn(30, 50) @ torch.randn(50, 70)
    calls = profile._calls(recorded, on_gpu=False)
    assert calls.filter(calls["operator"] == "aten::mm")["flops"].to_list() == [2 * 30 * 50 * 70]


def test_products_are_compared_with_the_peak(report):
    assert re.search(r"GFLOP in [\d.]+% of the step, [\d.,]+ GFLOP/s, [\d.]+% of the peak", report[3])


def test_a_model_that_counts_has_no_steps():
    with pytest.raises(TrainingError, match="no steps"):
        profile_steps(Pop(ModelInputs(ITEMS, {}), PopSettings(), TRAINER), walks(), TRAINER, 0, 1)
