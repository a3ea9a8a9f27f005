"""Writes the best next items of users, from a trained model, as a CSV or Parquet file."""

from argparse import Namespace
from pathlib import Path

import polars as pl
import stage
from stage import layout

from mmsrec.files import atomic_path
from mmsrec.recommend.best import recommend
from mmsrec.training.model_folder import load
from mmsrec.training.runtime import start


def main(flags: Namespace) -> None:
    _, _, dataset = stage.experiment(flags, start(flags.device))
    found = recommend(load(flags.model, dataset), dataset, flags.users, flags.top, seen=flags.seen)
    titles = pl.read_parquet(flags.items, columns=["item_id", "title"])
    table = found.join(titles, on="item_id", how="left", maintain_order="left")
    with atomic_path(flags.output) as temporary:
        {".csv": table.write_csv, ".parquet": table.write_parquet}[flags.output.suffix](temporary)


def table_path(text: str) -> Path:
    path = Path(text)
    if path.suffix not in (".csv", ".parquet"):
        raise ValueError
    return path


if __name__ == "__main__":
    parser = stage.experiment_parser(__doc__)
    parser.path("--model", layout.MODEL, "folder of the trained model")
    parser.add_argument("--users", nargs="+", help="names of users (default: all users)")
    parser.add_argument("--top", type=int, default=10, help="items for each user")
    parser.add_argument("--seen", action="store_true", help="also recommend items of a user's own sequence")
    parser.add_argument("--output", type=table_path, required=True, help="a .csv or .parquet file to write")
    stage.run(main, parser)
