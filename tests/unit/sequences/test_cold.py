"""Sequences with cold items: a slow count of the rules, and what follows from them."""

import numpy as np
import polars as pl
import pytest

from mmsrec.artifacts import SCHEMAS, read_table, write_table
from mmsrec.errors import DataError
from mmsrec.sequences.cold import draw_cold_items, hold_back
from mmsrec.sequences.order import order
from mmsrec.sequences.split import split
from mmsrec.settings.data import Split

SCHEMA = {"user": pl.String, "item": pl.String, "timestamp": pl.Int64}


def actions(seed, users=80, items=50):
    """Actions with days as timestamps, repeated items, and very different popularity."""
    generator = np.random.default_rng(seed)
    shares = 1 / np.arange(1, items + 1)
    rows = [
        (f"user{user:02d}", f"item{item:02d}", int(generator.integers(5)))
        for user in range(users)
        for item in generator.choice(items, generator.integers(2, 9), p=shares / shares.sum())
    ]
    generator.shuffle(rows)
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def slow_sequences(ordered, cold):
    """The rules of the module, user by user."""
    cold, sequences = set(cold), {}
    for (user,), rows in ordered.group_by("user", maintain_order=True):
        items = rows["item"].to_list()
        last = max((place for place, item in enumerate(items) if item in cold), default=None)
        before = [item for item in items[: last or 0] if item not in cold]
        warm = [item for item in items if item not in cold]
        if last is not None and len(before) >= 2:
            sequences[user] = [*before, items[last]]
        elif len(warm) >= 3:
            sequences[user] = warm
    return sequences


@pytest.mark.parametrize("share", [0.05, 0.1, 0.3, 0.7])
@pytest.mark.parametrize("seed", range(4))
def test_the_sequences_equal_a_slow_count(share, seed):
    ordered = order(actions(seed), "shuffle", seed)
    cold = draw_cold_items(ordered, share, seed)
    kept = hold_back(ordered, cold)
    found = {user: rows["item"].to_list() for (user,), rows in kept.group_by("user", maintain_order=True)}
    assert found == slow_sequences(ordered, cold)
    assert list(found) == sorted(found)


@pytest.mark.parametrize("seed", range(4))
def test_every_drawn_item_is_in_no_training_or_validation_part(seed):
    ordered = order(actions(seed), "source", 0)
    cold = set(draw_cold_items(ordered, 0.2, seed))
    sequences = hold_back(ordered, pl.Series(sorted(cold))).group_by("user").agg("item")["item"].to_list()
    assert not cold & {item for items in sequences for item in items[:-1]}
    assert cold & {items[-1] for items in sequences}
    assert min(map(len, sequences)) == 3


def test_a_user_is_tested_on_the_last_drawn_item_that_has_warm_items_before_it():
    rows = {
        "tested": ["a", "X", "b", "c", "X", "d", "Y", "e"],
        "early": ["a", "X", "b", "c", "d"],
        "short": ["a", "X", "b", "Y"],
        "warm": ["a", "b", "c"],
        "few": ["a", "b"],
    }
    frame = pl.DataFrame(
        [(user, item, day) for user, items in rows.items() for day, item in enumerate(items)],
        schema=SCHEMA,
        orient="row",
    )
    kept = hold_back(frame, pl.Series(["X", "Y"]))
    assert {user: part["item"].str.join("").item() for (user,), part in kept.group_by("user")} == {
        "tested": "abcdY",
        "early": "abcd",
        "short": "abY",
        "warm": "abc",
    }


def test_the_drawn_items_are_as_popular_as_the_others():
    counts = {f"item{number:03d}": 1 + number % 100 for number in range(1000)}
    rows = pl.DataFrame({"item": [item for item, count in counts.items() for _ in range(count)]})
    drawn = draw_cold_items(rows, 0.1, 7)
    assert drawn.n_unique() == len(drawn) == 100
    popularity = sorted(counts[item] for item in drawn)
    assert popularity == list(range(1, 101)), "one item of each block of ten"


@pytest.mark.parametrize(("share", "drawn"), [(0.001, 1), (0.1, 5), (0.25, 12), (0.9, 45)])
def test_the_share_decides_the_number_of_drawn_items(share, drawn):
    rows = pl.DataFrame({"item": [f"item{number}" for number in range(50)]})
    assert draw_cold_items(rows, share, 0).n_unique() == drawn


def test_the_draw_depends_on_the_seed_and_not_on_the_order_of_rows():
    rows = actions(0)
    assert draw_cold_items(rows, 0.2, 3).equals(draw_cold_items(rows.reverse(), 0.2, 3))
    assert not draw_cold_items(rows, 0.2, 3).equals(draw_cold_items(rows, 0.2, 4))


def test_without_a_user_to_test_there_is_an_error():
    rows = pl.DataFrame([("u", "X", 1), ("u", "a", 2), ("u", "b", 3), ("u", "c", 4)], schema=SCHEMA, orient="row")
    with pytest.raises(DataError, match="No user can be tested on cold items"):
        hold_back(rows, pl.Series(["X"]))


def test_the_stage_writes_them_and_logs_who_is_left_out(tmp_path, caplog):
    rows = actions(1)
    items = pl.DataFrame({"item_id": rows["item"].unique().sort()}).with_row_index("item_index")
    blank = items.with_columns(pl.lit(None, pl.String).alias(name) for name in ("title", "text", "media_url"))
    write_table(tmp_path / "interactions.parquet", rows.to_arrow(), SCHEMAS["interactions"])
    write_table(tmp_path / "items.parquet", blank.to_arrow(), SCHEMAS["items"])
    row = Split(ties="shuffle", seed=3, cold_items=0.2)
    with caplog.at_level("INFO"):
        users = split(tmp_path, row, tmp_path / "sequences.parquet")
    expected = slow_sequences(order(rows, "shuffle", 3), draw_cold_items(rows, 0.2, 3))
    frame = pl.from_arrow(read_table(tmp_path / "sequences.parquet", SCHEMAS["sequences"]))
    names = items["item_id"].to_list()
    found = {user: [names[item] for item in places] for user, places in frame.select("user", "items").iter_rows()}
    assert found == expected
    assert users == len(expected) == frame["user_index"].max() + 1
    assert f"left out: {80 - len(expected)}" in caplog.text
    assert f"cold items: {round(0.2 * len(names))}; users that are tested" in caplog.text


def test_a_split_without_cold_items_is_recorded_as_before():
    assert Split(ties="item").model_dump() == {"ties": "item", "seed": 0}
    assert Split(ties="item", cold_items=0.1).model_dump() == {"ties": "item", "seed": 0, "cold_items": 0.1}
