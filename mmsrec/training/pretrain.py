"""Pre-training of the item encoder on pairs (Sections 3.2.3 and 4.1.3): AdamW, a lower learning rate each epoch."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path

import pyarrow as pa
import torch

from mmsrec.artifacts import SCHEMAS, write_table
from mmsrec.errors import FeatureError
from mmsrec.files import sha256, write_json
from mmsrec.nn.item_encoder import ItemEncoder
from mmsrec.nn.views import Items
from mmsrec.pairs.read import Pairs
from mmsrec.pairs.shard_files import read_index
from mmsrec.settings.pretraining import Pretraining, PretrainingRow
from mmsrec.training.checkpoint import Checkpoint, TrainingState, digest
from mmsrec.training.config_file import NAME
from mmsrec.training.distributed import Processes
from mmsrec.training.encoder_folder import PretrainedConfig, untrained_encoder
from mmsrec.training.loop import Loop
from mmsrec.training.pretrain_step import means, train_step
from mmsrec.training.weights import write_weights
from mmsrec.workers import cores, prefetch

# Pairs that the whitening is fitted to: many times the number of components of a feature.
WHITENING_BATCH, WHITENING_BATCHES = 4096, 16
KEPT = 2  # checkpoints, so that damage to the newest costs minutes
Observer = Callable[[int, Mapping[str, float]], None]


def pretrain(
    name: str,
    row: PretrainingRow,
    settings: Pretraining,
    pairs: Pairs,
    folder: Path,
    processes: Processes,
    *,
    save_minutes: float = 10.0,
    observe: Observer | None = None,
) -> None:
    """Pre-trains an item encoder and writes it into `folder`.

    A killed run continues from its newest checkpoint and ends with the weights of an uninterrupted one.

    Args:
        name: key of the row in `pretrainings`.
        row: the row, which names the corpus, its encoder and the seed.
        settings: settings of the pre-training, with the overrides of the row.
        pairs: pairs of the corpus, with features from the row's encoder.
        folder: output folder, the same for all processes.
        processes: the processes of the training.
        save_minutes: time between checkpoints; every epoch ends with another one.
        observe: called in the leading process after each step, with the number of steps done and the step's losses.

    Raises:
        FeatureError: no pair has the features that the loss compares.
        CheckpointError: every checkpoint of an interrupted run is damaged.
        TrainingError: the loss is not finite.
    """
    config = PretrainedConfig(
        name=name,
        corpus=row.corpus,
        encoder=row.encoder,
        seed=row.seed,
        settings=settings,
        widths=pairs.widths,
        encoder_digest=pairs.digest,
        pairs=len(pairs),
        corpus_digest=processes.from_lead(lambda: corpus_digest(pairs)),
        processes=processes.size if settings.negatives == "local" else None,
    )
    encoder = untrained_encoder(config).to(processes.device)
    optimizer = torch.optim.AdamW(
        encoder.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    checkpoint, steps = Checkpoint(folder, config.model_dump(), KEPT), pairs.steps(settings.batch_size)

    def batches(epoch: int, first: int) -> Iterator[Items]:
        read = pairs.batches(settings.batch_size, row.seed, epoch - 1, first=first, share=processes.share)
        return (Items.of(batch, processes.device) for batch in read)

    def step(items: Items, epoch: int, number: int) -> dict[str, float]:
        sums = train_step(encoder, optimizer, items, settings, (row.seed, epoch, number), processes)
        if observe and processes.leads:
            observe((epoch - 1) * steps + number + 1, means(sums, settings))
        return sums

    state = Loop(
        model=encoder,
        optimizer=optimizer,
        max_epochs=settings.max_epochs,
        steps_per_epoch=steps,
        batches=batches,
        step=step,
        row=partial(_row, settings, pairs),
        learning_rate=lambda epoch: settings.learning_rate * settings.decay ** (epoch - 1),
        unit="pairs",
        size=len(pairs),
        checkpoint=checkpoint,
        processes=processes,
        save_seconds=60 * save_minutes,
        prepare=lambda: _fit_whitening(encoder, pairs, row.seed),
    ).run()
    if processes.leads:
        untrained = _without_gradient(encoder, optimizer)
        _write(folder, config.model_copy(update={"untrained": untrained}), state)
        checkpoint.remove()


def corpus_digest(pairs: Pairs) -> str:
    """Sixteen hexadecimal digits that identify the content of all shards."""
    names = sorted(read_index(pairs.folder))
    sums = prefetch(sha256, [pairs.folder / name for name in names], cores())
    return digest(dict(zip(names, sums, strict=True)))


def _fit_whitening(encoder: ItemEncoder, pairs: Pairs, seed: int) -> None:
    """Fits the whitening to the first pairs of the first epoch, the same in every process."""
    for name, whitening in encoder.embedding.whiten.items():
        batches = pairs.batches(WHITENING_BATCH, seed, 0)
        parts = (Items.of(batch, torch.device("cpu")) for batch in islice(batches, WHITENING_BATCHES))
        whitening.fit(items.vectors[name][items.present[name]] for items in parts)


def _row(settings: Pretraining, pairs: Pairs, sums: Mapping[str, float]) -> dict[str, float]:
    losses = means(sums, settings)
    if losses.keys() == {"loss"}:
        raise FeatureError(
            "No pair of a corpus has the features that the loss compares.",
            where=pairs.folder,
            expected=f"features for the loss with the weights {settings.weights}",
            found=f"{len(pairs):,} pairs without them",
            fix="Give another term of `weights` a positive value, or encode the missing modality.",
        )
    return {"pairs": sums["pairs"], **losses}


def _without_gradient(encoder: ItemEncoder, optimizer: torch.optim.Optimizer) -> list[str]:
    """The names of the tensors that received no gradient other than zero."""
    moments = optimizer.state
    return [name for name, part in encoder.named_parameters() if not moments[part]["exp_avg_sq"].any()]


def _write(folder: Path, config: PretrainedConfig, state: TrainingState) -> None:
    schema = SCHEMAS["pretrain_history"]
    columns = {name: [row.get(name) for row in state.history] for name in schema.names}
    write_table(folder / "history.parquet", pa.table(columns), schema)
    write_json(folder / NAME, config.model_dump())
    write_weights(folder, state.result)
