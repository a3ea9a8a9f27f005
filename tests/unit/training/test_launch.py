"""Processes of one training that `--processes` starts: they share the work, and the end of one is the end of all."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmsrec import gpus
from mmsrec.errors import TrainingError
from mmsrec.training.launch import Group, launch

ROOT = Path(__file__).parents[3]
SCRIPT = "tests/unit/training/launched.py"
START = """
import sys
from mmsrec.machine_errors import command
from mmsrec.training.launch import Group, launch
with command():
    launch(Group(1, 2, *sys.argv[1:3]), sys.argv[3:], on_gpus=False)
"""


def environment():
    return {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2"}


def start(folder, meeting, address):
    """A machine with one process of two."""
    command = [sys.executable, "-c", START, meeting, address, SCRIPT, str(folder), "add"]
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | environment(), stderr=subprocess.PIPE, text=True)


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_machines_at_two_addresses_share_the_work(tmp_path):
    # Both are this machine, with another of its loopback addresses each.
    meeting = f"127.0.0.1:{free_port()}"
    machines = [start(tmp_path, meeting, f"127.0.0.{number}") for number in (1, 2)]
    for machine in machines:
        _, errors = machine.communicate(timeout=120)
        assert machine.returncode == 0, errors
    assert [(tmp_path / f"rank{rank}").read_text() for rank in (0, 1)] == ["1 2 2", "1 2 2"]


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    # The launcher may end the other process before it notices the missing one.
    [("killed", ""), ("frozen", "process 1 has been silent for 3 seconds")],
)
def test_the_end_of_one_process_ends_all_with_the_reason(tmp_path, monkeypatch, capfd, behaviour, reason):
    monkeypatch.chdir(ROOT)
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    with pytest.raises(
        TrainingError, match=r"all of its processes ended(.|\n)*: process 1 on .*\n.*: ended by SIGKILL"
    ):
        launch(Group(2), [SCRIPT, str(tmp_path), behaviour], on_gpus=False)
    assert reason in capfd.readouterr().err
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "last").read_text()), signal.SIGCONT)
    assert not list(tmp_path.glob("rank*"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_gpus_share_the_work_by_nccl(tmp_path, monkeypatch):
    number = min(2, torch.cuda.device_count())
    monkeypatch.chdir(ROOT)
    for name, value in (environment() | {gpus.VISIBLE: ",".join(gpus.visible())}).items():
        monkeypatch.setenv(name, value)
    launch(Group(number), [SCRIPT, str(tmp_path), "add", "cuda"], on_gpus=True)
    total = number * (number - 1) // 2
    texts = [(tmp_path / f"rank{rank}").read_text().split() for rank in range(number)]
    assert [(text[0], text[2]) for text in texts] == [(str(total), str(number))] * number


@pytest.mark.parametrize(
    ("machines", "meeting", "words"),
    [
        (2, "127.0.0.1:0", "Several machines need a port that all of them know."),
        (1, "node1", "The place where the machines meet is not an address."),
        (1, "node1:http", "The place where the machines meet is not an address."),
        (1, "node1:70000", "The place where the machines meet is not an address."),
    ],
)
def test_a_wrong_meeting_place_is_refused(machines, meeting, words):
    with pytest.raises(TrainingError, match=words):
        Group(1, machines, meeting)
