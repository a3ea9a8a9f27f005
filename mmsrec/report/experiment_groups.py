"""The columns by which exhibits group experiments: every field of an experiment but the variant and the seed."""

from mmsrec.report.inputs import KEYS
from mmsrec.report.table import Column

SHOWN = {"domain": Column("domain", "Data set"), "k_core": Column("k_core", "Core", show="{}-core".format)}
# The rows of a comparison are the means over the seeds of a group's variants.
COMPARED = [name for name in KEYS if name != "seed"]
GROUPS = [SHOWN.get(name, Column(name, name.capitalize())) for name in COMPARED if name != "variant"]
