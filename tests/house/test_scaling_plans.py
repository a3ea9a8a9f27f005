"""docs/scaling.md shows what estimate.py prints."""

import pytest

from tests.house.scaling_plans import DOCUMENT, plans, printed, rewritten

PLANS = plans(DOCUMENT.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("flags", "text"), PLANS, ids=[flags for flags, _ in PLANS])
def test_a_plan_is_what_the_script_prints(flags, text):
    assert text == printed(flags), "run: python -m tests.house.rewrite_documents"


def test_a_changed_plan_is_found(monkeypatch):
    monkeypatch.setattr("tests.house.scaling_plans.printed", lambda flags: f"new {flags}\n")
    document = "Text.\n<!-- plan: --report demo -->\nold\n<!-- end of plan -->\nMore."
    assert plans(document) == [("--report demo", "old\n")]
    assert rewritten(document) == document.replace("old", "new --report demo")
