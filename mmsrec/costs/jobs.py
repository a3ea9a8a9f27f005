"""The jobs that make a report, with the amount of work of each."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from mmsrec.costs.sizes import Sizes
from mmsrec.costs.training_work import training_work
from mmsrec.settings.corpora import ClipCorpus, DomainCorpus, ShardCorpus
from mmsrec.settings.data import UnionDomain
from mmsrec.settings.encoding import TableEncoder
from mmsrec.settings.params import ModelSettings, Params
from mmsrec.settings.plan import (
    Core,
    Cut,
    Experiment,
    FeatureFile,
    PairFolder,
    attributes_of,
    cores_of,
    domain_files,
    earlier_than,
    experiments_of,
    features_of,
    has_videos,
    paired_features,
    pairs_of,
    retrievals_of,
    sequences_of,
    sources_of,
)

ANY_EPOCHS = 10**6


@dataclass(frozen=True)
class Job:
    """A job of the workflow.

    Attributes:
        stage: name of its rule.
        name: what it makes, unique in its stage.
        work: amounts by unit. Each job also has the unit `job`.
        kind: model or encoder that its rates are for.
        width: width of the model; 0 where there is none.
        after: (stage, name) of the jobs that must end first, if they are long.
        fields: the wildcards of its output.
    """

    stage: str
    name: str
    work: Mapping[str, float]
    kind: str = ""
    width: int = 0
    after: tuple[tuple[str, str], ...] = ()
    fields: Mapping[str, object] = field(default_factory=dict)


def jobs_of(params: Params, report: str, sizes: Sizes, epochs: int = ANY_EPOCHS) -> list[Job]:
    """All jobs of a report, each once.

    Args:
        epochs: largest number of epochs of a training, where its own is larger.

    Raises:
        ParamsError: there is no such report.
        DataError: the size of a data set or of a file is not known.
    """
    made = _Jobs(params, sizes, epochs)
    found = [*made.of_retrievals(report), *made.of_experiments(report), *made.of_cores(cores_of(params, report))]
    shown = [made.split(row) for row in sequences_of(params, report)]
    last = [Job(stage, report, {}, fields={"report": report}) for stage in ("collect", "report")]
    return list({(job.stage, job.name): job for job in [*found, *shown, *last]}.values())


class _Jobs:
    """The jobs that make each kind of row, with all that come before them."""

    def __init__(self, params: Params, sizes: Sizes, epochs: int) -> None:
        self.params, self.sizes, self.epochs = params, sizes, epochs

    def of_experiments(self, report: str) -> Iterator[Job]:
        for row in experiments_of(self.params, report):
            yield self.evaluate(row)
            for trained in [row, *earlier_than(self.params, row)]:
                yield from self.of_training(trained)

    def of_training(self, row: Experiment) -> Iterator[Job]:
        yield self.train(row)
        yield self.split(row.cut)
        yield from self.of_cores([row.core, *attributes_of(self.params, row)])
        for core in attributes_of(self.params, row):
            yield self.attributes(core)
        for features in features_of(self.params, row):
            yield from self.of_features(features)
        if name := self.params.variants[row.variant].pretrained:
            yield from self.of_pretraining(name)

    def of_retrievals(self, report: str) -> Iterator[Job]:
        for row in retrievals_of(self.params, report):
            after = (("pretrain", row.pretraining),)
            clips = {"clip": self.sizes.of_corpus(row.corpus).items}
            yield Job("evaluate_retrieval", row.name, clips, after=after, fields=vars(row))
            yield from self.of_pretraining(row.pretraining)
            yield from self.of_pairs(pairs_of(self.params, row))

    def of_pretraining(self, name: str) -> Iterator[Job]:
        row, settings = self.params.pretrainings[name], self.params.pretraining_of(name)
        epochs, pairs = (
            min(settings.max_epochs, self.epochs),
            self.sizes.of_pairs(self.params.corpora[row.corpus], row.corpus),
        )
        work = {"pair": epochs * pairs, "square": epochs * pairs * settings.batch_size}
        yield Job("pretrain", name, work, "", settings.dim, fields={"pretraining": name})
        yield from self.of_pairs(PairFolder(row.corpus, row.encoder))

    def of_pairs(self, row: PairFolder) -> Iterator[Job]:
        corpus = self.params.corpora[row.corpus]
        pairs = {"pair": self.sizes.of_pairs(corpus, row.corpus)}
        match corpus:
            case ShardCorpus():
                yield self.whole(
                    "download_corpus", row.corpus, {"megabyte": self.sizes.megabytes(row.corpus)}, "corpus"
                )
                yield Job("encode_pairs", row.name, pairs, self.encoder(row.encoder), fields=vars(row))
            case ClipCorpus():
                yield Job("pair_features", row.name, pairs, fields=vars(row))
            case DomainCorpus():
                yield Job("pair_items", row.name, pairs, fields=vars(row))
                yield from self.of_cores([self.lowest(corpus.domain)])
        for features in paired_features(self.params, row):
            yield from self.of_features(features)

    def of_features(self, row: FeatureFile) -> Iterator[Job]:
        yield from self.of_items(row.collection)
        items = self.items(row.collection)
        encoder = self.params.encoders[row.encoder]
        if isinstance(encoder, TableEncoder):
            yield self.features("extract_table_features", row, {"item": items})
            yield from self.downloads([getattr(encoder, row.modality)])
        elif row.modality == "text":
            corpus = row.collection in self.params.corpora
            texts = self.sizes.of_corpus(row.collection).actions if corpus else items
            yield self.features("extract_text_features", row, {"text": texts})
        elif has_videos(self.params, row.collection):
            frames = items * self.params.frames.count
            yield self.features("extract_frame_features", row, {"frame": frames})
            yield self.whole("sample_frames", row.collection, {"video": items, "frame": frames})
            yield from self.of_videos(row.collection)
        else:
            yield self.features("extract_picture_features", row, {"picture": items})
            yield self.crawl("crawl_images", row.collection, items, 1 / self.params.crawl_of(row.collection).host_rate)

    def of_videos(self, name: str) -> Iterator[Job]:
        if name not in self.params.corpora:
            yield self.crawl("crawl_trailers", name, self.items(name), self.params.crawl_of(name).trailers.pause)
            yield from self.downloads([self.params.domains[self.params.domain_of(name)].vision.trailer_ids])
            return
        corpus = self.params.corpora[name]
        web = corpus.is_web / self.params.crawl_of(name).host_rate
        yield self.crawl("collect_clips", name, self.items(name), web)
        yield from self.downloads([corpus.archive])

    def of_items(self, collection: str) -> Iterator[Job]:
        if collection not in self.params.corpora:
            yield from self.of_cores([self.lowest(collection)])
            return
        yield self.whole("ingest_clips", collection, {"item": self.items(collection)}, "corpus")
        yield from self.downloads(self.params.corpora[collection].tables)

    def of_cores(self, rows: Iterable[Core]) -> Iterator[Job]:
        for row in rows:
            work = {"megabyte": self.raw_megabytes(row.domain), "action": self.sizes.of_core(row).actions}
            yield Job("prepare", row.name, work, fields=vars(row))
            yield from self.of_domain(row.domain)

    def of_domain(self, name: str) -> Iterator[Job]:
        row = self.params.domains[name]
        yield self.whole(
            "unite" if isinstance(row, UnionDomain) else "ingest",
            name,
            {"megabyte": self.raw_megabytes(name)},
            "domain",
        )
        yield from self.downloads(domain_files(row))
        for member in row.of if isinstance(row, UnionDomain) else []:
            yield from self.of_domain(member)

    def downloads(self, files: Iterable[str | None]) -> Iterator[Job]:
        for file in filter(None, files):
            yield self.whole("download", file, {"megabyte": self.sizes.megabytes(file)}, "file")

    def split(self, row: Cut) -> Job:
        actions = self.sizes.of_core(Core(row.domain, row.k_core)).actions
        return Job("split", row.name, {"action": actions}, fields=vars(row))

    def attributes(self, row: Core) -> Job:
        return Job("attributes", row.name, {"item": self.sizes.of_core(row).items}, fields=vars(row))

    def train(self, row: Experiment) -> Job:
        chosen, variant = self.params.settings_of(row.domain, row.variant), self.params.variants[row.variant]
        size = self.sizes.of_core(row.core)
        hidden = getattr(chosen.settings, "hidden_modality", "none") != "none"
        work = training_work(chosen, size, row.k_core, len(variant.modalities) - hidden, self.epochs)
        after = [("train", source.name) for source in sources_of(self.params, row)]
        after += [("pretrain", variant.pretrained)] if variant.pretrained else []
        return Job("train", row.name, work, *_model(chosen), tuple(after), vars(row))

    def evaluate(self, row: Experiment) -> Job:
        chosen, size = self.params.settings_of(row.domain, row.variant), self.sizes.of_core(row.core)
        work = {"user": size.users, "ranks": size.users}
        return Job("evaluate", row.name, work, *_model(chosen), (("train", row.name),), vars(row))

    def features(self, stage: str, row: FeatureFile, work: dict[str, float]) -> Job:
        return Job(stage, row.name, work, self.encoder(row.encoder), fields=vars(row))

    def crawl(self, stage: str, name: str, items: int, pause: float) -> Job:
        return Job(stage, name, {"item": items, "pause": items * pause}, name, fields={"collection": name})

    def whole(self, stage: str, name: str, work: dict[str, float], wildcard: str = "collection") -> Job:
        return Job(stage, name, work, fields={wildcard: name})

    def lowest(self, collection: str) -> Core:
        domain = self.params.domain_of(collection)
        return Core(domain, self.params.domains[domain].k_core)

    def items(self, collection: str) -> int:
        if collection in self.params.corpora:
            return self.sizes.of_corpus(collection).items
        return self.sizes.of_core(self.lowest(collection)).items

    def raw_megabytes(self, domain: str) -> float:
        row = self.params.domains[domain]
        members = row.of if isinstance(row, UnionDomain) else []
        own = sum(self.sizes.megabytes(file) for file in domain_files(row))
        return own + sum(self.raw_megabytes(member) for member in members)

    def encoder(self, name: str) -> str:
        """The rates of an encoder are those of its row, if it has any, and else those of its kind."""
        return f"{self.params.encoders[name].kind}/{name}"


def _model(chosen: ModelSettings) -> tuple[str, int]:
    """The model with its objective, and its width."""
    objective = getattr(chosen.settings, "objective", "")
    return f"{chosen.model}/{objective}", getattr(chosen.settings, "dim", 0)
