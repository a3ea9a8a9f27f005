"""Pairs a second of pre-training, the share of matrix products in it, and the ratio to encoding text at every step.

    python benchmarks/pretrain_throughput.py --batch 2000

The other way is measured in the same run. It reads one .npy file of frame features a clip and encodes captions in the
loop. It computes a batch's similarities as whole matrices. Its text tower has the shape of CLIP ViT-B/32 and random
weights.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import open_clip
import torch
from contrastive_memory import plain_step
from torch.profiler import ProfilerActivity, profile

from mmsrec.features.feature_file import Provenance
from mmsrec.nn.item_encoder import ItemEncoder
from mmsrec.nn.views import Items
from mmsrec.pairs.read import PairBatch, Pairs
from mmsrec.pairs.write import write_pairs
from mmsrec.settings.params import read_params
from mmsrec.training import runtime
from mmsrec.training.distributed import Processes
from mmsrec.training.pretrain_step import train_step

WIDTH, FRAMES = 512, 10
PRODUCTS = {"aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "aten::mkldnn_linear", "mkldnn::_linear_pointwise"}
WORDS = np.array(["a", "man", "dog", "plays", "cooks", "drives", "sings", "about", "the", "red", "car", "street"])


def stored(folder: Path, count: int, random: np.random.Generator) -> Pairs:
    present = np.ones(count, bool)
    vision, text = (random.normal(size=(count, WIDTH)).astype(np.float16) for _ in range(2))
    provenance = Provenance("clip", "generated", "", "", "")
    write_pairs(folder, [str(row) for row in range(count)], PairBatch(vision, present, text, present), provenance)
    return Pairs(folder)


def clips(folder: Path, count: int, random: np.random.Generator) -> list[tuple[Path, str]]:
    folder.mkdir()
    for row in range(count):
        np.save(folder / f"{row}.npy", random.normal(size=(FRAMES, WIDTH)).astype(np.float16))
    return [(folder / f"{row}.npy", " ".join(random.choice(WORDS, 12))) for row in range(count)]


def read_and_encode(some: list[tuple[Path, str]], text_tower, tokenize, part: int = 64) -> Items:
    vision = torch.stack([torch.from_numpy(np.load(path)).float().mean(0) for path, _ in some])
    captions = [caption for _, caption in some]
    with torch.no_grad():
        text = torch.cat(
            [text_tower.encode_text(tokenize(captions[row : row + part])) for row in range(0, len(captions), part)]
        )
    present = torch.ones(len(some), dtype=torch.bool)
    return Items({"vision": vision, "text": text}, {"vision": present, "text": present})


def seconds_a_pair(step, batches) -> float:
    """Wall seconds, reading included, the first batch left out."""
    step(next(batches))
    pairs, started = 0, time.perf_counter()
    for items in batches:
        step(items)
        pairs += len(items)
    return (time.perf_counter() - started) / pairs


def share_of_products(step, items: Items) -> float:
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        step(items)
    rows = profiled.key_averages()
    products = sum(row.self_cpu_time_total for row in rows if row.key in PRODUCTS)
    return products / sum(row.self_cpu_time_total for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=500, help="pairs a step")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--other-batch", type=int, default=64, help="pairs a step of the other way")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="bfloat16")
    flags = parser.parse_args()

    device = runtime.start("cpu")
    common = read_params(Path(__file__).parents[1] / "params.yaml").pretraining
    settings = common.model_copy(update={"batch_size": flags.batch, "precision": flags.precision})
    encoder = ItemEncoder({"vision": WIDTH, "text": WIDTH}, settings).train()
    optimizer = torch.optim.AdamW(encoder.parameters(), fused=True)
    random = np.random.default_rng(0)

    def ours(items: Items) -> None:
        train_step(encoder, optimizer, items, settings, (0, 1, 0), Processes(device))

    with tempfile.TemporaryDirectory() as name:
        pairs = stored(Path(name) / "pairs", flags.batch * (flags.steps + 1), random)
        batches = (Items.of(batch, device) for batch in pairs.batches(flags.batch, 0, 0))
        ours_seconds = seconds_a_pair(ours, batches)
        share = share_of_products(ours, Items.of(next(pairs.batches(flags.batch, 0, 1)), device))

        some = clips(Path(name) / "clips", flags.other_batch * (flags.steps + 1), random)
        tower, tokenize = open_clip.create_model("ViT-B-32").eval(), open_clip.get_tokenizer("ViT-B-32")
        starts = range(0, len(some), flags.other_batch)
        encoded = (read_and_encode(some[start : start + flags.other_batch], tower, tokenize) for start in starts)
        other_seconds = seconds_a_pair(lambda items: plain_step(encoder, optimizer, items, settings), encoded)

    print(f"{1 / ours_seconds:,.0f} pairs/s in steps of {flags.batch:,}, {flags.precision}")
    print(f"{share:.0%} of the processor's time of a step in matrix products, {torch.get_num_threads()} threads")
    print(f"{1 / other_seconds:,.1f} pairs/s the other way, in steps of {flags.other_batch:,}, float32")
    print(f"ratio {other_seconds / ours_seconds:,.1f}")


if __name__ == "__main__":
    main()
