"""Test metrics of a model and of RecBole's, trained on the same sample of users with the same settings.

    python benchmarks/recbole_metrics.py --data data/processed/beauty/k5/source

Both sides train on every prefix with one thread. The mean over seeds of each side is compared by Welch's t-interval.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from recbole_process import Peer, RecBole
from scipy import stats

from mmsrec.evaluation.evaluate import TEST
from mmsrec.evaluation.metrics import metrics
from mmsrec.evaluation.ranks import rank
from mmsrec.models.recommender import ModelInputs
from mmsrec.models.registry import MODELS
from mmsrec.nn.user_sequences import Sequences
from mmsrec.settings.params import ModelSettings, read_params
from mmsrec.training import runtime
from mmsrec.training.next_item import finetune

PEERS = {"sasrec": Peer("SASRec"), "gru4rec": Peer("GRU4Rec")}
COMPARED = ("recall@10", "ndcg@10")
Measured = dict[str, float]


def sample(sequences: Sequences, share: float, seed: int) -> Sequences:
    """A share of the users, drawn at random; their items are numbered again."""
    generator = np.random.default_rng(seed)
    users = np.sort(generator.choice(sequences.users, round(share * sequences.users), replace=False))
    bounds = sequences.offsets_U1.numpy()
    lists = [sequences.items_A[bounds[user] : bounds[user + 1]].numpy() for user in users]
    _, items = np.unique(np.concatenate(lists), return_inverse=True)
    offsets = np.concatenate([[0], np.cumsum([*map(len, lists)])])
    return Sequences(torch.from_numpy(items), torch.from_numpy(offsets))


def ours(sequences: Sequences, chosen: ModelSettings, seed: int, folder: Path) -> Measured:
    """Our test metrics after training."""
    runtime.seed_everything(seed, 0)
    items = int(sequences.items_A.max()) + 1
    model = MODELS[chosen.model].network_class()(ModelInputs(items, {}), chosen.settings, chosen.trainer)
    finetune(model, sequences, chosen.trainer, seed, folder, {})
    ranks = rank(model, sequences, TEST)
    return metrics(ranks.rank_U.numpy(), ranks.ties_U.numpy(), [10])


def theirs(sequences: Sequences, chosen: ModelSettings, seed: int, folder: Path) -> Measured:
    """RecBole's test metrics after training with the same settings of the trainer."""
    trainer = chosen.trainer
    config = {
        "seed": seed,
        "epochs": trainer.max_epochs,
        "stopping_step": trainer.patience,
        "train_batch_size": trainer.batch_size,
        "learning_rate": trainer.learning_rate,
        "valid_metric": "Recall@10",
    }
    side = RecBole(folder, PEERS[chosen.model], trainer.max_length - 1, config)
    side.write_job(sequences)
    answer = side.ask("training", {"goal": np.array(np.inf), "limit": np.array(np.inf)})
    return {name: float(answer[f"metrics/{name}"]) for name in COMPARED}


def welch(first: list[float], second: list[float]) -> tuple[float, float]:
    """The difference of two means, and the half-width of its 95 % interval."""
    result = stats.ttest_ind(first, second, equal_var=False)
    low, high = result.confidence_interval(0.95)
    return float(np.mean(first) - np.mean(second)), float(high - low) / 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of a split")
    parser.add_argument("--variant", default="sasrec-paper", choices=["sasrec-paper", "gru4rec-paper"])
    parser.add_argument("--share", type=float, default=0.1, help="of the users")
    parser.add_argument("--length", type=int, default=20, help="longest history")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3, help="trainings of a side")
    flags = parser.parse_args()
    torch.set_num_threads(1)
    runtime.start("cpu")
    sequences = sample(Sequences.read(flags.data / "sequences.parquet", torch.device("cpu")), flags.share, seed=0)
    chosen = read_params(Path(__file__).parents[1] / "params.yaml").settings_of("beauty", flags.variant)
    update = {"max_length": flags.length + 1, "batch_size": flags.batch, "max_epochs": flags.epochs}
    trainer = chosen.trainer.model_copy(update=update | {"precision": "float32"})
    chosen = ModelSettings(chosen.model, chosen.settings, trainer)
    print(f"{flags.variant}: {sequences.users:,} users, {int(sequences.items_A.max()) + 1:,} items, {chosen.trainer}")
    measured: dict[str, list[Measured]] = {"ours": [], "RecBole": []}
    for seed in range(flags.seeds):
        for side, results in measured.items():
            with tempfile.TemporaryDirectory() as name:
                started = time.perf_counter()
                found = (ours if side == "ours" else theirs)(sequences, chosen, seed, Path(name))
                results.append(found)
            shown = "  ".join(f"{metric} {found[metric]:.4f}" for metric in COMPARED)
            print(f"seed {seed}  {side:<8} {shown}  {time.perf_counter() - started:6.0f} s", flush=True)
    for metric in COMPARED:
        sides = [[found[metric] for found in results] for results in measured.values()]
        difference, half = welch(*sides)
        means = ", ".join(f"{side} {np.mean(values):.4f}" for side, values in zip(measured, sides, strict=True))
        print(f"{metric}: {means}, difference {difference:+.4f} +- {half:.4f} (95 %)")


if __name__ == "__main__":
    main()
