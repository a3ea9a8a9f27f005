"""A report: its tables and figures as files, and one page that holds them all."""

from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Protocol

from mmsrec.files import atomic_folder
from mmsrec.report.exhibits.comparison import comparison_table
from mmsrec.report.exhibits.learning import learning_figure
from mmsrec.report.exhibits.retrieval import retrieval_table
from mmsrec.report.exhibits.statistics import statistics_table
from mmsrec.report.inputs import Inputs
from mmsrec.report.markup import Html, element, joined
from mmsrec.settings.params import Params, row_of
from mmsrec.settings.plan import cores_of

CANDIDATES = {"all": "every item", "unseen": "every item that the user has not acted on"}
LEGEND = (
    ("reported", "the number in the paper"),
    ("measured", "the mean over the seeds; with several seeds, ± half the width of Student's 95 % interval"),
    ("difference", "measured less reported"),
    ("bold", "the best measured of a data set"),
    ("*", "see the note below the table"),
)


class Exhibit(Protocol):
    """A table or a figure."""

    name: str
    title: str

    def files(self) -> dict[str, str]:
        """File names with their text."""

    def html(self) -> Html:
        """What the page shows below the title."""


# What a report's `tables` in params.yaml may name.
EXHIBITS: dict[str, Callable[[Inputs], Exhibit]] = {
    "retrieval": retrieval_table,
    "statistics": statistics_table,
    "comparison": comparison_table,
    "learning": learning_figure,
}


def write_report(inputs: Inputs, output: Path) -> None:
    """Writes a report's files and report.html as the folder `output`; equal inputs give equal bytes.

    Raises:
        ParamsError: there is no such report.
        ArtifactError: an input is missing, damaged or of other parameters.
    """
    report = row_of(inputs.params.reports, inputs.report, "reports")
    exhibits = [EXHIBITS[name](inputs) for name in report.tables]
    texts = {name: text for exhibit in exhibits for name, text in exhibit.files().items()}
    texts["report.html"] = page(report.title, facts(inputs), exhibits)
    with atomic_folder(output) as folder:
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")


def facts(inputs: Inputs) -> list[tuple[str, str]]:
    """The parameters that a reader of any number must know."""
    params = inputs.params
    rules = {core.domain: _tie_rule(params, core.domain) for core in cores_of(params, inputs.report)}
    seeds = sorted({experiment.seed for experiment in inputs.experiments})
    known = [
        ("Order of actions with equal timestamps", _by_value(rules)),
        ("Ranked against", CANDIDATES[params.evaluation.candidates]),
        ("Seeds", ", ".join(map(str, seeds))),
    ]
    return [(name, value) for name, value in known if value]


def page(title: str, facts: Sequence[tuple[str, str]], exhibits: Sequence[Exhibit]) -> str:
    """One HTML document that loads nothing: styles and charts are inline, and there are no scripts."""
    style = Html((files("mmsrec.report") / "page.css").read_text(encoding="utf-8"))
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", style),
    )
    header = element("header", element("h1", title), _definitions(facts, "facts"), _definitions(LEGEND, "legend"))
    main = element("main", *(_section(exhibit) for exhibit in exhibits))
    return joined(Html("<!doctype html>\n"), element("html", head, element("body", header, main), lang="en"), "\n")


def _tie_rule(params: Params, domain: str) -> str:
    rule = params.domains[domain].ties
    return f"{rule}, seed {params.prepare.tie_seed}" if rule == "shuffle" else rule


def _by_value(rules: dict[str, str]) -> str:
    """The rule alone if it is one; else each rule with its domains."""
    values = list(dict.fromkeys(rules.values()))
    if len(values) == 1:
        return values[0]
    return "; ".join(
        f"{value} ({', '.join(domain for domain, rule in rules.items() if rule == value)})" for value in values
    )


def _definitions(pairs: Sequence[tuple[str, str]], class_: str) -> Html:
    rows = (element("div", element("dt", term), element("dd", meaning)) for term, meaning in pairs)
    return element("dl", *rows, class_=class_)


def _section(exhibit: Exhibit) -> Html:
    sources = element("p", "Files: ", ", ".join(exhibit.files()), class_="files")
    return element("section", element("h2", exhibit.title), exhibit.html(), sources, id=exhibit.name)
