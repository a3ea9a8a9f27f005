"""A trained model as a folder: weights.safetensors, last.safetensors, config.json and history.parquet."""

from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from mmsrec.artifacts import SCHEMAS, write_table
from mmsrec.errors import ArtifactError, CheckpointError
from mmsrec.files import read_json, write_json
from mmsrec.models.mmsrec import MMSRec
from mmsrec.models.recommender import CountedRecommender, Recommender
from mmsrec.settings.experiments import Training
from mmsrec.settings.plan import Experiment
from mmsrec.training.batches import HELD_OUT
from mmsrec.training.checkpoint import Checkpoint, State
from mmsrec.training.dataset import Catalogue, build
from mmsrec.training.distributed import Processes
from mmsrec.training.next_item import finetune
from mmsrec.training.runtime import seed_everything
from mmsrec.training.start_weights import Transfer, transfer
from mmsrec.training.weights import LAST, load_weights, write_weights


@dataclass(frozen=True)
class Config:
    """What a model was trained from: all that decides its weights.

    Attributes:
        experiment: domain, k_core, variant, seed.
        model: the variant's model.
        settings: of the training.
        items: size of the catalogue.
        inputs: SHA-256 of the tables and features that were read.
        pretrained: what was taken from pre-trained weights (`Transfer`); None for a model that began at random.
    """

    experiment: dict[str, str | int]
    model: str
    settings: dict[str, str | int | float]
    items: int
    inputs: dict[str, str]
    pretrained: dict[str, str | list[str]] | None = None


def train(
    experiment: Experiment,
    model_name: str,
    settings: Training,
    catalogue: Catalogue,
    folder: Path,
    pretrained: Path | None = None,
    processes: Processes | None = None,
    *,
    save_minutes: float = 10.0,
) -> None:
    """Trains the model of one experiment and writes it into `folder`.

    A training that was killed is continued from its last checkpoint by calling this again.

    Args:
        experiment: named in config.json; its seed decides all draws.
        model_name: the variant's model.
        settings: of the training.
        catalogue: what is trained on.
        folder: of the trained model.
        pretrained: folder of a pre-trained item encoder to start from; it is not needed afterwards.
        processes: the processes that share it; None for this one alone.
        save_minutes: time between checkpoints; there is one after each epoch besides.

    Raises:
        CheckpointError: the checkpoint of an interrupted training is damaged, or pre-trained weights do not fit.
    """
    processes = processes or Processes(catalogue.sequences.items_A.device)
    model, transferred = untrained(experiment.seed, model_name, settings, catalogue, pretrained)
    config = Config(
        asdict(experiment),
        model_name,
        settings.model_dump(),
        len(catalogue.item_ids),
        catalogue.inputs,
        asdict(transferred) if transferred else None,
    )
    state = _fit(model, settings, experiment.seed, catalogue, folder, config, processes, save_minutes)
    if not processes.leads:
        return
    rows = {name: [row[name] for row in state.history] for name in SCHEMAS["history"].names}
    write_table(folder / "history.parquet", pa.table(rows), SCHEMAS["history"])
    write_json(folder / "config.json", asdict(config))
    write_weights(folder, state.model, LAST)
    write_weights(folder, state.best)
    Checkpoint(folder, asdict(config)).remove()


def untrained(
    seed: int, model_name: str, settings: Training, catalogue: Catalogue, pretrained: Path | None
) -> tuple[Recommender, Transfer | None]:
    """The model as training finds it, and what it took from pre-trained weights; errors as in `train`."""
    seed_everything(seed, 0)
    model = build(model_name, catalogue, settings)
    return model, _start_from(pretrained, model, settings, catalogue) if pretrained else None


def _start_from(pretrained: Path, model: Recommender, settings: Training, catalogue: Catalogue) -> Transfer:
    if not isinstance(model, MMSRec):
        raise CheckpointError(
            "This model has no item encoder, so it cannot start from pre-trained weights.",
            where=pretrained,
            expected="the model mmsrec",
            found=type(model).__name__,
            fix="Leave out the pre-training of this variant.",
        )
    return transfer(pretrained, model.encoder, settings, catalogue.encoder_digests)


def _fit(
    model: Recommender,
    settings: Training,
    seed: int,
    catalogue: Catalogue,
    folder: Path,
    config: Config,
    processes: Processes,
    save_minutes: float,
) -> State:
    sequences = catalogue.sequences
    if isinstance(model, CountedRecommender):
        model.fit(sequences, sequences.ends(HELD_OUT))
        return State(model=model.state_dict(), best=model.state_dict())
    return finetune(model, sequences, settings, seed, folder, asdict(config), processes, save_minutes=save_minutes)


def read_config(folder: Path) -> Config:
    """The config.json of a trained model.

    Raises:
        ArtifactError: it is missing or is not one.
    """
    try:
        return Config(**read_json(folder / "config.json"))
    except TypeError as error:
        raise ArtifactError(
            "A model's config.json does not have the expected keys.",
            where=folder / "config.json",
            expected=", ".join(Config.__dataclass_fields__),
            found=error,
            fix="Train the model again.",
        ) from error


def load(folder: Path, catalogue: Catalogue) -> Recommender:
    """A trained model in evaluation mode, for the catalogue that it was trained on.

    Raises:
        ArtifactError: a file is missing.
        CheckpointError: the catalogue is another one, or the weights do not fit.
    """
    config = read_config(folder)
    if config.inputs != catalogue.inputs:
        changed = sorted(
            name
            for name in config.inputs.keys() | catalogue.inputs
            if config.inputs.get(name) != catalogue.inputs.get(name)
        )
        raise CheckpointError(
            "A model was trained on other inputs than these.",
            where=folder,
            expected=f"the {', '.join(changed)} that it was trained on",
            found="another content",
            fix="Train the model again.",
        )
    model = build(config.model, catalogue, Training(**config.settings))
    load_weights(model, folder)
    return model.eval()
