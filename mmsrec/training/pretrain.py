"""Pre-training of the item encoder (Sections 3.2.3 and 4.1.3): AdamW, a decay an epoch, checkpoints between steps."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor

from mmsrec.artifacts import SCHEMAS, write_table
from mmsrec.errors import FeatureError
from mmsrec.files import sha256, write_json
from mmsrec.nn.item_encoder import ItemEncoder
from mmsrec.nn.views import Items
from mmsrec.pairs.read import Pairs
from mmsrec.pairs.shard_files import read_index
from mmsrec.progress import progress
from mmsrec.settings.pretraining import Pretraining, PretrainingRow
from mmsrec.training.checkpoint import Checkpoint, digest, on_cpu
from mmsrec.training.distributed import World
from mmsrec.training.encoder_folder import PretrainedConfig, untrained_encoder
from mmsrec.training.pretrain_step import Totals, train_step
from mmsrec.training.weights import write_weights
from mmsrec.workers import cores, prefetch

logger = logging.getLogger(__name__)

# Pairs that the whitening is fitted to: many times as many as a feature has components.
WHITENING_BATCH, WHITENING_BATCHES = 4096, 16
KEPT = 2  # checkpoints, so that damage to the newest costs minutes
Observer = Callable[[int, Mapping[str, float]], None]


@dataclass
class PretrainState:
    """Where a pre-training stands, between two steps.

    Attributes:
        epoch: in progress, from 1.
        step: steps done in it.
        model, optimizer: their state dictionaries.
        totals: of the steps done in it.
        seconds: spent on them.
        history: one row an epoch done.
    """

    epoch: int = 1
    step: int = 0
    model: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    totals: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)


def pretrain(
    name: str,
    row: PretrainingRow,
    settings: Pretraining,
    pairs: Pairs,
    folder: Path,
    world: World,
    *,
    save_minutes: float = 10.0,
    observe: Observer | None = None,
) -> None:
    """Pre-trains an item encoder and writes it into `folder`.

    A run that was killed goes on after the last step that was saved, and ends with the weights of an unbroken one.

    Args:
        name: of the row.
        row: the pre-training.
        settings: `pretraining`, with what the row overrides.
        pairs: of the corpus, by the row's encoder.
        folder: the same for all processes.
        world: the processes.
        save_minutes: time between checkpoints; there is one after each epoch besides.
        observe: called after each step, in the leading process, with the steps done and the losses of the last.

    Raises:
        FeatureError: no pair has what the loss compares.
        CheckpointError: every checkpoint of an interrupted run is damaged.
    """
    config = PretrainedConfig(
        name=name,
        corpus=row.corpus,
        encoder=row.encoder,
        seed=row.seed,
        settings=settings.model_dump(),
        widths=pairs.widths,
        encoder_digest=pairs.digest,
        pairs=len(pairs),
        corpus_digest=world.from_lead(lambda: corpus_digest(pairs)),
        processes=world.size if settings.negatives == "local" else None,
    )
    checkpoint = Checkpoint(folder, asdict(config), PretrainState, KEPT)
    run = _Run(untrained_encoder(config), config, pairs, world, checkpoint, 60 * save_minutes, observe)
    run.train()
    if world.leads:
        history = {
            column: [row.get(column) for row in run.state.history] for column in SCHEMAS["pretrain_history"].names
        }
        write_table(folder / "history.parquet", pa.table(history), SCHEMAS["pretrain_history"])
        write_json(folder / "config.json", asdict(replace(config, untrained=run.untrained())))
        write_weights(folder, run.encoder.state_dict())
        checkpoint.remove()


def corpus_digest(pairs: Pairs) -> str:
    """Sixteen hexadecimal digits that stand for the content of all shards."""
    names = sorted(read_index(pairs.folder))
    sums = prefetch(sha256, [pairs.folder / name for name in names], cores())
    return digest(dict(zip(names, sums, strict=True)))


class _Run:
    """The encoder, its optimiser and where their training stands, in one of the processes."""

    def __init__(
        self,
        encoder: ItemEncoder,
        config: PretrainedConfig,
        pairs: Pairs,
        world: World,
        checkpoint: Checkpoint[PretrainState],
        save_seconds: float,
        observe: Observer | None,
    ) -> None:
        settings = Pretraining(**config.settings)
        self._seed, self._settings, self._pairs, self._world = config.seed, settings, pairs, world
        self._checkpoint, self._save_seconds, self._observe = checkpoint, save_seconds, observe
        self._steps = pairs.steps(settings.batch_size)
        self.encoder = encoder.to(world.device).train()
        self._optimizer = torch.optim.AdamW(
            self.encoder.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self.state = checkpoint.load() or PretrainState()
        if not self.state.model:
            self._whiten()
        else:
            self.encoder.load_state_dict(self.state.model)
            self._optimizer.load_state_dict(self.state.optimizer)
            logger.info("continuing in epoch %d after step %d", self.state.epoch, self.state.step)
        # None may write, and so remove, a checkpoint before all have read theirs.
        world.wait()

    def _whiten(self) -> None:
        """Fits the whitening to the first pairs of the first epoch, the same in every process."""
        for name, whitening in self.encoder.embedding.whiten.items():
            batches = self._pairs.batches(WHITENING_BATCH, self._seed, 0)
            rows = (Items.of(batch, torch.device("cpu")) for batch in islice(batches, WHITENING_BATCHES))
            whitening.fit(items.vectors[name][items.present[name]] for items in rows)

    def train(self) -> None:
        while self.state.epoch <= self._settings.max_epochs:
            self._epoch()

    def untrained(self) -> list[str]:
        """The tensors that no gradient has reached."""
        moments = self._optimizer.state
        return [name for name, part in self.encoder.named_parameters() if not moments[part]["exp_avg_sq"].any()]

    def _epoch(self) -> None:
        state, settings = self.state, self._settings
        rate = settings.learning_rate * settings.decay ** (state.epoch - 1)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        totals = Totals(**state.totals)
        batches = self._pairs.batches(
            settings.batch_size, self._seed, state.epoch - 1, first=state.step, share=self._world.share
        )
        saved = time.monotonic()
        started = saved - state.seconds
        bar_options = {"initial": totals.pairs, "disable": not self._world.leads}
        with progress(f"epoch {state.epoch}", len(self._pairs), "pairs", **bar_options) as bar:
            for batch in batches:
                done = self._step(Items.of(batch, self._world.device))
                totals.add(done)
                bar.update(done.pairs)
                state.totals, state.seconds = asdict(totals), time.monotonic() - started
                if state.step < self._steps and time.monotonic() - saved > self._save_seconds:
                    self._save()
                    saved = time.monotonic()
        self._close_epoch(totals, rate)

    def _step(self, items: Items) -> Totals:
        state, settings = self.state, self._settings
        done = train_step(
            self.encoder, self._optimizer, items, settings, (self._seed, state.epoch, state.step), self._world
        )
        state.step += 1
        if self._observe and self._world.leads:
            self._observe(self._steps_done(), done.means(settings))
        return done

    def _close_epoch(self, totals: Totals, rate: float) -> None:
        state = self.state
        if not any(totals.anchors.values()):
            raise FeatureError(
                "No pair of a corpus has what the loss compares.",
                where=self._pairs.folder,
                expected=f"features for terms of the weights {self._settings.weights}",
                found=f"{len(self._pairs):,} pairs",
            )
        row = {"epoch": state.epoch, "learning_rate": rate, "seconds": state.seconds, "pairs": totals.pairs}
        state.history.append(row | totals.means(self._settings))
        if self._world.leads:
            logger.info("epoch %d: loss %.4f, %.1f s", state.epoch, state.history[-1]["loss"], state.seconds)
        state.epoch, state.step, state.totals, state.seconds = state.epoch + 1, 0, {}, 0.0
        self._save()

    def _save(self) -> None:
        if self._world.leads:
            self.state.model = on_cpu(self.encoder.state_dict())
            self.state.optimizer = self._optimizer.state_dict()
            self._checkpoint.save(self.state, self._steps_done())

    def _steps_done(self) -> int:
        return (self.state.epoch - 1) * self._steps + self.state.step
