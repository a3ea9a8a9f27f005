"""The syntax tree keeps the layers apart: imports go one way, few packages know torch, no script holds logic."""

import ast
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "mmsrec"
LONGEST_MODULE = 300  # lines
SCRIPTS = sorted((ROOT / "workflow" / "scripts").glob("*.py"))
# stage.py is what the stages share, plan.py makes the rows of dvc.yaml.
STAGES = [path for path in SCRIPTS if path.stem not in {"stage", "plan"}]

# A module imports from lower layers and from its own unit. A unit is named by the longest pattern that fits.
LAYERS = (
    {"urls", "video_streams", "video_times"},
    {"errors", "video_packets"},
    {
        "machine_errors",
        "files",
        "table_file",
        "workers",
        "progress",
        "spreadsheets",
        "picture_decoder",
        "video_decoder",
        "settings.row",
        "report.exhibit_names",
    },
    {"settings.trainer"},
    {"models.*_settings"},
    {"models.registry"},
    {"settings"},
    {"artifacts", "gpus"},
    {"sources"},
    {"sequences"},
    {"features"},
    {"crawl", "pairs"},
    {"nn"},
    {"models"},
    {"evaluation"},
    {"training"},
    {"report", "recommend", "demo", "inspect"},
    {"__init__"},  # the front door
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
TORCH_PACKAGES = ("features/encoders", "nn", "models", "training", "evaluation", "recommend")
TORCH_MODULES = {"torch", "torchvision", "open_clip", "transformers", "safetensors.torch"}
# A library that runs anywhere does not know the engines, nor a command line.
OUTER = {"snakemake", "dvc", "argparse", "workflow", "stage"}


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports when it runs, at any place; imports for type checkers do not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"), path)
    for_types = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    ]
    skipped = {id(inner) for node in for_types for statement in node.body for inner in ast.walk(statement)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def top(module: str) -> str:
    return module.split(".")[0]


def unit(module: str) -> str:
    """The pattern of `LAYERS` that a dotted name below the library belongs to; empty for none."""
    fits = [name for name in LEVEL if fnmatch(module, name) or fnmatch(module, f"{name}.*")]
    return max(fits, key=len, default="")


def dotted(name: str) -> str:
    """The dotted name of a file below the library."""
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def upward(name: str, imported: set[str]) -> set[str]:
    """The units that a module imports although they are not below its own."""
    own = unit(dotted(name))
    used = {unit(module.removeprefix("mmsrec.")) for module in imported if module.startswith("mmsrec.")} - {own, ""}
    return {module for module in used if LEVEL[module] >= LEVEL.get(own, 0)}


def torch_outside(name: str, imported: set[str]) -> set[str]:
    """The torch packages that a module imports although its package does not compute."""
    allowed = name.startswith(TORCH_PACKAGES)
    return set() if allowed else {module for module in imported if {module, top(module)} & TORCH_MODULES}


def outer(name: str, imported: set[str]) -> set[str]:
    """The engines and command lines that a module imports."""
    return set() if name.endswith("__main__.py") else {top(module) for module in imported} & OUTER


CHECKS = (upward, torch_outside, outer)


def offences(check: Callable[[str, set[str]], set[str]], root: Path) -> dict[str, set[str]]:
    """The forbidden imports of each module of a library, by its path below it."""
    names = {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*.py"))}
    return {name: found for name, path in names.items() if (found := check(name, set(imports(path))))}


def too_long(root: Path) -> dict[str, int]:
    """The modules of a library that have too many lines."""
    lengths = {
        path.relative_to(root).as_posix(): len(path.read_text("utf-8").splitlines()) for path in root.rglob("*.py")
    }
    return {name: lines for name, lines in lengths.items() if lines > LONGEST_MODULE}


def test_every_module_has_a_layer():
    names = [dotted(path.relative_to(LIBRARY).as_posix()) for path in LIBRARY.rglob("*.py")]

    assert not [name for name in names if not unit(name)]


@pytest.mark.parametrize("check", CHECKS)
def test_no_module_has_a_forbidden_import(check):
    assert not offences(check, LIBRARY)


def test_no_module_is_too_long():
    assert not too_long(LIBRARY)


@pytest.mark.parametrize("path", STAGES, ids=lambda path: path.stem)
def test_a_stage_is_a_command_line_and_a_call(path):
    text = path.read_text(encoding="utf-8")

    assert len(text.splitlines()) <= 60
    assert ast.get_docstring(ast.parse(text)), "--help shows the docstring"


def test_a_planted_module_is_found(tmp_path):
    path = tmp_path / "sources" / "planted.py"
    path.parent.mkdir()
    late = "def later():\n    from mmsrec.report import page\n    import torch.nn, dvc\n"
    typed = "if TYPE_CHECKING:\n    import snakemake\n"
    path.write_text(late + typed + "#\n" * 300)

    assert [offences(check, tmp_path) for check in CHECKS] == [
        {"sources/planted.py": {"report"}},
        {"sources/planted.py": {"torch.nn"}},
        {"sources/planted.py": {"dvc"}},
    ]
    assert too_long(tmp_path) == {"sources/planted.py": 305}
