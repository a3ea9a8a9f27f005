"""The project's English: banned words, the length of sentences and of Markdown lines."""

import pytest

from tests.house.prose import ROOT, banned, files_in_scope, long_lines, long_sentences, rules

FILES = {path.relative_to(ROOT).as_posix(): path for path in files_in_scope()}
DOCUMENTS = {name: path for name, path in FILES.items() if path.suffix == ".md"}
LONG = "This is a sentence " + "that is very long " * 6 + "indeed."
WORDS = [
    ("Files are sealed.", "finalise"),
    ("What a crawl reads", "start with the subject"),
    ("The crawl ends. Of the items, two are left.", "start with the subject"),
    ("The weights could not be had.", "available"),
]


def test_no_file_has_a_banned_word():
    found = [line for name, path in FILES.items() for line in banned(path, name, rules())]

    assert not found, "\n".join(found)


def test_no_sentence_is_too_long():
    found = [line for name, path in FILES.items() for line in long_sentences(path, name)]

    assert not found, "\n".join(found)


def test_no_line_of_a_document_is_too_long():
    found = [line for name, path in DOCUMENTS.items() for line in long_lines(path, name)]

    assert not found, "\n".join(found)


@pytest.mark.parametrize(("text", "instead"), WORDS)
@pytest.mark.parametrize(
    ("file", "frame"),
    [
        ("page.md", "# Title\n\n{}\n"),
        ("page.md", "- First.\n- {}\n"),
        ("page.md", "| a | b |\n| --- | --- |\n| c | {} |\n"),
        ("module.py", '"""{}"""\n'),
        ("module.py", "def f():\n    # {}\n    return 1\n"),
        ("module.py", "raise PlantedError('{}')\n"),
        ("params.yaml", "key: 1 # {}\n"),
    ],
)
def test_a_planted_word_is_found(tmp_path, file, frame, text, instead):
    path = tmp_path / file
    path.write_text(frame.format(text))

    assert any(instead in line for line in banned(path, file, rules()))


@pytest.mark.parametrize(
    ("file", "frame"),
    [
        ("page.md", "Short.\n{}\n"),
        ("module.py", '"""Title.\n\n    Args:\n        value: {}\n"""\n'),
        ("module.py", "call(help='{}')\n"),
        ("module.py", "value = 1  # {}\n"),
        ("Makefile", "# {}\n"),
    ],
)
def test_a_planted_long_sentence_is_found(tmp_path, file, frame):
    path = tmp_path / file
    path.write_text(frame.format(LONG))

    assert len(long_sentences(path, file)) == 1


def test_a_planted_long_line_is_found(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("word " * 30 + "\n")

    assert long_lines(path, "page.md") == ["page.md:1: 150 characters"]


def test_code_tables_and_numbers_are_no_sentences(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(
        f"```\n{LONG} Sealed.\n```\n\n| {LONG} |\n\nThe score is .05 on `{LONG} sealed`, e.g. Toys.\n"
        + f"A list: {', '.join(['`name`'] * 30)}.\n"
    )

    assert not [*long_sentences(path, "page.md"), *banned(path, "page.md", rules())]


def test_only_the_log_has_dates_and_commits(tmp_path):
    path = tmp_path / "LOG.md"
    path.write_text("Measured on 2026-11-27 at 93447a5.\n")

    assert not banned(path, "docs/LOG.md", rules())
    assert len(banned(path, "docs/results.md", rules())) == 2
