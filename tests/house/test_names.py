"""File names: each stands once below the library, so that a name says which file is meant."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]


def repeated(paths: Iterable[Path]) -> dict[str, list[str]]:
    """The stems of more than one module, with their files; a package's own files do not count."""
    found = defaultdict(list)
    for path in paths:
        if path.stem not in {"__init__", "__main__"}:
            found[path.stem].append(path.as_posix())
    return {stem: sorted(names) for stem, names in found.items() if len(names) > 1}


def test_no_file_name_is_used_twice():
    assert not repeated((ROOT / "mmsrec").rglob("*.py"))


def test_a_planted_name_is_found():
    paths = [Path("crawl/http.py"), Path("sources/http.py"), Path("crawl/__init__.py"), Path("sources/__init__.py")]

    assert repeated(paths) == {"http": ["crawl/http.py", "sources/http.py"]}
