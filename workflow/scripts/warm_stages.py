"""Runs a command, such as snakemake, whose stages start in forks of one process that has imported their packages."""

import os
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from importlib import import_module

import stage
import stage_server

PACKAGES = (
    "open_clip",
    "polars",
    "sklearn.decomposition",
    "sklearn.feature_extraction.text",
    "mmsrec.crawl.images",
    "mmsrec.crawl.trailers",
    "mmsrec.evaluation.evaluate",
    "mmsrec.evaluation.zero_shot",
    "mmsrec.features.extract",
    "mmsrec.pairs.encode",
    "mmsrec.report.page",
    "mmsrec.sources.download",
    "mmsrec.training.pretrain",
    "mmsrec.training.profile",
    "mmsrec.training.train",
)


def preload() -> None:
    for package in PACKAGES:
        import_module(package)


def main(flags: Namespace) -> None:
    with stage_server.serving(preload) as address:
        environment = os.environ | {stage_server.ADDRESS: address}
        process = subprocess.Popen(flags.command, env=environment)  # noqa: S603 - it is the user's own command
        status = stage.wait_for(process)
    sys.exit(status)


if __name__ == "__main__":
    arguments = ArgumentParser(description=__doc__)
    arguments.add_argument("command", nargs="+", metavar="-- COMMAND", help="the command to run")
    stage.run(main, arguments)
