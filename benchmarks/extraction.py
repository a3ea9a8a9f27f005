"""Throughput of feature extraction: the pipeline, the bare encoder, and one file at a time, in one run.

- bare: the encoder on batches that lie ready in memory;
- pipeline: mmsrec.features.extract, from files to the feature file;
- one by one: a file an item is loaded, encoded alone by open_clip in float32 and saved as .pth, as the paper's released
  code does.

The rounds alternate between the three, so that a change of the machine's load meets all of them; medians are shown.
Without --media and --items, pictures of 300 x 300 and titles of 4 to 20 words are made up.

    python benchmarks/extraction.py
    python benchmarks/extraction.py --media data/media/ml-1m --items data/processed/ml-1m/k5/items.parquet
"""

import argparse
import hashlib
import io
import itertools
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import open_clip
import pyarrow as pa
import torch
from PIL import Image

from mmsrec.artifacts import SCHEMAS, write_table
from mmsrec.features.encoders import Encoder, load_encoder
from mmsrec.features.extract import extract
from mmsrec.features.item_inputs import ItemInputs, picture_inputs, text_inputs
from mmsrec.settings.encoding import OpenClipEncoder

ONE_BY_ONE = 32


class Measure(NamedTuple):
    """Inputs a second of wall time, and of processor time; processors busy."""

    rate: float
    cpu_rate: float
    busy: float


def measured(action: Callable[[], None], inputs: int) -> Measure:
    wall, cpu = time.perf_counter(), time.process_time()
    action()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Measure(inputs / wall, inputs / cpu, cpu / wall)


class OneByOne:
    """open_clip as its documentation uses it."""

    def __init__(self, model: str) -> None:
        self._model, _, self._preprocess = open_clip.create_model_and_transforms(model)
        self._model.eval()
        self._tokenizer = open_clip.get_tokenizer(model)

    def __call__(self, file: Path) -> None:
        with torch.inference_mode():
            if file.suffix == ".txt":
                vector = self._model.encode_text(self._tokenizer([file.read_text(encoding="utf-8")]))
            else:
                vector = self._model.encode_image(self._preprocess(Image.open(file))[None])
        torch.save(vector, file.with_suffix(".pth"))


def benchmark(
    encoder: Encoder, modality: str, inputs: ItemInputs, folder: Path, rounds: int, alone: OneByOne
) -> dict[str, Measure]:
    """The median measure of each way over the rounds."""
    tower = encoder.tower(modality)
    count = sum(sum(batch.sizes) for batch in inputs.batches)
    ready = [tower.prepare(batch.read()) for batch in inputs.batches]
    singles = list(itertools.islice((one for batch in inputs.batches for one in batch.read()), ONE_BY_ONE))
    files = [save_input(folder / f"{number}", single) for number, single in enumerate(singles)]

    def bare() -> None:
        for batch in ready:
            tower.encode(batch)

    def pipeline() -> None:
        extract(inputs, encoder, modality, folder / "features.parquet")

    def one_by_one() -> None:
        for file in files:
            alone(file)

    tower.encode(ready[0])
    alone(files[0])
    ways = {"bare": (bare, count), "pipeline": (pipeline, count), "one by one": (one_by_one, len(files))}
    runs = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (action, amount) in ways.items():
            runs[name].append(measured(action, amount))
    return {
        name: Measure(*(median(column) for column in zip(*measures, strict=True))) for name, measures in runs.items()
    }


def save_input(path: Path, single: str | Image.Image) -> Path:
    if isinstance(single, str):
        file = path.with_suffix(".txt")
        file.write_text(single, encoding="utf-8")
    else:
        file = path.with_suffix(".jpg")
        single.convert("RGB").save(file, quality=95)
    return file


def made_up_media(folder: Path, count: int) -> Path:
    """A crawl's folder of distinct JPEGs."""
    rng = np.random.default_rng(0)
    (folder / "files").mkdir(parents=True)
    rows = []
    for number in range(count):
        body = io.BytesIO()
        pixels = rng.integers(0, 256, (20, 20, 3), np.uint8)
        Image.fromarray(pixels).resize((300, 300), Image.Resampling.BICUBIC).save(body, "JPEG", quality=90)
        (folder / "files" / f"{number}.jpg").write_bytes(body.getvalue())
        digest = hashlib.sha256(body.getvalue()).hexdigest()
        rows.append(
            {"item_id": f"i{number}", "state": "ok", "attempts": 1, "path": f"files/{number}.jpg", "sha256": digest}
        )
    schema = SCHEMAS["ledger"]
    write_table(folder / "ledger.parquet", pa.Table.from_pylist(rows, schema), schema)
    return folder


def made_up_items(path: Path, count: int) -> Path:
    """An items.parquet of distinct titles."""
    rng = np.random.default_rng(1)
    words = np.array(
        ["soap", "brush", "mirror", "lotion", "shampoo", "powder", "perfume", "conditioner", "comb", "oil"]
    )
    texts = [f"{number} " + " ".join(rng.choice(words, rng.integers(4, 21))) for number in range(count)]
    ids = [f"i{number}" for number in range(count)]
    columns = {
        "item_index": range(count),
        "item_id": ids,
        "title": texts,
        "text": texts,
        "media_url": pa.nulls(count, pa.string()),
    }
    write_table(path, pa.table(columns), SCHEMAS["items"])
    return path


def first_batches(inputs: ItemInputs, count: int) -> ItemInputs:
    """The inputs of the first batches that hold `count` together."""
    total, batches = 0, []
    for batch in inputs.batches:
        if total >= count:
            break
        batches.append(batch)
        total += len(batch.sizes)
    kept = np.flatnonzero(inputs.vectors < total)
    return replace(
        inputs, batches=batches, vectors=inputs.vectors[kept], item_ids=[inputs.item_ids[item] for item in kept]
    )


@contextmanager
def scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="mmsrec-benchmark-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def main(flags: argparse.Namespace) -> None:
    row = OpenClipEncoder(kind="open_clip", model=flags.model, weights="seeded", seed=0)
    encoder, alone = load_encoder(flags.model, row), OneByOne(flags.model)
    print(f"{flags.model}, {torch.get_num_threads()} threads, {'CUDA' if torch.cuda.is_available() else 'CPU'}")
    with scratch() as folder:
        items = flags.items or made_up_items(folder / "items.parquet", max(flags.images, flags.texts))
        media = flags.media or made_up_media(folder / "media", flags.images)
        size = {modality: encoder.tower(modality).batch_size for modality in ("vision", "text")}
        inputs = {
            "vision": first_batches(picture_inputs(items, media, "benchmark", size["vision"]), flags.images),
            "text": first_batches(text_inputs(items, "benchmark", size["text"]), flags.texts),
        }
        for modality, chosen in inputs.items():
            count = sum(len(batch.sizes) for batch in chosen.batches)
            print(f"{modality}: {count} inputs, median of {flags.rounds} rounds")
            result = benchmark(encoder, modality, chosen, folder, flags.rounds, alone)
            for name, (rate, cpu_rate, busy) in result.items():
                share = rate / result["bare"].rate, cpu_rate / result["bare"].cpu_rate
                print(
                    f"  {name:<12}{rate:>9.1f} a second{share[0]:>8.1%} of bare"
                    f"{cpu_rate:>10.1f} a processor second{share[1]:>8.1%} of bare{busy:>7.2f} processors busy"
                )
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(f"peak memory {usage.ru_maxrss / 2**20:.2f} GiB; {usage.ru_utime:.0f} s user, {usage.ru_stime:.0f} s system")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ViT-B-32", help="a name of open_clip; weights are seeded")
    parser.add_argument("--images", type=int, default=256, help="pictures to encode")
    parser.add_argument("--texts", type=int, default=512, help="texts to encode")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--media", type=Path, help="folder of a crawl")
    parser.add_argument("--items", type=Path, help="items.parquet of the same domain")
    main(parser.parse_args())
