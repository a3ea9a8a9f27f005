"""What every stage script shares: the flags --params and --help, logging, and errors that end as a message."""

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path

from mmsrec.errors import MmsrecError


def parser(description: str) -> argparse.ArgumentParser:
    """A parser with the flag --params."""
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("--params", type=Path, default=Path("params.yaml"), help="parameter file")
    return arguments


def run(action: Callable[[argparse.Namespace], None], arguments: argparse.ArgumentParser) -> None:
    """Calls `action` with the parsed flags; an error that a user can mend ends the process with status 1."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    try:
        action(arguments.parse_args())
    except MmsrecError as error:
        sys.exit(f"error: {error}")
