"""The columns by which exhibits group experiments: every field of an experiment but the variant and the seed."""

import polars as pl

from mmsrec.report.inputs import CANDIDATES, KEYS
from mmsrec.report.table import Column

PROTOCOLS = {"all": "history among the candidates", "unseen": "history removed", "cold": "cold items alone"}
SHOWN = {
    "domain": Column("domain", "Data set"),
    "k_core": Column("k_core", "Core", show="{}-core".format),
    CANDIDATES: Column(CANDIDATES, "Candidates", show=PROTOCOLS.__getitem__),
}
# The rows of a comparison are the means over the seeds of a group's variants, under one protocol.
COMPARED = [*(name for name in KEYS if name != "seed"), CANDIDATES]
GROUPS = [SHOWN.get(name, Column(name, name.capitalize())) for name in COMPARED if name != "variant"]
# Trainings are grouped without the protocol, which concerns their test alone.
TRAINED = [group for group in GROUPS if group.field != CANDIDATES]


def heading(rows: pl.DataFrame) -> str:
    """The name of the group that the trainings of these rows belong to, such as `beauty, 5-core`."""
    first = rows.row(0, named=True)
    return ", ".join(group.text(first) for group in TRAINED)
