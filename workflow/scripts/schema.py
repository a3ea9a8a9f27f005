"""Writes the JSON schema of params.yaml."""

import json
from argparse import Namespace
from pathlib import Path

import stage

from mmsrec.files import write_text
from mmsrec.settings.params import schema


def main(flags: Namespace) -> None:
    text = json.dumps(schema(), indent=2) + "\n"
    if flags.output:
        write_text(flags.output, text)
    else:
        print(text, end="")


if __name__ == "__main__":
    parser = stage.parser(__doc__)
    parser.add_argument("--output", type=Path, help="file to write; without it the schema is printed")
    stage.run(main, parser)
