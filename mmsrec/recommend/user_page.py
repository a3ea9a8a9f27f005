"""A page for people: the history of each user in pictures, and the items that a model recommends next."""

import math
import unicodedata
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from mmsrec.errors import ArtifactError
from mmsrec.files import write_text

LATEST = 12  # items of a history that are shown
DIGITS = 4  # of the highest score of a user
LABEL = 80  # characters of a title in the text alternative of its picture

TEMPLATES = Environment(
    loader=PackageLoader("mmsrec.recommend", ""),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


@dataclass(frozen=True)
class ShownUser:
    """A user on the page.

    Attributes:
        user: the name.
        history: ids of the user's items, the latest one last.
        recommended: ids with their scores, the best one first.
        taken: id of the item that the user took next; None where it is not known.
    """

    user: str
    history: Sequence[str]
    recommended: Sequence[tuple[str, float]]
    taken: str | None


@dataclass(frozen=True)
class Card:
    """An item's looks.

    Attributes:
        title: plain text; the page shows the id of an item without a title.
        picture: a small JPEG, or None.
    """

    title: str | None
    picture: bytes | None


@dataclass(frozen=True)
class _Tile:
    """An item as the template reads it; `letters` replace a picture that is missing, `picture` is a number."""

    title: str
    label: str
    letters: str
    picture: int | None


@dataclass(frozen=True)
class _Section:
    """A user as the template reads it; `place` is the position of the item taken next, 0 if it is not recommended."""

    name: str
    actions: int
    history: list[_Tile]
    recommended: list[tuple[_Tile, str]]
    taken: _Tile | None
    place: int


def write_page(folder: Path, shown: Sequence[ShownUser], cards: Mapping[str, Card], heading: str) -> Path:
    """Writes `folder`/index.html, one document that loads nothing; equal inputs give equal bytes.

    Args:
        folder: is made if it does not exist. An earlier index.html is replaced.
        shown: the users, in the order of the page.
        cards: titles and pictures by item. An item without a card is shown by its id.
        heading: the title of the page, plain text.

    Returns:
        The path of index.html.

    Raises:
        ArtifactError: the page cannot be written there.
    """
    tiles = _Tiles(cards)
    sections = [_section(user, tiles) for user in shown]
    text = TEMPLATES.get_template("user_page.html.j2").render(
        heading=_line(heading), sections=sections, pictures=tiles.pictures
    )
    path = Path(folder) / "index.html"
    try:
        write_text(path, text)
    except OSError as error:
        raise ArtifactError(
            "The page cannot be written.",
            where=path,
            expected="a folder that this user may write to, and free space",
            found=error,
            fix="Name another folder.",
        ) from error
    return path


class _Tiles:
    """Makes tiles, and numbers the pictures by their content, so that the page holds each picture once.

    Attributes:
        pictures: the distinct pictures as base64, in the order of their first use.
    """

    def __init__(self, cards: Mapping[str, Card]) -> None:
        self._cards = cards
        self._numbers: dict[bytes, int] = {}

    @property
    def pictures(self) -> list[str]:
        return [b64encode(picture).decode() for picture in self._numbers]

    def __call__(self, item: str) -> _Tile:
        card = self._cards.get(item, Card(None, None))
        known = _line(card.title or "")
        title = known or _line(item)
        number = self._numbers.setdefault(card.picture, len(self._numbers)) if card.picture else None
        return _Tile(title, title if len(title) <= LABEL else f"{title[:LABEL].rstrip()}…", _letters(known), number)


def _section(user: ShownUser, tiles: _Tiles) -> _Section:
    ids = [item for item, _ in user.recommended]
    scores = _numerals([score for _, score in user.recommended])
    return _Section(
        name=_line(user.user) or "without a name",
        actions=len(user.history),
        history=[tiles(item) for item in user.history[-LATEST:]],
        recommended=[(tiles(item), score) for item, score in zip(ids, scores, strict=True)],
        taken=None if user.taken is None else tiles(user.taken),
        place=ids.index(user.taken) + 1 if user.taken in ids else 0,
    )


def _line(text: str) -> str:
    """The text in one line, without control characters; empty if nothing of it is visible."""
    kinds = {mark: unicodedata.category(mark) for mark in set(text)}
    if all(kind[0] in "CZ" for kind in kinds.values()):
        return ""
    # Marks of direction and joiners (Cf) belong to some scripts. Halves of a pair (Cs) have no bytes in UTF-8.
    return " ".join("".join(" " if kinds[mark] == "Cc" else mark for mark in text if kinds[mark] != "Cs").split())


def _letters(title: str) -> str:
    """The first letters of the first two words that have one."""
    initials = (next((mark for mark in word if mark.isalnum()), "") for word in title[:LABEL].split())
    return "".join([initial for initial in initials if initial][:2]).upper()


def _numerals(scores: Iterable[float]) -> list[str]:
    """The scores with as many decimals as give the highest one `DIGITS` digits."""
    scores = list(scores)
    highest = max((abs(score) for score in scores if math.isfinite(score)), default=0.0)
    decimals = min(max(DIGITS - 1 - math.floor(math.log10(highest)), 0), 9) if highest else 0
    # Zero is added, because a rounded score may be a negative zero.
    return [f"{round(score, decimals) + 0.0:.{decimals}f}".replace("-", "−") for score in scores]
