"""The rows that a plan consists of; the fields of a row are the wildcards of its files' paths."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Core:
    """A domain filtered to its k-core."""

    domain: str
    k_core: int

    @property
    def name(self) -> str:
        return f"{self.domain}-k{self.k_core}"


@dataclass(frozen=True, order=True)
class Cut:
    """The sequences that a split makes from a k-core."""

    domain: str
    k_core: int
    split: str

    @property
    def name(self) -> str:
        return f"{self.domain}-k{self.k_core}-{self.split}"


@dataclass(frozen=True, order=True)
class Experiment:
    """One training and one evaluation."""

    domain: str
    k_core: int
    split: str
    variant: str
    seed: int

    @property
    def core(self) -> Core:
        return Core(self.domain, self.k_core)

    @property
    def cut(self) -> Cut:
        return Cut(self.domain, self.k_core, self.split)

    @property
    def name(self) -> str:
        return f"{self.cut.name}-{self.variant}-seed{self.seed}"


@dataclass(frozen=True, order=True)
class Retrieval:
    """One zero-shot evaluation of a pre-trained item encoder."""

    pretraining: str
    corpus: str

    @property
    def name(self) -> str:
        return f"{self.pretraining}-{self.corpus}"


@dataclass(frozen=True, order=True)
class PairFolder:
    """The pairs of one corpus by one encoder."""

    corpus: str
    encoder: str

    @property
    def name(self) -> str:
        return f"{self.corpus}-{self.encoder}"


@dataclass(frozen=True, order=True)
class FeatureFile:
    """The features of one collection (a domain, a catalogue or a corpus of clips), by one encoder for one modality."""

    collection: str
    encoder: str
    modality: str

    @property
    def name(self) -> str:
        return f"{self.collection}-{self.encoder}-{self.modality}"
