"""Tables as HTML, Markdown and TeX: escaped text, and markup that is well formed."""

import re

import polars as pl
import pytest

from mmsrec.report.rendering import plain_markdown, plain_tex, table_files, table_html, table_markdown, table_tex
from mmsrec.report.table import Column, Table, fixed

HOSTILE = r"x|y *z* _w_ `v` [u](t) <b> & \end{tabular} $^~#%{} \"− ± × –"
TEXTS = [HOSTILE, "a\nb", "\\"]


def table(frame, columns, **options):
    return Table(title="T", caption="C", frame=pl.DataFrame(frame), columns=columns, **options)


@pytest.fixture
def scores() -> Table:
    """A table with a group, a common heading, and all marks."""
    frame = {"g": ["x"] * 3, "m": ["one", "two", "three"], "n": [1, 2, 3], "v": [0.1, 0.2, 0.3]}
    columns = [Column("m", "M"), Column("n", "N"), Column("v", "V", over="O", show=fixed, best="highest")]
    return table(frame, columns, groups=[Column("g", "G")], notes=["a note"])


def test_markdown_is_a_table_with_aligned_columns(scores):
    assert table_markdown(scores).splitlines() == [
        "**C**",
        "",
        "| G   | M     |    N |        O V |",
        "| --- | ---   | ---: |       ---: |",
        "| x   | one   |    1 |     0.1000 |",
        "| x   | two   |    2 |   _0.2000_ |",
        "| x   | three |    3 | **0.3000** |",
        "",
        "- **bold**: best of a group; _italic_: second best",
        "- a note",
    ]


def test_html_marks_the_best_and_the_second_best(scores):
    html = table_html(scores, "scores")
    assert '<td class="number"><strong>0.3000</strong></td>' in html
    assert '<td class="number"><u>0.2000</u></td>' in html
    assert '<th scope="colgroup" colspan="1">O</th>' in html
    assert '<p class="caption" id="scores-caption">C</p>' in html
    assert 'aria-labelledby="scores-caption"' in html


def test_tex_is_a_booktabs_table_with_caption_and_label(scores):
    lines = [line.strip() for line in table_tex(scores, "my_scores").splitlines()]
    assert r"\begin{tabular}{lrr}" in lines
    assert r"\label{tab:my-scores}" in lines
    assert r"\caption{C}" in lines
    assert [line for line in lines if line.startswith("\\multicolumn")] == [
        r"\multicolumn{2}{l}{}",
        r"\multicolumn{3}{l}{\textit{x}} \\",
    ]
    assert r"\cmidrule(lr){3-3}" in lines
    assert [line for line in lines if line.endswith("\\\\") and "&" in line] == [
        r"one & 1 & 0.1000 \\",
        r"two & 2 & \underline{0.2000} \\",
        r"three & 3 & \textbf{0.3000} \\",
    ]


def test_hostile_text_is_text_in_markdown():
    assert plain_markdown(HOSTILE).startswith(r"x\|y \*z\* \_w\_ \`v\` \[u\](t) &lt;b> &amp; \\end{tabular}")
    lines = table_markdown(table({"a": TEXTS}, [Column("a", "A")])).splitlines()[2:]
    assert len(lines) == 5
    assert {len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in lines} == {2}


def test_hostile_text_is_text_in_html():
    html = table_html(table({"a": ["r"], "b": ["<b>&"]}, [Column("a", "<A>"), Column("b", "B")]), "t")
    assert "<td>&lt;b&gt;&amp;</td>" in html
    assert "&lt;A&gt;</th>" in html


def test_hostile_text_is_text_in_tex():
    assert plain_tex(r"50% & \input{x}_^~") == (
        r"50\% \& \textbackslash{}input\{x\}\_\textasciicircum{}\textasciitilde{}"
    )
    assert plain_tex("*[a]") == "{*}{[}a]"
    assert plain_tex("−1 ± 2") == r"$-$1 $\pm$ 2"
    shown = table({"a": TEXTS, "b": TEXTS}, [Column("a", HOSTILE), Column("b", HOSTILE, over=HOSTILE)], notes=TEXTS)
    text = table_tex(shown, "t")
    assert balanced(text) == ["table", "tabular", "minipage"]
    rows = text[text.index(r"\midrule") : text.index(r"\bottomrule")].strip().splitlines()[1:]
    assert [len(re.findall(r"(?<!\\)&", row)) for row in rows] == [1, 1, 1]


def balanced(text: str) -> list[str]:
    """The environments in the order of their beginnings; fails where braces or environments do not match."""
    seen, opened, depth = [], [], 0
    # Without the comment of the first line and escaped characters.
    body = re.sub(r"\\[\\{}$&#%_]", "", text.split("\n", 1)[1])
    for command, name, brace in re.findall(r"\\(begin|end)\{(\w+)\}|([{}])", body):
        depth += {"{": 1, "}": -1, "": 0}[brace]
        assert depth >= 0
        if command == "begin":
            seen.append(name)
            opened.append(name)
        elif command == "end":
            assert opened.pop() == name
    assert (opened, depth) == ([], 0)
    assert body.count("$") % 2 == 0
    return seen


def test_many_notes_follow_the_float_in_tex():
    text = table_tex(table({"a": ["r"]}, [Column("a", "A")], notes=["note"] * 7), "t")
    assert balanced(text) == ["table", "tabular"]
    assert text.index(r"\end{table}") < text.index("note")
    assert text.count(r"note\par") == 7


def test_an_unbalanced_text_is_seen():
    for text in ("\n\\begin{a}\\end{b}", "\n{", "\n}{", "\n$"):
        with pytest.raises(AssertionError):
            balanced(text)


def test_a_table_without_rows_has_its_header():
    empty = table({"a": pl.Series([], dtype=pl.String)}, [Column("a", "A")])
    assert table_markdown(empty).splitlines()[2:] == ["| A   |", "| --- |"]
    assert '<th scope="col" rowspan="2">A</th>' in table_html(empty, "t")
    assert balanced(table_tex(empty, "t")) == ["table", "tabular", "minipage"]


def test_the_csv_has_full_precision():
    files = table_files(table({"v": [1 / 3]}, [Column("v", "V", show=fixed)]), "t")
    assert files["t.csv"] == b"v\n0.3333333333333333\n"
    assert list(files) == ["t.csv", "t.md", "t.tex"]
