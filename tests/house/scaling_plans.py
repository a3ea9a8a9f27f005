"""The plans of docs/scaling.md: each stands between two comments, and is what estimate.py prints for its flags."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.house.prose import ROOT

DOCUMENT = ROOT / "docs" / "scaling.md"
_PLAN = re.compile(r"(<!-- plan: (.+?) -->\n)(.*?)(<!-- end of plan -->)", re.DOTALL)


def plans(text: str) -> list[tuple[str, str]]:
    """The flags and the text of each plan of a document."""
    return [(match[2], match[3]) for match in _PLAN.finditer(text)]


def rewritten(text: str) -> str:
    """The text of a document with the plans that the script prints now."""
    return _PLAN.sub(lambda match: match[1] + printed(match[2]) + match[4], text)


def printed(flags: str) -> str:
    """The output of the script in an empty folder, so that no data of this machine count."""
    script = ROOT / "workflow" / "scripts" / "estimate.py"
    params = ["--params", str(ROOT / "params.yaml")]
    with TemporaryDirectory() as folder:
        command = [sys.executable, str(script), *params, *shlex.split(flags)]
        done = subprocess.run(command, cwd=Path(folder), capture_output=True, text=True, check=True)
    return f"\n{done.stdout}\n"
