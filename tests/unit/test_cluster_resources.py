"""The limits of jobs on a cluster: workflow/resources.csv, its reader, and profiles/slurm with its lock."""

import importlib.util
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
RULES = "\n".join(path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk")))
# The rules that a cluster gets as jobs: others run where Snakemake runs.
STAGES = set(re.findall(r"^rule (\w+):(?!(?:\n(?!rule ).*)*\n    localrule: True)", RULES, re.MULTILINE))
PROFILE = YAML(typ="safe", pure=True).load(ROOT / "profiles/slurm/config.yaml")


def loaded(path):
    spec = importlib.util.spec_from_file_location("workflow_resources", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


resources = loaded(ROOT / "workflow/resources.py")
LIMITS = resources.read_limits(ROOT / "workflow/resources.csv")
ROW = resources.Limits(minutes=30, mem_mb=500, mem_mb_per_input_mb=20)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "input"
    path.write_bytes(bytes(3_000_000))
    return str(path)


def test_memory_grows_with_the_input(file):
    assert ROW.memory([], 1) == 500
    assert ROW.memory([file], 1) == 560
    assert ROW.memory([file, file], 1) == 620


def test_input_that_is_not_there_yet_adds_nothing(file):
    assert ROW.memory([file, f"{file}-later"], 1) == 560


@pytest.mark.parametrize(("attempt", "memory", "minutes"), [(1, 560, 30), (2, 1120, 60), (3, 2240, 120)])
def test_each_attempt_has_twice_as_much(file, attempt, memory, minutes):
    functions = resources.resources(ROW)

    assert functions["mem_mb"](wildcards=None, input=[file], attempt=attempt) == memory
    assert functions["runtime"](wildcards=None, attempt=attempt) == minutes


def test_each_rule_has_its_own_row():
    assert LIMITS.keys() == STAGES
    assert sorted(re.findall(r'\*\*limits\("(\w+)"\)', RULES)) == sorted(STAGES)


def test_a_row_leaves_more_than_the_processes_of_snakemake():
    assert all(row.minutes >= 60 and row.mem_mb >= 500 and row.mem_mb_per_input_mb >= 0 for row in LIMITS.values())


def test_the_profile_names_rules_that_exist():
    rules = STAGES | set(re.findall(r"^use rule \w+ as (\w+) with:", RULES, re.MULTILINE))
    grouped = [row.partition("=")[0] for row in PROFILE["groups"]]
    limited = [row.partition(":")[0] for row in PROFILE["set-resources"]]

    assert set(grouped) <= rules
    assert len(grouped) == len(set(grouped))
    assert set(limited) <= rules


def test_the_profile_groups_no_stage_that_is_long_or_has_its_own_place():
    grouped = {row.partition("=")[0] for row in PROFILE["groups"]} - {"prepare_repeats", "download"}
    own = {name for name, row in LIMITS.items() if row.minutes > 240}

    assert not grouped & own


def test_one_crawl_runs_at_a_time():
    crawls = {name for name in STAGES if name.startswith("crawl_")} | {"collect_clips"}

    assert {row.partition(":")[0] for row in PROFILE["set-resources"] if row.endswith(":crawls=1")} == crawls
    assert "crawls=1" in PROFILE["resources"]


def test_every_stage_that_computes_on_a_gpu_is_decided_by_the_profile():
    # The machine where Snakemake runs may have no GPU, and then the rules themselves ask for none.
    on_gpu = set(re.findall(r"^rule (\w+):(?:(?!^rule ).)*?gpu=GPUS_OF_A_JOB", RULES, re.MULTILINE | re.DOTALL))

    assert on_gpu
    assert {row.partition(":")[0] for row in PROFILE["set-resources"] if ":gpu=" in row} == on_gpu


def test_the_plugin_is_installed_beside_the_pins_of_the_project():
    locks = (ROOT / "requirements.lock", ROOT / "profiles/slurm/requirements.lock")
    project, plugin = (set(re.findall(r"^[\w.-]+==\S+", path.read_text(), re.MULTILINE)) for path in locks)
    names = {pin.partition("==")[0] for pin in project}

    assert any(pin.startswith("snakemake-executor-plugin-slurm==") for pin in plugin)
    assert {pin for pin in plugin if pin.partition("==")[0] in names} <= project
