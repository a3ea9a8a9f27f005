"""The candidates of a request, and the items among them that single users do not get."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch

from mmsrec.errors import DataError
from mmsrec.recommend.best import OwnItems
from mmsrec.recommend.catalogue import Catalogue


@dataclass(frozen=True)
class Request:
    """The recommendations that are asked for.

    Attributes:
        top: items for each user; fewer if there are fewer candidates.
        candidates: ids of the items that may be recommended; None for the whole catalogue.
        seen: whether items of a user's own history may be recommended.
        excluded: the column item, and optionally user: these items are not recommended to any user, or to that user.
        hide_last: whether the model does not read a user's last item, which is then marked as taken.
    """

    top: int = 10
    candidates: Sequence[str] | pl.Series | None = None
    seen: bool = False
    excluded: pl.DataFrame | None = None
    hide_last: bool = False


class Pool:
    """The candidates of a request.

    Args:
        request: candidates and exclusions as ids.
        catalogue: the items of the model.
        device: device of the results.

    Attributes:
        places_K: places of the candidates in the catalogue, in ascending order.

    Raises:
        DataError: `top` is not above zero, no candidate is in the catalogue, or all are excluded.
    """

    def __init__(self, request: Request, catalogue: Catalogue, device: torch.device) -> None:
        if request.top < 1:
            raise DataError("The number of items to recommend is too small.", expected="1 or more", found=request.top)
        self._device = device
        allowed_I = np.ones(len(catalogue.ids), dtype=bool)
        if request.candidates is not None:
            asked = pl.Series(request.candidates, dtype=pl.String).drop_nulls()
            allowed_I[:] = False
            allowed_I[catalogue.known(asked, "the candidates").to_numpy()] = True
        self._own = pl.DataFrame(schema={"user": pl.String, "place": pl.UInt32})
        if request.excluded is not None:
            placed = request.excluded.with_columns(place=catalogue.places(request.excluded.get_column("item")))
            placed = placed.drop_nulls("place")
            if "user" in placed.columns:
                self._own = placed.select("user", "place")
            else:
                allowed_I[placed.get_column("place").to_numpy()] = False
        if catalogue.scored_I is not None:
            allowed_I &= catalogue.scored_I
        if not allowed_I.any():
            raise DataError(
                "No candidate is left.",
                expected="an item with features that is not excluded",
                found="none",
                fix="Exclude fewer items, or make features of the others.",
            )
        self.places_K = torch.from_numpy(np.flatnonzero(allowed_I)).to(device)
        self._candidate_I = torch.full((len(allowed_I),), -1, device=device)
        self._candidate_I[self.places_K] = torch.arange(len(self.places_K), device=device)

    def excluded(self, users: pl.Series) -> OwnItems:
        """The candidates that the request excludes for these users by name."""
        own = users.alias("user").to_frame().with_row_index("row").join(self._own, on="user")
        return self._candidates(own.get_column("row").to_numpy(), own.get_column("place").to_numpy(), len(users))

    def seen(self, places: np.ndarray, lengths: np.ndarray) -> OwnItems:
        """The candidates in the users' histories.

        Args:
            places: places of the items of the histories in the catalogue, one history after another.
            lengths: number of items of each history.
        """
        return self._candidates(np.repeat(np.arange(len(lengths)), lengths), places, len(lengths))

    def _candidates(self, rows: np.ndarray, places: np.ndarray, users: int) -> OwnItems:
        rows_S, places_S = (torch.from_numpy(part.astype(np.int64)).to(self._device) for part in (rows, places))
        candidate_S = self._candidate_I[places_S]
        is_candidate_S = candidate_S >= 0
        return OwnItems.of(rows_S[is_candidate_S], candidate_S[is_candidate_S], users)
