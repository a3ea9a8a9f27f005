"""All paths of the workflow. A name in braces is a field of a row, a flag of a script, or a wildcard of a rule.

All paths are relative to the folder that a run works in. Only params.yaml and the registry of sources may come from
the repository instead, so that `snakemake --directory X` needs no copy of them.
"""

from pathlib import Path

from mmsrec.settings.params import Params
from mmsrec.settings.plan import cores_of, experiments_of, retrievals_of, sequences_of

ROOT = Path(__file__).parents[1]
RATES = ROOT / "workflow" / "rates.csv"
SIZES = ROOT / "workflow" / "sizes.csv"
LIMITS = ROOT / "workflow" / "resources.csv"  # memory and time of a job of each stage on a cluster

RAW = "data/raw"
RAW_FILE = f"{RAW}/{{file}}"
RAW_FACTS = f"{RAW_FILE}.json"
RAW_SEEN = "data/raw_files.json"  # Snakemake's note of the raw files that it has seen

UNMADE = ".snakemake/mmsrec_unmade.json"  # what a run of Snakemake was to make

INGESTED_DOMAINS = "data/ingested"
INGESTED = f"{INGESTED_DOMAINS}/{{domain}}"
INGESTED_INTERACTIONS = f"{INGESTED}/interactions.parquet"
INGESTED_ITEMS = f"{INGESTED}/items.parquet"
CORE = "data/processed/{domain}/k{k_core}"
INTERACTIONS = f"{CORE}/interactions.parquet"
ITEMS = f"{CORE}/items.parquet"
STATISTICS = f"{CORE}/statistics.json"
ATTRIBUTES = f"{CORE}/attributes.parquet"
SEQUENCES = f"{CORE}/{{split}}/sequences.parquet"

# Items that arrived after a training.
CATALOGUE_ITEMS = "data/catalogues/{catalogue}/items.parquet"

# A collection is a domain, a catalogue or a corpus of clips.
MEDIA = "data/media/{collection}"
LEDGER = f"{MEDIA}/ledger.parquet"
FRAMES = "data/frames/{collection}.parquet"
COLLECTION_FEATURES = "data/features/{collection}"
FEATURES = f"{COLLECTION_FEATURES}/{{encoder}}/{{modality}}.parquet"

SHARDS = f"{RAW}/corpora/{{corpus}}"
SHARD_LIST = f"{SHARDS}/shards.json"
CLIPS = "data/corpora/{corpus}"
CLIP_ITEMS = f"{CLIPS}/items.parquet"
CAPTIONS = f"{CLIPS}/captions.parquet"
PAIRS = "data/pairs/{corpus}/{encoder}"
PAIR_INDEX = f"{PAIRS}/index.json"

PRETRAININGS = "models/pretrain"
PRETRAINED = f"{PRETRAININGS}/{{pretraining}}"
PRETRAINED_WEIGHTS = f"{PRETRAINED}/weights.safetensors"
PRETRAINED_CONFIG = f"{PRETRAINED}/config.json"
PRETRAINED_HISTORY = f"{PRETRAINED}/history.parquet"
RETRIEVAL = "results/retrieval/{pretraining}/{corpus}"
RETRIEVAL_METRICS = f"{RETRIEVAL}/metrics.json"
RETRIEVAL_RANKS = f"{RETRIEVAL}/ranks.parquet"

EXPERIMENT = "{domain}/k{k_core}/{split}/{variant}/seed{seed}"
MODEL = f"models/{EXPERIMENT}"
WEIGHTS = f"{MODEL}/weights.safetensors"
LAST_WEIGHTS = f"{MODEL}/last.safetensors"
CONFIG = f"{MODEL}/config.json"
HISTORY = f"{MODEL}/history.parquet"
RESULT = f"results/{EXPERIMENT}"
METRICS = f"{RESULT}/metrics.json"
RANKS = f"{RESULT}/ranks.parquet"

COLLECTED = "results/collected/{report}"
COLLECTED_FILE = f"{COLLECTED}/{{file}}"
REPORT = "results/reports/{report}"
PARTIAL_REPORT = "results/partial/{report}"
# DVC shows whole folders as metrics or plots, so the files of a kind lie together, apart from the report's others.
NUMBERS = {kind: f"results/{kind}/{{report}}" for kind in ("metrics", "curves", "bars")}

LOGS = "logs"
COSTS = "results/costs"
COST_FILES = [f"{COSTS}/costs.{kind}" for kind in ("csv", "html", "md", "tex")]

# The stages in the order of a run, each with a file that is there when its job is done.
MADE = {
    "download": RAW_FILE,
    "ingest": INGESTED_ITEMS,
    "unite": INGESTED_ITEMS,
    "prepare": STATISTICS,
    "ingest_items": CATALOGUE_ITEMS,
    "split": SEQUENCES,
    "attributes": ATTRIBUTES,
    "crawl_images": LEDGER,
    "crawl_trailers": LEDGER,
    "ingest_clips": CAPTIONS,
    "collect_clips": LEDGER,
    "sample_frames": FRAMES,
    "extract_table_features": FEATURES,
    "extract_text_features": FEATURES,
    "extract_picture_features": FEATURES,
    "extract_frame_features": FEATURES,
    "download_corpus": SHARD_LIST,
    "encode_pairs": PAIR_INDEX,
    "pair_features": PAIR_INDEX,
    "pair_items": PAIR_INDEX,
    "pretrain": PRETRAINED_WEIGHTS,
    "evaluate_retrieval": RETRIEVAL_METRICS,
    "train": WEIGHTS,
    "evaluate": METRICS,
    "collect": COLLECTED,
    "report": f"{REPORT}/report.html",
}


def params_file() -> Path:
    """The parameter file of the current folder, or else the repository's."""
    return _own_or_repository("params.yaml")


def registry_file() -> Path:
    """The registry of source files of the current folder, or else the repository's."""
    return _own_or_repository("workflow/sources.csv")


def lock_file(registry: Path) -> Path:
    """The lock file lies beside its registry, so that both are committed together."""
    return registry.with_suffix(".lock.csv")


def _own_or_repository(file: str) -> Path:
    return Path(file) if Path(file).exists() else ROOT / file


def log(stage: str, pattern: str) -> str:
    """The log of a job; its name follows the job's output."""
    return f"{LOGS}/{stage}/{pattern}.log"


def cost(stage: str, pattern: str) -> str:
    """The time and the memory of a job, which Snakemake measures."""
    return f"{LOGS}/{stage}/{pattern}.tsv"


def path(pattern: str, *rows: object, **fields: object) -> str:
    """A pattern, filled from the attributes of rows and from fields."""
    known = {name: value for row in rows for name, value in vars(row).items()}
    return pattern.format(**known | fields)


def collected_files(params: Params, report: str) -> list[str]:
    """The files that a report shows, as each stage wrote them."""
    return [
        *(path(RETRIEVAL_METRICS, row) for row in retrievals_of(params, report)),
        *(path(STATISTICS, row) for row in cores_of(params, report)),
        *(path(SEQUENCES, row) for row in sequences_of(params, report)),
        *(path(pattern, row) for row in experiments_of(params, report) for pattern in (HISTORY, METRICS, RANKS)),
    ]
