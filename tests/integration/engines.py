"""The graph of each engine as plain data, resolved in a copy of the workflow; no stage runs and no data is read."""

import re
import shutil
import sys
from argparse import Namespace
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from copy import deepcopy
from dataclasses import dataclass
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

from dvc.dependency.param import ParamsDependency
from dvc.repo import Repo
from dvc.stage import Stage
from ruamel.yaml import YAML
from snakemake.api import SnakemakeApi
from snakemake.jobs import Job as SnakemakeJob
from snakemake.settings.types import DAGSettings, OutputSettings, Quietness, ResourceSettings

ROOT = Path(__file__).parents[2]
sys.path += [str(ROOT / "workflow"), str(ROOT / "workflow" / "scripts")]
WORKFLOW = (
    "Snakefile",
    "dvc.yaml",
    "params.yaml",
    "environment.yml",
    "workflow",
    "profiles",
    ".dvc/config",
    ".dvc/plots",
    ".dvcignore",
)
# Edits that remove the catalogues and the models' settings for single domains, so that the domains can be replaced.
ANY_DOMAIN = {"catalogues": {}} | {
    f"models.{name}.by_domain": {}
    for name, row in YAML(typ="safe", pure=True).load(ROOT / "params.yaml")["models"].items()
    if "by_domain" in row
}

# The resources of a rule say how many processes share its work. DVC has no resources, and starts one.
_ONE_PROCESS = re.compile(r" --processes [01] --machines 1 --rendezvous 127\.0\.0\.1:0$")


@dataclass(frozen=True)
class Job:
    """The job that makes an output."""

    stage: str
    command: str
    inputs: frozenset[str]
    parameters: Mapping[str, Any]


Graph = dict[str, Job]


def copy_workflow(folder: Path) -> None:
    """Copies what the engines read. The copy begins without pins of raw files."""
    for name in WORKFLOW:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.lock.csv"))
        else:
            shutil.copyfile(source, target)
    local = f"[core]\n    no_scm = true\n    site_cache_dir = {folder / 'site'}\n"
    (folder / ".dvc" / "config.local").write_text(local)


def edit(values: dict[str, Any], *, plan: bool = True) -> None:
    """Sets dotted keys of params.yaml, and makes the plan again."""
    params = read_yaml(Path("params.yaml"))
    for path, value in deepcopy(values).items():
        *parents, last = path.split(".")
        place = params
        for parent in parents:
            place = place[parent]
        place[last] = value
    YAML(typ="safe", pure=True).dump(params, Path("params.yaml"))
    if plan:
        make_plan()


def make_plan() -> None:
    """Writes the rows of dvc.yaml in the current folder, as `make plan` does."""
    files = {"params": "params.yaml", "registry": "workflow/sources.csv", "output": "workflow/plan.yaml"}
    import_module("plan").main(Namespace(**{flag: Path(file) for flag, file in files.items()}))


def read_yaml(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path)


def snakemake_graph(targets: Iterable[str]) -> Graph:
    """The jobs that Snakemake would run in the current folder for these targets."""
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        workflow = api.workflow(resource_settings=ResourceSettings(cores=1), snakefile=Path("Snakefile"))
        # The summary resolves the graph; the API has no call that hands it out.
        with redirect_stdout(StringIO()):
            workflow.dag(DAGSettings(targets=set(targets), forceall=True)).summary()
        jobs = [job for job in workflow._workflow.dag.jobs if job.output]
    return {output: _of_snakemake(job, output) for job in jobs for output in job.output}


def _of_snakemake(job: SnakemakeJob, output: str) -> Job:
    """A job without its log, which DVC does not write."""
    command, redirected, log = job.shellcmd.partition(" > ")
    assert redirected
    assert log == f"{job.log} 2>&1", "the log is where the rule says"
    if job.rule.name.startswith("collect_report_"):
        return _copied(job, output)
    return Job(job.rule.name, _ONE_PROCESS.sub("", command.strip()), frozenset(job.input), dict(job.params.items()))


def _copied(job: SnakemakeJob, copy: str) -> Job:
    """The stage of DVC that copies one file: a job of Snakemake copies all files of a report."""
    folder, file = copy.split("/", 3)[:3], copy.split("/", 3)[3]
    assert folder == ["results", "collected", job.rule.name.removeprefix("collect_report_")]
    assert file in job.input
    command = f"mkdir -p $(dirname {copy}) && cp {file} {copy}.part && mv {copy}.part {copy}"
    return Job("collect", command, frozenset([file]), {})


def dvc_graph(targets: Iterable[str]) -> Graph:
    """The stages that DVC would run in the current folder to make these files; a folder stands for the files in it."""
    with Repo() as repo:
        stages = list(repo.index.stages)
    makers = {out.def_path: stage for stage in stages for out in stage.outs}
    parameters = {file: read_yaml(Path(file)) for file in ("params.yaml", "workflow/plan.yaml")}
    graph: Graph = {}
    wanted = set(targets)
    while made := wanted & makers.keys() - graph.keys():
        stage = makers[made.pop()]
        job = _of_dvc(stage, makers, parameters)
        graph |= {out.def_path: job for out in stage.outs}
        wanted |= job.inputs
    return graph


def _of_dvc(stage: Stage, outputs: Iterable[str], parameters: Mapping[str, Any]) -> Job:
    keys = [dependency for dependency in stage.deps if isinstance(dependency, ParamsDependency)]
    files = [dependency for dependency in stage.deps if dependency not in keys]
    return Job(
        stage.addressing.partition("@")[0],
        " ".join(stage.cmd.split()),
        frozenset(path for file in files for path in _expanded(file.def_path, outputs)),
        {key: _value(parameters[file.def_path], key) for file in keys for key in file.params},
    )


def _expanded(path: str, outputs: Iterable[str]) -> list[str]:
    return [output for output in outputs if output.startswith(f"{path}/")] or [path]


def _value(tree: Any, key: str) -> Any:
    for part in key.split("."):
        tree = tree[part]
    return tree


def redone(before: Graph, after: Graph) -> set[str]:
    """The outputs that are made again: those whose job has changed, and all that is made from them."""
    changed = {output for output in after if before.get(output) != after[output]}
    while more := {output for output in after if output not in changed and after[output].inputs & changed}:
        changed |= more
    return changed
