"""Peak memory of one step of pre-training, against the same step with whole matrices of similarities.

    python benchmarks/contrastive_memory.py --batches 1000 4000 48000

Each measurement runs in a separate process. Its peak is the memory that the step adds to the process. A plain step
whose matrices alone would not fit is not run: their size is printed instead.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

MIB = 1 << 20


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def plain_step(encoder, optimizer, items, settings) -> None:
    """All views at once, each term from two matrices of the batch by itself, one backward pass."""
    import torch
    from torch.nn import functional as F

    from mmsrec.nn.contrastive_loss import TERMS, views_of
    from mmsrec.nn.views import encode_views

    optimizer.zero_grad()
    views = encode_views(encoder, items, views_of(settings.weights))
    own = torch.arange(len(items))
    loss = 0.0
    for name, (first, second) in TERMS.items():
        logits = views[first] @ views[second].T / settings.temperature
        both = F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)
        loss = loss + getattr(settings.weights, name) * both
    loss.backward()
    torch.nn.utils.clip_grad_norm_(encoder.parameters(), settings.clip_norm)
    optimizer.step()


def measure(batch: int, width: int, precision: str, plain: bool) -> None:
    """Prints the MiB that a step adds, and its seconds."""
    import torch

    from mmsrec.nn.item_encoder import ItemEncoder
    from mmsrec.nn.views import Items
    from mmsrec.settings.params import read_params
    from mmsrec.training import runtime
    from mmsrec.training.distributed import Processes
    from mmsrec.training.pretrain_step import train_step

    device = runtime.start("cpu")
    params = read_params(Path(__file__).parents[1] / "params.yaml")
    settings = params.pretraining.model_copy(update={"dim": width, "precision": precision, "batch_size": batch})
    encoder = ItemEncoder({"vision": width, "text": width}, settings).train()
    optimizer = torch.optim.AdamW(encoder.parameters(), fused=True)

    def items(count: int) -> Items:
        vectors = {name: torch.randn(count, width).half() for name in ("vision", "text")}
        return Items(vectors, {name: torch.ones(count, dtype=torch.bool) for name in vectors})

    def step(of: Items) -> None:
        if plain:
            plain_step(encoder, optimizer, of, settings)
        else:
            train_step(encoder, optimizer, of, settings, (0, 1, 0), Processes(device))

    step(items(16))  # what the first step of a process loads
    chosen = items(batch)
    before, started = peak(), time.perf_counter()
    step(chosen)
    print((peak() - before) // MIB, time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, nargs="+", default=[1000, 2000, 4000])
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="bfloat16")
    parser.add_argument("--measure", choices=["cached", "plain"], help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.measure:
        return measure(flags.batches[0], flags.width, flags.precision, flags.measure == "plain")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    print(f"width {flags.width}, {flags.precision}; the plain step in float32")
    print(f"{'batch':>7} {'cached MiB':>11} {'seconds':>8}   {'plain MiB':>10} {'seconds':>8}")
    for batch in flags.batches:
        cached = _child(flags, batch, "cached")
        # Four matrices of cosines, and what the cross-entropy of each and of its transpose keeps for its gradient.
        matrices = 12 * 4 * batch * batch
        plain = _child(flags, batch, "plain") if 2 * matrices < memory else f"not run: {matrices // MIB:,} in matrices"
        print(f"{batch:>7,} {cached}   {plain}", flush=True)


def _child(flags: argparse.Namespace, batch: int, way: str) -> str:
    options = ["--batches", str(batch), "--width", str(flags.width), "--precision", flags.precision, "--measure", way]
    out = subprocess.run([sys.executable, __file__, *options], check=True, capture_output=True, text=True).stdout
    mib, seconds = out.split()
    return f"{int(mib):>10,} {float(seconds):>8.1f}"


if __name__ == "__main__":
    main()
