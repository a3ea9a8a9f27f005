"""The training of one experiment: builds the model, trains it and writes its folder."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from mmsrec.errors import CheckpointError
from mmsrec.models.blend import Blend
from mmsrec.models.dataset import Dataset
from mmsrec.models.mmsrec import MMSRec
from mmsrec.models.recommender import CountedRecommender, Recommender
from mmsrec.nn.training_sequences import HELD_OUT
from mmsrec.settings.params import ModelSettings
from mmsrec.settings.plan import Experiment
from mmsrec.training.blend_parts import load_parts
from mmsrec.training.blend_weights import fit_weights
from mmsrec.training.checkpoint import Checkpoint, TrainingState
from mmsrec.training.distributed import Processes
from mmsrec.training.model_folder import Config, Start, build, write
from mmsrec.training.next_item import finetune
from mmsrec.training.runtime import seed_everything
from mmsrec.training.start_model import start_from
from mmsrec.training.start_weights import Transfer, transfer


def train(
    experiment: Experiment,
    chosen: ModelSettings,
    dataset: Dataset,
    folder: Path,
    pretrained: Path | None = None,
    processes: Processes | None = None,
    *,
    start: Path | None = None,
    parts: Sequence[Path] = (),
    save_minutes: float = 10.0,
) -> None:
    """Trains the model of one experiment and writes it into `folder`.

    A killed training continues from its newest checkpoint when this is called again.

    Args:
        experiment: the experiment, which config.json records; its seed decides all random draws.
        chosen: the model, its own settings and those of its training.
        dataset: the data set to train on.
        folder: folder of the trained model.
        pretrained: folder of a pre-trained item encoder to start from; a finished training no longer needs it.
        processes: the processes that share the training; None for this one alone.
        start: folder of the trained model to start from; a finished training no longer needs it.
        parts: folders of the trained models that a blend sums.
        save_minutes: time between checkpoints; every epoch ends with another one.

    Raises:
        CheckpointError: the checkpoint of an interrupted training is damaged, or the weights to start from or to blend
            do not fit.
        DataError: no sequence is long enough for training.
        TrainingError: the loss is not finite.
    """
    processes = processes or Processes(dataset.sequences.items_A.device)
    model, transferred, started = untrained(experiment.seed, chosen, dataset, pretrained, start)
    blended = load_parts(parts, model, chosen, dataset) if isinstance(model, Blend) else {}
    config = Config(
        experiment=asdict(experiment),
        model=chosen.model,
        settings=chosen.settings.model_dump(mode="json"),
        trainer=chosen.trainer.model_dump(mode="json"),
        items=len(dataset.item_ids),
        inputs=dataset.inputs,
        pretrained=transferred,
        encoder_digests=dataset.encoder_digests,
        encoder_weights=dataset.encoder_weights,
        start=started,
        parts=blended,
        files={role: Path(os.path.relpath(path, folder)).as_posix() for role, path in dataset.files.items()},
    )
    key, sequences = config.model_dump(), dataset.sequences
    if isinstance(model, CountedRecommender):
        model.fit(sequences, sequences.ends(HELD_OUT))
        state = TrainingState(model=model.state_dict())
    elif isinstance(model, Blend):
        fit_weights(model, sequences, chosen.settings.users, dataset.known_K)
        state = TrainingState(model=model.state_dict())
    else:
        state = finetune(
            model,
            sequences,
            chosen.trainer,
            experiment.seed,
            folder,
            key,
            processes,
            known_K=dataset.known_K,
            save_minutes=save_minutes,
        )
    if processes.leads:
        write(folder, config, state)
        Checkpoint(folder, key).remove()


def untrained(
    seed: int, chosen: ModelSettings, dataset: Dataset, pretrained: Path | None = None, start: Path | None = None
) -> tuple[Recommender, Transfer | None, Start | None]:
    """The model before its first step, and what it took from pre-trained weights and from another trained model.

    Arguments and errors are those of `train`.
    """
    seed_everything(seed, 0)
    model = build(chosen, dataset)
    transferred = _start_from(pretrained, model, chosen, dataset) if pretrained else None
    return model, transferred, start_from(start, model, chosen, dataset) if start else None


def _start_from(pretrained: Path, model: Recommender, chosen: ModelSettings, dataset: Dataset) -> Transfer:
    if not isinstance(model, MMSRec):
        raise CheckpointError(
            "This model has no item encoder, so it cannot start from pre-trained weights.",
            where=pretrained,
            expected="the model mmsrec",
            found=chosen.model,
            fix="Remove the key pretrained from this variant.",
        )
    layers = chosen.trainer.pretrained_layers
    return transfer(pretrained, model.encoder, chosen.settings, dataset.encoder_digests, layers)
