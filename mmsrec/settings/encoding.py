"""The rows of params.yaml that say how an item's media and text become vectors."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from mmsrec.settings.row import Frozen, Positive

SEEDED = "seeded"
Seed = Annotated[int, Field(ge=0)]


class LsaEncoder(Frozen):
    """TF-IDF and truncated SVD, fitted on the domain's own item texts: an encoder without weights."""

    kind: Literal["lsa"]
    dim: Positive
    ngrams: Positive = Field(description="longest word n-gram")
    min_items: Positive = Field(description="items that a term must occur in")
    seed: Seed

    @property
    def label(self) -> str:
        """What the encoder is, in a few words."""
        return f"lsa {self.dim}"

    @property
    def files(self) -> list[Path]:
        """The local files that the encoder is made of."""
        return []


class _Network(Frozen):
    """What the encoders with weights share."""

    model: str
    weights: str
    seed: Seed | None = Field(None, description="of `seeded` weights, drawn at random as at the start of training")

    @model_validator(mode="after")
    def _seed_of_seeded_weights(self) -> "_Network":
        if (self.weights == SEEDED) != (self.seed is not None):
            raise ValueError(f"seed belongs to weights: {SEEDED}, and those need it")
        return self

    @property
    def label(self) -> str:
        """What the encoder is, in a few words."""
        return f"{self.kind} {self.model} {self.weights}"

    @property
    def files(self) -> list[Path]:
        """The local files that the encoder is made of, those of a folder one by one; none for a name on the hub."""
        paths = [Path(self.model), Path(self.weights)]
        inside = [file for path in paths if path.is_dir() for file in path.rglob("*") if file.is_file()]
        return sorted([*(path for path in paths if path.is_file()), *inside])


class OpenClipEncoder(_Network):
    """An image and a text tower of open_clip."""

    kind: Literal["open_clip"]
    model: str = Field(description="a name of open_clip, such as ViT-B-32, or a JSON file in the format of its configs")
    weights: str = Field(description="a tag of the hub, such as openai; a safetensors or torch file; or `seeded`")


class TransformersEncoder(_Network):
    """A text model of transformers."""

    kind: Literal["transformers"]
    model: str = Field(description="a name on the hub, or a folder: of transformers or of sentence-transformers")
    weights: Literal["pretrained", "seeded"] = Field(description="seeded: drawn at random for the model's config")
    pooling: Literal["cls", "mean", "stored"] = Field(
        description="of the last layer: its [CLS], its mean, or what a sentence-transformers folder states"
    )
    max_tokens: Positive = Field(description="longer texts are cut, the special tokens included")


Encoder = Annotated[LsaEncoder | OpenClipEncoder | TransformersEncoder, Field(discriminator="kind")]


class Frames(Frozen):
    """Which frames of a video are kept, and how."""

    rule: Literal["uniform", "first"] = Field(
        description="uniform: the middle frame of each of `count` equal clips; first: one a second, the first `count`"
    )
    count: Positive
    size: Positive = Field(description="short side of a kept frame, in pixels")
    quality: Annotated[int, Field(ge=1, le=100)] = Field(description="of its JPEG")
