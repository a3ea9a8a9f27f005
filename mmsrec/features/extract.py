"""Encodes the inputs of a domain into a feature file.

Threads read and decode the inputs, and encode them on a CPU (`Tower.vectors`). Finished parts are kept on disk, so a
killed extraction resumes. Batches do not depend on interruptions, so the result is the same.
"""

import logging
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np

from mmsrec.features.encoders import Encoder, Tower, load_encoder
from mmsrec.features.feature_file import Provenance, write_features
from mmsrec.features.item_inputs import ItemInputs, frame_inputs, item_texts, picture_inputs, text_inputs
from mmsrec.features.partial_results import Parts, parts_of
from mmsrec.files import atomic_path
from mmsrec.progress import progress
from mmsrec.settings import encoding

logger = logging.getLogger(__name__)

BATCHES_A_PART = 32
ITEMS_SHOWN = 3


def extract_texts(
    items: Path,
    name: str,
    row: encoding.Encoder,
    output: Path,
    *,
    domain: str,
    fitted_on: Path | None = None,
    required: bool = True,
) -> None:
    """Encodes the text of every item that has one; the other items get no row.

    Args:
        items: the domain's items.parquet.
        name: name of the encoder's row in the parameters.
        row: the encoder's row.
        output: the feature file.
        domain: name of the domain, for messages.
        fitted_on: items whose texts an encoder learns from, if it learns from texts; None: `items`.
        required: whether it is an error if no item has an input. Otherwise the feature file then has no rows.

    Raises:
        FeatureError: no item has a text, or the encoder is not available or reads no texts.
    """
    encoder = load_encoder(name, row, item_texts(fitted_on or items, domain).get_column("text").to_list())
    inputs = text_inputs(items, domain, encoder.tower("text").batch_size, required=required)
    if fitted_on and encoder.count_words:
        known, words = encoder.count_words(item_texts(items, domain, required=required).get_column("text"))
        logger.info("the encoder knew %.0f %% of %s words of the new texts", 100 * known / max(words, 1), f"{words:,}")
    extract(inputs, encoder, "text", output)


def extract_pictures(
    items: Path, media: Path, name: str, row: encoding.Encoder, output: Path, *, domain: str, required: bool = True
) -> None:
    """Encodes the picture of every item that has one in `media`; arguments and errors as in `extract_texts`."""
    encoder = load_encoder(name, row)
    inputs = picture_inputs(items, media, domain, encoder.tower("vision").batch_size, required=required)
    extract(inputs, encoder, "vision", output)


def extract_frames(
    items: Path, frames: Path, name: str, row: encoding.Encoder, output: Path, *, domain: str, required: bool = True
) -> None:
    """Encodes the frames in the table `frames` and averages each item's; arguments and errors as in `extract_texts`."""
    encoder = load_encoder(name, row)
    inputs = frame_inputs(items, frames, domain, encoder.tower("vision").batch_size, required=required)
    extract(inputs, encoder, "vision", output)


def extract(inputs: ItemInputs, encoder: Encoder, modality: str, output: Path) -> None:
    """Encodes inputs into a feature file. An item whose vector is zero gets no row: the encoder knows no part of it.

    Raises:
        FeatureError: an input cannot be read, or a vector is not finite as float16.
    """
    tower = encoder.tower(modality)
    preprocessing = "; ".join(filter(None, [inputs.preprocessing, tower.preprocessing]))
    provenance = Provenance(encoder.name, encoder.digest, modality, preprocessing, encoder.weights)
    identity = [encoder.digest, encoder.weights, preprocessing, tower.batch_size, inputs.identity]
    with parts_of(output, identity, ".npy") as parts:
        _encode_parts(inputs, tower, parts, f"encode {modality} with {encoder.name}")
        count = len(_parts_of(inputs))
        stored = (np.load(parts.path(number), allow_pickle=False) for number in range(count))
        vectors = np.concatenate([np.zeros((0, encoder.dim), np.float16), *stored])
        is_known = vectors.any(axis=1)[inputs.vectors]
        known = np.flatnonzero(is_known)
        frames = np.array([size for batch in inputs.batches for size in batch.sizes], int)[inputs.vectors]
        item_ids = [inputs.item_ids[item] for item in known]
        write_features(output, item_ids, frames[known], vectors[inputs.vectors[known]], provenance)
    logger.info("%d of %d items with an input have features", len(known), len(inputs.item_ids))
    if len(unknown := np.flatnonzero(~is_known)):
        first = ", ".join(inputs.item_ids[item] for item in unknown[:ITEMS_SHOWN])
        logger.warning("%s knows no part of the %s of %d items: %s", encoder.name, modality, len(unknown), first)


def _parts_of(inputs: ItemInputs) -> list[range]:
    """The numbers of the batches in each part."""
    count = len(inputs.batches)
    return [range(start, min(start + BATCHES_A_PART, count)) for start in range(0, count, BATCHES_A_PART)]


def _encode_parts(inputs: ItemInputs, tower: Tower, parts: Parts, description: str) -> None:
    chunks = _parts_of(inputs)
    jobs = [(number, batch) for number in parts.missing(len(chunks)) for batch in chunks[number]]

    def encoded() -> Iterator[tuple[int, np.ndarray]]:
        found = tower.vectors(lambda job: inputs.batches[job[1]].read(), jobs)
        for (number, batch), vectors in zip(jobs, found, strict=True):
            sizes = np.asarray(inputs.batches[batch].sizes)
            starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
            yield number, np.add.reduceat(vectors, starts, axis=0) / sizes[:, None]
            bar.update(int(sizes.sum()))

    with progress(description, sum(sum(inputs.batches[batch].sizes) for _, batch in jobs), "inputs") as bar:
        for number, vectors in groupby(encoded(), key=itemgetter(0)):
            _save(parts.path(number), np.concatenate([part for _, part in vectors]))


def _save(path: Path, vectors: np.ndarray) -> None:
    with np.errstate(over="ignore"):  # an overflow becomes an infinity, which `write_features` refuses
        halves = vectors.astype(np.float16)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.save(file, halves)
