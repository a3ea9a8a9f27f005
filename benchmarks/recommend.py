"""Recommendations to many users among many items: users a second and peak memory, against a plain loop of topk.

    python benchmarks/recommend.py --sizes 10000x100000 100000x100000 10000x1000000

The users have random histories, and the model is an untrained SASRec of width 64. Our way is that of recommend.py, from
histories to a Parquet file. The plain loop scores 256 users against all items, hides the history, takes the best, and
keeps them for one file. Both read the same vectors of users. Each side runs in a separate process.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import torch

from mmsrec.models.recommender import ModelInputs
from mmsrec.models.sasrec import SASRec
from mmsrec.models.sasrec_settings import SASRecSettings
from mmsrec.recommend.catalogue import Catalogue
from mmsrec.recommend.loaded import LoadedModel
from mmsrec.recommend.output_tables import write_recommendations
from mmsrec.recommend.pool import Request
from mmsrec.settings.params import read_params
from mmsrec.training import runtime

MIB = 1 << 20
ACTIONS, TOP, BATCH = 12, 20, 256
SETTINGS = SASRecSettings(dim=64, layers=2, heads=2, feedforward=128, embedding_dropout=0.1, hidden_dropout=0.1)


def world(users: int, items: int) -> tuple[LoadedModel, pl.DataFrame]:
    trainer = read_params(Path(__file__).parents[1] / "params.yaml").settings_of("beauty", "sasrec").trainer
    model = SASRec(ModelInputs(items, {}), SETTINGS, trainer).eval()
    ids = pl.Series("item_id", [f"item{number}" for number in range(items)])
    catalogue = Catalogue(pl.DataFrame({"item_id": ids, "title": ids}).with_row_index("place"))
    drawn = np.random.default_rng(0).integers(items, size=(users, ACTIONS), dtype=np.uint32)
    histories = pl.DataFrame({"user": [f"user{number}" for number in range(users)], "items": drawn})
    histories = histories.with_columns(items=pl.col("items").arr.to_list(), given=pl.lit(ACTIONS, pl.UInt32))
    return LoadedModel(Path(), model, catalogue, None), histories


def ours(model: LoadedModel, histories: pl.DataFrame, output: Path) -> None:
    write_recommendations(model.parts(histories, Request(top=TOP)), histories.height, output)


@torch.no_grad()
def plain(model: LoadedModel, histories: pl.DataFrame, output: Path) -> None:
    places = histories["items"].explode().to_numpy()
    vectors_UD = model._vectors(places, np.full(histories.height, ACTIONS))
    vectors_ID = model._items.vectors_KD
    seen_UA = torch.from_numpy(places.astype(np.int64)).view(-1, ACTIONS)
    values, found = [], []
    for start in range(0, len(vectors_UD), BATCH):
        scores_BI = vectors_UD[start : start + BATCH] @ vectors_ID.T
        scores_BI.scatter_(1, seen_UA[start : start + BATCH], -torch.inf)
        best = scores_BI.topk(TOP)
        values.append(best.values)
        found.append(best.indices)
    users = histories["user"].gather(np.repeat(np.arange(histories.height), TOP))
    items = model.catalogue.ids.gather(torch.cat(found).flatten().numpy())
    scores = torch.cat(values).flatten().numpy()
    pl.DataFrame({"user": users, "item_id": items, "score": scores}).write_parquet(output)


WAYS = {"ours": ours, "plain": plain}


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(way: str, users: int, items: int) -> None:
    """Prints the peak MiB of the process, the MiB that the recommendations add, and their seconds."""
    if way == "ours":
        runtime.start("cpu")
    torch.manual_seed(0)
    model, histories = world(users, items)
    with tempfile.TemporaryDirectory() as folder:
        before, started = peak(), time.perf_counter()
        WAYS[way](model, histories, Path(folder) / "best.parquet")
        print(peak() / MIB, (peak() - before) / MIB, time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["10000x100000", "100000x100000", "10000x1000000"])
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.measure:
        way, users, items = flags.measure
        return measure(way, int(users), int(items))
    print(f"{'users x items':>17} {'side':>6} {'users/s':>9} {'peak MiB':>9} {'added':>7}")
    for size in flags.sizes:
        users, items = map(int, size.split("x"))
        seconds = {}
        for way in WAYS:
            command = [sys.executable, __file__, "--measure", way, str(users), str(items)]
            result = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            total, added, seconds[way] = map(float, result.split())
            print(f"{size:>17} {way:>6} {users / seconds[way]:>9,.0f} {total:>9,.0f} {added:>7,.0f}", flush=True)
        print(f"{size:>17}  plain / ours {seconds['plain'] / seconds['ours']:.2f}", flush=True)


if __name__ == "__main__":
    main()
