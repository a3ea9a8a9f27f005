"""The interface of every encoder, and the table of their kinds.

A kind is imported when it is asked for, so that an encoder without weights needs none of the deep-learning libraries.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from PIL.Image import Image

from mmsrec.errors import FeatureError
from mmsrec.files import sha256
from mmsrec.settings import encoding

# Each module has a function `load(name, row, corpus) -> Encoder`.
KINDS: dict[str, str] = {
    "lsa": "mmsrec.features.encoders.lsa",
    "open_clip": "mmsrec.features.encoders.open_clip",
    "transformers": "mmsrec.features.encoders.transformers",
}


@dataclass(frozen=True)
class Tower:
    """An encoder's way from the inputs of one modality to vectors.

    Attributes:
        prepare: inputs to a batch; host work, safe in several threads.
        encode: a batch to float32 [n, dim]; device work, for one thread. A row of zeros says that the encoder knows
            nothing of the input.
        batch_size: inputs that are encoded at once.
        preprocessing: what `prepare` does, in words.
        on_host: whether `encode` keeps the host's processors busy.
    """

    prepare: Callable[[Sequence[Any]], Any]
    encode: Callable[[Any], np.ndarray]
    batch_size: int
    preprocessing: str
    on_host: bool


@dataclass(frozen=True)
class Encoder:
    """A frozen map from texts, images or both to vectors.

    Attributes:
        name: the encoder's row in the parameters.
        dim: components of a vector.
        digest: identity of the encoder, as `encoder_digest` computes it from the row.
        weights: SHA-256 of the weights in use.
        towers: by modality: text, vision.
    """

    name: str
    dim: int
    digest: str
    weights: str
    towers: Mapping[str, Tower]

    def tower(self, modality: str) -> Tower:
        """The tower of a modality.

        Raises:
            FeatureError: the encoder has none.
        """
        if modality not in self.towers:
            raise FeatureError(
                "The encoder does not read this modality.",
                where=f"encoders.{self.name}",
                expected=" or ".join(self.towers),
                found=modality,
                fix="Choose another encoder, or leave the modality out of the variant.",
            )
        return self.towers[modality]

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Encodes texts as one batch to float32 [n, dim]; errors as in `tower`."""
        tower = self.tower("text")
        return tower.encode(tower.prepare(texts))

    def encode_images(self, images: Sequence[Image]) -> np.ndarray:
        """Encodes images as one batch to float32 [n, dim]; errors as in `tower`."""
        tower = self.tower("vision")
        return tower.encode(tower.prepare(images))


def load_encoder(name: str, row: encoding.Encoder, corpus: Sequence[str] = ()) -> Encoder:
    """Makes an encoder from its row in the parameters.

    Args:
        name: the row's name.
        row: the row; its `kind` is a key of `KINDS`.
        corpus: the domain's texts, for a kind that is fitted on them.

    Raises:
        FeatureError: the weights cannot be had, or the corpus does not support the encoder.
    """
    return import_module(KINDS[row.kind]).load(name, row, corpus)


def encoder_digest(row: encoding.Encoder) -> str:
    """The identity of an encoder, computed without loading it: features with another digest are stale.

    It covers the row and the content of the local files that it names.
    """
    settings = json.dumps(row.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256("\n".join([settings, *map(sha256, row.files)]).encode()).hexdigest()
