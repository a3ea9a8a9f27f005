"""CLIP and similar models from open_clip, with an image tower and a text tower.

The model's own tokenizer cuts a text to the model's context, 77 tokens for CLIP. Images are resized, cropped and
normalised as in the model's training.
"""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import open_clip
import torch
from open_clip.transform import MaybeToTensor, PreprocessCfg, image_transform_v2
from open_clip.transformer import text_global_pool
from PIL.Image import Image
from torchvision.transforms import Compose, Normalize

from mmsrec.errors import FeatureError
from mmsrec.features.encoders import frozen
from mmsrec.features.encoders.encoder import Encoder, Tower, encoder_digest
from mmsrec.settings.encoding import SEEDED, OpenClipEncoder


def load(name: str, row: OpenClipEncoder, corpus: Sequence[str]) -> Encoder:
    """Makes the encoder. It is frozen; `corpus` is ignored.

    Raises:
        FeatureError: the model is unknown, or its weights are not available.
    """
    where = frozen.device()
    architecture = _architecture(name, row)
    model = _model(name, row, architecture)
    weights = frozen.weights_digest(model)
    model = frozen.frozen(model, where)
    towers = {"text": _text_tower(model, architecture, where), "vision": _vision_tower(model, where)}
    dim = open_clip.get_model_config(architecture)["embed_dim"]
    return Encoder(name, dim, encoder_digest(row), weights, towers)


def _architecture(name: str, row: OpenClipEncoder) -> str:
    """The architecture's name in open_clip; a JSON file is registered under its stem."""
    path = row.model_path
    if path.suffix == ".json":
        try:
            if not {"embed_dim", "vision_cfg", "text_cfg"} <= json.loads(path.read_text(encoding="utf-8-sig")).keys():
                raise ValueError("embed_dim, vision_cfg or text_cfg is missing")
        except (OSError, ValueError, AttributeError, RecursionError) as error:
            raise FeatureError(
                "An architecture cannot be read.",
                where=f"encoders.{name}.model: {row.model}",
                expected="a JSON file in the format of open_clip's model configs",
                found=error,
            ) from error
        open_clip.add_model_config(path)
        return path.stem
    if row.model not in open_clip.list_models():
        raise FeatureError(
            "open_clip does not know this architecture.",
            where=f"encoders.{name}.model",
            expected="a name of open_clip.list_models(), or a JSON file",
            found=row.model,
        )
    return row.model


def _model(name: str, row: OpenClipEncoder, architecture: str) -> torch.nn.Module:
    if row.weights == SEEDED:
        # Without this flag, open_clip would fetch a text tower's base weights from the hub.
        return frozen.seeded(lambda: open_clip.create_model(architecture, pretrained_text=False), row.seed)
    tag = open_clip.get_pretrained_cfg(architecture, row.weights)
    if not tag and not Path(row.weights).is_file():
        known = ", ".join(open_clip.list_pretrained_tags_by_model(architecture)) or "none"
        error = ValueError(f"no such file, and the hub's tags of {architecture} are: {known}")
        raise frozen.missing_weights(name, row, f"the file {row.weights}", error)
    tried = f"the hub's tag {row.weights}" if tag else f"the file {row.weights}"
    try:
        # OpenAI trained its weights with QuickGELU; the plain architecture has GELU.
        return open_clip.create_model(architecture, row.weights, force_quick_gelu=bool(tag.get("quick_gelu")))
    except UnpicklingError as error:
        refused = ValueError("the file is no weights file, or holds objects other than tensors, which could run code")
        raise frozen.missing_weights(name, row, tried, refused) from error
    except (RuntimeError, OSError, ValueError, KeyError, EOFError) as error:
        raise frozen.missing_weights(name, row, tried, error) from error


def _text_tower(model: torch.nn.Module, architecture: str, where: torch.device) -> Tower:
    tokenizer = open_clip.get_tokenizer(architecture)
    shortened = _can_be_shortened(model)
    encode = partial(_encode_short, model) if shortened else model.encode_text

    def prepare(texts: Sequence[str]) -> dict[str, torch.Tensor]:
        tokens = tokenizer(list(texts))
        length = int(tokens.argmax(dim=1).max()) + 1 if shortened else tokens.shape[1]
        return {"text": frozen.staged(tokens[:, :length].contiguous(), where)}

    return Tower(
        prepare=prepare,
        encode=frozen.encoding(encode, where),
        batch_size=frozen.batch_size(where, "text"),
        preprocessing=f"open_clip's tokenizer of {architecture}, {tokenizer.context_length} tokens",
        on_host=frozen.on_host(where),
    )


def _can_be_shortened(model: torch.nn.Module) -> bool:
    """Whether the feature is the end token's, which has the largest id, and attention is causal."""
    return isinstance(model, open_clip.CLIP) and model.text_pool_type == "argmax" and model.attn_mask is not None


def _encode_short(model: open_clip.CLIP, text: torch.Tensor) -> torch.Tensor:
    """Equals `model.encode_text`, without the padding of all texts: tokens after the end token have no effect."""
    length = text.shape[1]
    hidden = model.token_embedding(text) + model.positional_embedding[:length]
    hidden = model.ln_final(model.transformer(hidden, attn_mask=model.attn_mask[:length, :length]))
    return text_global_pool(hidden, text, model.text_pool_type) @ model.text_projection


def _vision_tower(model: torch.nn.Module, where: torch.device) -> Tower:
    settings = PreprocessCfg(**open_clip.get_model_preprocess_cfg(model))
    steps = image_transform_v2(settings, is_train=False).transforms
    crop = Compose([step for step in steps if not isinstance(step, MaybeToTensor | Normalize)])
    precision = frozen.precision(where)
    # For pixels in 0 .. 255.
    mean, deviation = (
        255 * torch.tensor(values, device=where).view(3, 1, 1) for values in (settings.mean, settings.std)
    )

    def prepare(images: Sequence[Image]) -> dict[str, torch.Tensor]:
        pixels = torch.from_numpy(np.stack([np.asarray(crop(image)) for image in images]))
        return {"pixels": frozen.staged(pixels, where)}

    def encode(pixels: torch.Tensor) -> torch.Tensor:
        normalised = (pixels.permute(0, 3, 1, 2).float() - mean) / deviation
        return model.encode_image(normalised.to(precision))

    return Tower(
        prepare=prepare,
        encode=frozen.encoding(encode, where),
        batch_size=frozen.batch_size(where, "vision"),
        preprocessing=(
            f"RGB, {settings.interpolation} resize of the {settings.resize_mode} side to {settings.size}, centre crop,"
            f" mean {settings.mean}, deviation {settings.std}"
        ),
        on_host=frozen.on_host(where),
    )
