"""Our half of a comparison with RecBole: data and weights in RecBole's format, and the process of its interpreter.

The halves exchange files only, so that neither imports the other's packages. `make oracle` builds the environment.
"""

import itertools
import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from mmsrec.models.attributes import Attributes
from mmsrec.nn.user_sequences import Sequences

ROOT = Path(__file__).parents[1]
INTERPRETER = ROOT / ".oracle" / "bin" / "python"
SIDE = Path(__file__).with_name("recbole_side.py")
# torch refuses RecBole's checkpoints without the first.
ENVIRONMENT = {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
# RecBole's own defaults, but for what a leave-one-out of all items and a quiet run on a CPU need.
CONFIG = {
    "use_gpu": False,
    "state": "ERROR",
    "show_progress": False,
    "train_neg_sample_args": None,
    "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"},
    "metrics": ["Recall", "NDCG"],
    "topk": [10, 50],
    "metric_decimal_place": 15,
}
ALL = "attributes"  # the field that holds the attributes of all fields

Arrays = dict[str, np.ndarray]
Values = list[list[int]]  # of each item


@dataclass(frozen=True)
class Peer:
    """RecBole's counterpart of a model of ours.

    Attributes:
        model: its name there.
        config: settings beyond RecBole's defaults.
        fields: values of the items, by the name and the type of a field; type `token` has at most one value an item.
        tables: weights with a row for each value of a field: the field, and how far a row is below RecBole's number.
    """

    model: str
    config: Mapping[str, object] = field(default_factory=dict)
    fields: Mapping[str, Values] = field(default_factory=dict)
    tables: Mapping[str, tuple[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class RecBole:
    """A model of RecBole on exported sequences.

    Attributes:
        folder: of the exchanged files.
        peer: the model.
        length: longest history; our longest sequence has one item more, the target.
        config: further settings of RecBole.
    """

    folder: Path
    peer: Peer
    length: int
    config: Mapping[str, object] = field(default_factory=dict)

    def write_job(self, sequences: Sequences) -> None:
        """Writes job.json and the atomic files; the places in a sequence become the timestamps."""
        data = self.folder / "actions"
        data.mkdir(parents=True, exist_ok=True)
        (data / "actions.inter").write_text(_interactions(sequences))
        columns = {"inter": ["user_id", "item_id", "timestamp"]}
        if self.peer.fields:
            (data / "actions.item").write_text(_items(self.peer.fields))
            columns["item"] = ["item_id", *map(_name, self.peer.fields)]
        config = {
            **CONFIG,
            "data_path": str(self.folder),
            "checkpoint_dir": str(self.folder / "saved"),
            "MAX_ITEM_LIST_LENGTH": self.length,
            "load_col": columns,
            **self.peer.config,
            **self.config,
        }
        tables = {"item_embedding.weight": ("item_id", 0), **self.peer.tables}
        job = {"model": self.peer.model, "config": config, "tables": tables}
        (self.folder / "job.json").write_text(json.dumps(job))

    def command(self, task: str) -> list[str]:
        """The command line of a task of recbole_side.py."""
        return [str(INTERPRETER), str(SIDE), task, str(self.folder)]

    def ask(self, task: str, question: Arrays) -> Arrays:
        """Runs a task to its end.

        Raises:
            RuntimeError: the process failed; the message ends with its standard error.
        """
        np.savez(self.folder / "question.npz", **question)
        run = subprocess.run(
            self.command(task), cwd=self.folder, env=os.environ | ENVIRONMENT, capture_output=True, text=True
        )
        if run.returncode:
            raise RuntimeError(f"RecBole's half of {self.peer.model}, {task}, failed:\n{run.stderr[-4000:]}")
        with np.load(self.folder / "answer.npz") as answer:
            return dict(answer)


def fdsa(attributes: Attributes) -> Peer:
    """FDSA with all fields of the items.

    Raises:
        ValueError: several fields have at most one value an item; RecBole keeps them in one table.
    """
    fields, tables = {}, {}
    for number, name in enumerate(attributes.fields):
        first = int(torch.nonzero(attributes.field_A == number)[0])
        values = [[value - first for value in row if attributes.field_A[value] == number] for row in _lists(attributes)]
        if max(map(len, values)) > 1:
            place = sum(kind.endswith("token_seq") for kind in fields)
            fields[f"{name}:token_seq"] = values
            tables[f"feature_embed_layer.token_seq_embedding_table.item.{place}.weight"] = (name, 0)
        else:
            fields[f"{name}:token"] = values
            tables["feature_embed_layer.token_embedding_table.item.embedding.weight"] = (name, 0)
    if len(tables) < len(fields):
        raise ValueError(f"several fields of one value: {', '.join(fields)}")
    return Peer("FDSA", {"selected_features": [*map(_name, fields)]}, fields, tables)


def s3rec(attributes: Attributes) -> Peer:
    """S3-Rec with the attributes of all fields as one field."""
    config = {"train_stage": "pretrain", "item_attribute": ALL}
    return Peer("S3Rec", config, {f"{ALL}:token_seq": _lists(attributes)}, {"feature_embedding.weight": (ALL, 1)})


# The keys are variants of params.yaml.
PEERS: dict[str, Callable[[Attributes | None], Peer]] = {
    "sasrec": lambda attributes: Peer("SASRec", {"hidden_size": 128, "n_heads": 4}),
    "sasrec-paper": lambda attributes: Peer("SASRec"),
    "gru4rec-paper": lambda attributes: Peer("GRU4Rec"),
    "fdsa-paper": fdsa,
    "s3rec-paper": s3rec,
    "s3rec-pretraining-paper": s3rec,
}


def _interactions(sequences: Sequences) -> str:
    """The text of a .inter file; RecBole reads timestamps as float32, which holds small integers exactly."""
    starts = sequences.offsets_U1.tolist()
    items = sequences.items_A.tolist()
    rows = ["user_id:token\titem_id:token\ttimestamp:float"]
    for user, (start, end) in enumerate(itertools.pairwise(starts)):
        rows += [f"{user}\t{item}\t{place}" for place, item in enumerate(items[start:end])]
    return "\n".join(rows) + "\n"


def _items(fields: Mapping[str, Values]) -> str:
    """The text of a .item file."""
    rows = ["\t".join(["item_id:token", *fields])]
    rows += [
        "\t".join([str(item), *(" ".join(map(str, found)) for found in values)])
        for item, values in enumerate(zip(*fields.values(), strict=True))
    ]
    return "\n".join(rows) + "\n"


def _lists(attributes: Attributes) -> Values:
    bounds = attributes.offsets_I1.tolist()
    values = attributes.values_V.tolist()
    return [values[start:end] for start, end in itertools.pairwise(bounds)]


def _name(field_and_type: str) -> str:
    return field_and_type.split(":")[0]


def part(arrays: Mapping[str, np.ndarray], prefix: str) -> Arrays:
    """The arrays below a prefix."""
    return {name[len(prefix) + 1 :]: array for name, array in arrays.items() if name.startswith(f"{prefix}/")}


def under(prefix: str, arrays: Mapping[str, np.ndarray]) -> Arrays:
    """The arrays with a prefix in their names."""
    return {f"{prefix}/{name}": array for name, array in arrays.items()}
