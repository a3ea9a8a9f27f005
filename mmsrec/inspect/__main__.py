"""Shows an artifact: its schema, counts, the share of missing values, and on demand a contact sheet of pictures.

Examples:
    python -m mmsrec.inspect data/media/ml-1m --sheet pictures.png
    python -m mmsrec.inspect models/beauty/k5/shuffle/sasrec/seed0
    python -m mmsrec.inspect data/features/beauty/lsa --items data/processed/beauty/k5/items.parquet
    python -m mmsrec.inspect data/features/beauty/lsa nearest B0002DHNAU --items data/processed/beauty/k5/items.parquet
"""

import argparse
from pathlib import Path

from mmsrec.artifacts import open_table
from mmsrec.inspect.describe import TABLE, columns_of, describe, kind_of
from mmsrec.inspect.nearest import nearest
from mmsrec.inspect.sheet import write_sheet
from mmsrec.machine_errors import command

LARGEST = 100_000


def main(flags: argparse.Namespace) -> None:
    if flags.question == "nearest":
        _print_nearest(flags)
        return
    print(describe(flags.artifact, flags.items))
    if flags.sheet and _has_pictures(flags.artifact):
        shown = write_sheet(flags.artifact, flags.sheet)
        print(f"\n{shown} pictures in {flags.sheet}" if shown else "\nno pictures for a contact sheet")


def _print_nearest(flags: argparse.Namespace) -> None:
    titles = {}
    if flags.items:
        titles = dict(columns_of(flags.items, "item_id", "title").iter_rows())
    files = sorted(flags.artifact.glob("*.parquet")) if flags.artifact.is_dir() else [flags.artifact]
    for file in files:
        print(f"{file.stem}: nearest to {flags.item} {titles.get(flags.item) or ''}".rstrip())
        for neighbour in nearest(file, flags.item, flags.count):
            print(f"  {neighbour.cosine:.3f}  {neighbour.item_id}  {titles.get(neighbour.item_id) or ''}".rstrip())


def _has_pictures(artifact: Path) -> bool:
    if artifact.is_dir():
        return (artifact / "ledger.parquet").exists()
    if artifact.suffix != TABLE:
        return False
    with open_table(artifact) as file:
        return kind_of(file) == "frames"


def positive(text: str) -> int:
    """A number of neighbours."""
    if not text.isdecimal() or not 1 <= int(text[:10]) <= LARGEST:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {LARGEST:,}, not {text[:40]!r}")
    return int(text[:10])


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("mmsrec.inspect", description=__doc__, formatter_class=layout)
    parser.add_argument("artifact", type=Path, help="a file or a folder")
    parser.add_argument("--items", type=Path, help="items.parquet, for titles and for the items without features")
    parser.add_argument("--sheet", type=Path, help="PNG file to write: a contact sheet of its pictures")
    questions = parser.add_subparsers(dest="question")
    neighbours = questions.add_parser("nearest", help="show an item's nearest neighbours in each modality")
    neighbours.add_argument("item", help="an item_id")
    neighbours.add_argument("--count", type=positive, default=10, help="number of neighbours")
    neighbours.add_argument("--items", type=Path, default=argparse.SUPPRESS, help="items.parquet, for titles")
    return parser


if __name__ == "__main__":
    flags = _parser().parse_args()
    with command():
        main(flags)
