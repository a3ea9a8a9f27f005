"""Vocabularies that express taste: each row of words has a place on the circle of a factor."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

from mmsrec.demo.taste_world import FACTOR_INDEX

# Concentration of a row's draw around an item's angle; neighbouring rows are drawn too, so words overlap.
SHARPNESS = 20

SENTENCE_START = re.compile(r"(?:^|(?<=[.?!] ))\w")

Row = Mapping[str, list[str]]


@dataclass(frozen=True)
class Vocabulary:
    """The words of one site.

    Attributes:
        kept: fields that an item draws once, for all its texts.
        templates: sentences with {field} placeholders, by purpose.
        common: words for the fields that do not depend on taste.
        rings: for each factor, rows in the order of its circle; a row holds words for each field.
    """

    kept: list[str]
    templates: Mapping[str, list[str]]
    common: Mapping[str, list[str]]
    rings: Mapping[str, list[Row]]

    def factor_of(self, field: str) -> str:
        """The factor that a field depends on."""
        return next(factor for factor, rows in self.rings.items() if field in rows[0])


@cache
def vocabulary(name: str) -> Vocabulary:
    """Reads the vocabulary in this package's file words/NAME.toml."""
    return Vocabulary(**tomllib.loads((resources.files(__package__) / "words" / f"{name}.toml").read_text("utf-8")))


class Draw:
    """The words for one item: a look-up draws a word near the item's taste, never the same word twice in a row.

    The kept fields are drawn once. Kept fields of one factor come from one row, so an item's name fits its category.
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
        """A filled template for this purpose; each sentence begins with a capital letter."""
        text = self._pick(self._words.templates[purpose]).format_map(self)
        return SENTENCE_START.sub(lambda match: match[0].upper(), text)

    def _row(self, factor: str) -> Row:
        rows = self._words.rings[factor]
        centres = np.arange(len(rows)) * 2 * np.pi / len(rows)
        weights = np.exp(SHARPNESS * np.cos(self._taste[FACTOR_INDEX[factor]] - centres))
        return rows[self._random.choice(len(rows), p=weights / weights.sum())]

    def _pick(self, words: list[str]) -> str:
        return words[self._random.integers(len(words))]
