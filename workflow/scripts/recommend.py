"""Recommends the next items from a trained model: to its users or to others, of its items or of new ones."""

from argparse import Namespace
from pathlib import Path

import stage

from mmsrec.recommend.loaded import load
from mmsrec.recommend.output_tables import write_recommendations
from mmsrec.recommend.pool import Request
from mmsrec.recommend.request_files import SEEN, exclusions, read_item_ids
from mmsrec.recommend.user_histories import chosen, read_histories, with_actions


def main(flags: Namespace) -> None:
    model = load(flags.model, device=flags.device, **stage.catalogue_files(flags))
    if flags.histories:
        histories = read_histories(flags.histories, model.catalogue)
    elif flags.actions:
        histories = with_actions(model.histories, flags.actions, model.catalogue)
    else:
        histories = model.histories
    if flags.users:
        histories = chosen(histories, flags.users)
    candidates = read_item_ids(flags.items) if flags.items else None
    seen, excluded = exclusions(flags.exclude)
    request = Request(flags.top, candidates, seen, excluded, flags.hide_last)
    output = flags.output or stage.result_folder(flags.model) / "recommendations.csv"
    served, left_out = write_recommendations(model.parts(histories, request), histories.height, output)
    print(f"{flags.top} items for each of {served:,} users, {left_out:,} users left out: {output}")


if __name__ == "__main__":
    parser = stage.parser(__doc__)
    parser.add_argument("model", type=Path, help="folder of the trained model")
    users = parser.add_argument_group("users")
    source = users.add_mutually_exclusive_group()
    source.add_argument("--histories", type=Path, metavar="FILE", help="whole histories: user,item[,timestamp]")
    source.add_argument("--actions", type=Path, metavar="FILE", help="actions after the known ones, in this form")
    users.add_argument("--users", nargs="+", metavar="USER", help="names of users (default: all)")
    users.add_argument("--hide-last", action="store_true", help="hide each user's last item, and mark it as taken")
    items = parser.add_argument_group("items")
    items.add_argument("--new", nargs="+", default=[], metavar="NAME", help="rows of `catalogues`, as further items")
    items.add_argument("--catalogue", metavar="NAME", help="row of `domains` or `catalogues`, in place of the items")
    items.add_argument("--items", type=Path, metavar="FILE", help="candidates: a table with a column item_id or item")
    text = f"`{SEEN}` items of a user's history (default), `none`, or tables with a column item_id or item [and user]"
    items.add_argument("--exclude", nargs="+", default=[SEEN], metavar="WHAT", help=text)
    parser.add_argument("--top", type=stage.positive, default=10, help="items for each user (default: 10)")
    text = "a .csv, .parquet or .jsonl file (default: recommendations.csv in the folder of the model's results)"
    parser.add_argument("--output", type=Path, metavar="FILE", help=text)
    parser.add_argument("--device", default="auto", help="a torch device; auto is a GPU if there is one")
    stage.run(main, parser)
