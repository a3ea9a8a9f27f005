"""Runs a stage script, lists what it does to files, and stops it at one of these actions.

`faulty_stage.py SCRIPT [FLAG ...]` reads two variables of the environment. MMSREC_ACTIONS names the file that lists
the actions. MMSREC_FAULT is empty or `SIGNAL ACTION SECONDS`: the signal comes so many seconds after that action.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "workflow"))

import stage_server

stage_server.delegate()

import runpy
import signal
import threading
import time

# The events of Python that change files. Their first argument is the path; the last one is the new path of a rename.
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}
WRITING = os.O_WRONLY | os.O_RDWR


def main() -> None:
    os.setpgid(0, 0)
    folder, fault = os.getcwd(), os.environ["MMSREC_FAULT"].split()
    actions = open(os.environ["MMSREC_ACTIONS"], "a", buffering=1)  # noqa: SIM115 - it stays open to the end
    actions.write(f"{os.getpid()}\n")
    count, lock = 0, threading.Lock()

    def stop() -> None:
        time.sleep(float(fault[2]))
        number = signal.Signals[fault[0]]
        # Ctrl-C reaches the process and all that it has started.
        (os.killpg if number == signal.SIGINT else os.kill)(os.getpid(), number)

    def note(event: str, arguments: tuple) -> None:
        nonlocal count
        if event == "open":
            changes = isinstance(arguments[0], (str, bytes, os.PathLike)) and (arguments[2] or 0) & WRITING
        else:
            changes = event in CHANGES
        if not changes:
            return
        path = os.path.join(folder, os.fsdecode(arguments[0]))
        if not path.startswith(folder + os.sep) or path == actions.name:
            return
        with lock:
            count += 1
            reached = fault and count == int(fault[1])
        target = os.path.join(folder, os.fsdecode(arguments[1])) if event == "os.rename" else path
        actions.write(f"{event}\t{os.path.relpath(target, folder)}\n")
        if reached:
            if float(fault[2]):
                threading.Thread(target=stop, daemon=True).start()
            else:
                stop()

    sys.argv = sys.argv[1:]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    sys.addaudithook(note)
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
