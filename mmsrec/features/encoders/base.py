"""The interface of every encoder, and the table of their kinds.

A kind is imported when it is asked for, so that an encoder without weights needs none of the deep-learning libraries.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib import import_module
from typing import Self

import numpy as np
from pydantic import BaseModel

from mmsrec.errors import FeatureError

KINDS: dict[str, tuple[str, str]] = {
    "lsa": ("mmsrec.features.encoders.lsa", "Lsa"),
}


class Encoder(ABC):
    """A frozen map from texts, images or both to vectors.

    Attributes:
        name: the encoder's row in the parameters.
        dim: components of a vector.
        digest: identity of the encoder, as `encoder_digest` computes it from the row.
        preprocessing: what happens to an input before it is encoded, in words.
    """

    name: str
    dim: int
    digest: str
    preprocessing: str

    @classmethod
    @abstractmethod
    def load(cls, name: str, row: BaseModel, corpus: Sequence[str]) -> Self:
        """Makes the encoder of a row of the parameters; errors as in `load_encoder`."""

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Encodes texts to float32 [n, dim]; a row of zeros says that the encoder knows nothing of the text.

        Raises:
            FeatureError: the encoder does not read texts.
        """
        raise FeatureError("The encoder does not read texts.", where=self.name, fix="Choose another encoder.")

    def encode_images(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Encodes RGB images, uint8 [height, width, 3] each, to float32 [n, dim].

        Raises:
            FeatureError: the encoder does not read images.
        """
        raise FeatureError("The encoder does not read images.", where=self.name, fix="Choose another encoder.")


def load_encoder(name: str, row: BaseModel, corpus: Sequence[str] = ()) -> Encoder:
    """Makes an encoder from its row in the parameters.

    Args:
        name: the row's name.
        row: the row; its `kind` is a key of `KINDS`.
        corpus: the domain's texts, for a kind that is fitted on them.

    Raises:
        FeatureError: the weights cannot be had, or the corpus does not support the encoder.
    """
    module, attribute = KINDS[row.kind]
    return getattr(import_module(module), attribute).load(name, row, corpus)


def encoder_digest(row: BaseModel) -> str:
    """The identity of an encoder, computed without loading it: features with another digest are stale."""
    settings = json.dumps(row.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(settings.encode()).hexdigest()
