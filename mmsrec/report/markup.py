"""HTML and SVG that is escaped by construction: a plain string is text, only `Html` is markup."""

from html import escape

# Elements without an end tag, those that a page here uses.
VOID = frozenset({"meta"})


class Html(str):
    """A string that is markup already."""

    __slots__ = ()


def element(name: str, /, *children: str, **attributes: object) -> Html:
    """An element; children that are not `Html` are escaped, and so is every attribute.

    An attribute's name loses a trailing underscore and its inner ones become hyphens: `class_`, `aria_label`.
    An attribute that is None is left out.
    """
    pairs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    end = "" if name in VOID else f"</{name}>"
    return Html(f"<{name}{pairs}>{joined(*children)}{end}")


def joined(*children: str) -> Html:
    """The children one after the other, escaped where they are plain text."""
    return Html("".join(child if isinstance(child, Html) else escape(child, quote=False) for child in children))
