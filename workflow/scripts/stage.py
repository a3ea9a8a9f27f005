"""What every stage script shares: the flags --params and --help, logging, and errors that end as a message."""

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mmsrec.errors import MmsrecError, ParamsError
from mmsrec.settings.corpora import ClipCorpus, ShardCorpus
from mmsrec.settings.params import Params, read_params, row_of
from mmsrec.settings.plan import Experiment

if TYPE_CHECKING:
    import torch

    from mmsrec.models.dataset import Dataset

Kind = TypeVar("Kind", ShardCorpus, ClipCorpus)


def parser(description: str) -> argparse.ArgumentParser:
    """A parser with the flag --params."""
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("--params", type=Path, default=Path("params.yaml"), help="parameter file")
    return arguments


def corpus(params: Params, name: str, kind: type[Kind]) -> Kind:
    """The row of a corpus, which must be of this kind."""
    row = row_of(params.corpora, name, "corpora")
    if not isinstance(row, kind):
        raise ParamsError(
            "The corpus is of another kind.", where=f"corpora.{name}", expected=kind.__name__, found=row.kind
        )
    return row


def positive(text: str) -> int:
    """A flag's whole number above zero."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above zero")
    return number


def experiment_parser(description: str) -> argparse.ArgumentParser:
    """A parser with the flags that name an experiment and what it reads."""
    arguments = parser(description)
    arguments.add_argument("--domain", required=True, help="row of `domains` in the parameter file")
    arguments.add_argument("--k-core", type=int, required=True, help="least interactions of a user and of an item")
    arguments.add_argument("--variant", required=True, help="row of `variants` in the parameter file")
    arguments.add_argument("--seed", type=int, required=True, help="of weights, dropout, batches and masks")
    arguments.add_argument("--data", type=Path, required=True, help="folder of the k-core that prepare wrote")
    arguments.add_argument("--features", type=Path, required=True, help="folder of the domain's features")
    arguments.add_argument("--device", default="auto", help="a torch device; auto is a GPU if there is one")
    return arguments


def experiment(flags: argparse.Namespace, device: "torch.device") -> tuple[Params, Experiment, "Dataset"]:
    """The parameters, the experiment that the flags name, and the data set with the features that it reads."""
    # Imported here, because the stages before training need no torch.
    from mmsrec.features.encoders import encoder_digest
    from mmsrec.models.dataset import FeatureInput, read_dataset

    params = read_params(flags.params)
    row_of(params.domains, flags.domain, "domains")
    variant = row_of(params.variants, flags.variant, "variants")
    files = {
        modality: FeatureInput(
            flags.features / variant.encoders[modality] / f"{modality}.parquet",
            encoder_digest(params.encoders[variant.encoders[modality]]),
        )
        for modality in variant.modalities
    }
    dataset = read_dataset(flags.data, files, device)
    return params, Experiment(flags.domain, flags.k_core, flags.variant, flags.seed), dataset


def run(action: Callable[[argparse.Namespace], None], arguments: argparse.ArgumentParser) -> None:
    """Calls `action` with the parsed flags; an error that a user can mend ends the process with status 1."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    try:
        action(arguments.parse_args())
    except MmsrecError as error:
        sys.exit(f"error: {error}")
