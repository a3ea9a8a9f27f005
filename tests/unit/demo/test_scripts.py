"""The two scripts of the demo, run as a user runs them."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from mmsrec.demo.media_files import faults_of, media_of

TIMEOUT = 300  # seconds, of a script on a busy machine
READ = "import sys, urllib.request; print(len(urllib.request.urlopen(sys.argv[1], timeout=5).read()))"


def script(name, *flags):
    return [sys.executable, f"workflow/scripts/{name}", *map(str, flags)]


@pytest.fixture
def run(pytestconfig):
    """Runs a script in the repository."""

    def call(name, *flags, **environment):
        return subprocess.run(
            script(name, *flags),
            cwd=pytestconfig.rootpath,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )

    return call


def test_another_process_writes_the_same_bytes_and_a_second_run_nothing(run, mirror, tmp_path):
    flags = ("make_demo.py", "--size", "test", "--seed", "5", "--output", tmp_path)
    first = run(*flags, PYTHONHASHSEED="1")
    assert "films.zip" in first.stderr
    assert {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == {
        path.relative_to(mirror): path.read_bytes() for path in mirror.rglob("*") if path.is_file()
    }
    again = run(*flags, PYTHONHASHSEED="2")
    assert "nothing new" in again.stderr
    assert "made 0 pictures and films" in again.stderr


@pytest.mark.parametrize("seed", ["-1", "1.5", "one"])
def test_an_invalid_seed_is_an_error_of_the_command_line(run, tmp_path, seed):
    done = run("make_demo.py", "--output", tmp_path / "mirror", f"--seed={seed}")
    assert done.returncode == 2
    assert "argument --seed: must be a whole number from 0" in done.stderr
    assert not (tmp_path / "mirror").exists()


@pytest.fixture
def serve(run, mirror, unused_port):
    """Runs a command while the mirror is served."""
    return lambda *command: run("serve_demo.py", "--mirror", mirror, "--port", unused_port, "--", *command)


@pytest.fixture
def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_media_are_served_while_the_command_runs(serve, mirror, world, unused_port):
    path = next(path for path in media_of(world) if path not in faults_of(world))
    done = serve(sys.executable, "-c", READ, f"http://127.0.0.1:{unused_port}/{path}")
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0)
    assert int(done.stdout) == (mirror / "media" / path).stat().st_size
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{unused_port}/{path}", timeout=5)


@pytest.mark.parametrize(
    ("code", "status"),
    [("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 9)", 128 + 9)],
)
def test_the_exit_status_is_the_commands(serve, code, status):
    assert serve(sys.executable, "-c", code).returncode == status


def test_the_command_reaches_loopback_without_the_proxy(serve, monkeypatch):
    monkeypatch.setenv("no_proxy", "localhost")
    done = serve(sys.executable, "-c", "import os; print(os.environ['no_proxy'], os.environ['NO_PROXY'])")
    assert done.stdout.split() == ["localhost,127.0.0.1", "127.0.0.1"]


def test_a_mirror_without_media_is_an_error_without_a_traceback(run, tmp_path):
    done = run("serve_demo.py", "--mirror", tmp_path, "--port", "0", "--", "true")
    assert done.returncode == 1
    assert "faults.json" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_signal_to_end_reaches_the_command_and_the_server(mirror, pytestconfig):
    sleeper = "import time; print('ready', flush=True); time.sleep(60)"
    command = script("serve_demo.py", "--mirror", mirror, "--port", 0, "--", sys.executable, "-c", sleeper)
    process = subprocess.Popen(command, cwd=pytestconfig.rootpath, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(TIMEOUT) == 128 + signal.SIGTERM
    process.stdout.close()
