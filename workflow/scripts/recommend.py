"""Recommends the next items from a trained model: to its users or to others, of its items or of new ones."""

from argparse import Namespace
from pathlib import Path

import stage
from stage import computing, layout

from mmsrec.recommend.loaded import load
from mmsrec.recommend.output_tables import write_recommendations
from mmsrec.recommend.pool import Request
from mmsrec.recommend.request_files import SEEN, exclusions, read_item_ids
from mmsrec.recommend.show import show
from mmsrec.recommend.user_histories import histories_for


def main(flags: Namespace) -> None:
    computing.take_gpu(flags.device)
    model = load(flags.model, device=flags.device, **stage.catalogue_files(flags))
    histories = histories_for(model, flags.histories, flags.actions, flags.users)
    candidates = read_item_ids(flags.items) if flags.items else None
    request = Request(flags.top, candidates, *exclusions(flags.exclude), flags.hide_last)
    experiment = stage.experiment_of(flags.model)
    if flags.page:
        names = [flags.catalogue or experiment["domain"], *flags.new]
        places = {
            "media": [Path(layout.path(layout.MEDIA, collection=name)) for name in names],
            "frames": [Path(layout.path(layout.FRAMES, collection=name)) for name in names],
        }
        heading = "Recommendations by {variant}, trained on {domain}".format(**experiment)
        print(show(model, histories.head(flags.page_users), request, flags.page, heading=heading, **places))
    if flags.output or not flags.page:
        output = flags.output or Path(layout.path(layout.RESULT, **experiment)) / "recommendations.csv"
        served, left_out = write_recommendations(model.parts(histories, request), histories.height, output)
        print(f"{output}: users with recommendations: {served:,}, left out: {left_out:,}")


if __name__ == "__main__":
    parser = stage.parser(__doc__)
    parser.add_argument("model", type=Path, help="folder of the trained model")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--histories", type=Path, metavar="FILE", help="whole histories: user,item[,timestamp]")
    source.add_argument("--actions", type=Path, metavar="FILE", help="actions after the known ones, in this form")
    parser.add_argument("--users", nargs="+", metavar="USER", help="names of users (default: all)")
    parser.add_argument("--hide-last", action="store_true", help="hide each user's last item, and mark it as taken")
    parser.add_argument("--new", nargs="+", default=[], metavar="NAME", help="rows of `catalogues`, as further items")
    parser.add_argument("--catalogue", metavar="NAME", help="row of `domains` or `catalogues`, in place of the items")
    parser.add_argument("--items", type=Path, metavar="FILE", help="candidates: a table with a column item_id or item")
    text = f"`{SEEN}` items of a user's history (default), `none`, or tables with a column item_id or item [and user]"
    parser.add_argument("--exclude", nargs="+", default=[SEEN], metavar="WHAT", help=text)
    parser.add_argument("--top", type=stage.positive, default=10, help="items for each user (default: 10)")
    text = "a .csv, .parquet or .jsonl file (default: recommendations.csv in the folder of the model's results)"
    parser.add_argument("--output", type=Path, metavar="FILE", help=text)
    parser.add_argument("--page", type=Path, metavar="FOLDER", help="write a page for people, with pictures")
    parser.add_argument("--page-users", type=stage.positive, default=10, help="users on the page (default: 10)")
    computing.add_device(parser)
    stage.run(main, parser)
