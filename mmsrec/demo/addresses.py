"""Addresses of the demo's web server."""

HOST = "127.0.0.1"
PORT = 8765
MEDIA = f"http://{HOST}:{PORT}"
# No program listens at the port of the discard protocol.
UNREACHABLE = f"http://{HOST}:9"
# The former host of some pictures; names below .example never resolve (RFC 2606).
MOVED = "http://media.example"
