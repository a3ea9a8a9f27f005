"""Text models from transformers: BERT's [CLS] (Table 5 of the paper), or a sentence-transformers folder."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch.nn import functional
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from mmsrec.errors import ArtifactError, FeatureError
from mmsrec.features.encoders import frozen
from mmsrec.features.encoders.encoder import Encoder, Tower, encoder_digest
from mmsrec.files import read_json
from mmsrec.settings.encoding import SEEDED, TransformersEncoder


class Recipe(NamedTuple):
    """The pooling from token vectors to one vector, the token limit, and whether vectors get unit length."""

    pooling: str
    max_tokens: int
    normalize: bool


def load(name: str, row: TransformersEncoder, corpus: Sequence[str]) -> Encoder:
    """Makes the encoder. It is frozen; `corpus` is ignored.

    Raises:
        FeatureError: the model is not available, or its folder states an unknown pooling.
    """
    where = frozen.device()
    recipe = _stored_recipe(name, row) if row.pooling == "stored" else Recipe(row.pooling, row.max_tokens, False)
    try:
        tokenizer = AutoTokenizer.from_pretrained(row.model)
        model = _model(row)
    except (OSError, ValueError, KeyError) as error:
        tried = f"the folder {row.model}" if Path(row.model).is_dir() else f"the hub's model {row.model}"
        raise frozen.missing_weights(name, row, tried, error) from error
    weights = frozen.weights_digest(model)
    tower = _text_tower(frozen.frozen(model, where), tokenizer, recipe, where)
    dim = model.config.hidden_size
    return Encoder(name, dim, encoder_digest(row), weights, {"text": tower})


def _model(row: TransformersEncoder) -> PreTrainedModel:
    if row.weights == SEEDED:
        config = AutoConfig.from_pretrained(row.model)
        model = frozen.seeded(lambda: AutoModel.from_config(config), row.seed)
    else:
        model = AutoModel.from_pretrained(row.model, dtype=torch.float32)
    if getattr(model, "pooler", None) is not None:
        # No feature uses this head; checkpoints without it would get random weights, which change the digest.
        model.pooler = None
    return model


def _text_tower(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, recipe: Recipe, where: torch.device
) -> Tower:
    pool = POOLING[recipe.pooling]
    longest = min(recipe.max_tokens, tokenizer.model_max_length, model.config.max_position_embeddings)

    def prepare(texts: Sequence[str]) -> dict[str, torch.Tensor]:
        tokens = tokenizer(list(texts), padding=True, truncation=True, max_length=longest, return_tensors="pt")
        return {name: frozen.staged(tensor, where) for name, tensor in tokens.items()}

    def encode(**tokens: torch.Tensor) -> torch.Tensor:
        pooled = pool(model(**tokens).last_hidden_state.float(), tokens["attention_mask"])
        return functional.normalize(pooled, dim=1) if recipe.normalize else pooled

    return Tower(
        prepare=prepare,
        encode=frozen.encoding(encode, where),
        batch_size=frozen.batch_size(where, "text"),
        preprocessing=f"the model's tokenizer, {longest} tokens; {recipe.pooling} of the last layer"
        + (", unit length" if recipe.normalize else ""),
        on_host=frozen.on_host(where),
    )


def _cls(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return hidden[:, 0]


def _mean(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    weights = mask[:, :, None].float()
    return (hidden * weights).sum(1) / weights.sum(1)


POOLING: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {"cls": _cls, "mean": _mean}


def _stored_recipe(name: str, row: TransformersEncoder) -> Recipe:
    """The pooling and the token limit that a sentence-transformers folder states."""
    folder = Path(row.model)
    try:
        modules = {module["type"].split(".")[-1]: module["path"] for module in read_json(folder / "modules.json")}
        flags = read_json(folder / modules["Pooling"] / "config.json")
        modes = sorted(key for key, value in flags.items() if key.startswith("pooling_mode_") and value)
        limit = read_json(folder / "sentence_bert_config.json")["max_seq_length"]
    except (ArtifactError, KeyError, TypeError, AttributeError) as error:
        raise FeatureError(
            "The folder states no pooling.",
            where=f"encoders.{name}.model: {folder}",
            expected="a sentence-transformers folder: modules.json, a pooling and sentence_bert_config.json",
            found=error,
            fix="Give its path as `model`, or choose `pooling: cls` or `mean`.",
        ) from error
    if modules.keys() - {"Transformer", "Pooling", "Normalize"} or modes not in ([CLS_MODE], [MEAN_MODE]):
        raise FeatureError(
            "The folder states a pooling that is not supported.",
            where=f"encoders.{name}.model: {folder}",
            expected=f"the modules Transformer, Pooling (of {CLS_MODE} or {MEAN_MODE}) and Normalize",
            found=f"{', '.join(modules)} with {', '.join(modes)}",
        )
    return Recipe("cls" if modes == [CLS_MODE] else "mean", min(row.max_tokens, limit), "Normalize" in modules)


CLS_MODE = "pooling_mode_cls_token"
MEAN_MODE = "pooling_mode_mean_tokens"
