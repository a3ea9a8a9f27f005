"""One file for each exhibit. Its stem is the exhibit's name. The function `exhibit` in it makes a table or a figure."""

from collections.abc import Callable
from importlib import import_module

from mmsrec.errors import ParamsError
from mmsrec.report.charts import Figure
from mmsrec.report.exhibit_names import exhibit_names
from mmsrec.report.inputs import Inputs
from mmsrec.report.table import Table

Exhibit = Callable[[Inputs], Table | Figure]


def load_exhibit(name: str) -> Exhibit:
    """The function `exhibit` of the module `name`; no other exhibit is imported.

    Raises:
        ParamsError: no exhibit has this name.
    """
    names = exhibit_names()
    if name not in names:
        raise ParamsError("A report names an unknown exhibit.", where="exhibits", expected=", ".join(names), found=name)
    return import_module(f"{__name__}.{name}").exhibit
