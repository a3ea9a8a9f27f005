"""Our half of a comparison with RecBole: data and weights in RecBole's format, and the process of its interpreter.

The halves exchange files only, so that neither imports the other's packages. `make oracle` builds the environment.
"""

import itertools
import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

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

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class RecBole:
    """A model of RecBole on exported sequences.

    Attributes:
        folder: of the exchanged files.
        model: its name there.
        length: longest history; our longest sequence has one item more, the target.
        config: further settings of RecBole.
        tables: weights with a row for each value of a field: the field, and how far a row is below its number.
    """

    folder: Path
    model: str
    length: int
    config: Mapping[str, object]
    tables: Mapping[str, tuple[str, int]]

    def write_job(self, sequences: Sequences, fields: Mapping[str, list[list[int]]]) -> None:
        """Writes job.json and the atomic files.

        Args:
            sequences: all users' items; the places in a sequence become the timestamps.
            fields: by the name of an item's field, the values of each item. A field of type `token` has at most one.
        """
        data = self.folder / "actions"
        data.mkdir(parents=True, exist_ok=True)
        (data / "actions.inter").write_text(_interactions(sequences))
        columns = {"inter": ["user_id", "item_id", "timestamp"]}
        if fields:
            (data / "actions.item").write_text(_items(fields))
            columns["item"] = ["item_id", *(name.split(":")[0] for name in fields)]
        config = {
            **CONFIG,
            "data_path": str(self.folder),
            "checkpoint_dir": str(self.folder / "saved"),
            "MAX_ITEM_LIST_LENGTH": self.length,
            "load_col": columns,
            **self.config,
        }
        job = {"model": self.model, "config": config, "tables": self.tables}
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
            raise RuntimeError(f"RecBole's half of {self.model}, {task}, failed:\n{run.stderr[-4000:]}")
        with np.load(self.folder / "answer.npz") as answer:
            return dict(answer)


@dataclass(frozen=True)
class Peer:
    """RecBole's counterpart of one of our variants.

    Attributes:
        model: its name there.
        config: settings beyond RecBole's defaults.
        tables: see `RecBole.tables`.
    """

    model: str
    config: Mapping[str, object] = field(default_factory=dict)
    tables: Mapping[str, tuple[str, int]] = field(default_factory=lambda: {"item_embedding.weight": ("item_id", 0)})

    def at(self, folder: Path, length: int, config: Mapping[str, object]) -> RecBole:
        """The model in a folder, with further settings."""
        return RecBole(folder, self.model, length, {**self.config, **config}, self.tables)


PEERS = {
    "sasrec-paper": Peer("SASRec"),
}


def _interactions(sequences: Sequences) -> str:
    """The text of a .inter file; RecBole reads timestamps as float32, which holds small integers exactly."""
    starts = sequences.offsets_U1.tolist()
    items = sequences.items_A.tolist()
    rows = ["user_id:token\titem_id:token\ttimestamp:float"]
    for user, (start, end) in enumerate(itertools.pairwise(starts)):
        rows += [f"{user}\t{item}\t{place}" for place, item in enumerate(items[start:end])]
    return "\n".join(rows) + "\n"


def _items(fields: Mapping[str, list[list[int]]]) -> str:
    """The text of a .item file; the names of the fields have RecBole's types."""
    rows = ["\t".join(["item_id:token", *fields])]
    rows += [
        "\t".join([str(item), *(" ".join(map(str, found)) for found in values)])
        for item, values in enumerate(zip(*fields.values(), strict=True))
    ]
    return "\n".join(rows) + "\n"


def part(arrays: Mapping[str, np.ndarray], prefix: str) -> Arrays:
    """The arrays below a prefix."""
    return {name[len(prefix) + 1 :]: array for name, array in arrays.items() if name.startswith(f"{prefix}/")}


def under(prefix: str, arrays: Mapping[str, np.ndarray] | Iterable[tuple[str, np.ndarray]]) -> Arrays:
    """The arrays with a prefix in their names."""
    return {f"{prefix}/{name}": array for name, array in dict(arrays).items()}
