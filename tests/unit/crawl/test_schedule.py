import random
import threading
import time
from collections import Counter

from mmsrec.crawl.schedule import Schedule

FAST = 1e6
LATE = 5.0  # seconds by which a busy machine may be late


def take(schedule: Schedule[str], within: float = LATE) -> str | None:
    """The result of `take`, or None if it still waits after `within` seconds. The waiting thread is abandoned."""
    found: list[str | None] = []
    thread = threading.Thread(target=lambda: found.append(schedule.take()), daemon=True)
    thread.start()
    thread.join(within)
    return found[0] if found else None


def test_tasks_of_a_host_start_in_order_and_within_its_concurrency() -> None:
    schedule: Schedule[str] = Schedule(2, FAST)
    for task in ("a1", "a2", "a3", "b1"):
        schedule.add(task[0], task)

    taken = [schedule.take() for _ in range(3)]
    assert sorted(taken) == ["a1", "a2", "b1"]
    assert taken.index("a1") < taken.index("a2")
    threading.Timer(0.1, schedule.release, ["a"]).start()
    assert schedule.take() == "a3"


def test_the_rate_of_a_host_is_bounded_and_does_not_slow_others() -> None:
    schedule: Schedule[str] = Schedule(100, rate=50)
    for number in range(11):
        schedule.add("a", f"a{number}")
    start = time.monotonic()
    for _ in range(11):
        schedule.take()
        schedule.release("a")

    assert 0.18 <= time.monotonic() - start < 0.2 + LATE
    schedule.add("b", "b")
    assert take(schedule) == "b"


def test_a_delayed_task_does_not_block_later_tasks() -> None:
    schedule: Schedule[str] = Schedule(5, FAST)
    start = time.monotonic()
    schedule.add("a", "late", delay=0.3)
    schedule.add("a", "soon")

    assert schedule.take() == "soon"
    assert schedule.take() == "late"
    assert time.monotonic() - start >= 0.3


def test_an_earlier_task_wakes_a_thread_that_waits_for_a_delayed_task() -> None:
    schedule: Schedule[str] = Schedule(5, FAST)
    schedule.add("a", "late", delay=60)
    threading.Timer(0.1, schedule.add, ["a", "soon"]).start()

    assert take(schedule) == "soon"


def test_a_paused_host_starts_no_task_during_its_pause() -> None:
    schedule: Schedule[str] = Schedule(5, FAST)
    start = time.monotonic()
    schedule.add("a", "a1")
    schedule.pause("a", 0.3)
    schedule.pause("a", 0.1)
    schedule.add("b", "b1")

    assert [schedule.take(), schedule.take()] == ["b1", "a1"]
    assert time.monotonic() - start >= 0.3


def test_a_pause_remains_after_the_last_task_of_its_host() -> None:
    schedule: Schedule[str] = Schedule(5, FAST)
    schedule.add("a", "a1")
    schedule.take()
    start = time.monotonic()
    schedule.pause("a", 0.3)
    schedule.release("a")
    schedule.add("a", "a2")

    assert schedule.take() == "a2"
    assert time.monotonic() - start >= 0.3


def test_a_drained_host_starts_no_further_task() -> None:
    schedule: Schedule[str] = Schedule(5, FAST)
    schedule.add("a", "a1", delay=0.1)
    schedule.add("a", "a2")
    schedule.add("b", "b1")

    assert schedule.drain("a") == ["a2", "a1"]
    assert schedule.drain("c") == []
    assert schedule.take() == "b1"
    assert take(schedule, within=0.3) is None


def test_close_ends_every_waiting_take() -> None:
    schedule: Schedule[str] = Schedule(1, FAST)
    threads = [threading.Thread(target=schedule.take, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    schedule.close()
    for thread in threads:
        thread.join(LATE)

    assert not any(thread.is_alive() for thread in threads)


def test_many_threads_run_every_task_once_within_the_concurrency_of_its_host() -> None:
    schedule: Schedule[tuple[int, int]] = Schedule(3, FAST)
    running: Counter[int] = Counter()
    most: Counter[int] = Counter()
    done: Counter[tuple[int, int]] = Counter()
    guard = threading.Lock()
    finished = threading.Event()

    def work(seed: int) -> None:
        draw = random.Random(seed)
        while task := schedule.take():
            host, number = task
            with guard:
                running[host] += 1
                most[host] = max(most[host], running[host])
            time.sleep(draw.random() / 500)
            with guard:
                running[host] -= 1
            schedule.release(host)
            if number % 5 == 0 and not done[host, -number - 1]:
                schedule.add(host, (host, -number - 1), delay=draw.random() / 50)
            with guard:
                done[task] += 1
                if sum(done.values()) == 5 * 48:
                    finished.set()

    for host in range(5):
        for number in range(40):
            schedule.add(host, (host, number))
    threads = [threading.Thread(target=work, args=(seed,), daemon=True) for seed in range(16)]
    for thread in threads:
        thread.start()
    assert finished.wait(20)
    schedule.close()

    assert set(done.values()) == {1}
    assert max(most.values()) == 3
