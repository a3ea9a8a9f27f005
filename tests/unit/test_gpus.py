"""Processes share the GPUs of a machine out; a fake nvidia-smi lists them."""

import os
import subprocess
import sys

import pytest

from mmsrec import gpus
from mmsrec.errors import TrainingError

HOLD = "from mmsrec import gpus; print(*gpus.take({number}), flush=True); input()"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with GPUs 0, 1 and 2, on which nobody computes."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text('#!/bin/sh\nprintf "0\\n1\\n2\\n"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv(gpus.VISIBLE, raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(gpus, "_held", [])
    return tool


@pytest.fixture
def hold(machine):
    """Starts a process that takes GPUs; returns it and their names."""
    started = []

    def start(number):
        command = [sys.executable, "-c", HOLD.format(number=number)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process, process.stdout.readline().split()

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_processes_take_different_gpus_and_then_share_evenly(hold):
    assert [hold(1)[1] for _ in range(4)] == [["0"], ["1"], ["2"], ["0"]]
    assert hold(2)[1] == ["1", "2"]


def test_a_killed_process_gives_its_gpu_back(hold):
    first, _ = hold(1)
    hold(1)
    first.kill()
    first.wait()
    assert hold(1)[1] == ["0"]


def test_only_the_gpus_of_the_environment_are_taken(machine, monkeypatch):
    monkeypatch.setenv(gpus.VISIBLE, "GPU-7f,2")
    assert gpus.take(1) == ["GPU-7f"]
    assert os.environ[gpus.VISIBLE] == "GPU-7f"


def test_an_empty_environment_hides_all_gpus(machine, monkeypatch):
    monkeypatch.setenv(gpus.VISIBLE, "")
    assert gpus.visible() == []


def test_a_driver_without_gpus_gives_none(machine):
    machine.write_text("#!/bin/sh\necho 'No devices were found'\nexit 6\n")
    assert gpus.visible() == []


def test_too_few_gpus_are_refused(machine):
    with pytest.raises(TrainingError, match=r"more GPUs than there are.*\n.*\n  expected: 4 or more\n  found: 3"):
        gpus.take(4)
    assert gpus.VISIBLE not in os.environ
