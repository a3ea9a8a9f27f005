"""RecBole's half of a comparison, run by RecBole's own interpreter in a folder that recbole_process.py wrote.

    .oracle/bin/python benchmarks/recbole_side.py compare FOLDER

It imports nothing of mmsrec. Items, values of fields and users are numbered as on the other half. In a table of
embeddings the rows of padding and of [mask] follow the rows of the items.
"""

import itertools
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.interaction import Interaction
from recbole.utils import get_model, get_trainer, init_seed
from torch import Tensor, nn

ITEM, USER, LIST, LENGTH = "item_id", "user_id", "item_id_list", "item_length"
# The terms of S3-Rec's pre-training, and the arguments of `pretrain` after the attributes.
TERMS = ("aap_weight", "mip_weight", "map_weight", "sp_weight")
WINDOWS = ("masked", "items", "negatives", "rest", "segment", "other")
MIB = 1 << 20
PARTS = ("train", "valid", "test")

Arrays = dict[str, np.ndarray]


class WithoutOthers(nn.Module):
    """Cross-entropy without the classes that are no items."""

    def __init__(self, others: Tensor) -> None:
        super().__init__()
        self.others = others

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.cross_entropy(logits.index_fill(1, self.others, -torch.inf), targets)


class Side:
    """RecBole's data set, model and trainer for the job of a folder.

    Args:
        folder: has job.json with the model, its configuration and the tables whose rows are numbered by a field.
    """

    def __init__(self, folder: Path) -> None:
        job = json.loads((folder / "job.json").read_text())
        self.config = Config(model=job["model"], dataset="actions", config_dict=job["config"])
        init_seed(self.config["seed"], reproducibility=False)
        self.dataset = create_dataset(self.config)
        self.loaders = dict(zip(PARTS, data_preparation(self.config, self.dataset), strict=True))
        self.model = get_model(job["model"])(self.config, self.loaders["train"].dataset)
        self.trainer = get_trainer(self.config["MODEL_TYPE"], job["model"])(self.config, self.model)
        self.length = self.config["MAX_ITEM_LIST_LENGTH"]
        self.row_I = self.numbers(ITEM)
        shapes = {name: len(weight) for name, weight in self.model.state_dict().items()}
        self._rows = {
            name: self._all_rows(self.numbers(field) - shift, shapes[name])
            for name, (field, shift) in job["tables"].items()
        }

    @torch.no_grad()
    def take(self, arrays: Arrays) -> None:
        """Replaces the weights that the arrays name; a table keeps its last rows where its array has none for them."""
        known = dict(self.model.named_parameters())
        for name, array in arrays.items():
            rows = self._rows[name][: len(array)] if name in self._rows else slice(None)
            known[name][rows] = torch.from_numpy(array)

    def gradients(self) -> Arrays:
        """The gradients of all weights that have one, numbered as on the other half."""
        return {
            name: weight.grad[self._rows.get(name, slice(None))].numpy()
            for name, weight in self.model.named_parameters()
            if weight.grad is not None
        }

    def batch(self, inputs_BL: np.ndarray, targets_B: np.ndarray) -> Interaction:
        """A batch of RecBole: histories on the left, in windows of the configured length.

        Args:
            inputs_BL: item indices, right-aligned, with -1 as padding.
            targets_B: item indices.
        """
        lengths_B = torch.from_numpy((inputs_BL >= 0).sum(1))
        windows_BL = torch.zeros(len(inputs_BL), self.length, dtype=torch.long)
        for row, inputs in enumerate(inputs_BL):
            history = inputs[inputs >= 0]
            windows_BL[row, : len(history)] = self.row_I[history]
        return Interaction({LIST: windows_BL, LENGTH: lengths_B, ITEM: self.row_I[targets_B]})

    def examples(self, part: str) -> Arrays:
        """The rows of a part: users, histories with -1 as padding on the right, and targets."""
        rows = self.loaders[part].dataset.inter_feat
        item_of_row = np.full(self.dataset.num(ITEM), -1)
        item_of_row[self.row_I] = np.arange(len(self.row_I))
        users = self.dataset.id2token(USER, rows[USER].numpy())
        items = {name: item_of_row[rows[field].numpy()] for name, field in (("inputs", LIST), ("targets", ITEM))}
        return {"users": users.astype(np.int64), **items}

    def numbers(self, field: str) -> Tensor:
        """RecBole's number of each value of a field, whose tokens are the numbers of the other half."""
        tokens = self.dataset.field2id_token[field][1:].astype(np.int64)
        numbers = torch.empty(len(tokens), dtype=torch.long)
        numbers[torch.from_numpy(tokens)] = torch.arange(1, len(tokens) + 1)
        return numbers

    @staticmethod
    def _all_rows(rows: Tensor, count: int) -> Tensor:
        others = torch.ones(count, dtype=torch.bool)
        others[rows] = False
        return torch.cat([rows, torch.nonzero(others).flatten()])


def compare(side: Side, folder: Path) -> None:
    """Writes scores, losses, gradients, examples and metrics for the weights and the cases of question.npz."""
    question = dict(np.load(folder / "question.npz"))
    side.take(part(question, "weights"))
    answer = {}
    for name in PARTS:
        answer |= under(name, side.examples(name))
    side.model.eval()
    # S3-Rec's other stage wants a file of weights when it is built.
    side.model.train_stage = "finetune"
    items = side.model.item_embedding
    others = torch.ones(items.num_embeddings, dtype=torch.bool)
    others[side.row_I] = False
    side.model.loss_fct = WithoutOthers(torch.nonzero(others).flatten())
    for case in range(int(question["cases"])):
        given = part(question, f"case{case}")
        side.take(part(given, "weights"))
        batch = side.batch(given["inputs"], given["targets"])
        with torch.no_grad():
            scores_BI = side.model.full_sort_predict(batch)[:, side.row_I]
        side.model.zero_grad(set_to_none=True)
        loss = side.model.calculate_loss(batch)
        loss.backward()
        found = {"scores": scores_BI.numpy(), "loss": np.array(loss.item())} | under("gradients", side.gradients())
        answer |= under(f"case{case}", found)
    side.take(part(question, "weights"))
    answer |= under("metrics", side.trainer.evaluate(side.loaders["test"], load_best_model=False))
    tested = side.examples("test")
    batch = side.batch(tested["inputs"], tested["targets"])
    with torch.no_grad():
        answer["scores"] = side.model.full_sort_predict(batch)[:, side.row_I].numpy()
    np.savez(folder / "answer.npz", **answer)


def pretraining(side: Side, folder: Path) -> None:
    """Writes S3-Rec's terms, and the gradients of their weighted sum, for the inputs of question.npz.

    The windows are left-padded, as RecBole's are. [mask] is the index after the last item, padding the one after it.
    """
    question = dict(np.load(folder / "question.npz"))
    side.take(part(question, "weights"))
    side.model.eval()
    row_K = torch.cat([side.row_I, torch.tensor([side.model.mask_token, 0])])
    windows = [row_K[torch.from_numpy(question[name])] for name in WINDOWS]
    number_A = side.numbers(side.config["item_attribute"]) - 1
    features_BLA = torch.empty(question["attributes"].shape)
    features_BLA[..., number_A] = torch.from_numpy(question["attributes"])
    weights, answer = {term: getattr(side.model, term) for term in TERMS}, {}
    for chosen in [{term: float(term == other) for term in TERMS} for other in TERMS] + [weights]:
        for term, weight in chosen.items():
            setattr(side.model, term, weight)
        side.model.zero_grad(set_to_none=True)
        loss = side.model.pretrain(features_BLA, *windows)
        loss.backward()
        name = "all" if chosen is weights else next(term for term in TERMS if chosen[term])
        answer[f"loss/{name}"] = np.array(loss.item())
    np.savez(folder / "answer.npz", **answer, **under("gradients", side.gradients()))


def steps(side: Side, folder: Path) -> None:
    """Runs as many steps as a line of the input says; answers with processor seconds and the MiB added so far."""
    question = np.load(folder / "question.npz")
    batches = itertools.cycle(itertools.starmap(side.batch, zip(question["inputs"], question["targets"], strict=True)))
    before = peak()
    for line in sys.stdin:
        chosen = list(itertools.islice(batches, int(line)))
        started = time.process_time()
        side.trainer._train_epoch(chosen, 0)
        print(time.process_time() - started, (peak() - before) / MIB, flush=True)


class Enough(Exception):
    """The training has reached its goal or its limit."""


def training(side: Side, folder: Path) -> None:
    """Writes processor seconds and the validation metric of each epoch, and test metrics unless it was stopped."""
    question = np.load(folder / "question.npz")
    history, started = [], time.process_time()

    def closed(epoch: int, value: float) -> None:
        history.append((time.process_time() - started, value))
        if value >= question["goal"] or history[-1][0] >= question["limit"]:
            raise Enough

    tested: Arrays = {}
    try:
        side.trainer.fit(side.loaders["train"], side.loaders["valid"], callback_fn=closed)
        tested = side.trainer.evaluate(side.loaders["test"])
    except Enough:
        pass
    np.savez(folder / "answer.npz", history=np.array(history), **under("metrics", tested))


def peak() -> int:
    """The most bytes that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def part(arrays: Arrays, prefix: str) -> Arrays:
    """The arrays below a prefix."""
    return {name[len(prefix) + 1 :]: array for name, array in arrays.items() if name.startswith(f"{prefix}/")}


def under(prefix: str, arrays: Arrays) -> Arrays:
    """The arrays with a prefix in their names."""
    return {f"{prefix}/{name}": array for name, array in arrays.items()}


TASKS: dict[str, Callable[[Side, Path], None]] = {
    "compare": compare,
    "pretraining": pretraining,
    "steps": steps,
    "training": training,
}


def main() -> None:
    task, folder = sys.argv[1], Path(sys.argv[2])
    # RecBole reads the command line, too.
    del sys.argv[1:]
    TASKS[task](Side(folder), folder)


if __name__ == "__main__":
    main()
