import polars as pl
import pytest

from mmsrec.sequences.order import order


def table(rows):
    return pl.DataFrame(rows, schema={"user": pl.String, "item": pl.String, "timestamp": pl.Int64}, orient="row")


def items_of(ordered, user="u"):
    return ordered.filter(pl.col("user") == user)["item"].to_list()


TIES = table([("u", "c", 5), ("u", "a", 5), ("u", "b", 5), ("u", "z", 1)])


def test_time_is_compared_as_a_number():
    # As strings, 1000000000 would come before 999999999.
    rows = table([("u", "later", 1_000_000_000), ("u", "earlier", 999_999_999)])
    assert items_of(order(rows, "item", 0)) == ["earlier", "later"]


@pytest.mark.parametrize(("ties", "expected"), [("source", list("zcab")), ("item", list("zabc"))])
def test_ties_follow_their_rule(ties, expected):
    ordered = order(TIES, ties, 0)
    assert items_of(ordered) == expected


def test_shuffle_depends_on_the_seed_and_not_on_the_rows_order():
    many = table([("u", f"i{number:02d}", 7) for number in range(30)])
    assert items_of(order(many, "shuffle", 1)) == items_of(order(many.reverse(), "shuffle", 1))
    assert items_of(order(many, "shuffle", 1)) != items_of(order(many, "shuffle", 2))
    assert items_of(order(many, "shuffle", 1)) != items_of(order(many, "item", 1))


def test_users_follow_each_other():
    rows = table([("b", "x", 2), ("a", "x", 9), ("b", "y", 1)])
    assert order(rows, "source", 0).rows() == [("a", "x", 9), ("b", "y", 1), ("b", "x", 2)]
