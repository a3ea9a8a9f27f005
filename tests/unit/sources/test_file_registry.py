from pathlib import Path

import pytest

from mmsrec.errors import RegistryError
from mmsrec.settings.params import read_params
from mmsrec.settings.plan import domain_files
from mmsrec.sources.file_registry import COLUMNS, SourceFile, find, read_registry

ROOT = Path(__file__).parents[3]
HEADER = ",".join(COLUMNS)
DIGEST = "0123456789abcdef" * 4


@pytest.fixture
def write(tmp_path):
    def to_file(*rows, header=HEADER):
        path = tmp_path / "sources.csv"
        path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return path

    return to_file


def test_rows_of_one_file_join_their_urls_in_order(write):
    path = write(
        "shop,a.csv,https://one.example/a,,12,free,",
        "shop,b.csv,,,,,only mirrors have it",
        f'shop,a.csv,http://two.example/a,{DIGEST},,free,"with a comma, here"',
    )
    assert read_registry(path) == {
        "shop/a.csv": SourceFile("shop/a.csv", ("https://one.example/a", "http://two.example/a"), DIGEST, 12),
        "shop/b.csv": SourceFile("shop/b.csv", note="only mirrors have it"),
    }


def test_a_file_may_be_the_member_of_an_archive_beside_it(write):
    path = write(
        "shop,b.csv,https://one.example/b,,,free,",
        "shop,b.csv,shop/all.zip/in/b.csv,,,free,",
        "shop,all.zip,https://one.example/all.zip,,,free,",
    )
    archive = SourceFile("shop/all.zip", ("https://one.example/all.zip",))
    assert read_registry(path)["shop/b.csv"] == SourceFile(
        "shop/b.csv", ("https://one.example/b",), archive=archive, member="in/b.csv"
    )


@pytest.mark.parametrize(
    "rows",
    [
        ["shop,b.csv,shop/all.zip/b.csv,,,,"],
        ["shop,b.csv,other/all.zip/b.csv,,,,", "other,all.zip,,,,,"],
        ["shop,b.csv,shop/all.zip/b.csv,,,,", "shop,all.zip,shop/more.zip/all.zip,,,,", "shop,more.zip,,,,,"],
    ],
)
def test_an_archive_has_its_own_row_and_lies_beside_the_file(write, rows):
    with pytest.raises(RegistryError, match="archive cannot be used") as caught:
        read_registry(write(*rows))
    assert "line 2" in str(caught.value)


def test_a_file_may_differ_with_each_place_where_it_is_made(write):
    assert read_registry(write("demo,a.csv,,varies,,,")) == {"demo/a.csv": SourceFile("demo/a.csv", varies=True)}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("../shop,a.csv,,,,,", "dataset"),
        ("shop,../a.csv,,,,,", "file"),
        ("shop,/a.csv,,,,,", "file"),
        ("shop,.a.csv,,,,,", "file"),
        (",a.csv,,,,,", "dataset"),
        ("shop,a.csv,ftp://one.example/a,,,,", "url"),
        ("shop,a.csv,https:///a,,,,", "url"),
        ("shop,a.csv,shop/all.zip,,,,", "url"),
        ("shop,a.csv,shop/all.zip/../a.csv,,,,", "url"),
        ("shop,a.csv,/shop/all.zip/a.csv,,,,", "url"),
        ("shop,a.csv,,ABC,,,", "sha256"),
        (f"shop,a.csv,,{DIGEST.upper()},,,", "sha256"),
        ("shop,a.csv,,,-1,,", "bytes"),
        ("shop,a.csv,,,0,,", "bytes"),
        ("shop,a.csv,,,,", "fields"),
        ("shop,a.csv,,,,,,more", "fields"),
    ],
)
def test_an_invalid_row_is_named_by_its_line(write, row, message):
    path = write("shop,fine.csv,,,,,", row)
    with pytest.raises(RegistryError, match=message) as caught:
        read_registry(path)
    assert f"{path}, line 3" in str(caught.value)


def test_rows_of_one_file_must_agree(write):
    path = write("shop,a.csv,,,1,,", "shop,a.csv,,,,,", "shop,a.csv,,,2,,")
    with pytest.raises(RegistryError, match="differ in bytes") as caught:
        read_registry(path)
    assert "line 4" in str(caught.value)


@pytest.mark.parametrize("header", ["dataset,file,url", ",".join([*COLUMNS, "extra"]), ""])
def test_the_header_must_have_the_columns(write, header):
    with pytest.raises(RegistryError, match="columns"):
        read_registry(write("shop,a.csv,,,,,", header=header))


def test_a_file_that_is_no_table_is_refused(tmp_path):
    path = tmp_path / "sources.csv"
    with pytest.raises(RegistryError, match="missing"):
        read_registry(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RegistryError, match="not a CSV file"):
        read_registry(path)


def test_the_error_for_an_unknown_file_names_the_known_files(write):
    files = read_registry(write("shop,a.csv,,,,,"))
    assert find(files, "shop/a.csv") == SourceFile("shop/a.csv")
    with pytest.raises(RegistryError, match=r"shop/a\.csv"):
        find(files, "shop/b.csv")


def test_the_project_s_registry_has_the_files_of_every_domain():
    files = read_registry(ROOT / "workflow" / "sources.csv")
    domains = read_params(ROOT / "params.yaml").domains.values()
    assert {path for domain in domains for path in domain_files(domain)} <= set(files)
    assert {path for path, file in files.items() if file.varies} == {path for path in files if path[:5] == "demo/"}
    assert all(url.startswith("https://") for file in files.values() for url in file.urls)
