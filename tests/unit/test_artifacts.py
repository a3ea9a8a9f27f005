"""Tables whose columns allow more nulls than those of their artifact, or fewer."""

import pyarrow as pa
import pytest

from mmsrec.artifacts import SCHEMAS, fits, read_table, write_table
from mmsrec.errors import ArtifactError

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


def test_names_order_and_types_are_compared():
    assert fits(HISTORY, HISTORY)
    assert not fits(pa.schema(list(HISTORY)[:-1]), HISTORY)
    assert not fits(pa.schema(list(HISTORY)[::-1]), HISTORY)
    assert not fits(HISTORY.set(1, pa.field("loss", pa.float32(), nullable=False)), HISTORY)
