"""The rows of `models` and `variants`, which decide what is trained.

Each model has its own row classes, made from its settings class. So a key of another model is an error.
"""

from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, create_model, model_validator

from mmsrec.models.registry import MODELS
from mmsrec.settings.data import Modality
from mmsrec.settings.row import Frozen, Name, Seed, overrides
from mmsrec.settings.trainer import TrainerOverrides


class Layer(Frozen):
    """Settings that override the settings of earlier layers. A subclass for each model restricts the keys."""

    settings: Frozen = Field(Frozen(), description="settings of the model")
    trainer: TrainerOverrides = Field(TrainerOverrides(), description="settings of its training")


class LayeredRow(Layer):
    """A layer, with further overrides in some domains."""

    by_domain: dict[Name, Layer] = Field({}, description="overrides for single domains, by domain")

    def layers(self, domain: str) -> list[Layer]:
        """The row's own layer, then its layer for the domain."""
        return [self, self.by_domain.get(domain, Layer())]


class StartsFrom(Frozen):
    """The trained model whose weights a training starts from: a variant, by default in the same experiment."""

    variant: Name = Field(description="row of `variants` that was trained with the same split")
    domain: Name | None = Field(
        None, description="row of `domains` that it was trained on, at its lowest k; absent: the same domain and k"
    )
    seed: Seed | None = Field(None, description="its seed; absent: the same seed")
    by_domain: dict[Name, Name] = Field(
        {}, description="other rows of `domains` for single domains, by the domain that the variant is trained on"
    )

    def domain_of(self, domain: str) -> str:
        """The domain of the start of a training on a domain."""
        return self.by_domain.get(domain, self.domain or domain)


class Variant(LayeredRow):
    """A model, or an ablation of one."""

    model: str
    encoders: dict[Modality, Name] = Field(
        {}, description="row of `encoders` that made the features, for each modality that is read"
    )
    pretrained: Name | None = Field(None, description="row of `pretrainings` whose weights training starts from")
    starts_from: StartsFrom | None = Field(None, description="trained model whose weights training starts from")

    @model_validator(mode="after")
    def _features_where_needed(self) -> "Variant":
        reads = MODELS[self.model].reads_features
        if reads and not MODELS[self.model].blends and not self.encoders:
            raise ValueError(f"the model {self.model} needs an encoder of at least one of the modalities vision, text")
        if not reads and (self.encoders or self.pretrained):
            raise ValueError(f"the model {self.model} knows item ids only: leave out encoders and pretrained")
        return self

    @property
    def modalities(self) -> list[Modality]:
        """The modalities that the model reads, in a fixed order."""
        return [modality for modality in get_args(Modality) if modality in self.encoders]


def _rows(name: str) -> tuple[type[LayeredRow], type[Variant]]:
    """The classes of a model's row in `models` and of its rows in `variants`."""
    title = MODELS[name].settings.__name__.removesuffix("Settings")
    partial = overrides(f"{title}Overrides", MODELS[name].settings)
    own: dict[str, Any] = {"settings": (partial, Field(partial(), description="settings of the model"))}
    if not MODELS[name].trained:
        none = create_model(f"{title}Trainer", __base__=Frozen)
        own["trainer"] = (none, Field(none(), description="this model is not trained by steps"))
    layer = create_model(f"{title}Layer", __base__=Layer, **own)
    own["by_domain"] = (dict[Name, layer], Field({}, description="overrides for single domains, by domain"))
    row = create_model(f"{title}Row", __base__=LayeredRow, __doc__=f"Settings of the model {name}.", **own)
    variant = create_model(
        f"{title}Variant", __base__=Variant, __doc__=f"A variant of {name}.", model=(Literal[name], ...), **own
    )
    return row, variant


_ROWS = {name: _rows(name) for name in MODELS}
Models = create_model(
    "Models",
    __base__=Frozen,
    __doc__="The settings of each model, which its variants override.",
    **{name: (row, row()) for name, (row, _) in _ROWS.items()},
)
AnyVariant = Annotated[reduce(or_, (variant for _, variant in _ROWS.values())), Field(discriminator="model")]
