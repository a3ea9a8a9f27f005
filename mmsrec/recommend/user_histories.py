"""The histories of users: one row a user, from the sequences of a split, a file of actions, or lists of items.

| column | content |
| --- | --- |
| user | name |
| items | places of the known items in a catalogue, the latest last |
| timestamps | times of the same actions, null if the source has none |
| given | number of actions in the source, with those on unknown items |
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from mmsrec.artifacts import SCHEMAS, read_table
from mmsrec.errors import DataError
from mmsrec.recommend.catalogue import Catalogue, shown
from mmsrec.sources import tables
from mmsrec.sources.malformed import OWN_FIX, Malformed

if TYPE_CHECKING:
    from mmsrec.recommend.loaded import LoadedModel

LATEST = 2**62  # the time of an action without a timestamp


def histories_for(
    model: "LoadedModel", whole: Path | None, actions: Path | None, users: Sequence[str] | None
) -> pl.DataFrame:
    """The histories that a request names.

    Args:
        model: knows the users of its training.
        whole: file of whole histories, in place of those that the model knows.
        actions: file of actions that come after the known ones.
        users: names of users; None for all.

    Raises:
        ArtifactError, ParseError, DataError: as in `read_histories`, `with_actions` and `chosen`.
    """
    if whole:
        histories = read_histories(whole, model.catalogue)
    elif actions:
        histories = with_actions(model.histories, actions, model.catalogue)
    else:
        histories = model.histories
    return chosen(histories, users) if users else histories


def known_histories(sequences: Path) -> pl.DataFrame:
    """The whole sequences of a split's users.

    Raises:
        ArtifactError: the file is missing or damaged.
    """
    table = read_table(sequences, SCHEMAS["sequences"]).select(["user", "items", "timestamps"])
    return pl.from_arrow(table).with_columns(given=pl.col("items").list.len())


def read_histories(path: Path, catalogue: Catalogue) -> pl.DataFrame:
    """The histories in a file of actions, users in the order of their first rows.

    Args:
        path: CSV, TSV or Parquet with the columns user and item, and optionally timestamp (as for interactions of a
            domain). The rows of a user follow their times. Without times, or at equal times, they follow the file.
        catalogue: the items that are known.

    Raises:
        ParseError: the file has no such columns or no rows, or more than 1 % of its rows are malformed.
        DataError: no item of the file is in the catalogue.
    """
    return _histories(_placed(_actions(path), catalogue, path))


def listed_histories(histories: Mapping[str, Sequence[str]], catalogue: Catalogue) -> pl.DataFrame:
    """The histories of users as lists of item ids, the latest last; errors as in `read_histories`."""
    lists = pl.DataFrame(
        {"user": list(histories), "item": [list(items) or [None] for items in histories.values()]},
        schema={"user": pl.String, "item": pl.List(pl.String)},
    )
    actions = lists.explode("item").with_columns(timestamp=pl.lit(None, pl.Int64))
    return _histories(_placed(actions, catalogue, "the histories"))


def with_actions(known: pl.DataFrame, path: Path, catalogue: Catalogue) -> pl.DataFrame:
    """Known histories with the later actions of a file; users who are new come last.

    Args:
        known: histories of known users.
        path: a file as for `read_histories`. Actions without a timestamp come after all others.
        catalogue: the items that are known.

    Raises:
        ParseError, DataError: as in `read_histories`.
    """
    actions = _placed(_actions(path), catalogue, path)
    touched = known.join(actions.select("user").unique(), on="user", how="semi", maintain_order="left")
    before = touched.explode("items", "timestamps").select(
        "user", item=pl.lit(""), timestamp="timestamps", place="items"
    )
    longer = _histories(pl.concat([before, actions]))
    unchanged = known.join(longer, on="user", how="anti", maintain_order="left")
    order = pl.concat([known.select("user"), longer.select("user")]).unique(maintain_order=True)
    return order.join(pl.concat([unchanged, longer]), on="user", how="left", maintain_order="left")


def chosen(histories: pl.DataFrame, users: Sequence[str]) -> pl.DataFrame:
    """The histories of some users, in the order of the names.

    Raises:
        DataError: a user is unknown.
    """
    names = pl.DataFrame({"user": list(dict.fromkeys(users))}, schema={"user": pl.String})
    unknown = names.join(histories, on="user", how="anti", maintain_order="left").get_column("user")
    if len(unknown):
        raise DataError(
            "Some users have no history here.",
            found=shown(unknown) + (f" and {len(unknown) - 3:,} more" if len(unknown) > 3 else ""),
            expected=f"users such as {shown(histories.get_column('user'))}",
            fix="Check the names. The k-core leaves out users with few actions; a file of histories may have them.",
        )
    return names.join(histories, on="user", how="left", maintain_order="left")


def _actions(path: Path) -> pl.DataFrame:
    """The columns user, item and timestamp (null without times), in the order of the file."""
    if not path.is_file():
        raise DataError("A file of histories is missing.", where=path, fix="Check the path.")
    if "timestamp" in tables.column_names(path):
        return pl.concat(tables.interactions(path))
    malformed = Malformed(path, "user,item", OWN_FIX)
    good = (pl.col("user") != "") & (pl.col("item") != "")
    rows = pl.concat_str(pl.col("user", "item").fill_null(""), separator=",")
    read = tables.texts(path, ("user", "item"), malformed, ids=("user", "item"))
    frames = [malformed.keep(frame, good, rows) for frame in read]
    malformed.close()
    return pl.concat(frames).with_columns(timestamp=pl.lit(None, pl.Int64))


def _placed(actions: pl.DataFrame, catalogue: Catalogue, where: object) -> pl.DataFrame:
    """The actions with the places of their items, null for an unknown item."""
    placed = actions.with_columns(place=catalogue.places(actions.get_column("item")))
    named = placed.filter(pl.col("item").is_not_null())
    catalogue.report_unknown(named.filter(pl.col("place").is_null())["item"], named["item"], where)
    return placed


def _histories(placed: pl.DataFrame) -> pl.DataFrame:
    in_time = placed.with_columns(order=pl.col("timestamp").fill_null(LATEST)).sort("order", maintain_order=True)
    grouped = in_time.group_by("user").agg(
        items=pl.col("place").drop_nulls(),
        timestamps=pl.col("timestamp").filter(pl.col("place").is_not_null()),
        given=pl.col("item").count(),
    )
    users = placed.select("user").unique(maintain_order=True)
    return users.join(grouped, on="user", how="left", maintain_order="left")
