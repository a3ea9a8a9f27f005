"""The interface of every encoder, and the modules that load each kind.

A kind's module is imported on use, so that an encoder without weights never imports a deep-learning library.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL.Image import Image

from mmsrec.errors import FeatureError
from mmsrec.files import sha256
from mmsrec.settings import encoding
from mmsrec.workers import cores, prefetch, threads_of_job

Job = TypeVar("Job")

# Each thread holds the activations of a batch.
MOST_THREADS = 16

# Each module has a function `load(name, row, corpus) -> Encoder`.
KINDS: dict[str, str] = {
    "lsa": "mmsrec.features.encoders.lsa",
    "open_clip": "mmsrec.features.encoders.open_clip",
    "transformers": "mmsrec.features.encoders.transformers",
}


@dataclass(frozen=True)
class Tower:
    """The part of an encoder that turns the inputs of one modality into vectors.

    Attributes:
        prepare: makes a batch of the inputs; runs on the CPU, in several threads at once.
        encode: turns a batch into float32 [n, dim]. A vector of zeros means that the encoder knows no part of the
            input. On the CPU it computes with one thread, and several threads may call it at once. So vectors do not
            depend on the number of threads.
        batch_size: inputs in a batch.
        preprocessing: the steps of `prepare`, in words.
        on_host: whether `encode` runs on the CPU.
    """

    prepare: Callable[[Sequence[Any]], Any]
    encode: Callable[[Any], np.ndarray]
    batch_size: int
    preprocessing: str
    on_host: bool

    def vectors(self, read: Callable[[Job], Sequence[Any]], jobs: Iterable[Job]) -> Iterator[np.ndarray]:
        """The vectors of each job's inputs, float32 [n, dim], in the order of the jobs.

        Threads prepare the next batches while a GPU computes. On the CPU, as many threads as the job has
        (`threads_of_job`) prepare and encode a batch each.

        Args:
            read: the inputs of a job, a batch.
            jobs: arguments of `read`.
        """
        if self.on_host:
            threads = min(threads_of_job(), MOST_THREADS)
            yield from prefetch(lambda job: self.encode(self.prepare(read(job))), jobs, threads)
        else:
            yield from map(self.encode, prefetch(lambda job: self.prepare(read(job)), jobs, cores()))


@dataclass(frozen=True)
class Encoder:
    """A frozen network or model that turns texts, images or both into vectors.

    Attributes:
        name: name of the encoder's row in the parameters.
        dim: components of a vector.
        digest: identity of the encoder, from `encoder_digest`.
        weights: SHA-256 of the encoder's weights.
        towers: a tower for each modality, text or vision.
        count_words: counts the words of texts: those that the encoder was fitted on, and all. None: it is not fitted.
    """

    name: str
    dim: int
    digest: str
    weights: str
    towers: Mapping[str, Tower]
    count_words: Callable[[Iterable[str]], tuple[int, int]] | None = None

    def tower(self, modality: str) -> Tower:
        """The tower for a modality.

        Raises:
            FeatureError: the encoder does not read this modality.
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

    def encode_images(self, images: Sequence[Image]) -> np.ndarray:
        """Encodes images as one batch to float32 [n, dim]; errors as in `tower`."""
        tower = self.tower("vision")
        return tower.encode(tower.prepare(images))


def load_encoder(name: str, row: encoding.Encoder, corpus: Sequence[str] = ()) -> Encoder:
    """Makes an encoder from its row in the parameters.

    Args:
        name: the row's name.
        row: the encoder's row.
        corpus: the domain's texts; used by kinds that are fitted on texts.

    Raises:
        FeatureError: the weights are not available, the corpus is too small for the encoder, or the encoder's vectors
            come from a table.
    """
    if row.kind not in KINDS:
        raise FeatureError(
            "The encoder computes no vectors: they come from a table.",
            where=f"encoders.{name}",
            expected=f"an encoder of the kind {', '.join(KINDS)}",
            found=row.kind,
            fix="Choose another encoder here; tables of vectors serve the items of `domains`.",
        )
    return import_module(KINDS[row.kind]).load(name, row, corpus)


def pairs_digest(row: encoding.Encoder, raw: Path) -> str:
    """The identity of the encoder of pairs: its digest, or two digests where each modality has a table below `raw`.

    Raises:
        FeatureError: a table is missing.
    """
    tables = [encoding.vector_tables(row, modality, raw) for modality in ("vision", "text")]
    return " ".join(dict.fromkeys(encoder_digest(row, files) for files in tables))


def digest_of(pairs: str, modality: str) -> str:
    """The part of a digest of pairs that identifies the vectors of one modality."""
    return pairs.split()[0 if modality == "vision" else -1]


def encoder_digest(row: encoding.Encoder, tables: Sequence[Path] = ()) -> str:
    """The identity of an encoder, computed without loading it: features with another digest are stale.

    The digest covers the row and the content of the encoder's local files.

    Args:
        row: the encoder's row.
        tables: the tables that its vectors come from (`settings.encoding.vector_tables`); empty for most kinds.

    Raises:
        FeatureError: a table is missing.
    """
    settings = json.dumps(row.model_dump(mode="json"), sort_keys=True)
    for table in tables:
        if not table.is_file():
            raise FeatureError(
                "A table of vectors is missing.",
                where=table,
                fix="Correct the path in the encoder's row, or fetch the file.",
            )
    return hashlib.sha256("\n".join([settings, *map(sha256, [*row.files, *tables])]).encode()).hexdigest()
