"""The folder of a report and its page."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import pytest

from mmsrec.errors import ArtifactError, ParamsError
from mmsrec.report.page import EXHIBITS, write_report
from mmsrec.settings.experiments import Report
from mmsrec.settings.plan import Experiment
from tests.unit.report.conftest import inputs_at

FILES = {"table1.csv", "table1.md", "table2.csv", "table2.md", "table3.csv", "table3.md", "learning.csv", "report.html"}


class Balance(HTMLParser):
    """Fails on an end tag that does not close the innermost open element; collects elements and attributes."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag != "meta":
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


def test_params_name_the_exhibits_that_there_are():
    named = get_args(get_args(Report.model_fields["tables"].annotation)[0])
    assert set(named) == set(EXHIBITS)


def test_a_report_is_its_tables_and_one_page(folder):
    assert {path.name for path in folder.iterdir()} == FILES


def test_the_page_is_well_formed_and_says_what_it_is(page):
    reader = parsed(page)
    assert page.startswith("<!doctype html>")
    assert {"caption", "figure", "figcaption", "svg", "h1", "main"} <= set(reader.tags)
    assert [value for name, value in reader.attributes if name == "scope" and value == "rowgroup"] == ["rowgroup"] * 6
    ids = [value for name, value in reader.attributes if name == "id"]
    assert ids == ["table1", "table2", "table3", "learning"]


def test_the_header_names_the_parameters_that_matter(page):
    text = "".join(parsed(page).text)
    assert "shuffle, seed 2023 (sports, beauty); source (own)" in text
    assert "Ranked againstevery item" in text
    assert "Seeds0, 1, 2" in text


def test_a_hostile_title_is_text(page):
    reader = parsed(page)
    assert "script" not in reader.tags
    assert "Planted <script>alert('1')</script> & numbers" in "".join(reader.text)


def test_the_page_loads_nothing(page):
    reader = parsed(page)
    assert not {"script", "link", "img", "iframe", "object", "embed", "base"} & set(reader.tags)
    assert not {"src", "href", "srcset", "xlink:href", "action", "style"} & {name for name, _ in reader.attributes}
    assert not [name for name, _ in reader.attributes if name.startswith("on")]
    assert re.search(r"https?:|url\(|@import", page) is None


def test_equal_inputs_give_equal_bytes(inputs, folder, tmp_path):
    write_report(inputs, tmp_path / "again")
    assert all((tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes() for name in FILES)


def test_a_failed_report_leaves_the_old_one(inputs, folder):
    before = (folder / "report.html").read_bytes()
    inputs.metrics_path(Experiment("own", 5, "pop", 0)).unlink()
    with pytest.raises(ArtifactError, match="1 are missing"):
        write_report(inputs, folder)
    assert (folder / "report.html").read_bytes() == before
    assert {path.name for path in folder.parent.iterdir()} == {"planted", "report"}


def test_a_report_without_rows_is_a_page_of_empty_tables(params, tmp_path):
    write_report(inputs_at(tmp_path, params, "empty"), tmp_path / "report")
    parsed((tmp_path / "report" / "report.html").read_text(encoding="utf-8"))
    assert (tmp_path / "report" / "table3.csv").read_text().startswith("domain,k_core,variant,")


def test_an_unknown_report_is_refused(params, tmp_path):
    with pytest.raises(ParamsError, match="no such row"):
        write_report(inputs_at(tmp_path, params, "absent"), tmp_path / "report")
