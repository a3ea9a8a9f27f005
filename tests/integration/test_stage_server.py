"""Scripts that run in forks of a server end as they would without it."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.engines import ROOT

sys.path.append(str(ROOT / "workflow"))

from stage_server import ADDRESS, serving

SCRIPT = f"""
import sys
sys.path.append({str(ROOT / "workflow")!r})
import stage_server
stage_server.delegate()
import os, signal, time
"""


@pytest.fixture(scope="module")
def address():
    with serving(lambda: None) as address:
        yield address


@pytest.fixture
def start(tmp_path, address):
    """Starts a script with a body, in the server or without it."""

    def call(body: str, *arguments: str, server: bool = True, **environment: str) -> subprocess.Popen:
        script = tmp_path / "script.py"
        script.write_text(SCRIPT + body)
        named = {ADDRESS: address} if server else {}
        return subprocess.Popen(
            [sys.executable, str(script), *arguments],
            cwd=tmp_path,
            env=os.environ | named | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return call


def ended(process: subprocess.Popen) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


@pytest.mark.parametrize(
    "body",
    [
        "print(sys.argv[1:], os.getcwd(), os.environ['COLOUR'], __name__)",
        "print('said', file=sys.stderr)",
        "sys.exit(3)",
        "sys.exit('error: a message')",
        "sys.exit()",
        "raise ValueError('no')",
        "open('made.txt', 'w').write('text')",
    ],
)
def test_a_script_ends_as_without_the_server(start, body):
    status, out, err = ended(start(body, "--flag", "a b", server=False, COLOUR="blue"))
    found = ended(start(body, "--flag", "a b", COLOUR="blue"))
    assert found[:2] == (status, out)
    *said, used = found[2].splitlines() + [""] * bool(status)
    assert said[-1:] == err.splitlines()[-1:]
    assert status or re.fullmatch(r"used \d+\.\d\d s of processors, \d+ MiB", used), "a finished script says it"


def test_scripts_run_at_the_same_time(start):
    began = time.monotonic()
    sleepers = [start("time.sleep(1)") for _ in range(3)]
    assert [ended(process)[0] for process in sleepers] == [0, 0, 0]
    assert time.monotonic() - began < 2.9


def test_a_signal_reaches_the_script(start, tmp_path):
    body = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\nopen('ready', 'w').close()\ntime.sleep(30)"
    process = start(body)
    wait_for(tmp_path / "ready")
    process.terminate()
    assert ended(process)[0] == 7


def test_a_script_whose_client_is_killed_is_killed(start, tmp_path):
    body = "open('pid.part', 'w').write(str(os.getpid()))\nos.rename('pid.part', 'pid')\ntime.sleep(30)"
    process = start(body)
    wait_for(tmp_path / "pid")
    fork = int((tmp_path / "pid").read_text())
    process.kill()
    deadline = time.monotonic() + 10
    while is_alive(fork):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_script_that_dies_by_a_signal_has_a_shells_status(start):
    assert ended(start("os.kill(os.getpid(), signal.SIGKILL)"))[0] == 128 + signal.SIGKILL


def test_a_script_that_runs_a_command_stays_outside_and_passes_the_address_on(start, address):
    body = f"import subprocess\nprint(os.environ.get('{ADDRESS}') == {address!r}, '--' in sys.argv)"
    assert ended(start(body, "--", "true"))[1] == "True True\n"


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
