"""A fake hub: answers of the loopback server that list and serve the files of a dataset."""

from collections.abc import Mapping
from hashlib import sha1, sha256
from json import dumps
from urllib.parse import quote

from tests.servers import Reply

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "someone/clips"
PAGE = 2
JSON = {"Content-Type": "application/json"}


def hub(files: Mapping[str, bytes], folder: str, base: str, *, lfs: bool = True) -> dict[str, Reply]:
    """Routes of a dataset at one commit. A folder is listed in pages, and another host name serves the files.

    Args:
        files: contents by path.
        folder: the listed folder, without its subfolders.
        base: base URL of the server.
        lfs: whether the hub states the files' SHA-256.
    """
    info = Reply(dumps({"id": REPOSITORY, "sha": COMMIT}).encode(), headers=JSON)
    routes = {f"/api/datasets/{REPOSITORY}/revision/main": info}
    for name, body in files.items():
        routes |= _file(name, body, base, lfs)
    return routes | _tree(files, folder, base, lfs)


def tree(folder: str) -> str:
    """The path of a folder's listing."""
    return f"/api/datasets/{REPOSITORY}/tree/{COMMIT}/{quote(folder, safe='')}?recursive=false&expand=false"


def resolve(name: str) -> str:
    """The path at which a file is requested."""
    return f"/datasets/{REPOSITORY}/resolve/{COMMIT}/{name}"


def stored(name: str) -> str:
    """The path at which a file is served after a redirect."""
    return f"/stored/{name}"


def _tree(files: Mapping[str, bytes], folder: str, base: str, lfs: bool) -> dict[str, Reply]:
    listed = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": f"{folder}/deeper"}]
    listed += [_entry(name, files[name], lfs) for name in files if name.rpartition("/")[0] == folder]
    pages = [listed[start : start + PAGE] for start in range(0, len(listed), PAGE)]
    routes = {}
    for number, page in enumerate(pages):
        path = tree(folder) + (f"&cursor={number}" if number else "")
        following = f'<{base}{tree(folder)}&cursor={number + 1}>; rel="next"'
        headers = JSON | ({"Link": following} if number + 1 < len(pages) else {})
        routes[path] = Reply(dumps(page).encode(), headers=headers)
    return routes


def _entry(name: str, body: bytes, lfs: bool) -> dict[str, object]:
    entry = {"type": "file", "oid": sha1(body).hexdigest(), "size": len(body), "path": name}
    pointer = {"oid": sha256(body).hexdigest(), "size": len(body), "pointerSize": 134}
    return entry | ({"lfs": pointer} if lfs else {})


def _file(name: str, body: bytes, base: str, lfs: bool) -> dict[str, Reply]:
    etag = sha256(body).hexdigest() if lfs else sha1(body).hexdigest()
    headers = {
        "X-Repo-Commit": COMMIT,
        "X-Linked-Etag": f'"{etag}"',
        "X-Linked-Size": str(len(body)),
        "Location": base.replace("127.0.0.1", "localhost") + stored(name),
        "Content-Length": "0",
    }
    return {resolve(name): Reply(status=302, headers=headers), stored(name): Reply(body, headers={"ETag": f'"{etag}"'})}
