"""docs/extending.md lists files that exist."""

from tests.house.file_tree import DOCUMENT, listed, rewritten, tree
from tests.house.prose import ROOT


def test_the_listed_files_exist():
    paths = listed(DOCUMENT.read_text(encoding="utf-8"))

    assert len(paths) > 100
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_a_tree_lists_each_module_with_its_first_sentence(tmp_path):
    for folder in ("mmsrec/models", "workflow/scripts", "benchmarks"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "mmsrec" / "models" / "__init__.py").write_text('"""Models. Each has a file."""\n')
    (tmp_path / "mmsrec" / "models" / "pop.py").write_text('"""Pop: the same items.\n\nMore."""\n')

    text = tree(tmp_path)
    document = rewritten("# Files\n\n<!-- tree -->\n```\nold.py\n```\n", text)

    assert [line.split() for line in text.splitlines()[:3]] == [
        ["mmsrec/"],
        ["models/", "Models"],
        ["pop.py", "Pop"],
    ]
    assert listed(document) == ["mmsrec/", "mmsrec/models/", "mmsrec/models/pop.py", "workflow/scripts/", "benchmarks/"]
