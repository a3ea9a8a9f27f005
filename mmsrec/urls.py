"""URLs without their credentials. No URL that is kept or printed has a user name or a password."""

import re

_START = r"([^/?#\\]*[/\\]{2})"
# The host ends at the first slash. A password with a slash that is not encoded looks like a port that is no number.
_CREDENTIALS = re.compile(_START + r"(?:[^/?#\\]*@|[^/?#\\@\[]*?:(?!\d*(?:[/?#\\]|$)).*@)", re.DOTALL)
_CREDENTIALS_IN_TEXT = re.compile(r"(?<=//)[^\s/?#\\]+@")


def without_credentials(url: str) -> str:
    """Removes the user name and the password (RFC 3986, section 3.2.1) from a URL."""
    return _CREDENTIALS.sub(r"\1", url, count=1) if "@" in url else url


def without_credentials_in(text: str) -> str:
    """Removes the user name and the password from each URL in a text, for example a library's message."""
    return _CREDENTIALS_IN_TEXT.sub("", text) if "@" in text else text
