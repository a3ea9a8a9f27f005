"""Where the demo's media are asked for."""

HOST = "127.0.0.1"
PORT = 8765
MEDIA = f"http://{HOST}:{PORT}"
# Nobody listens at the port of the discard protocol.
UNREACHABLE = f"http://{HOST}:9"
# The host that some pictures have moved away from; names below .example never resolve (RFC 2606).
MOVED = "http://media.example"
