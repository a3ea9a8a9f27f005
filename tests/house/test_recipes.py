"""The recipes of docs/extending.md, followed on a copy of the repository."""

import shutil
import subprocess
import sys

import pytest

from tests.house.prose import ROOT
from tests.house.recipes import Step, follow, is_done, rewritten, steps

STEPS = steps((ROOT / "docs" / "extending.md").read_text(encoding="utf-8"))
READ = """
from pathlib import Path
from mmsrec.settings.params import read_params

params = read_params(Path("params.yaml"))
print(params.settings_of("demo-shop", "demo-content").settings)
print(params.encoders[params.variants["demo-letters"].encoders["text"]].label)
print(params.domains["my-lines"].source)
print("recall_bars" in params.reports["demo"].exhibits)
"""
COPIED = ("mmsrec", "workflow", "params.yaml", "params.schema.json", "dvc.yaml", "pyproject.toml")


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """A copy of the repository after all recipes."""
    root = tmp_path_factory.mktemp("extended")
    for name in COPIED:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, root / name)
    follow((step for step in STEPS if not is_done(step, root)), root)
    return root


def run(root, *command):
    done = subprocess.run(command, cwd=root, env={"PYTHONPATH": "."}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_there_is_a_recipe_for_each_kind_of_part():
    assert {step.recipe for step in STEPS} == {"content", "letters", "recall_bars", "json_lines"}


def test_the_parameters_accept_the_new_rows(extended):
    run(extended, sys.executable, "workflow/scripts/schema.py", "--output", "params.schema.json")
    run(extended, sys.executable, "workflow/scripts/plan.py", "--output", "workflow/plan.yaml")

    read = run(extended, sys.executable, "-c", READ)

    assert read.splitlines() == ["last=5", "letters 256", "json_lines", "True"]


def test_the_new_modules_have_the_project_s_style(extended):
    created = [step.path for step in STEPS if step.action == "create"]

    run(extended, sys.executable, "-m", "ruff", "check", *created)
    run(extended, sys.executable, "-m", "ruff", "format", "--check", *created)
    run(extended, sys.executable, "-c", "\n".join(f"import {path[:-3].replace('/', '.')}" for path in created))


def test_steps_are_read_and_followed(tmp_path):
    document = (
        "<!-- step a: create new.py -->\n\n```python\nx = 1\n```\nText.\n"
        "<!-- step a: after one in old.py -->\n```\nnext\n```\n"
        "<!-- step a: before one in old.py -->\n```\nfirst\n```\n"
        "<!-- step b: replace two in old.py -->\n```\nTWO\n```\n"
    )
    (tmp_path / "old.py").write_text("one\ntwo\n")

    found = steps(document)
    follow(found, tmp_path)

    assert found[1] == Step("a", "after", "old.py", "one", "next\n")
    assert (tmp_path / "new.py").read_text() == "x = 1\n"
    assert (tmp_path / "old.py").read_text() == "first\none\nnext\nTWO\n"
    assert all(is_done(step, tmp_path) for step in found)

    (tmp_path / "new.py").write_text("x = 2\n")

    assert rewritten(document, tmp_path) == document.replace("x = 1", "x = 2")


def test_a_recipe_that_fits_no_line_is_an_error(tmp_path):
    (tmp_path / "old.py").write_text("one\n")

    with pytest.raises(AssertionError, match="has no line with 'three'"):
        follow([Step("a", "after", "old.py", "three", "x\n")], tmp_path)
