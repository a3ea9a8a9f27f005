"""Shows an artifact: its schema, counts, the share of missing values, and a contact sheet of pictures.

Examples:
    python -m mmsrec.inspect data/media/ml-1m
    python -m mmsrec.inspect data/features/beauty/lsa --items data/processed/beauty/k5/items.parquet
    python -m mmsrec.inspect data/features/beauty/lsa nearest B0002DHNAU --items data/processed/beauty/k5/items.parquet
"""

import argparse
import sys
from pathlib import Path

import polars as pl

from mmsrec.artifacts import open_table
from mmsrec.errors import MmsrecError
from mmsrec.inspect.describe import describe, kind_of
from mmsrec.inspect.nearest import nearest
from mmsrec.inspect.sheet import write_sheet


def main(flags: argparse.Namespace) -> None:
    if flags.question == "nearest":
        _print_nearest(flags)
        return
    print(describe(flags.artifact, flags.items))
    if _has_pictures(flags.artifact) and (shown := write_sheet(flags.artifact, flags.sheet)):
        print(f"\n{shown} pictures in {flags.sheet}")


def _print_nearest(flags: argparse.Namespace) -> None:
    titles = {}
    if flags.items:
        titles = dict(pl.read_parquet(flags.items, columns=["item_id", "title"]).iter_rows())
    files = sorted(flags.artifact.glob("*.parquet")) if flags.artifact.is_dir() else [flags.artifact]
    for file in files:
        print(f"{file.stem}: nearest to {flags.item} {titles.get(flags.item) or ''}".rstrip())
        for neighbour in nearest(file, flags.item, flags.count):
            print(f"  {neighbour.cosine:.3f}  {neighbour.item_id}  {titles.get(neighbour.item_id) or ''}".rstrip())


def _has_pictures(artifact: Path) -> bool:
    if artifact.is_dir():
        return (artifact / "ledger.parquet").exists()
    with open_table(artifact) as file:
        return kind_of(file) == "frames"


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("mmsrec.inspect", description=__doc__, formatter_class=layout)
    parser.add_argument("artifact", type=Path, help="a table, or a folder of tables")
    parser.add_argument("--items", type=Path, help="items.parquet, for titles and for the items without features")
    parser.add_argument("--sheet", type=Path, default=Path("contact-sheet.png"), help="PNG file for the contact sheet")
    questions = parser.add_subparsers(dest="question")
    neighbours = questions.add_parser("nearest", help="show an item's nearest neighbours in each modality")
    neighbours.add_argument("item", help="an item_id")
    neighbours.add_argument("--count", type=int, default=10, help="number of neighbours")
    neighbours.add_argument("--items", type=Path, default=argparse.SUPPRESS, help="items.parquet, for titles")
    return parser


if __name__ == "__main__":
    try:
        main(_parser().parse_args())
    except MmsrecError as error:
        sys.exit(f"error: {error}")
