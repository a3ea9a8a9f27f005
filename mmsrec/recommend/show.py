"""Shows the recommendations to some users on a page, with the pictures and titles of the items."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from mmsrec.recommend.loaded import LoadedModel, nobody
from mmsrec.recommend.pictures import thumbnails
from mmsrec.recommend.pool import Request
from mmsrec.recommend.user_page import Card, ShownUser, write_page


def show(
    model: LoadedModel,
    histories: pl.DataFrame,
    request: Request,
    folder: Path,
    *,
    media: Sequence[Path],
    frames: Sequence[Path],
    heading: str,
) -> Path:
    """Writes a page of the recommendations to all users of a table of histories.

    Args:
        model: recommends.
        histories: a table as in `mmsrec.recommend.user_histories`, of the users to show.
        request: the recommendations that are asked for.
        folder: folder of the page.
        media, frames: places of pictures, as for `thumbnails`.
        heading: title of the page.

    Returns:
        The path of the page.

    Raises:
        ArtifactError: the page cannot be written, or a source of pictures is damaged.
        DataError: no user gets a recommendation.
    """
    parts = list(model.parts(histories, request))
    best = pl.concat([part.best for part in parts])
    if best.is_empty():
        raise nobody(pl.concat([part.left_out for part in parts]))
    ids = model.catalogue.ids
    items = {user: ids.gather(places).to_list() for user, places in histories.select("user", "items").iter_rows()}
    shown = [
        ShownUser(
            user,
            items[user][:-1] if request.hide_last else items[user],
            list(rows.select("item_id", "score").iter_rows()),
            items[user][-1] if request.hide_last else None,
        )
        for (user,), rows in best.group_by("user", maintain_order=True)
    ]
    used = {item for user in shown for item in (*user.history, *dict(user.recommended), user.taken) if item}
    titles = dict(model.catalogue.table.filter(pl.col("item_id").is_in(used)).select("item_id", "title").iter_rows())
    pictures = thumbnails(used, media, frames)
    cards = {item: Card(titles.get(item), pictures.get(item)) for item in used}
    return write_page(folder, shown, cards, heading)
