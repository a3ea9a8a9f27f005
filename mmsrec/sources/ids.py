"""The ids of users and items: one text for a number whatever wrote it, and ids that differ only in their spelling.

A column of numbers that once had a gap is written with decimals by many programs: 101.0 for 101. Such ids lose their
`.0`. Nothing else is changed: leading zeros, spaces, case and Unicode forms may tell two items apart. Ids that differ
only in these are shown as near misses.
"""

import logging
from collections.abc import Callable

import polars as pl

from mmsrec.errors import DataError

logger = logging.getLogger(__name__)

SHOWN = 3
_KEPT_APART = 1_000_000  # ids of single columns; fewer joins cost less time
# The least share of a column's ids that are whole numbers, so that the column counts as one of numbers.
NUMERIC_SHARE = 0.99
_WHOLE = r"^[+-]?\d+(\.0+)?$"
# The largest number below which a float is the only one for its whole number.
_EXACT = {pl.Float16: 2**11, pl.Float32: 2**24, pl.Float64: 2**53}

# Ways in which two spellings of one id differ, each with the step that removes the difference.
_DIFFERENCES: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    "white space": lambda text: text.str.replace_all(r"[\s\x{FEFF}\x{200B}-\x{200D}]+", ""),
    "Unicode form": lambda text: text.str.normalize("NFKC"),
    "case": lambda text: text.str.to_lowercase(),
    "decimals": lambda text: text.str.replace(r"^(\d+)\.0*$", "${1}"),
    "thousands separators": lambda text: (
        pl.when(text.str.contains(r"^\d{1,3}([,']\d{3})+$")).then(text.str.replace_all("[,']", "")).otherwise(text)
    ),
    "leading zeros": lambda text: text.str.replace(r"^0+(.)", "${1}"),
}


def id_text(column: str, kind: pl.DataType, whole: bool = False) -> pl.Expr:
    """A column of ids as text; null for a number that is not exact, such as a float above 2^53.

    Args:
        column: name of the column.
        kind: its type.
        whole: whether it is text that holds whole numbers, so that `.0` at an end is dropped.
    """
    own = pl.col(column)
    if kind.base_type() in _EXACT:
        exact = own.is_finite() & (own.abs() < _EXACT[kind.base_type()])
        number = own.cast(pl.Float64)
        text = pl.when(number == number.floor()).then(number.cast(pl.Int64, strict=False).cast(pl.String))
        return pl.when(exact).then(text.otherwise(own.cast(pl.String))).alias(column)
    text = own.cast(pl.String)
    if whole or isinstance(kind, pl.Decimal):
        text = pl.when(text.str.contains(_WHOLE)).then(text.str.replace(r"\.0+$", "")).otherwise(text)
    return text.alias(column)


def whole_numbers(ids: pl.Series) -> tuple[int, int]:
    """The number of ids that are whole numbers, and of those that are not, without the empty ones."""
    whole = ids.str.contains(_WHOLE).sum()
    return whole, (ids != "").sum() - whole


def is_id(column: str) -> pl.Expr:
    """Whether an id is no blank and has no line break."""
    return (pl.col(column).str.strip_chars() != "") & ~pl.col(column).str.contains(r"[\r\n]")


class DistinctIds:
    """The distinct ids of many columns. Memory holds at most twice as many as there are, or a million more."""

    def __init__(self) -> None:
        self._parts: list[pl.Series] = [pl.Series([], dtype=pl.String)]
        self._known, self._new = 0, 0

    def add(self, ids: pl.Series) -> None:
        """Adds the ids of a column."""
        self._parts.append(ids.unique())
        self._new += len(self._parts[-1])
        if self._new > max(_KEPT_APART, self._known):
            self.all()

    def all(self) -> pl.Series:
        """Each id once."""
        self._parts = [pl.concat(self._parts).unique()]
        self._known, self._new = len(self._parts[0]), 0
        return self._parts[0]


def check_described(acted: pl.Series, described: pl.Series, where: object, items: object) -> None:
    """Compares the items of interactions with the described items, and logs how many have no description.

    Args:
        acted: the ids of the interactions, each once.
        described: the ids of the table of items, each once.
        where: the interactions, for messages.
        items: the table of items, for messages.

    Raises:
        DataError: no item has a description.
    """
    unmet = acted.filter(~acted.is_in(described.implode()))
    if not len(acted) or unmet.is_empty():
        return
    idle = described.filter(~described.is_in(acted.implode()))
    found = f"{len(unmet):,} of {len(acted):,} items have no description"
    misses = near_misses(unmet, idle)
    hint = f"; the same but for their spelling: {', '.join(misses)}" if misses else ""
    if len(unmet) < len(acted):
        others = f"; {items} has {len(idle):,} ids without interactions{_such_as(idle)}"
        logger.warning("%s: %s%s%s%s", where, found, _such_as(unmet), others, hint)
        return
    raise DataError(
        "No item of the interactions has a description.",
        where=f"{where}, {items}",
        expected=f"the ids of the table of items{_such_as(described)}",
        found=f"{found}{_such_as(acted)}{hint}",
        fix="Write the same ids into both tables.",
    )


def near_misses(unmet: pl.Series, idle: pl.Series) -> list[str]:
    """Up to three pairs of an id of each side that are equal but for their spelling, with the differences."""
    own, other = (ids.rename(name).sort().to_frame() for name, ids in (("own", unmet), ("other", idle)))
    pairs = own.with_columns(key=_plain("own")).join(
        other.with_columns(key=_plain("other")).unique("key", keep="first", maintain_order=True),
        on="key",
        maintain_order="left",
    )
    return [f"{own!r} and {other!r} ({_difference(own, other)})" for own, _, other in pairs.head(SHOWN).rows()]


def _plain(column: str) -> pl.Expr:
    """The ids without any of the differences."""
    text = pl.col(column)
    for step in _DIFFERENCES.values():
        text = step(text)
    return text


def _difference(own: str, other: str) -> str:
    """The names of the steps that bring two ids together."""
    names, text = [], pl.Series("text", [own, other]).to_frame()
    for name, step in _DIFFERENCES.items():
        after = text.select(step(pl.col("text")).alias("text"))
        changed = (after != text).to_series()
        # A step that changes both ids, and leaves them different, removes no difference.
        if text.to_series().n_unique() > 1 and (changed.sum() == 1 or after.to_series().n_unique() == 1):
            names.append(name)
        text = after
    return ", ".join(names)


def _such_as(ids: pl.Series) -> str:
    return f", such as {', '.join(map(repr, ids.sort().head(SHOWN)))}" if len(ids) else ""
