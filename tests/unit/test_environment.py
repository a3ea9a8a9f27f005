"""The three descriptions of the environment agree, and name no address."""

import json
import os
import re
import subprocess
import tomllib
import venv
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = (ROOT / "requirements.lock").read_text()


@pytest.fixture(scope="module")
def conda() -> dict:
    return YAML(typ="safe", pure=True).load(ROOT / "environment.yml")


def name(requirement: str) -> str:
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-").replace(".", "-")


def test_conda_installs_what_the_project_asks_for(conda):
    (packages,) = (row["pip"] for row in conda["dependencies"] if isinstance(row, dict))

    assert packages == PROJECT["project"]["dependencies"]


@pytest.mark.skipif("MMSREC_RESOLVE" not in os.environ, reason="set MMSREC_RESOLVE=1 to ask pip: it needs a network")
def test_pip_resolves_condas_list_to_the_locked_versions(conda, tmp_path):
    (packages,) = (row["pip"] for row in conda["dependencies"] if isinstance(row, dict))
    locked = [Requirement(line.removesuffix("\\")) for line in LOCK.splitlines() if re.match(r"[\w.-]+==", line)]
    here = {name(row.name): row for row in locked if row.marker is None or row.marker.evaluate()}
    (tmp_path / "asked.txt").write_text("\n".join(packages))
    (tmp_path / "locked.txt").write_text("\n".join(f"{row.name}{row.specifier}" for row in here.values()))
    venv.create(tmp_path / "venv", with_pip=True)
    flags = ["--dry-run", "--quiet", "--ignore-installed", "--report=report.json", "-rasked.txt", "-clocked.txt"]
    subprocess.run(["venv/bin/pip", "install", *flags], cwd=tmp_path, check=True, timeout=900)
    found = [row["metadata"] for row in json.loads((tmp_path / "report.json").read_text())["install"]]

    assert len(found) > len(packages)
    # A local build of a release, such as torch's for CPUs, has a label after its version.
    assert [row for row in found if row["version"].partition("+")[0] not in here[name(row["name"])].specifier] == []


def test_snakemake_installs_the_lock_in_condas_environment():
    commands = (ROOT / "environment.post-deploy.sh").read_text()

    assert "--require-hashes --requirement requirements.lock" in commands


def test_conda_installs_the_projects_python(conda):
    assert f"python {PROJECT['project']['requires-python']}" in conda["dependencies"]


def test_the_lock_holds_every_package_that_the_project_and_its_tests_name():
    locked = {name(line) for line in LOCK.splitlines() if re.match(r"[\w.-]+==", line)}
    wanted = PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["dev"]

    assert {name(requirement) for requirement in wanted} <= locked, "run: make lock"


def test_every_locked_package_has_a_hash():
    blocks = re.split(r"(?m)^(?=[\w.-]+==)", LOCK)[1:]

    assert blocks
    assert not [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block]


def test_the_lock_names_no_address():
    assert not re.search(r"://|--index|--find-links|--trusted|file:| @ ", LOCK)


def test_the_software_citation_agrees_with_the_project():
    citation = YAML(typ="safe", pure=True).load(ROOT / "CITATION.cff")

    assert citation["version"] == PROJECT["project"]["version"]
    assert citation["license"] == PROJECT["project"]["license"]
    assert [author["family-names"] for author in citation["preferred-citation"]["authors"]] == [
        "Song",
        "Sun",
        "Xu",
        "Zheng",
        "Yang",
    ]
