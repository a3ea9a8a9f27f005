"""Changes of a config.json that make it no configuration of its folder."""

import json
from pathlib import Path

from mmsrec.files import read_json

MISSING = object()


def change_config(path: Path, key: str, value: object) -> None:
    """Sets a dotted key of a JSON file; the value MISSING removes it."""
    config = read_json(path)
    *above, last = key.split(".")
    part = config
    for name in above:
        part = part[name]
    if value is MISSING:
        del part[last]
    else:
        part[last] = value
    path.write_text(json.dumps(config))
