"""One file for each exhibit. Its stem is the exhibit's name. The function `exhibit` in it makes a table or a figure."""

from collections.abc import Callable
from importlib import import_module
from typing import get_type_hints

from mmsrec.errors import ParamsError
from mmsrec.report.charts import Figure
from mmsrec.report.exhibit_names import exhibit_names
from mmsrec.report.table import Table

Exhibit = Callable[..., Table | Figure]


def load_exhibit(name: str, layout: type | None = None) -> Exhibit:
    """The function `exhibit` of the module `name`; no other exhibit is imported.

    Args:
        name: the exhibit.
        layout: the class of the layout that it is called with; None if it is called with the inputs alone.

    Raises:
        ParamsError: no exhibit has this name, or it takes no layout of this class, or it needs one.
    """
    names = exhibit_names()
    if name not in names:
        raise ParamsError("A report names an unknown exhibit.", where="exhibits", expected=", ".join(names), found=name)
    exhibit = import_module(f"{__name__}.{name}").exhibit
    taken = get_type_hints(exhibit).get("layout", type(None))
    if not issubclass(layout or type(None), taken):
        raise ParamsError(
            "An exhibit does not draw this kind of layout.",
            where=f"the exhibit {name}",
            expected=getattr(taken, "__name__", taken),
            found=(layout or type(None)).__name__,
            fix="Choose another exhibit, or give the layout the keys of the expected class in params.schema.json.",
        )
    return exhibit
