"""The parameters, the wildcards and the functions that name the files of rules; settings.smk has their settings."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(workflow.basedir) / "workflow"))

import layout
import resources as cluster

from mmsrec import gpus
from mmsrec.errors import ArtifactError, ParamsError
from mmsrec.files import read_json, write_json
from mmsrec.settings.encoding import vector_tables
from mmsrec.settings.plan import (
    Experiment,
    PairFolder,
    attributes_of,
    catalogue_features,
    clip_corpora,
    computing_encoders,
    cores_of,
    domain_corpora,
    domain_files,
    experiments_of,
    features_of,
    file_domains,
    paired_features,
    picture_collections,
    recommending,
    repeat_domains,
    shard_corpora,
    sources_of,
    table_encoders,
    trailer_collections,
    union_domains,
)
from mmsrec.settings.params import read_params
from mmsrec.settings.stage_settings import clip_settings, crawl_settings, experiment_settings, pretraining_run
from mmsrec.sources.file_registry import read_registry
from mmsrec.sources.replaced import replaced_files

# The commands of rules call `python`, which is this one also where the virtual environment is not activated.
INTERPRETER, SEARCHED = str(Path(sys.executable).parent), os.get_exec_path()
if SEARCHED[0] != INTERPRETER:
    os.environ.update(PATH=os.pathsep.join([INTERPRETER, *SEARCHED]))

PARAMS = read_params(layout.params_file())
REGISTRY = read_registry(layout.registry_file())
LIMITS = cluster.read_limits(layout.LIMITS)
GPUS = len(gpus.visible())
# On a machine without a GPU, only the cores limit the jobs.
GPUS_OF_A_JOB = min(1, GPUS)
# As many jobs at once as there are GPUs. Each job takes the one that fewest others use (mmsrec/gpus.py).
if GPUS and "gpu" not in workflow.global_resources:
    workflow.register_resource("gpu", GPUS)


if config:
    raise ParamsError(
        "The stages read params.yaml alone.",
        where="--config, --configfile",
        found=dict(config),
        fix="Edit params.yaml.",
    )


def any_of(names):
    # Without names, no text may match; Snakemake would ignore an empty constraint.
    return "|".join(map(re.escape, names)) or "(?!)"


def target(name, table):
    """The name of a rule that makes all files of a row.

    Raises:
        ParamsError: another rule has this name.
    """
    if workflow.is_rule(name):
        raise ParamsError(
            "A row has the name of a rule of Snakemake.",
            where=f"{table}.{name}",
            found=name,
            fix="Choose another name: `snakemake NAME` makes the files of this row.",
        )
    return name


# A raw file outside the registry is the user's own file, so no rule makes it.
wildcard_constraints:
    file=any_of(REGISTRY),
    domain=any_of(PARAMS.domains),
    k_core="[1-9][0-9]*",
    split=any_of(PARAMS.splits),
    corpus=any_of(PARAMS.corpora),
    collection=any_of([*PARAMS.domains, *PARAMS.catalogues, *clip_corpora(PARAMS)]),
    catalogue=any_of(PARAMS.catalogues),
    encoder=any_of(PARAMS.encoders),
    modality="vision|text",
    pretraining=any_of(PARAMS.pretrainings),
    variant=any_of(PARAMS.variants),
    seed="[0-9]+",
    report=any_of(PARAMS.reports),


def command(stage):
    """The shell command of a stage; the path is relative to the folder that the run works in."""
    scripts = os.path.relpath(Path(workflow.basedir) / "workflow" / "scripts")
    return f"python {shlex.quote(f'{scripts}/')}{stage}"


def limits(stage):
    """The memory and the time of a job of a stage, which a cluster needs to know."""
    return cluster.resources(LIMITS[stage])


# How many processes share the work of a job besides those of one machine: docs/running.md.
ONE_MACHINE = {"nodes": 1, "rendezvous": "127.0.0.1:0", "launcher": ""}


def shared_command(stage):
    """The command of a stage whose work several processes share, as the resources of its rule say."""
    shares = "--processes {resources.gpu} --machines {resources.nodes} --rendezvous {resources.rendezvous}"
    return f"{{resources.launcher}} {command(stage)} {shares}"


def without_gpus(jobs, cores):
    """Lines that tell how many trainings run on CPU cores, and for how long each report that is to be made takes."""
    trainings = sum(job.rule.name in {"pretrain", "train"} for job in jobs)
    if not trainings:
        return
    yield f"There is no GPU, so {trainings:,} trainings run on CPU cores."
    for job in jobs:
        if job.rule.name == "report":
            yield expected_time(job.wildcards.report, cores)


def expected_time(report, cores):
    estimate = f"{command('estimate.py')} --report {shlex.quote(report)} --left --cores {cores}"
    run = subprocess.run(estimate, shell=True, capture_output=True, text=True)
    time = re.search(rf"^\| {cores} cores? \| (.+) \|$", run.stdout, re.MULTILINE)
    return f"The report {report} takes about {time[1]} on {cores} cores." if time else run.stderr.rstrip()


def failures(logs_of_snakemake):
    """The messages of the failed jobs that the logs of Snakemake name."""
    texts = "\n".join(Path(path).read_text(errors="replace") for path in logs_of_snakemake)
    logs = dict.fromkeys(re.findall(r"^ +log: (.+?) \(check log", texts, re.MULTILINE))
    for path in map(Path, logs):
        text = path.read_text(errors="replace") if path.exists() else ""
        start = max(text.rfind("\nerror: "), text.rfind("\nTraceback "), 0)
        yield f"\n{path}:\n{text[start:].strip() or 'no message'}"


def raw(*files):
    return [layout.path(layout.RAW_FILE, file=file) for file in files]


def raw_files(wildcards):
    return raw(*domain_files(PARAMS.domains[wildcards.domain]))


def members(wildcards):
    return [
        layout.path(pattern, domain=member)
        for member in PARAMS.domains[wildcards.domain].of
        for pattern in (layout.INGESTED_INTERACTIONS, layout.INGESTED_ITEMS)
    ]


def core_items(domain):
    return layout.path(layout.ITEMS, domain=domain, k_core=PARAMS.domains[domain].k_core)


def catalogue_files(wildcards):
    row = PARAMS.catalogues[wildcards.catalogue]
    return [*raw(row.items, *PARAMS.domains[row.domain].texts), core_items(row.domain)]


# A collection has items with texts and media. It is a domain at its lowest k, a catalogue, or a corpus of clips.


def items(wildcards):
    name = wildcards.collection
    if name in PARAMS.corpora:
        return layout.path(layout.CLIP_ITEMS, corpus=name)
    if name in PARAMS.catalogues:
        return layout.path(layout.CATALOGUE_ITEMS, catalogue=name)
    return core_items(name)


# An encoder that is fitted on texts is fitted on those of the old items, also for the new ones.
def texts(wildcards):
    name = wildcards.collection
    if name in PARAMS.catalogues:
        return [items(wildcards), core_items(PARAMS.domain_of(name))]
    return layout.path(layout.CAPTIONS, corpus=name) if name in PARAMS.corpora else items(wildcards)


def given_vectors(wildcards):
    row = PARAMS.encoders[wildcards.encoder]
    return [str(path) for path in vector_tables(row, wildcards.modality, Path(layout.RAW))]


def clip_tables(wildcards):
    return raw(*PARAMS.corpora[wildcards.corpus].tables)


def clip_archive(wildcards):
    archive = PARAMS.corpora[wildcards.corpus].archive
    return raw(archive) if archive else []


def clip_features(wildcards):
    return [
        layout.path(layout.FEATURES, collection=wildcards.corpus, encoder=wildcards.encoder, modality=modality)
        for modality in ("vision", "text")
    ]


def paired_items(wildcards):
    return core_items(PARAMS.corpora[wildcards.corpus].domain)


def item_features(wildcards):
    pairs = PairFolder(wildcards.corpus, wildcards.encoder)
    return [layout.path(layout.FEATURES, row) for row in paired_features(PARAMS, pairs)]


def pretraining_pairs(wildcards):
    return layout.path(layout.PAIR_INDEX, PARAMS.pretrainings[wildcards.pretraining])


def test_pairs(wildcards):
    encoder = PARAMS.pretrainings[wildcards.pretraining].encoder
    return layout.path(layout.PAIR_INDEX, corpus=wildcards.corpus, encoder=encoder)


def pretrained(wildcards):
    name = PARAMS.variants[wildcards.variant].pretrained
    return layout.path(layout.PRETRAINED_WEIGHTS, pretraining=name) if name else []


def raw_items(wildcards):
    return raw(PARAMS.domains[wildcards.domain].items)


def sources(wildcards):
    return [layout.path(layout.WEIGHTS, row) for row in sources_of(PARAMS, experiment_of(wildcards))]


def trailer_ids(wildcards):
    return raw(PARAMS.domains[PARAMS.domain_of(wildcards.collection)].vision.trailer_ids)


def experiment_of(wildcards):
    return Experiment(wildcards.domain, int(wildcards.k_core), wildcards.split, wildcards.variant, int(wildcards.seed))


def features(wildcards):
    return [layout.path(layout.FEATURES, row) for row in features_of(PARAMS, experiment_of(wildcards))]


def attributes(wildcards):
    return [layout.path(layout.ATTRIBUTES, core) for core in attributes_of(PARAMS, experiment_of(wildcards))]


def collected(wildcards):
    return copies(wildcards.report)


def copies(report):
    folder = layout.path(layout.COLLECTED, report=report)
    return [f"{folder}/{file}" for file in layout.collected_files(PARAMS, report)]


def report_title(wildcards):
    return f"{PARAMS.reports[wildcards.report].title} ({wildcards.report})"


def exhibit_title(wildcards, output):
    """The heading of an exhibit, from the index that the report has written."""
    lines = Path(output[0], "exhibits.tsv").read_text(encoding="utf-8").splitlines()
    titles = dict(line.split("\t")[:2] for line in lines)
    return titles[wildcards.exhibit]


def newest_measurement(wildcards):
    """The number of the measurements, and the time of the newest one: with another measurement, the sums change."""
    times = [path.stat().st_mtime_ns for path in Path(layout.LOGS).rglob("*.tsv")]
    return [len(times), max(times, default=0)]
