"""Peak memory of one fine-tuning step, against the same step with all logits of the batch in one matrix.

    python benchmarks/step_memory.py --items 28000

Each measurement runs in a separate process. Its peak is the memory that the step adds to the process.
"""

import argparse
import resource
import subprocess
import sys
from pathlib import Path
from unittest import mock

MIB = 1 << 20


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(items: int, batch: int, dim: int, plain: bool) -> None:
    """Prints the MiB that a step adds."""
    import torch
    from torch.nn import functional as F

    from mmsrec.models.mmsrec import MMSRec
    from mmsrec.models.recommender import Features, ModelInputs
    from mmsrec.nn import retrieval_loss
    from mmsrec.nn.user_sequences import Sequences
    from mmsrec.settings.params import read_params
    from mmsrec.training import batches, runtime
    from mmsrec.training.distributed import Processes
    from mmsrec.training.next_item_step import adamw, train_step

    device = runtime.start("cpu")
    generator = torch.Generator().manual_seed(0)
    lengths = torch.full((batch,), 12)
    flat = torch.randint(items, (int(lengths.sum()),), generator=generator)
    sequences = Sequences(flat, torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)]))
    common = read_params(Path(__file__).parents[1] / "params.yaml").settings_of("beauty", "mmsrec-text")
    settings = common.settings.model_copy(update={"dim": dim, "heads": 4, "feedforward": 2 * dim, "whiten": False})
    trainer = common.trainer.model_copy(update={"augment": "none", "batch_size": batch})
    features = Features(torch.randn(items, 256, generator=generator), torch.ones(items, dtype=torch.bool))
    model = MMSRec(ModelInputs(items, {"text": features}), settings, trainer).train()
    optimizer = adamw(model, trainer)

    def whole(queries, vectors, targets, precision):
        return F.cross_entropy(queries @ vectors.T, targets, reduction="sum")

    if plain:
        batches.GROUP_POSITIONS["cpu"] = (1 << 40, 1 << 40)
    with mock.patch.object(
        retrieval_loss, "catalogue_cross_entropy", whole if plain else retrieval_loss.catalogue_cross_entropy
    ):
        step = next(batches.Batches(sequences, model, trainer).steps(0, 1))
        before = peak()
        train_step(model, optimizer, step, trainer, (0, 1, 0), Processes(device))
    print((peak() - before) // MIB)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, nargs="+", default=[12_000, 28_000, 100_000])
    parser.add_argument("--batches", type=int, nargs="+", default=[1024, 8192])
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument(
        "--plain-limit", type=float, default=8, help="GiB of logits above which the plain step is left out"
    )
    parser.add_argument("--measure", type=int, nargs=4, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.measure:
        return measure(*flags.measure[:3], bool(flags.measure[3]))
    print(f"{'items':>9} {'batch':>6} {'fused MiB':>10} {'plain MiB':>10}   (10 actions a sequence, width {flags.dim})")
    for items in flags.items:
        for batch in flags.batches:
            # About 2.8 predictions a sequence, three matrices of logits at once.
            too_large = 3 * 4 * 2.8 * batch * items > flags.plain_limit * (1 << 30)
            figures = [_child(items, batch, flags.dim, plain) for plain in (0, 1) if not (plain and too_large)]
            print(f"{items:>9,} {batch:>6,} {figures[0]:>10} {figures[1] if len(figures) > 1 else 'left out':>10}")


def _child(items: int, batch: int, dim: int, plain: int) -> str:
    command = [sys.executable, __file__, "--measure", str(items), str(batch), str(dim), str(plain)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
