import threading

import pytest
import torch

from mmsrec.nn.threads import in_threads

CPU = torch.device("cpu")


def test_results_keep_the_order_of_the_groups_whoever_ends_first(threads):
    second = threading.Event()

    def compute(group):
        # The first group waits until the second has been computed.
        (second.wait if group == 0 else second.set if group == 1 else int)()
        return group

    assert list(in_threads(compute, range(10), CPU)) == list(range(10))


def test_no_group_is_begun_before_the_results_of_earlier_ones_are_taken(threads):
    begun = []
    results = in_threads(begun.append, range(10), CPU)
    next(results)
    assert len(begun) <= threads


@pytest.mark.parametrize(("most", "share"), [(8, 1), (1, 2)])
def test_the_threads_share_the_processor_and_give_it_back(monkeypatch, threads, most, share):
    monkeypatch.setattr(threads, "MOST", most)
    assert set(in_threads(lambda _: torch.get_num_threads(), range(10), CPU)) == {share}
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("groups", [1, 3])
def test_gradients_are_recorded_if_they_are_outside(threads, groups, recorded):
    x = torch.ones(3, requires_grad=True)
    with torch.set_grad_enabled(recorded):
        assert {y.requires_grad for y in in_threads(lambda _: x * 2, range(groups), CPU)} == {recorded}


def test_an_error_in_a_group_is_raised_and_the_processor_given_back(threads):
    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda group: 1 / group, [2, 1, 0, 1], CPU))
    assert torch.get_num_threads() == threads


def test_without_groups_there_are_no_results(threads):
    assert list(in_threads(lambda group: group, [], CPU)) == []
