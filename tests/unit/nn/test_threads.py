import threading

import pytest
import torch

from mmsrec.nn.threads import in_threads, one_thread_each

CPU = torch.device("cpu")


def test_results_come_in_the_order_of_the_groups(threads):
    second = threading.Event()

    def compute(group):
        # The first group waits until the second has been computed.
        (second.wait if group == 0 else second.set if group == 1 else int)()
        return group

    assert list(in_threads(compute, range(10), CPU)) == list(range(10))


def test_no_more_groups_start_than_there_are_threads(threads):
    started = []
    results = in_threads(started.append, range(10), CPU)
    next(results)
    assert len(started) <= threads


@pytest.mark.parametrize("groups", [1, 10])
def test_each_group_has_one_thread_and_torchs_threads_are_restored(threads, groups):
    assert set(in_threads(lambda _: torch.get_num_threads(), range(groups), CPU)) == {1}
    assert torch.get_num_threads() == threads


def test_groups_share_the_threads_that_torch_had_outside(threads):
    all_here = threading.Barrier(threads, timeout=60)

    def compute(_):
        all_here.wait()
        return threading.get_ident()

    with one_thread_each():
        with one_thread_each():
            assert torch.get_num_threads() == 1
            names = set(in_threads(compute, range(threads), CPU))
        assert torch.get_num_threads() == 1
    assert len(names) == threads == torch.get_num_threads()


def test_groups_inside_a_group_do_not_start_threads(threads):
    def compute(_):
        return {threading.get_ident(), *in_threads(lambda _: threading.get_ident(), range(3), CPU)}

    assert {len(used) for used in in_threads(compute, range(4), CPU)} == {1}


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("groups", [1, 3])
def test_gradients_are_recorded_as_in_the_caller(threads, groups, recorded):
    x = torch.ones(3, requires_grad=True)
    with torch.set_grad_enabled(recorded):
        assert {y.requires_grad for y in in_threads(lambda _: x * 2, range(groups), CPU)} == {recorded}


def test_an_error_in_a_group_is_raised_and_torchs_threads_are_restored(threads):
    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda group: 1 / group, [2, 1, 0, 1], CPU))
    assert torch.get_num_threads() == threads


def test_without_groups_there_are_no_results(threads):
    assert list(in_threads(lambda group: group, [], CPU)) == []
