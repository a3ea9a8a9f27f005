"""Unions of domains: prefixed ids, and the k-core of the union against the k-cores of its members."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mmsrec.artifacts import SCHEMAS, read_table, write_table
from mmsrec.errors import ArtifactError, DataError
from mmsrec.files import read_json
from mmsrec.sequences.prepare import prepare
from mmsrec.sources import union
from mmsrec.sources.union import unite

MEMBERS = ["food", "films"]
ROOT = Path(__file__).parents[3]


def ingested(folder, name, seed, actions=400):
    """A domain of random actions; users and items of two domains have the same ids."""
    random = np.random.default_rng(seed)
    rows = {
        "user": [f"u{number}" for number in random.integers(0, 60, actions)],
        "item": [f"i{number}" for number in random.integers(0, 50, actions)],
        "timestamp": random.integers(0, 1000, actions),
    }
    ids = [f"i{number}" for number in range(45)]  # some items have no description
    items = {"item_id": ids, "title": [f"{name} {item}" for item in ids], "text": ids, "media_url": [None] * len(ids)}
    items = pl.DataFrame(items, schema_overrides={"media_url": pl.String})
    for file, kind, table in (
        ("interactions", "interactions", pl.DataFrame(rows)),
        ("items", "raw_items", items),
    ):
        write_table(folder / name / f"{file}.parquet", table.to_arrow(), SCHEMAS[kind])


@pytest.fixture
def folder(tmp_path):
    for seed, name in enumerate(MEMBERS):
        ingested(tmp_path, name, seed)
    return tmp_path


def table(path):
    return pl.from_arrow(read_table(path))


def prefixed(path, member, columns):
    return table(path).with_columns(pl.format(f"{member}/{{}}", column).alias(column) for column in columns)


def test_ids_begin_with_the_domain_and_rows_keep_their_order(folder, monkeypatch):
    monkeypatch.setattr(union, "ROWS", 7)  # several batches a table
    unite(folder, MEMBERS, folder / "both")
    for name, columns in {"interactions": ["user", "item"], "items": ["item_id"]}.items():
        parts = [prefixed(folder / member / f"{name}.parquet", member, columns) for member in MEMBERS]
        assert table(folder / "both" / f"{name}.parquet").equals(pl.concat(parts))


@pytest.mark.parametrize("k", [4, 5])
def test_the_core_of_a_union_is_the_union_of_the_cores(folder, k):
    unite(folder, MEMBERS, folder / "both")
    for name in (*MEMBERS, "both"):
        prepare(folder / name, folder / f"{name}-core", domain=name, k=k)
    members = [prefixed(folder / f"{name}-core" / "interactions.parquet", name, ["user", "item"]) for name in MEMBERS]
    assert all(0 < rows.height < 400 for rows in members)
    assert table(folder / "both-core" / "interactions.parquet").equals(pl.concat(members))
    texts = {name: table(folder / f"{name}-core" / "items.parquet").select("title", "text") for name in MEMBERS}
    both = table(folder / "both-core" / "items.parquet")
    assert both.select("title", "text").equals(pl.concat(texts[name] for name in sorted(MEMBERS)))
    counts = [read_json(folder / f"{name}-core" / "statistics.json") for name in (*MEMBERS, "both")]
    for key in ("users", "items", "actions"):
        assert counts[2][key] == counts[0][key] + counts[1][key]


def test_a_missing_member_is_an_error_that_names_its_table(folder):
    with pytest.raises(ArtifactError, match=r"books/items\.parquet"):
        unite(folder, ["food", "books"], folder / "both")
    assert not (folder / "both").exists()


def run_script(script, *flags):
    """Runs a stage with the repository's rows, where `sports-beauty` is a union and `beauty` is not."""
    command = [sys.executable, str(ROOT / "workflow" / "scripts" / script), "--params", str(ROOT / "params.yaml")]
    return subprocess.run([*command, *map(str, flags)], capture_output=True, text=True)


@pytest.mark.parametrize(("script", "domain"), [("unite.py", "beauty"), ("ingest.py", "sports-beauty")])
def test_the_stages_of_unions_and_of_files_refuse_each_others_domains(script, domain):
    done = run_script(script, "--domain", domain)
    assert done.returncode == 1
    assert f"domains.{domain}.source" in done.stderr
    assert "Run the stage unite for a union" in done.stderr


def test_a_union_is_made_by_its_stage(folder):
    for name, member in zip(("sports", "beauty"), MEMBERS, strict=True):
        (folder / member).rename(folder / name)
    done = run_script("unite.py", "--domain", "sports-beauty", "--ingested", folder, "--output", folder / "both")
    assert done.returncode == 0, done.stderr
    assert table(folder / "both" / "interactions.parquet").height == 800


def test_an_item_that_occurs_twice_is_an_error_that_names_it(folder):
    items = table(folder / "food" / "items.parquet")
    write_table(folder / "food" / "items.parquet", pl.concat([items, items[3:5]]).to_arrow(), SCHEMAS["raw_items"])
    with pytest.raises(DataError, match=r"food/items\.parquet(.|\n)*i\d"):
        unite(folder, MEMBERS, folder / "both")
