"""One fine-tuning epoch of a prepared domain, and some of its steps the plain way, in one run.

    python benchmarks/epoch.py --data data/processed/beauty/k5 --features data/features/beauty/lsa/text.parquet

The plain way pads a batch to its longest sequence, holds all logits of a step in float32, and uses torch's dropout.
"""

import argparse
import time
from itertools import islice
from pathlib import Path
from unittest import mock

import torch
from torch import nn
from torch.nn import functional as F

from mmsrec.model import item_encoder
from mmsrec.model import mmsrec as model_module
from mmsrec.model.mmsrec import MMSRec
from mmsrec.params import read_params
from mmsrec.training import batches, runtime
from mmsrec.training.batches import examples, steps
from mmsrec.training.finetune import train_epoch, train_step
from mmsrec.training.models import FeatureInput, read_catalogue


def whole_softmax(queries, items, targets, precision):
    return F.cross_entropy(queries @ items.T, targets, reduction="sum")


def seconds_a_sequence(model, optimizer, catalogue, settings, count):
    """Wall seconds a sequence over some steps, the first left out."""
    chosen = examples(catalogue.sequences, settings.augment)
    generator = runtime.seed_everything(0, 1)
    spent, sequences = 0.0, 0
    for number, step in enumerate(islice(steps(catalogue.sequences, chosen, model, settings, generator), count + 1)):
        started = time.perf_counter()
        train_step(model, optimizer, step, settings.clip_norm)
        if number:
            spent += time.perf_counter() - started
            sequences += step.sequences
    return spent / sequences


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of a k-core")
    parser.add_argument("--features", type=Path, required=True, help="text.parquet of the domain")
    parser.add_argument("--batch", type=int, default=8192)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--steps", type=int, default=3, help="steps of the comparison")
    flags = parser.parse_args()

    device = runtime.start()
    catalogue = read_catalogue(flags.data, {"text": FeatureInput(flags.features, None)}, device)
    changes = {"dim": flags.dim, "heads": 4, "feedforward": 2 * flags.dim, "batch_size": flags.batch}
    settings = read_params(Path(__file__).parents[1] / "params.yaml").training.model_copy(update=changes)
    model = MMSRec(catalogue.features, settings).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, fused=True)

    fast = seconds_a_sequence(model, optimizer, catalogue, settings, flags.steps)
    with (
        mock.patch.object(model_module, "catalogue_cross_entropy", whole_softmax),
        mock.patch.object(item_encoder, "Dropout", nn.Dropout),
        mock.patch.dict(batches.GROUP_POSITIONS, {device.type: (1 << 40, 1 << 40)}),
    ):
        plain_model = MMSRec(catalogue.features, settings).to(device).train()
        plain_optimizer = torch.optim.AdamW(plain_model.parameters(), lr=settings.learning_rate, fused=True)
        plain = seconds_a_sequence(plain_model, plain_optimizer, catalogue, settings, flags.steps)
    print(f"{flags.steps} steps of {flags.batch:,} sequences: {1 / fast:,.0f} sequences/s")
    print(f"the plain way: {1 / plain:,.0f} sequences/s, ratio {plain / fast:.1f}")

    started = time.perf_counter()
    row = train_epoch(
        model, optimizer, catalogue.sequences, examples(catalogue.sequences, settings.augment), settings, 0, 1
    )
    print(f"an epoch: {time.perf_counter() - started:.1f} s")
    print(f"{row['positions']:,} predictions among {model.items:,} items, {row['efficiency']:.1%} of positions useful")


if __name__ == "__main__":
    main()
