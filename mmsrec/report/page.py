"""Writes a report as the files of its exhibits, and one page with all exhibits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from mmsrec.files import atomic_folder
from mmsrec.report.charts import Figure
from mmsrec.report.exhibits import load_exhibit
from mmsrec.report.inputs import KEYS, Inputs
from mmsrec.report.rendering import figure_files, figure_html, page_html, table_files, table_html
from mmsrec.report.table import Table
from mmsrec.settings.layouts import AnyLayout
from mmsrec.settings.params import Params, row_of

CANDIDATES = {
    "all": "every item",
    "unseen": "every item that the user has not acted on before",
    "cold": "the cold items alone",
}
LEGEND = (
    ("reported", "the number in the paper"),
    ("measured", "the mean over the seeds; with several seeds, ± half the width of Student's 95 % interval"),
    ("difference", "measured minus reported"),
    ("bold", "the best measured value of a group"),
    ("underlined", "the second best"),
    ("*", "see the note below the table"),
)
WHOLE = "report"  # the page of all exhibits; so no exhibit has this name
RENDERERS = {Table: (table_files, table_html), Figure: (figure_files, figure_html)}


@dataclass(frozen=True)
class Section:
    """An exhibit on the page.

    Args:
        name: the exhibit's name, the anchor of the section.
        title: heading.
        caption: what the exhibit shows.
        html: the exhibit below the heading.
        notes: remarks below the exhibit.
        files: the exhibit's files by name.
    """

    name: str
    title: str
    caption: str
    html: str
    notes: Sequence[str]
    files: Mapping[str, bytes]


def write_report(inputs: Inputs, output: Path) -> None:
    """Writes the folder `output`; equal inputs give equal bytes.

    It has each exhibit's files and its page NAME.html, report.html with all exhibits, and exhibits.tsv with their
    titles and captions.

    Raises:
        ParamsError: there is no such report.
        ArtifactError: an input is missing, damaged or made with other parameters.
    """
    report = row_of(inputs.params.reports, inputs.report, "reports")
    sections = [section(*shown(inputs, exhibit)) for exhibit in report.exhibits]
    known = facts(inputs)
    contents = {name: content for part in sections for name, content in part.files.items()}
    contents |= {f"{part.name}.html": page(part.title, known, [part]).encode() for part in sections}
    contents[f"{WHOLE}.html"] = page(report.title, known, sections).encode()
    contents["exhibits.tsv"] = index(sections).encode()
    with atomic_folder(output) as folder:
        for name, content in contents.items():
            (folder / name).write_bytes(content)


def shown(inputs: Inputs, exhibit: str | AnyLayout) -> tuple[str, Table | Figure]:
    """The name and the content of an exhibit.

    Raises:
        ParamsError: the exhibit draws no layout of this kind.
    """
    if isinstance(exhibit, str):
        return exhibit, load_exhibit(exhibit)(inputs)
    return exhibit.name, load_exhibit(exhibit.exhibit, type(exhibit))(inputs, exhibit)


def section(name: str, exhibit: Table | Figure) -> Section:
    """Renders an exhibit for the page and as files."""
    files_of, html_of = RENDERERS[type(exhibit)]
    html, made = html_of(exhibit, name), files_of(exhibit, name)
    return Section(name, exhibit.title, exhibit.caption, html, exhibit.notes, made)


def index(sections: Sequence[Section]) -> str:
    """The name, title and caption of each exhibit and of the whole page, one line each, separated by tabs."""
    rows = [(part.name, part.title, part.caption) for part in sections]
    whole = (WHOLE, "All exhibits", "All exhibits of the report on one page.")
    return "".join("\t".join(" ".join(field.split()) for field in row) + "\n" for row in [*rows, whole])


def facts(inputs: Inputs) -> list[tuple[str, str]]:
    """The parameters that a reader of any number must know."""
    params = inputs.params
    splits = dict.fromkeys(row.split for row in inputs.experiments)
    cold = [(name, share) for name in splits if (share := params.splits[name].cold_items)]
    protocols = dict.fromkeys(name for split in splits for name in params.protocols_of(split))
    seeds = sorted({experiment.seed for experiment in inputs.experiments})
    known = [
        ("Order of actions with equal timestamps", "; ".join(_tie_rule(params, name) for name in splits)),
        ("Items unknown to training", "; ".join(f"{name}: {100 * share:.0f} %" for name, share in cold)),
        ("Ranked against", "; ".join(CANDIDATES[name] for name in protocols)),
        ("Seeds", ", ".join(map(str, seeds))),
    ]
    if inputs.partial:
        finished, named = len(inputs.finished(inputs.experiments)), len(inputs.experiments)
        earlier = inputs.metrics().n_unique(list(KEYS)) - finished
        elsewhere = f", and {earlier} on another machine" if earlier else ""
        known.append(("Finished", f"{finished} of {named} experiments{elsewhere}"))
    return [(name, value) for name, value in known if value]


def page(
    title: str,
    facts: Sequence[tuple[str, str]],
    sections: Sequence[Section],
    legend: Sequence[tuple[str, str]] = LEGEND,
) -> str:
    """One HTML document that loads nothing: styles and pictures are inside, and there are no scripts."""
    style = (files("mmsrec.report") / "style.css").read_text(encoding="utf-8")
    return page_html(title=title, style=style, facts=facts, legend=legend, sections=sections)


def _tie_rule(params: Params, split: str) -> str:
    """The rule of a split, after the split's name where that is another one."""
    row = params.splits[split]
    rule = f"{row.ties}, seed {row.seed}" if row.ties == "shuffle" else row.ties
    return rule if split == row.ties else f"{split}: {rule}"
