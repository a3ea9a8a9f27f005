"""The folder of a report and its page."""

import re
import xml.etree.ElementTree as ElementTree
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mmsrec.errors import ArtifactError, ParamsError
from mmsrec.report.page import facts, write_report
from mmsrec.settings.data import Split
from mmsrec.settings.layouts import ScoreLayout
from mmsrec.settings.plan import Experiment
from tests.unit.report.conftest import inputs_at

TABLE_KINDS = ("csv", "md", "tex")
TABLES = ("retrieval", "statistics", "comparison")
FILES = {f"{name}.{kind}" for name in TABLES for kind in TABLE_KINDS}
FILES |= {"learning.csv", "learning.svg", "learning.png", "report.html", "exhibits.tsv"}
FILES |= {f"{name}.html" for name in (*TABLES, "learning")}


class Balance(HTMLParser):
    """Fails on an end tag that does not close the innermost open element; collects elements and attributes."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in {"meta", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data):
        self.text.append(data)


def parsed(page: str) -> Balance:
    reader = Balance()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture
def folder(inputs, tmp_path) -> Path:
    write_report(inputs, tmp_path / "report")
    return tmp_path / "report"


@pytest.fixture
def page(folder) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


def test_a_report_is_the_files_of_its_exhibits_and_one_page(folder):
    assert {path.name for path in folder.iterdir()} == FILES


def test_the_page_is_well_formed_and_says_what_it_is(page):
    reader = parsed(page)
    assert page.startswith("<!doctype html>")
    assert {"figure", "figcaption", "img", "h1", "main", "nav"} <= set(reader.tags)
    assert [value for name, value in reader.attributes if name == "scope" and value == "rowgroup"] == ["rowgroup"] * 8
    ids = [value for name, value in reader.attributes if name == "id"]
    assert ids == [name for exhibit in (*TABLES, "learning") for name in (exhibit, f"{exhibit}-caption")]
    assert [value for name, value in reader.attributes if name == "aria-labelledby"] == ids[1::2]


def test_the_header_names_the_parameters_that_matter(inputs):
    report = inputs.params.reports["planted"]
    late = report.experiments[0].model_copy(update={"splits": ["source", "late"]})
    params = inputs.params.model_copy(
        update={
            "splits": {"source": Split(ties="source"), "late": Split(ties="shuffle", seed=7)},
            "reports": {"planted": report.model_copy(update={"experiments": [late]})},
        }
    )
    text = "".join(f"{name}{value}" for name, value in facts(replace(inputs, params=params)))
    assert "Order of actions with equal timestampssource; late: shuffle, seed 7" in text
    assert "Ranked againstevery item" in text
    assert "Seeds0, 1, 2" in text


def test_a_hostile_title_is_text(page):
    reader = parsed(page)
    assert "script" not in reader.tags
    assert "Planted <script>alert('1')</script> & numbers" in "".join(reader.text)


def test_the_page_loads_nothing(page):
    reader = parsed(page)
    assert not {"script", "link", "iframe", "object", "embed", "base"} & set(reader.tags)
    assert not {"srcset", "xlink:href", "action", "style"} & {name for name, _ in reader.attributes}
    assert not [name for name, _ in reader.attributes if name.startswith("on")]
    assert {value[0] for name, value in reader.attributes if name == "href"} == {"#"}
    assert re.search(r"https?:|url\(|@import", page) is None


def test_charts_are_pictures_inside_the_page_with_a_text_alternative(page):
    attributes = parsed(page).attributes
    pictures = [value for name, value in attributes if name == "src"]
    assert [value.partition(",")[0] for value in pictures] == ["data:image/svg+xml;base64"] * 2
    svg = b64decode(pictures[0].partition(",")[2])
    assert {name for element in ElementTree.fromstring(svg).iter() for name in element.attrib if "href" in name} == {
        "{http://www.w3.org/1999/xlink}href"
    }
    assert re.search(rb'href="(?!#)', svg) is None
    assert [value for name, value in attributes if name == "alt"] == [
        f"Validation Recall@10 by epoch in {domain}, 5-core, source. "
        "Best epochs: mmsrec-text 0.0500, the mean of 3 seeds."
        for domain in ("sports", "own")
    ]


def test_equal_inputs_give_equal_bytes(inputs, folder, tmp_path):
    write_report(inputs, tmp_path / "again")
    assert all((tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes() for name in FILES)


def test_a_failed_report_leaves_the_old_one(inputs, folder):
    before = (folder / "report.html").read_bytes()
    inputs.metrics_path(Experiment("own", 5, "source", "pop", 0)).unlink()
    with pytest.raises(ArtifactError, match="1 are missing"):
        write_report(inputs, folder)
    assert (folder / "report.html").read_bytes() == before
    assert {path.name for path in folder.parent.iterdir()} == {"planted", "report"}


def test_a_report_without_rows_is_a_page_of_empty_tables(params, tmp_path):
    write_report(inputs_at(tmp_path, params, "empty"), tmp_path / "report")
    parsed((tmp_path / "report" / "report.html").read_text(encoding="utf-8"))
    assert (tmp_path / "report" / "comparison.csv").read_text().startswith("domain,k_core,split,variant,")


def test_an_unknown_report_is_refused(params, tmp_path):
    with pytest.raises(ParamsError, match="no such row"):
        write_report(inputs_at(tmp_path, params, "absent"), tmp_path / "report")


def test_a_laid_out_report_has_files_of_each_kind(laid_out, tmp_path):
    write_report(laid_out, tmp_path / "report")
    names = {
        **dict.fromkeys(["table-1", "table-2", "table-3", "table-3-gains"], (*TABLE_KINDS, "html")),
        **dict.fromkeys(["figure-2", "figure-3"], (*TABLE_KINDS, "html", "svg", "png")),
    }
    files = {f"{name}.{kind}" for name, kinds in names.items() for kind in kinds}
    assert {path.name for path in (tmp_path / "report").iterdir()} == files | {"report.html", "exhibits.tsv"}
    reader = parsed((tmp_path / "report" / "report.html").read_text(encoding="utf-8"))
    ids = [value for name, value in reader.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    text = "".join(reader.text)
    assert "Finished12 of 15 experiments" in text
    for reason in ("not run", "no ids", "no data", "no weights"):
        assert reason in text


def test_each_exhibit_has_a_page_and_a_line_with_its_caption(laid_out, tmp_path):
    write_report(laid_out, tmp_path / "report")
    lines = [line.split("\t") for line in (tmp_path / "report" / "exhibits.tsv").read_text().splitlines()]
    layouts = laid_out.params.reports["laid-out"].exhibits
    shown = [[layout.name, layout.title, layout.caption] for layout in layouts]
    assert lines == [*shown, ["report", "All exhibits", "All exhibits of the report on one page."]]
    for name, title, caption in shown:
        text = "".join(parsed((tmp_path / "report" / f"{name}.html").read_text(encoding="utf-8")).text)
        assert title in text
        assert caption in text


def test_an_exhibit_that_draws_no_such_layout_is_refused(laid_out, tmp_path):
    report = laid_out.params.reports["laid-out"]
    wrong = [layout.model_copy(update={"exhibit": "statistics"}) for layout in report.layouts(ScoreLayout)]
    reports = {"laid-out": report.model_copy(update={"exhibits": wrong})}
    params = laid_out.params.model_copy(update={"reports": reports})
    with pytest.raises(ParamsError, match="does not draw this kind of layout"):
        write_report(replace(laid_out, params=params), tmp_path / "report")
