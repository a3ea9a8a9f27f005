"""The rows of `encoders`, which turn texts and pictures into vectors, and the sampling of video frames."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from mmsrec.settings.row import Few, Frozen, Positive, RawPath, Seed, Width

SEEDED = "seeded"


class LsaEncoder(Frozen):
    """TF-IDF and truncated SVD, fitted on the domain's own item texts: an encoder without weights."""

    modalities: ClassVar[list[str]] = ["text"]
    kind: Literal["lsa"]
    dim: Width = Field(description="largest number of dimensions; items with few terms get fewer")
    ngrams: Few = Field(description="number of words of the longest n-gram")
    min_items: Positive = Field(description="number of items that a term must occur in")
    seed: Seed

    @property
    def label(self) -> str:
        """The encoder in a few words."""
        return f"lsa {self.dim}"

    @property
    def files(self) -> list[Path]:
        """The local files that the encoder reads: none."""
        return []


class _Network(Frozen):
    """The keys that all encoders with weights have."""

    model: str
    weights: str
    seed: Seed | None = Field(None, description="seed of the random weights; only for weights: seeded")

    @model_validator(mode="after")
    def _seed_of_seeded_weights(self) -> "_Network":
        if (self.weights == SEEDED) != (self.seed is not None):
            raise ValueError(f"weights: {SEEDED} needs the key seed; other weights must not have it")
        return self

    @property
    def label(self) -> str:
        """The encoder in a few words."""
        return f"{self.kind} {self.model} {self.weights}"

    @property
    def model_path(self) -> Path:
        """The model as a path: in the current folder, else among the files that mmsrec brings."""
        shipped = Path(__file__).parents[2] / self.model
        return shipped if shipped.is_file() and not Path(self.model).exists() else Path(self.model)

    @property
    def files(self) -> list[Path]:
        """The local files that the encoder reads, every file of a folder included; none for a name on the hub."""
        paths = [self.model_path, Path(self.weights)]
        inside = [file for path in paths if path.is_dir() for file in path.rglob("*") if file.is_file()]
        return sorted([*(path for path in paths if path.is_file()), *inside])


class OpenClipEncoder(_Network):
    """An image tower and a text tower from open_clip."""

    modalities: ClassVar[list[str]] = ["vision", "text"]
    kind: Literal["open_clip"]
    model: str = Field(
        description="a name that open_clip knows, such as ViT-B-32, or a JSON file in the format of its configs"
    )
    weights: str = Field(description="a tag on the hub, such as openai; a safetensors or torch file; or `seeded`")


class TransformersEncoder(_Network):
    """A text model from transformers."""

    modalities: ClassVar[list[str]] = ["text"]
    kind: Literal["transformers"]
    model: str = Field(
        description="a name on the hub, or a folder in the format of transformers or sentence-transformers"
    )
    weights: Literal["pretrained", "seeded"] = Field(description="seeded: random weights for the model's config")
    pooling: Literal["cls", "mean", "stored"] = Field(
        description="cls: the last layer's [CLS]; mean: its mean; stored: as in the sentence-transformers folder"
    )
    max_tokens: Width = Field(description="number of tokens, special tokens included, to which a text is cut")


class TableEncoder(Frozen):
    """Vectors that the user already has: one table for each modality, with the columns item_id and embedding."""

    kind: Literal["table"]
    vision: RawPath | None = Field(None, description="Parquet table of picture vectors, below data/raw")
    text: RawPath | None = Field(None, description="Parquet table of text vectors, below data/raw")

    @model_validator(mode="after")
    def _some_table(self) -> "TableEncoder":
        if not self.modalities:
            raise ValueError("the kind table needs a path under at least one of the keys vision and text")
        return self

    @property
    def modalities(self) -> list[str]:
        """The modalities that have a table."""
        return [modality for modality in ("vision", "text") if getattr(self, modality)]

    @property
    def label(self) -> str:
        """The encoder in a few words."""
        return f"table {' '.join(getattr(self, modality) for modality in self.modalities)}"

    @property
    def files(self) -> list[Path]:
        """No files: `vector_tables` returns the tables, because their folder is not a setting."""
        return []


Encoder = Annotated[
    LsaEncoder | OpenClipEncoder | TransformersEncoder | TableEncoder,
    Field(discriminator="kind"),
]


def vector_tables(row: Encoder, modality: str, raw: Path) -> list[Path]:
    """The table that an encoder's vectors of one modality come from.

    Args:
        row: the encoder's row.
        modality: vision or text.
        raw: folder of the raw files.

    Returns:
        One path for an encoder of the kind `table` that names this modality; else none.
    """
    if isinstance(row, TableEncoder) and modality in row.modalities:
        return [raw / getattr(row, modality)]
    return []


class Frames(Frozen):
    """The rule that samples frames from a video, and their format."""

    rule: Literal["uniform", "first"] = Field(
        description="uniform: the middle frame of `count` equal parts; first: one frame a second, up to `count`"
    )
    count: Few
    size: Width = Field(description="short side of a stored frame, in pixels")
    quality: Annotated[int, Field(ge=1, le=100)] = Field(description="JPEG quality")
