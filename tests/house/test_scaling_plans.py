"""docs/scaling.md shows what estimate.py prints."""

import pytest

from tests.house.scaling_plans import DOCUMENT, plans, printed, rewritten

PLANS = plans(DOCUMENT.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("flags", "text"), PLANS, ids=[flags for flags, _ in PLANS])
def test_a_plan_is_what_the_script_prints(flags, text):
    assert text == printed(flags), "run: python -m tests.house.rewrite_documents"


def test_a_changed_plan_is_found():
    flags = "--report demo --cores 2 --warm"
    document = f"Text.\n<!-- plan: {flags} -->\nold\n<!-- end of plan -->\nMore."
    assert plans(document) == [(flags, "old\n")]
    new = rewritten(document)
    assert "| train | 16 |" in new
    assert new.endswith("<!-- end of plan -->\nMore.")
