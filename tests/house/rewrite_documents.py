"""`python -m tests.house.rewrite_documents` copies code and numbers into the documents that show them.

It rewrites the tables of docs/results.md from their CSV files. In docs/extending.md it rewrites the tree of files, and
the recipes whose files exist in the repository. In docs/scaling.md it rewrites the plans.
"""

from tests.house import file_tree, recipes, result_tables, scaling_plans
from tests.house.prose import ROOT


def main() -> None:
    """Rewrites the documents."""
    results = ROOT / "docs" / "results.md"
    results.write_text(result_tables.rewritten(results), encoding="utf-8")
    document = file_tree.DOCUMENT
    text = file_tree.rewritten(document.read_text(encoding="utf-8"), file_tree.tree(ROOT))
    document.write_text(recipes.rewritten(text, ROOT), encoding="utf-8")
    plans = scaling_plans.DOCUMENT
    plans.write_text(scaling_plans.rewritten(plans.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
