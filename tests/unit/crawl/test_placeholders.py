"""Equal bytes of many items of a host are a placeholder; shared pictures of real catalogues are not."""

import random
from collections.abc import Iterable

from mmsrec.crawl.entry import Entry
from mmsrec.crawl.placeholders import without_placeholders

SHARE = 0.02


def entries(*groups: int, host: str = "http://a.example") -> list[Entry]:
    """Entries whose pictures are shared by as many items as each group says."""
    return [
        Entry(
            f"{host} {group} {item}", "ok", f"{host}/{group}/{item}.jpg", 200, 9, f"{host} {group}", 1, path="files/x"
        )
        for group, size in enumerate(groups)
        for item in range(size)
    ]


def missing(found: Iterable[Entry]) -> set[str]:
    """The items without a picture."""
    return {entry.item_id for entry in found if entry.state == "missing"}


def first_group(found: list[Entry], size: int) -> set[str]:
    return {entry.item_id for entry in found[:size]}


def test_a_picture_of_many_items_is_missing_with_its_reason() -> None:
    given = entries(37, *[1] * 200)
    found = without_placeholders(given, SHARE)

    assert missing(found) == first_group(given, 37)
    assert found[0] == Entry(
        given[0].item_id,
        "missing",
        given[0].url,
        200,
        attempts=1,
        error="a placeholder: 37 of 237 pictures of the host have these bytes",
    )
    assert found[37:] == given[37:]


def test_the_bounds_of_the_rule() -> None:
    for size, others, expected in ((19, 10, False), (20, 10, True), (20, 980, False), (21, 979, True)):
        given = entries(size, *[1] * others)
        assert bool(missing(without_placeholders(given, SHARE))) is expected, (size, others)


def test_a_host_that_has_nothing_else_is_judged_too() -> None:
    assert len(missing(without_placeholders(entries(50), SHARE))) == 50
    assert not missing(without_placeholders(entries(19), SHARE))


def test_two_placeholders_of_one_host_are_found() -> None:
    assert len(missing(without_placeholders(entries(400, 300, *[1] * 2000), SHARE))) == 700


def test_variants_that_share_a_picture_are_no_placeholder() -> None:
    for groups in ([40] * 10, [30, 20, 25, 60, 12], [2] * 9 + [1] * 3238, [2] * 11 + [1] * 11885):
        assert not missing(without_placeholders(entries(*groups), SHARE)), groups


def test_each_host_is_judged_by_itself() -> None:
    given = entries(15, *[1] * 50) + [
        Entry(f"b{item}", "ok", f"http://b.example/{item}", 200, 9, "http://a.example 0", 1, path="files/y")
        for item in range(15)
    ]
    assert not missing(without_placeholders(given, SHARE))
    folder = [Entry(str(item), "ok", f"posters/{item}.jpg", None, 9, "same", 1, path="files/z") for item in range(30)]
    assert len(missing(without_placeholders(given + folder, SHARE))) == 30


def test_the_order_of_the_entries_does_not_matter() -> None:
    given = entries(37, 25, *[1] * 200) + entries(22, *[3] * 40, host="http://b.example")
    expected = {entry.item_id: entry for entry in without_placeholders(given, SHARE)}
    for seed in range(5):
        shuffled = random.Random(seed).sample(given, len(given))
        assert {entry.item_id: entry for entry in without_placeholders(shuffled, SHARE)} == expected


def test_items_without_a_picture_do_not_count() -> None:
    given = [
        Entry(str(item), "dead", f"http://a.example/{item}", 404, attempts=1, error="HTTP 404") for item in range(99)
    ]
    given += [Entry("none", "missing")]
    assert without_placeholders(given, SHARE) == given


def test_the_rule_can_be_switched_off() -> None:
    given = entries(500)
    assert without_placeholders(given, 1.0) == given
