"""Writes what the run in the current folder has cost: jobs, time, memory and downloads of each stage.

The times are those that Snakemake measured. They differ with each run, so no report of params.yaml has them.
"""

from argparse import Namespace
from pathlib import Path

import stage
from stage import layout

from mmsrec.costs.measured import costs_frame, costs_table, ledger_bytes, listed_bytes, recorded_bytes
from mmsrec.report.page import page, section
from mmsrec.settings.params import Params, read_params
from mmsrec.settings.plan import clip_corpora, picture_collections, shard_corpora, trailer_collections
from mmsrec.sources.file_registry import read_registry


def downloads(params: Params) -> dict[str, int]:
    """Bytes by stage, as the records of raw files, the ledgers and the lists of shards have them."""
    crawls = {
        "crawl_images": picture_collections(params),
        "crawl_trailers": trailer_collections(params),
        "collect_clips": [name for name in clip_corpora(params) if params.corpora[name].is_web],
    }
    raw = read_registry(layout.registry_file())
    ledgers = {name: existing(layout.LEDGER, "collection", names) for name, names in crawls.items()}
    return {
        "download": recorded_bytes(existing(layout.RAW_FACTS, "file", raw)),
        **{name: ledger_bytes(files) for name, files in ledgers.items()},
        "download_corpus": listed_bytes(existing(layout.SHARD_LIST, "corpus", shard_corpora(params))),
    }


def existing(pattern: str, wildcard: str, names: list[str]) -> list[Path]:
    files = (Path(layout.path(pattern, **{wildcard: name})) for name in names)
    return [file for file in files if file.exists()]


def main(flags: Namespace) -> None:
    table = costs_table(costs_frame(list(layout.MADE), Path(layout.LOGS), downloads(read_params(flags.params))))
    made = section("costs", table)
    flags.output.mkdir(parents=True, exist_ok=True)
    files = {**made.files, "costs.html": page(table.title, [], [made], []).encode()}
    for name in (path.rsplit("/", 1)[1] for path in layout.COST_FILES):
        (flags.output / name).write_bytes(files[name])
    print(made.files["costs.md"].decode(), end="")


if __name__ == "__main__":
    parser = stage.parser(__doc__)
    parser.path("--output", layout.COSTS, "folder of the tables")
    stage.run(main, parser)
