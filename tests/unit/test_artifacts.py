"""Tables whose columns allow more nulls than those of their artifact, or fewer."""

from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmsrec.artifacts import SCHEMAS, fits, open_table, read_table, write_table
from mmsrec.errors import ArtifactError
from mmsrec.report.user_gains import user_ranks
from mmsrec.settings.plan import Experiment

HISTORY = SCHEMAS["history"]


def with_nulls(schema, name, nullable):
    place = schema.get_field_index(name)
    return schema.set(place, schema.field(place).with_nullable(nullable))


def test_a_history_of_a_version_that_always_validated_is_read(tmp_path):
    """recall@10 had no nulls there."""
    old = with_nulls(HISTORY, "recall@10", nullable=False)
    table = pa.table({name: pa.array([1], old.field(name).type) for name in old.names}, schema=old)
    write_table(tmp_path / "history.parquet", table, old)
    assert read_table(tmp_path / "history.parquet", HISTORY).column("recall@10").to_pylist() == [1.0]


def test_a_column_that_may_hold_nulls_is_none_that_may_not(tmp_path):
    loose = with_nulls(HISTORY, "loss", nullable=True)
    write_table(tmp_path / "history.parquet", loose.empty_table(), loose)
    with pytest.raises(ArtifactError, match="does not follow its schema"):
        read_table(tmp_path / "history.parquet", HISTORY)


@pytest.mark.parametrize(
    "read",
    [
        lambda file: file.read(["loss"]),
        lambda file: file.read_row_group(0),
        lambda file: file.read_row_groups([0]),
        lambda file: list(file.iter_batches(10)),
    ],
)
def test_every_way_to_read_damaged_rows_is_an_error_that_names_the_file(tmp_path, read):
    """The footer is sound, so the file can be opened."""
    path = tmp_path / "history.parquet"
    rows = 2000
    values = {field.name: pa.array([n * 0.7 for n in range(rows)]).cast(field.type, safe=False) for field in HISTORY}
    write_table(path, pa.table(values, schema=HISTORY), HISTORY)
    body = bytearray(path.read_bytes())
    body[100 : len(body) // 2] = bytes(len(body) // 2 - 100)
    path.write_bytes(body)
    with open_table(path, HISTORY) as file, pytest.raises(ArtifactError, match="damaged") as caught:
        read(file)
    assert str(path) in str(caught.value)


def test_a_text_that_is_no_utf_8_is_damage(tmp_path):
    """Parquet's reader does not check texts, and polars stops at them."""
    columns = {"user": ["MMMM"], "item": ["i"], "timestamp": [1]}
    schema = SCHEMAS["interactions"]
    pq.write_table(pa.table(columns, schema=schema), tmp_path / "a.parquet", compression="none", write_statistics=False)
    body = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(body.replace(b"MMMM", b"MM\xffM"))
    with pytest.raises(ArtifactError, match="damaged"):
        read_table(tmp_path / "a.parquet", schema)


def test_names_order_and_types_are_compared():
    assert fits(HISTORY, HISTORY)
    assert not fits(pa.schema(list(HISTORY)[:-1]), HISTORY)
    assert not fits(pa.schema(list(HISTORY)[::-1]), HISTORY)
    assert not fits(HISTORY.set(1, pa.field("loss", pa.float32(), nullable=False)), HISTORY)


@pytest.mark.parametrize(("rank", "ties"), [(1e18, 1), (float("nan"), 1), (0.0, 1), (1.0, 0), (1.0, 2**31)])
def test_impossible_ranks_are_refused(tmp_path, rank, ties):
    """A damaged rank of 1e18 would ask for as many gains."""
    schema = SCHEMAS["ranks"]
    row = {"user": "u", "target": "i", "rank": rank, "ties": ties, "unseen_rank": 1.0, "unseen_ties": 1, "top": [1]}
    write_table(tmp_path / "ranks.parquet", pa.Table.from_pylist([row], schema), schema)
    inputs = SimpleNamespace(
        params=SimpleNamespace(splits={"s": SimpleNamespace(protocols=())}),
        ranks_path=lambda _: tmp_path / "ranks.parquet",
        ranks_schema=lambda _: schema,
    )
    with pytest.raises(ArtifactError, match="impossible numbers"):
        user_ranks(inputs, Experiment("d", 5, "s", "v", 0))
