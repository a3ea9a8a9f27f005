"""The three descriptions of the environment agree, and name no address."""

import re
import tomllib
from pathlib import Path

import pytest
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
