"""The container image: what it copies exists, and it runs the demo where a builder is at hand."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECIPE = (ROOT / "Containerfile").read_text()
IGNORED = (ROOT / ".containerignore").read_text().split()
BUILT = "MMSREC_IMAGE" in os.environ and shutil.which("buildah")


def test_the_image_copies_files_that_exist():
    copied = [name for line in re.findall(r"^COPY (.+) \S+$", RECIPE, re.MULTILINE) for name in line.split()]

    assert "requirements.lock" in copied
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_the_base_image_has_a_short_name():
    (base,) = re.findall(r"^ARG BASE=(.+)$", RECIPE, re.MULTILINE)

    assert re.fullmatch(r"[a-z]+:[a-z-]+", base)
    assert f"BASE = {base}\n" in (ROOT / "Makefile").read_text()


def test_the_image_takes_no_file_that_git_ignores():
    local = {line.strip("/") for line in (ROOT / ".gitignore").read_text().split()}

    assert {name.removeprefix("**/").strip("/") for name in IGNORED} >= local
    assert (ROOT / ".dockerignore").read_text() == (ROOT / ".containerignore").read_text()


@pytest.mark.skipif(not BUILT, reason="set MMSREC_IMAGE=1 where buildah is installed: it takes 10 minutes and 12 GB")
def test_the_demo_runs_in_the_image():
    base = [f"BASE={os.environ['MMSREC_IMAGE_BASE']}"] if "MMSREC_IMAGE_BASE" in os.environ else []
    subprocess.run(["make", "image", *base], cwd=ROOT, check=True)
    container = subprocess.run(["buildah", "from", "mmsrec"], capture_output=True, text=True, check=True).stdout.strip()
    try:
        ran = subprocess.run(["buildah", "run", container, "make", "demo"], capture_output=True, text=True)
    finally:
        subprocess.run(["buildah", "rm", container], check=True)
    assert ran.returncode == 0, ran.stderr[-5000:]
    assert re.search(r"demo-shop +\| +demo-both +\| +0\.\d+", ran.stdout)
