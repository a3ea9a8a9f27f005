"""The columns by which exhibits group experiments: every field of an experiment but the variant and the seed."""

import polars as pl

from mmsrec.report.inputs import KEYS
from mmsrec.report.table import Column

SHOWN = {"domain": Column("domain", "Data set"), "k_core": Column("k_core", "Core", show="{}-core".format)}
# The rows of a comparison are the means over the seeds of a group's variants.
COMPARED = [name for name in KEYS if name != "seed"]
GROUPS = [SHOWN.get(name, Column(name, name.capitalize())) for name in COMPARED if name != "variant"]


def heading(rows: pl.DataFrame) -> str:
    """The name of the group that these rows belong to, such as `beauty, 5-core`."""
    first = rows.row(0, named=True)
    return ", ".join(group.text(first) for group in GROUPS)
