"""Serves the demo world's media on loopback, while a command runs or until an interrupt.

With a command, the process ends with the status of the command.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

import stage

from mmsrec.demo.addresses import HOST, PORT
from mmsrec.demo.server import serving


def main(flags: Namespace) -> None:
    with serving(flags.mirror, flags.port) as base:
        logging.info("serving %s at %s", flags.mirror, base)
        sys.exit(run(flags.command) if flags.command else wait())


def run(command: Sequence[str]) -> int:
    """Runs a command and waits for its end. Ctrl-C reaches the command, too, and does not end the server before it."""
    # A proxy on another machine cannot reach this machine's loopback addresses.
    direct = {name: ",".join(filter(None, [os.environ.get(name), HOST])) for name in ("no_proxy", "NO_PROXY")}
    process = subprocess.Popen(command, env=os.environ | direct)  # noqa: S603 - it is the user's own command
    return stage.wait_for(process)


def wait() -> int:
    """Waits for Ctrl-C or a request to end."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
    return 0


if __name__ == "__main__":
    arguments = ArgumentParser(description=__doc__)
    arguments.add_argument("--mirror", type=Path, required=True, help="folder that make_demo.py wrote")
    arguments.add_argument(
        "--port", type=stage.port, default=PORT, help="port of the server; the demo's links have the default port"
    )
    arguments.add_argument("command", nargs="*", metavar="-- COMMAND", help="command to run while the server runs")
    stage.run(main, arguments)
