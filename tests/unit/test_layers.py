"""The syntax tree keeps the layers apart: imports go one way, few packages know torch, no script holds logic."""

import ast
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "mmsrec").rglob("*.py"))
SCRIPTS = sorted((ROOT / "workflow" / "scripts").glob("*.py"))
# stage.py is what the stages share, plan.py makes the rows of dvc.yaml.
STAGES = [path for path in SCRIPTS if path.stem not in {"stage", "plan"}]

# A module imports from lower layers and from its own unit. A unit is named by the longest pattern that fits.
LAYERS = (
    {"errors"},
    {"files", "workers", "progress", "video_decoder", "settings.row", "report.exhibit_names"},
    {"settings.trainer"},
    {"models.*_settings", "models.registry"},
    {"settings"},
    {"artifacts"},
    {"sources", "sequences"},
    {"features"},
    {"crawl", "pairs"},
    {"nn"},
    {"models"},
    {"evaluation"},
    {"training"},
    {"report", "recommend", "demo", "inspect"},
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
TORCH_PACKAGES = ("features/encoders", "nn", "models", "training", "evaluation", "recommend.py")
TORCH_MODULES = {"torch", "torchvision", "open_clip", "transformers", "safetensors.torch"}
# What a library that runs anywhere does not know.
OUTER = {"snakemake", "dvc", "argparse", "workflow", "stage"}


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in the file it does."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def top(module: str) -> str:
    return module.split(".")[0]


def inside(path: Path) -> str:
    """A module's path below the library."""
    return path.relative_to(ROOT / "mmsrec").as_posix()


def unit(module: str) -> str:
    """The pattern of `LAYERS` that a dotted name below the library belongs to; empty for none."""
    fits = [name for name in LEVEL if fnmatch(module, name) or fnmatch(module, f"{name}.*")]
    return max(fits, key=len, default="")


def dotted(path: Path) -> str:
    """A file's dotted name below the library."""
    return inside(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def offences(found: Callable[[Path], set[str]]) -> dict[str, set[str]]:
    """What is found in each module of the library, without the modules where it is nothing."""
    return {inside(path): names for path in MODULES if (names := found(path))}


def test_every_module_has_a_layer():
    assert not [dotted(path) for path in MODULES if dotted(path) != "__init__" and not unit(dotted(path))]


def test_imports_go_one_way():
    def upward(path: Path) -> set[str]:
        own = unit(dotted(path))
        used = {unit(name.removeprefix("mmsrec.")) for name in imports(path) if name.startswith("mmsrec.")} - {own, ""}
        return {name for name in used if LEVEL[name] >= LEVEL.get(own, 0)}

    assert not offences(upward)


def test_only_the_packages_that_compute_import_torch():
    def torch_modules(path: Path) -> set[str]:
        allowed = inside(path).startswith(TORCH_PACKAGES)
        return set() if allowed else {name for name in imports(path) if {name, top(name)} & TORCH_MODULES}

    assert not offences(torch_modules)


def test_the_library_knows_no_engine_and_no_command_line():
    assert not offences(
        lambda path: set() if path.stem == "__main__" else {top(name) for name in imports(path)} & OUTER
    )


def test_a_module_can_be_read_in_one_sitting():
    lengths = {inside(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}

    assert not {path: lines for path, lines in lengths.items() if lines > 300}


@pytest.mark.parametrize("path", STAGES, ids=lambda path: path.stem)
def test_a_stage_is_a_command_line_and_a_call(path):
    text = path.read_text(encoding="utf-8")

    assert len(text.splitlines()) <= 60
    assert ast.get_docstring(ast.parse(text)), "--help shows the docstring"


def test_a_forbidden_import_is_seen(tmp_path):
    path = tmp_path / "module.py"
    path.write_text("def later():\n    from mmsrec.report import page\n    import torch.nn\n")

    assert set(imports(path)) == {"mmsrec.report", "mmsrec.report.page", "torch.nn"}
