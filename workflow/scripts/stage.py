"""The flags, default paths, logging and error messages that all stage scripts share."""

import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

import stage_server

# Before any other import: a server that has imported everything runs the script instead.
stage_server.delegate()
sys.excepthook = stage_server.say_why

import argparse
import logging
import signal
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

# Set before torch is imported: threads that spin while they wait make two jobs on the same cores three times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import computing
import layout

from mmsrec.errors import ParamsError
from mmsrec.machine_errors import command
from mmsrec.settings.corpora import ClipCorpus, DomainCorpus, ShardCorpus
from mmsrec.settings.data import Domain, UnionDomain
from mmsrec.settings.encoding import vector_tables
from mmsrec.settings.params import Params, read_params, row_of
from mmsrec.settings.plan import Experiment, attributes_of, start_of
from mmsrec.settings.row import LARGEST, LARGEST_SEED

if TYPE_CHECKING:
    import torch

    from mmsrec.models.dataset import Dataset
    from mmsrec.report.inputs import Inputs

Kind = TypeVar("Kind", ShardCorpus, ClipCorpus, DomainCorpus)
Source = TypeVar("Source", Domain, UnionDomain)


class Parser(argparse.ArgumentParser):
    """A parser whose paths have the workflow's layout as their default."""

    def __init__(self, description: str | None) -> None:
        super().__init__(description=description)
        self._patterns: dict[str, str] = {}

    def path(self, flag: str, pattern: str, help: str, **fields: str) -> None:
        """Adds the flag of a path. Its default is `pattern`, filled from `fields` and then from the flags."""
        for name, value in fields.items():
            pattern = pattern.replace(f"{{{name}}}", value)
        self.add_argument(flag, type=Path, help=f"{help} (default: {pattern})")
        self._patterns[flag.removeprefix("--").replace("-", "_")] = pattern

    def parse_args(self, *arguments: Any) -> argparse.Namespace:
        flags = super().parse_args(*arguments)
        for name, pattern in self._patterns.items():
            if getattr(flags, name) is None:
                setattr(flags, name, Path(pattern.format(**vars(flags))))
        return flags


def parser(description: str | None) -> Parser:
    """A parser with the flag --params."""
    arguments = Parser(description)
    arguments.add_argument("--params", type=Path, default=layout.params_file(), help="parameter file")
    return arguments


def corpus(params: Params, name: str, kind: type[Kind]) -> Kind:
    """The row of a corpus.

    Raises:
        ParamsError: there is no such row, or it has another kind.
    """
    row = row_of(params.corpora, name, "corpora")
    if not isinstance(row, kind):
        raise ParamsError(
            "The corpus is of another kind.", where=f"corpora.{name}", expected=kind.__name__, found=row.kind
        )
    return row


def domain(params: Params, name: str, kind: type[Source]) -> Source:
    """The row of a domain.

    Raises:
        ParamsError: there is no such row, or it has another kind of source.
    """
    row = row_of(params.domains, name, "domains")
    if not isinstance(row, kind):
        raise ParamsError(
            "The domain has another kind of source.",
            where=f"domains.{name}.source",
            expected="raw files" if kind is Domain else "union",
            found=row.source,
            fix="Run the stage unite for a union, and ingest for every other domain.",
        )
    return row


def items_file(params: Params, collection: str) -> Path:
    """The file of the items of a corpus of clips, of a catalogue, or of a domain at its lowest k."""
    if collection in params.corpora:
        return Path(layout.path(layout.CLIP_ITEMS, corpus=collection))
    if collection in params.catalogues:
        return Path(layout.path(layout.CATALOGUE_ITEMS, catalogue=collection))
    row = row_of(params.domains, collection, "domains, catalogues, corpora")
    return Path(layout.path(layout.ITEMS, domain=collection, k_core=row.k_core))


def number(low: float, high: float, kind: Callable[[str], float] = int) -> Callable[[str], float]:
    """Makes the type of a flag: a number from `low` to `high`, both included.

    Args:
        kind: int for whole numbers, float for others.
    """

    def read(text: str) -> float:
        try:
            found = kind(text)
        except ValueError:
            found = None
        if found is None or not low <= found <= high:
            what = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"must be {what} from {low:,} to {high:,}, not {text[:40]!r}")
        return found

    return read


positive = number(1, LARGEST)
natural = number(0, LARGEST)
seed = number(0, LARGEST_SEED)
port = number(0, 65_535)
connections = number(1, 1_000)
minutes = number(0, 10_000, float)


def experiment_parser(description: str | None) -> Parser:
    """A parser with the flags that name an experiment and its inputs."""
    arguments = parser(description)
    arguments.add_argument("--domain", required=True, help="row of `domains` in the parameter file")
    arguments.add_argument("--k-core", type=positive, required=True, help="least interactions of a user and of an item")
    arguments.add_argument("--split", required=True, help="row of `splits` in the parameter file")
    arguments.add_argument("--variant", required=True, help="row of `variants` in the parameter file")
    arguments.add_argument("--seed", type=seed, required=True, help="seed of weights, dropout, batches and masks")
    arguments.path("--items", layout.ITEMS, "items of the k-core")
    arguments.path("--sequences", layout.SEQUENCES, "sequences of the split")
    arguments.path("--features", layout.COLLECTION_FEATURES, "folder of features", collection="{domain}")
    arguments.path("--attributes", layout.ATTRIBUTES, "attributes of the k-core's items")
    computing.add_device(arguments)
    return arguments


def experiment(flags: argparse.Namespace, device: "torch.device") -> tuple[Params, Experiment, "Dataset"]:
    """The parameters, the experiment that the flags name, and the data set with the inputs that its model reads.

    Raises:
        DataError: the model reads attributes, and the domain has none.
    """
    # Imported here, because the stages before training need no torch.
    from mmsrec.features.encoders import encoder_digest
    from mmsrec.models.dataset import FeatureInput, read_dataset

    params = read_params(flags.params)
    row_of(params.domains, flags.domain, "domains")
    split = row_of(params.splits, flags.split, "splits")
    variant = row_of(params.variants, flags.variant, "variants")
    raw = Path(layout.RAW)
    files = {
        modality: FeatureInput(
            flags.features / variant.encoders[modality] / f"{modality}.parquet",
            encoder_digest(row := params.encoders[variant.encoders[modality]], vector_tables(row, modality, raw)),
        )
        for modality in variant.modalities
    }
    named = Experiment(flags.domain, flags.k_core, flags.split, flags.variant, flags.seed)
    attributes = flags.attributes if attributes_of(params, named) else None
    cold_items = bool(split.cold_items)
    return params, named, read_dataset(flags.items, flags.sequences, files, device, attributes, cold_items=cold_items)


def start_folder(params: Params, experiment: Experiment, given: Path | None) -> Path | None:
    """The folder of the trained model that an experiment starts from; None for random weights.

    Args:
        given: another folder than the layout's.

    Raises:
        ParamsError: a folder is given, and the variant starts from random weights.
    """
    start = start_of(params, experiment)
    if start is None and given is not None:
        raise ParamsError(
            "This variant starts from random weights, but --start names a model.",
            where=f"variants.{experiment.variant}",
            expected="the key starts_from",
            found=given,
            fix="Leave out the flag, or name the variant to start from in the parameter file.",
        )
    return (given or Path(layout.path(layout.MODEL, start))) if start else None


def catalogue_files(flags: argparse.Namespace) -> dict[str, Any]:
    """The items that a trained model scores, besides the ones it was trained on or instead: arguments of `mmsrec.load`.

    Raises:
        ParamsError: a name is neither a domain nor a catalogue.
    """
    from mmsrec.recommend.catalogue import ItemFiles
    from mmsrec.recommend.trained_files import encoder_files

    params = read_params(flags.params)

    def files(name: str) -> ItemFiles:
        row_of(params.domains | params.catalogues, name, "domains, catalogues")
        found = {
            modality: Path(layout.path(layout.FEATURES, collection=name, encoder=file.parent.name, modality=modality))
            for modality, file in encoder_files(flags.model).items()
        }
        return ItemFiles(items_file(params, name), found)

    arguments: dict[str, Any] = {"new": [files(name) for name in flags.new]}
    if flags.catalogue:
        arguments["catalogue"] = files(flags.catalogue)
    if flags.catalogue in params.domains:
        cut = {"k_core": params.domains[flags.catalogue].k_core, "split": experiment_of(flags.model)["split"]}
        arguments["sequences"] = Path(layout.path(layout.SEQUENCES, domain=flags.catalogue, **cut))
    return arguments


def experiment_of(model: Path) -> dict[str, Any]:
    """The experiment of a trained model, as its config.json records it."""
    from mmsrec.training.model_folder import read_config

    return read_config(model).experiment


def report_inputs(params: Params, report: str, folder: Path, *, partial: bool, runs: Path | None = None) -> "Inputs":
    """The inputs of a report.

    Args:
        folder: the start of all paths.
        partial: whether unfinished results are left out.
        runs: file with the numbers of experiments that are finished on another machine.
    """
    from mmsrec.report.inputs import Inputs
    from mmsrec.report.runs import read_runs

    def at(pattern: str) -> Callable[[Any], Path]:
        return lambda row: folder / layout.path(pattern, row)

    return Inputs(
        params,
        report,
        statistics_path=at(layout.STATISTICS),
        metrics_path=at(layout.METRICS),
        history_path=at(layout.HISTORY),
        ranks_path=at(layout.RANKS),
        retrieval_path=at(layout.RETRIEVAL_METRICS),
        sequences_path=at(layout.SEQUENCES),
        partial=partial,
        earlier=read_runs(runs, params) if runs else None,
    )


def add_runs(arguments: argparse.ArgumentParser) -> None:
    """Adds the flag that names a file of numbers from another machine."""
    text = "CSV file of export_runs.py with experiments that are finished on another machine"
    arguments.add_argument("--runs", type=Path, metavar="FILE", help=text)


def run(action: Callable[[argparse.Namespace], None], arguments: argparse.ArgumentParser) -> None:
    """Calls `action` with the parsed flags; an error that a user can correct ends the process with status 1."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    flags = arguments.parse_args()
    with command():
        action(flags)


def wait_for(process: subprocess.Popen) -> int:
    """The status of a command, which gets Ctrl-C itself and may clean up; as a shell reports a signal."""
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    signal.signal(signal.SIGINT, lambda *_: None)
    status = process.wait()
    return status if status >= 0 else 128 - status
