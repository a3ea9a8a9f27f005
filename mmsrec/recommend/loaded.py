"""A trained model that is ready to score: `load` finds its catalogue by what config.json records."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from torch import Tensor

from mmsrec.errors import CheckpointError, DataError
from mmsrec.evaluation.user_vectors import user_vectors
from mmsrec.models.recommender import Recommender
from mmsrec.nn.encoded_items import EncodedItems
from mmsrec.nn.transformer import device_of
from mmsrec.nn.user_sequences import Sequences
from mmsrec.recommend.best import best_items
from mmsrec.recommend.catalogue import Catalogue, ItemFiles
from mmsrec.recommend.pool import Pool, Request
from mmsrec.recommend.trained_files import catalogue_model
from mmsrec.recommend.user_histories import chosen, known_histories, listed_histories
from mmsrec.training.runtime import start

USERS_AT_ONCE = 1 << 15  # users whose vectors and results are in memory together


class Part(NamedTuple):
    """The recommendations to some users.

    Attributes:
        best: columns user, position (1 is best), item_id, title, score and, for hidden last items, taken.
        left_out: columns user and reason, for the users without a recommendation.
    """

    best: pl.DataFrame
    left_out: pl.DataFrame


def load(
    folder: Path | str,
    *,
    new: Sequence[ItemFiles] = (),
    catalogue: ItemFiles | None = None,
    sequences: Path | None = None,
    device: str = "auto",
) -> "LoadedModel":
    """Loads a trained model with the catalogue that it was trained on, or with other items.

    The files of the catalogue are found by config.json, relative to the folder, and their digests are checked.

    Args:
        folder: folder of the trained model, such as models/my-shop/k5/shuffle/mmsrec-causal/seed0.
        new: items that join the catalogue without training; their features come from the encoders of the model.
        catalogue: items that replace the model's own.
        sequences: sequences.parquet of the users of `catalogue`.
        device: a torch device; auto is a GPU if there is one.

    Raises:
        ArtifactError: a file is missing or damaged.
        CheckpointError: the folder's configuration, inputs or weights do not fit, or the model knows items by their ids
            alone and so cannot score others.
        FeatureError: features come from another encoder.
        DataError: an id occurs twice, or no item has features of a modality.
    """
    folder = Path(folder)
    model, items, users = catalogue_model(folder, start(device), new, catalogue)
    return LoadedModel(folder, model, items, sequences if catalogue else users)


class LoadedModel:
    """A trained model with the catalogue that it scores.

    Args:
        folder: folder of the trained model, for messages.
        model: in evaluation mode; its items are those of the catalogue.
        catalogue: the items.
        sequences: sequences.parquet of the known users; None if there are none.

    Attributes:
        catalogue: the items that can be scored and recommended.
    """

    def __init__(self, folder: Path, model: Recommender, catalogue: Catalogue, sequences: Path | None) -> None:
        self.catalogue = catalogue
        self._folder, self._model, self._sequences = folder, model, sequences

    @cached_property
    def histories(self) -> pl.DataFrame:
        """The histories of the known users, which are their whole sequences.

        Raises:
            DataError: the catalogue has no users.
        """
        if self._sequences is None:
            raise DataError(
                "No users are known for this catalogue.",
                where=self._folder,
                fix="Give the histories of users, such as a file with the columns user and item.",
            )
        return known_histories(self._sequences)

    @cached_property
    def _items(self) -> EncodedItems:
        items = self._model.encode_all_items()
        self._check_finite(items.vectors_KD)
        return items

    @torch.no_grad()
    def scores(self, histories: Sequence[Sequence[str]]) -> np.ndarray:
        """The scores [histories, items] of all items of the catalogue, in its order; suits a few histories.

        Args:
            histories: item ids of each history, the latest last.

        Raises:
            DataError: a history is empty, or an item is unknown.
        """
        ids = pl.Series([item for history in histories for item in history], dtype=pl.String)
        places = self.catalogue.places(ids)
        if places.null_count() or not all(histories):
            raise DataError(
                "A history cannot be scored.",
                expected="at least one item for each history, all of the catalogue",
                found=f"the item {ids.filter(places.is_null())[0]}" if places.null_count() else "an empty history",
                fix="Leave out what is unknown, or call `recommend`, which names it.",
            )
        lengths = np.array([len(history) for history in histories])
        scores_UI = (self._vectors(places.to_numpy(), lengths) @ self._items.vectors_KD.T).cpu().numpy()
        scores_UI[np.repeat(np.arange(len(lengths)), lengths), places.to_numpy()] += self._model.repeat_score
        return scores_UI

    def recommend(
        self,
        histories: Mapping[str, Sequence[str]] | Sequence[str] | None = None,
        *,
        top: int = 10,
        candidates: Sequence[str] | None = None,
        seen: bool = False,
        exclude: Sequence[str] = (),
    ) -> pl.DataFrame:
        """The best next items of users.

        Args:
            histories: item ids by user, the latest last; or names of known users; None for all known users.
            top: items for each user; fewer if there are fewer candidates.
            candidates: ids of the items that may be recommended; None for the whole catalogue.
            seen: whether items of a user's own history may be recommended.
            exclude: ids of items that are not recommended.

        Returns:
            Columns user, position (1 is best), item_id, title and score. Users follow the order of `histories`.

        Raises:
            DataError: a user, all candidates or all items of the histories are unknown, or no user has a
                recommendation.
        """
        excluded = pl.DataFrame({"item": list(exclude)}, schema={"item": pl.String})
        request = Request(top, candidates, seen, excluded)
        parts = list(self.parts(self._rows(histories), request))
        best = pl.concat([part.best for part in parts])
        if best.is_empty():
            raise nobody(pl.concat([part.left_out for part in parts]))
        return best

    def parts(self, histories: pl.DataFrame, request: Request) -> Iterator[Part]:
        """The recommendations to many users, some at a time, so that memory does not grow with their number.

        Args:
            histories: a table as in `mmsrec.recommend.user_histories`.
            request: the recommendations that are asked for.

        Raises:
            DataError: the request has no candidate in the catalogue.
        """
        pool = Pool(request, self.catalogue, device_of(self._model))
        items_ID = self._items.vectors_KD
        if len(pool.places_K) < len(items_ID):
            items_ID = items_ID[pool.places_K]
        for rows in histories.iter_slices(USERS_AT_ONCE):
            yield self._part(_asked(rows, hide_last=request.hide_last), request, pool, items_ID)

    def _part(self, asked: pl.DataFrame, request: Request, pool: Pool, items_ID: Tensor) -> Part:
        users = asked.filter(pl.col("reason").is_null())
        left_out = asked.filter(pl.col("reason").is_not_null()).select("user", "reason")
        if users.is_empty():
            return Part(self._table(users, np.empty((0, 0)), np.empty((0, 0), int), request), left_out)
        places, lengths = users["read"].explode().to_numpy(), users["read"].list.len().to_numpy()
        added = self._model.repeat_score if request.seen else -torch.inf
        changed = [(pool.excluded(users["user"]), -torch.inf), (pool.seen(places, lengths), added)]
        scores_UK, found_UK = best_items(self._vectors(places, lengths), items_ID, changed, request.top)
        table = self._table(users, scores_UK.numpy(), pool.places_K.cpu()[found_UK].numpy(), request)
        full = users.filter((scores_UK[:, 0] == -torch.inf).numpy())
        full = full.select("user", reason=pl.lit("every candidate is excluded"))
        return Part(table, pl.concat([left_out, full]))

    def _table(
        self, users: pl.DataFrame, scores_UK: np.ndarray, places_UK: np.ndarray, request: Request
    ) -> pl.DataFrame:
        kept_UK = scores_UK > -np.inf
        rows, columns = np.nonzero(kept_UK)
        places = places_UK[kept_UK]
        found = {
            "user": users["user"].gather(rows),
            "position": pl.Series(columns + 1, dtype=pl.UInt32),
            "item_id": self.catalogue.ids.gather(places),
            "title": self.catalogue.titles.gather(places),
            "score": pl.Series(scores_UK[kept_UK], dtype=pl.Float32),
        }
        if request.hide_last:
            found["taken"] = pl.Series(places, dtype=pl.UInt32) == users["taken"].gather(rows)
        return pl.DataFrame(found)

    @torch.no_grad()
    def _vectors(self, places: np.ndarray, lengths: np.ndarray) -> Tensor:
        """The vectors of users, from the places of the items of their histories, one history after another."""
        offsets_U1 = torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))
        device = device_of(self._model)
        sequences = Sequences(torch.from_numpy(places.astype(np.int64)).to(device), offsets_U1.to(device))
        vectors_UD = user_vectors(self._model, self._items, sequences, sequences.ends(0))
        self._check_finite(vectors_UD)
        return vectors_UD

    def _rows(self, histories: Mapping[str, Sequence[str]] | Sequence[str] | None) -> pl.DataFrame:
        if histories is None:
            return self.histories
        if isinstance(histories, Mapping):
            return listed_histories(histories, self.catalogue)
        return chosen(self.histories, histories)

    def _check_finite(self, vectors: Tensor) -> None:
        if not vectors.isfinite().all():
            raise CheckpointError(
                "A model computes vectors that are not finite.",
                where=self._folder,
                expected="finite numbers",
                found="NaN or infinity",
                fix="Train the model again, with a smaller learning rate if it happens again.",
            )


def nobody(left_out: pl.DataFrame) -> DataError:
    """The error for a request that gives no user a recommendation.

    Args:
        left_out: columns user and reason, for every user.
    """
    reasons = left_out.group_by("reason").len().sort("len", descending=True)
    return DataError(
        "No user gets a recommendation.",
        expected="a user with a known item, and a candidate that is not excluded",
        found="; ".join(f"{count:,} users: {reason}" for reason, count in reasons.iter_rows()) or "no user",
        fix="Check the ids of the items, and what is excluded.",
    )


def _asked(rows: pl.DataFrame, *, hide_last: bool) -> pl.DataFrame:
    """Columns user, read (the items that the model reads), taken (the hidden item), reason (null: can be scored)."""
    items = pl.col("items")
    read = items.list.slice(0, pl.max_horizontal(items.list.len().cast(pl.Int64) - 1, 0)) if hide_last else items
    return rows.select(
        "user",
        read=read,
        taken=items.list.last(),
        reason=pl.when(pl.col("given") == 0)
        .then(pl.lit("the history is empty"))
        .when(items.list.len() == 0)
        .then(pl.lit("no item of the history is in the catalogue"))
        .when(read.list.len() == 0)
        .then(pl.lit("the history has one item, which is hidden")),
    )
