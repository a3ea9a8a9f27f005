"""Words that carry taste: vocabularies whose rows stand around the circles of the factors."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

from mmsrec.demo.taste_world import FACTOR_INDEX

# Concentration of the draw of a row around an item's angle: neighbouring rows get their share, so words overlap.
SHARPNESS = 20

SENTENCE_START = re.compile(r"(?:^|(?<=[.?!] ))\w")

Row = Mapping[str, list[str]]


@dataclass(frozen=True)
class Vocabulary:
    """The words of one site.

    Attributes:
        kept: fields that an item draws once, for all of its texts.
        templates: sentences with {field} placeholders, by their purpose.
        common: words of the fields that no taste moves.
        rings: for a factor, rows in the order of its circle; a row holds the words of each of its fields.
    """

    kept: list[str]
    templates: Mapping[str, list[str]]
    common: Mapping[str, list[str]]
    rings: Mapping[str, list[Row]]

    def factor_of(self, field: str) -> str:
        """The factor that moves a field."""
        return next(factor for factor, rows in self.rings.items() if field in rows[0])


@cache
def vocabulary(name: str) -> Vocabulary:
    """The vocabulary in the file words/NAME.toml of this package."""
    return Vocabulary(**tomllib.loads((resources.files(__package__) / "words" / f"{name}.toml").read_text("utf-8")))


class Draw:
    """The words for one item: a look-up draws a word near the item's taste, another one each time.

    The kept fields are drawn once, those of one factor from one row, so that an item's name fits its category.
    """

    def __init__(self, words: Vocabulary, taste: np.ndarray, random: np.random.Generator) -> None:
        self._words = words
        self._taste = taste
        self._random = random
        own_rows = [self._row(factor) for factor in words.rings]
        self._kept = {field: self._pick(row[field]) for row in own_rows for field in words.kept if field in row}
        self._last: dict[str, str] = {}

    def __getitem__(self, field: str) -> str:
        if field in self._kept:
            return self._kept[field]
        words = self._words.common.get(field) or self._row(self._words.factor_of(field))[field]
        self._last[field] = self._pick([word for word in words if word != self._last.get(field)])
        return self._last[field]

    def sentence(self, purpose: str) -> str:
        """A template of this purpose, filled; each of its sentences begins with a capital."""
        text = self._pick(self._words.templates[purpose]).format_map(self)
        return SENTENCE_START.sub(lambda match: match[0].upper(), text)

    def _row(self, factor: str) -> Row:
        rows = self._words.rings[factor]
        centres = np.arange(len(rows)) * 2 * np.pi / len(rows)
        weights = np.exp(SHARPNESS * np.cos(self._taste[FACTOR_INDEX[factor]] - centres))
        return rows[self._random.choice(len(rows), p=weights / weights.sum())]

    def _pick(self, words: list[str]) -> str:
        return words[self._random.integers(len(words))]
