"""Prefetching keeps order and bounds; errors reach the consumer; a process that dies or hangs costs one call."""

import os
import signal
import threading
import time

import pytest

from mmsrec.workers import Worker, WorkerLost, Workers, prefetch, threads_of_job


def test_results_keep_the_order_of_the_items():
    def slow_first(item):
        time.sleep(0.02 if item % 3 == 0 else 0)
        return item * item

    assert list(prefetch(slow_first, range(20), threads=4)) == [item * item for item in range(20)]


def test_only_a_few_items_are_taken_before_they_are_needed():
    taken = []

    def items():
        for item in range(1000):
            taken.append(item)
            yield item

    results = prefetch(str, items(), threads=2)
    next(results)
    assert len(taken) <= 5
    results.close()


def test_each_thread_calls_start_first():
    begun = []
    assert list(prefetch(lambda _: len(begun) > 0, range(4), threads=2, start=lambda: begun.append(1))) == [True] * 4
    assert len(begun) <= 2


@pytest.mark.parametrize(("set_to", "found"), [("2", 2), ("1", 1), ("0", 1), ("99", 4), ("", 4), ("4,2", 4)])
def test_a_job_computes_with_the_threads_that_it_was_given(monkeypatch, set_to, found):
    monkeypatch.setattr("mmsrec.workers.cores", lambda: 4)
    monkeypatch.setenv("OMP_NUM_THREADS", set_to)
    assert threads_of_job() == found


def test_work_overlaps():
    together = threading.Barrier(3, timeout=10)
    assert list(prefetch(lambda _: together.wait() is not None, range(3), threads=3)) == [True] * 3


def test_an_error_reaches_the_consumer():
    def fail(item):
        if item == 2:
            raise ValueError("item 2")
        return item

    results = prefetch(fail, range(10), threads=2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="item 2"):
        next(results)


def misbehave(action):
    """Runs in a worker process."""
    if action == "die":
        os.abort()
    if action == "hang":
        time.sleep(60)
    if action == "raise":
        raise RuntimeError("a bug")
    return action.upper(), os.getpid()


def test_a_lost_process_costs_one_call(capfd):
    worker = Worker(misbehave, timeout=5)
    try:
        answer, first = worker("fine")
        assert answer == "FINE"
        assert worker("again")[1] == first
        with pytest.raises(WorkerLost, match="status -6"):
            worker("die")
        assert worker("fine")[1] != first
        with pytest.raises(WorkerLost, match="status 1"):
            worker("raise")
        assert "a bug" in capfd.readouterr().err
    finally:
        worker.stop()


def test_a_process_that_ends_between_two_calls_costs_one_call():
    worker = Worker(misbehave, timeout=5)
    try:
        os.kill(worker("fine")[1], signal.SIGKILL)
        worker._process.join()
        with pytest.raises(WorkerLost, match="status -9"):
            worker("fine")
        assert worker("fine")[0] == "FINE"
    finally:
        worker.stop()


def test_a_call_that_hangs_is_ended():
    worker = Worker(misbehave, timeout=5)
    worker("start")
    worker._timeout = 0.2
    with pytest.raises(WorkerLost, match=r"no answer within 0\.2 seconds"):
        worker("hang")
    assert worker._process is None


def test_threads_share_the_processes():
    with Workers(misbehave, count=2, timeout=30) as workers:
        answers = list(prefetch(workers, ["a"] * 8, threads=4))
    assert {answer for answer, _ in answers} == {"A"}
    assert 1 <= len({pid for _, pid in answers}) <= 2
    for _, pid in answers:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
