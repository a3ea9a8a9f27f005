"""Sequences/s of training and users/s of evaluation on a prepared domain, against the released code's way in one run.

    python benchmarks/finetuning.py --domain beauty \
        --data data/processed/beauty/k5/source --features data/features/beauty/lsa/text.parquet

The other way is benchmarks/released.py. Both sides have the released code's item encoder, in the sizes of a variant.
Before the timing, they compute a step and ranks from the same weights, in float32 and without dropout. LayerNorm has
random weights in this check, so that every norm matters. The run ends if the results differ.
"""

import argparse
import copy
import statistics
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import torch
from released import EVALUATED, Released, in_float32, places
from torch import nn

from mmsrec.evaluation.evaluate import TEST
from mmsrec.evaluation.ranks import rank
from mmsrec.models.dataset import FeatureInput, read_dataset
from mmsrec.models.mmsrec import MMSRec
from mmsrec.models.recommender import ModelInputs
from mmsrec.nn.user_sequences import Sequences
from mmsrec.settings.params import read_params
from mmsrec.settings.trainer import Trainer
from mmsrec.training import runtime
from mmsrec.training.batches import Batches, Step
from mmsrec.training.distributed import Processes
from mmsrec.training.import_authors import RELEASED
from mmsrec.training.next_item_step import adamw, train_step
from mmsrec.training.profile import PEAK_SIZE, matmul_peak

SEED = 0
ROUNDING = 1e-5  # of a cosine in float32
CHECKED_USERS, OTHER_USERS = 512, 2 * EVALUATED  # evaluated for the check, and on the other side


@torch.no_grad()
def with_random_norms(model: MMSRec) -> MMSRec:
    """A copy whose LayerNorm has weights as after a training; with weights 1 and biases 0 some have no effect."""
    twin = copy.deepcopy(model)
    for part in twin.modules():
        if isinstance(part, nn.LayerNorm):
            part.weight.add_(0.2 * torch.randn_like(part.weight))
            part.bias.add_(0.2 * torch.randn_like(part.bias))
    return twin


def check_step(model: MMSRec, trainer: Trainer, sequences: Sequences) -> str:
    """Compares loss and gradients of the first step of an epoch."""
    ours, other = in_float32(model).eval(), Released(model, trainer, sequences)
    other.model.eval()
    step, task = next(Batches(sequences, ours, trainer).steps(SEED, 0)), next(other.batches(SEED, 0))
    total = train_step(ours, adamw(ours, trainer), step, trainer, (SEED,), Processes(sequences.items_A.device))
    losses = total / step.positions, other.step(task)
    gradients = [torch.cat([p.grad.flatten() for p in side.parameters()]) for side in (ours, other.model)]
    apart = float((gradients[0] - gradients[1]).norm() / gradients[1].norm())
    if abs(losses[0] / losses[1] - 1) > 1e-5 or apart > 1e-3:
        sys.exit(f"The two sides compute different things: losses {losses}, relative error of gradients {apart:.1e}.")
    return f"losses {losses[0]:.6f} and {losses[1]:.6f}, relative error of gradients {apart:.0e}"


@torch.no_grad()
def check_ranks(model: MMSRec, trainer: Trainer, sequences: Sequences) -> str:
    """Compares ranks; items whose scores differ from the target's by no more than rounding may change places."""
    ranks, targets_U = rank(in_float32(model), sequences, TEST), sequences.items_A[sequences.ends(TEST)]
    other = Released(model, trainer, sequences)
    other.model.eval()
    # torch's fused layers, which are timed, approximate GELU on a GPU.
    torch.backends.mha.set_fastpath_enabled(False)
    batches = list(other.scores(other.histories(sequences)))
    torch.backends.mha.set_fastpath_enabled(True)
    scores_UI, places_U = torch.cat(batches).cpu(), places(batches, targets_U).cpu()
    target_U1 = scores_UI.gather(1, targets_U[:, None].cpu())
    first_U = (scores_UI > target_U1 + ROUNDING).sum(1) + 1
    last_U = (scores_UI >= target_U1 - ROUNDING).sum(1)
    if not ((first_U <= ranks.rank_U) & (ranks.rank_U <= last_U)).all():
        sys.exit("The two sides compute different things: ranks differ by more than rounding.")
    exact_U = (places_U - ranks.rank_U).abs() <= (ranks.ties_U - 1) / 2
    return f"ranks of {len(exact_U)} users the same but for rounding of scores, {exact_U.double().mean():.1%} exactly"


def useful_flops(step: Step, model: MMSRec) -> int:
    """Operations of the matrix products that no way of computing a step can leave out, two for a multiply-add.

    Padding, keys that a query does not see, and the attention of a single token to itself are not counted. In the last
    block, items without a prediction are not counted. The backward pass costs twice the forward pass, except for
    features, which have no gradient.
    """
    settings, modalities = model.settings, len(model.features)
    dim, square = settings.dim, settings.dim**2
    after = square + 2 * dim * settings.feedforward  # what follows the attention of a token in a block
    # Items in sequences and places of predictions: their numbers, and how many items they attend to in all.
    shown = seen = predicted = seen_predicted = 0
    for group in step.groups:
        exists_BL = group.inputs_BL != model.absent
        all_BL = exists_BL.sum(1, keepdim=True) * exists_BL
        seen_BL = exists_BL.cumsum(1) if model.objective.causal else all_BL
        shown, predicted = shown + int(exists_BL.sum()), predicted + len(group.targets_P)
        seen += int(seen_BL[exists_BL].sum())
        seen_predicted += int(seen_BL[group.rows_P, group.columns_P].sum())
    inner = shown * (3 * square + after) + 2 * dim * modalities * seen
    last = shown * 2 * square + predicted * (square + after) + 2 * dim * modalities * seen_predicted
    towers = modalities * ((settings.layers - 1) * inner + last + predicted * square)
    single = after + (square if modalities == 1 else 3 * square + 2 * dim * modalities)
    towers += model.items * modalities * (settings.layers * single + square)
    softmax = step.positions * model.items * dim
    features = model.items * dim * sum(feature.vectors_IF.shape[1] for feature in model.features.values())
    return 2 * (3 * (towers + softmax) + 2 * features)


def seconds(compute: Callable[[], object]) -> float:
    """Wall seconds; whatever computes ends with a value on the CPU."""
    started = time.perf_counter()
    compute()
    return time.perf_counter() - started


def sample(sequences: Sequences, count: int) -> Sequences:
    """Some users, evenly spread, in their order."""
    users_B = torch.linspace(0, sequences.users - 1, min(count, sequences.users)).long()
    lists = [sequences.items_A[slice(*sequences.offsets_U1[user : user + 2].tolist())] for user in users_B]
    lengths = torch.tensor([0, *map(len, lists)], device=sequences.items_A.device)
    return Sequences(torch.cat(lists), lengths.cumsum(0))


class Comparison:
    """Both sides, ready to be timed; every method returns a rate a second.

    Args:
        model: of both sides.
        trainer: settings of the training.
        sequences: trained on.
        steps: of a round of training.
        users: of a round of evaluation, of each side.
        top: best items kept for a user.
    """

    def __init__(
        self,
        model: MMSRec,
        trainer: Trainer,
        sequences: Sequences,
        steps: int,
        users: tuple[Sequences, Sequences],
        top: int,
    ) -> None:
        self._model, self._other, self._steps, self._top = model, Released(model, trainer, sequences), steps, top
        self._trainer, self._optimizer, self._processes = (
            trainer,
            adamw(model, trainer),
            Processes(sequences.items_A.device),
        )
        self._batches = Batches(sequences, model, trainer)
        self._users, self._other_users = users
        self._histories = self._other.histories(self._other_users)

    def training(self, epoch: int) -> tuple[float, float, float]:
        """Sequences of ours, sequences of the other side, and useful operations of ours."""
        done: list[Step] = []

        def ours() -> None:
            for number, step in enumerate(islice(self._batches.steps(SEED, epoch), self._steps)):
                key = (SEED, epoch, number)
                train_step(self._model, self._optimizer, step, self._trainer, key, self._processes)
                done.append(step)

        def others() -> None:
            for task in islice(self._other.batches(SEED, epoch), self._steps):
                self._other.step(task)

        for side in (self._model, self._other.model):
            side.train()
        spent, others_spent = seconds(ours), seconds(others)
        sequences, useful = sum(step.sequences for step in done), sum(useful_flops(step, self._model) for step in done)
        return sequences / spent, sequences / others_spent, useful / spent

    @torch.no_grad()
    def evaluation(self) -> tuple[float, float]:
        """Users of ours, and of the other side."""
        other, targets_U = self._other, self._other_users.items_A[self._other_users.ends(TEST)]
        other.model.eval()
        spent = seconds(lambda: rank(self._model, self._users, TEST, top=self._top))
        others_spent = seconds(lambda: places(other.scores(self._histories), targets_U).cpu())
        return self._users.users / spent, self._other_users.users / others_spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--domain", required=True, help="row of params.yaml")
    parser.add_argument("--data", type=Path, required=True, help="folder of a split below the domain's k-core")
    parser.add_argument("--features", type=Path, help="text.parquet of the domain")
    parser.add_argument("--vision", type=Path, help="vision.parquet of the domain")
    parser.add_argument("--variant", default="mmsrec-text", help="row of params.yaml with the model's sizes")
    parser.add_argument("--batch", type=int, help="sequences a step; without it, the variant's")
    parser.add_argument("--steps", type=int, default=5, help="of a round")
    parser.add_argument("--users", type=int, help="evaluated on both sides; without it, all of ours and 2,048")
    parser.add_argument("--rounds", type=int, default=3)
    flags = parser.parse_args()
    files = {name: path for name, path in (("vision", flags.vision), ("text", flags.features)) if path}
    if not files:
        parser.error("name --features, --vision or both")
    params = read_params(Path(__file__).parents[1] / "params.yaml")
    chosen = params.settings_of(flags.domain, flags.variant)
    settings = chosen.settings.model_copy(update=RELEASED)
    if settings.item_embedding or settings.objective != "masked" or settings.item_tower != "shared":
        parser.error(f"{flags.variant} is not the released code's model: masked, with one tower and no item embeddings")
    if settings.positions != "end":
        parser.error(f"{flags.variant} numbers positions from the start; the released code's batches give `end`")
    trainer = chosen.trainer.model_copy(update={"sampled_items": 0})
    trainer = trainer.model_copy(update={"batch_size": flags.batch or trainer.batch_size})

    device = runtime.start()
    features = {name: FeatureInput(path, None) for name, path in files.items()}
    tables = (flags.data.parent / "items.parquet", flags.data / "sequences.parquet")
    dataset = read_dataset(*tables, features, device)
    runtime.seed_everything(SEED)
    inputs = ModelInputs(len(dataset.item_ids), dataset.features)
    model = MMSRec(inputs, settings, trainer).to(device)
    print(f"{flags.domain}: {dataset.sequences.users:,} users, {model.items:,} items, {' and '.join(files)}")
    print(f"{flags.variant}: {settings.objective}, width {settings.dim}, N {trainer.max_length}, {trainer.precision}")
    threads = f"{torch.get_num_threads()} threads, {device.type}"
    print(f"softmax over all items, steps of {trainer.batch_size:,}; {threads}")
    compare(model, trainer, dataset.sequences, params.evaluation.top, flags)


def compare(model: MMSRec, trainer: Trainer, sequences: Sequences, top: int, flags: argparse.Namespace) -> None:
    """Checks that both sides compute the same, times them alternately, and prints medians."""
    checked = with_random_norms(model)
    print(f"checked: {check_step(checked, trainer, sequences)}")
    print(f"checked: {check_ranks(checked, trainer, sample(sequences, flags.users or CHECKED_USERS))}", flush=True)
    users = sample(sequences, flags.users or sequences.users), sample(sequences, flags.users or OTHER_USERS)
    comparison = Comparison(model, trainer, sequences, flags.steps, users, top)
    comparison.training(0)
    rounds, peak = [], 0.0
    for epoch in range(1, flags.rounds + 1):
        rounds.append((*comparison.training(epoch), *comparison.evaluation()))
        peak = max(peak, matmul_peak(model.precision, sequences.items_A.device))
    ours, others, useful, users_ours, users_others = map(statistics.median, zip(*rounds, strict=True))
    print(f"{f'medians of {flags.rounds} rounds by turns':<28} {'ours':>10} {'released way':>14} {'ratio':>8}")
    print(f"{'training, sequences/s':<28} {ours:>10,.0f} {others:>14,.0f} {ours / others:>8.1f}")
    print(f"{'evaluation, users/s':<28} {users_ours:>10,.0f} {users_others:>14,.0f} {users_ours / users_others:>8.1f}")
    step = useful / ours * trainer.batch_size
    print(f"{step / 1e9:.1f} GFLOP of useful matrix products a step, {useful / 1e9:.0f} GFLOP/s")
    print(f"= {useful / peak:.0%} of the peak, {peak / 1e9:.0f} GFLOP/s of a product of {PEAK_SIZE}^3 numbers")


if __name__ == "__main__":
    main()
