"""The command lines of the two crawl stages, as a workflow engine runs them."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from ruamel.yaml import YAML

from mmsrec.artifacts import SCHEMAS, write_table
from tests.servers import Reply, Server
from tests.unit.crawl.examples import PARAMS, files, ledger, picture
from tests.unit.crawl.videos import video

Serve = Callable[..., Server]


def run(script: str, folder: Path, vision: dict[str, Any] | None, crawl: dict[str, Any], *flags: str) -> Any:
    """Runs a stage for a domain with these vision settings and these changes of the crawl settings."""
    params = YAML(typ="safe", pure=True).load(PARAMS.read_text())
    params["domains"]["ml-1m"] |= {"vision": vision, "crawl": crawl}
    params["catalogues"] = {"late": {"domain": "ml-1m", "items": "ml-1m/late.csv", "variants": ["mmsrec-text"]}}
    (folder / "params.yaml").write_text(json.dumps(params))
    command = [sys.executable, f"workflow/scripts/{script}", f"--params={folder / 'params.yaml'}", "--domain=ml-1m"]
    command += [f"--items={folder / 'items.parquet'}", f"--output={folder / 'media'}", *flags]
    return subprocess.run(command, cwd=PARAMS.parent, capture_output=True, text=True, timeout=120)


def write_items(folder: Path, media_urls: dict[str, str | None]) -> None:
    columns = {
        "item_index": range(len(media_urls)),
        "item_id": list(media_urls),
        "title": [f"Film {item}" for item in media_urls],
        "text": [None] * len(media_urls),
        "media_url": list(media_urls.values()),
    }
    write_table(folder / "items.parquet", pa.table(columns, schema=SCHEMAS["items"]), SCHEMAS["items"])


def test_pictures_are_crawled_from_loopback_if_the_domain_allows_it(serve: Serve, tmp_path: Path) -> None:
    server = serve({"/1": Reply(picture())})
    write_items(tmp_path, {"1": server.url("/1"), "2": server.url("/2"), "3": None})

    crawled = run("crawl_images.py", tmp_path, {"kind": "image"}, {"allow_private": True})
    assert crawled.returncode == 0, crawled.stderr
    assert {item: row["state"] for item, row in ledger(tmp_path / "media").items()} == {
        "1": "ok",
        "2": "dead",
        "3": "missing",
    }
    assert "1 ok, 1 dead, 1 missing" in crawled.stderr


def test_the_pictures_of_a_catalogue_are_crawled_by_the_rules_of_its_domain(serve: Serve, tmp_path: Path) -> None:
    server = serve({"/1": Reply(picture())})
    write_items(tmp_path, {"1": server.url("/1")})
    done = run("crawl_images.py", tmp_path, {"kind": "image"}, {"allow_private": True}, "--domain=late")

    assert done.returncode == 0, done.stderr
    assert ledger(tmp_path / "media")["1"]["state"] == "ok"


def test_posters_are_copied_from_a_folder(tmp_path: Path) -> None:
    write_items(tmp_path, {"1": None, "2": None})
    (tmp_path / "raw/posters").mkdir(parents=True)
    (tmp_path / "raw/posters/2.jpg").write_bytes(picture())
    vision = {"kind": "poster", "pattern": "posters/{item_id}.jpg"}
    done = run("crawl_images.py", tmp_path, vision, {}, f"--raw={tmp_path / 'raw'}")

    assert done.returncode == 0, done.stderr
    assert list(files(tmp_path / "media").values()) == [picture()]


def test_trailers_are_crawled_by_known_id(serve: Serve, tmp_path: Path) -> None:
    server = serve({"/aaaaaaaaaaa.avi": Reply(video(30), headers={"Content-Type": "video/avi"})})
    write_items(tmp_path, {"1": None})
    (tmp_path / "raw/ml-1m").mkdir(parents=True)
    (tmp_path / "raw/ml-1m/ml-youtube.csv").write_text("youtubeId,movieId,title\naaaaaaaaaaa,1,Film\n")
    trailers = YAML(typ="safe", pure=True).load(PARAMS.read_text())["crawl"]["trailers"]
    trailers |= {"url": server.base + "/{id}.avi", "extractors": ["generic"], "pause": 0.01}
    vision = {"kind": "trailer", "trailer_ids": "ml-1m/ml-youtube.csv"}
    done = run("crawl_trailers.py", tmp_path, vision, {"trailers": trailers}, f"--raw={tmp_path / 'raw'}")

    assert done.returncode == 0, done.stderr
    assert list(files(tmp_path / "media").values()) == [video(30)]


@pytest.mark.parametrize(("script", "vision"), [("crawl_images.py", None), ("crawl_trailers.py", {"kind": "image"})])
def test_a_domain_without_such_media_is_an_error(tmp_path: Path, script: str, vision: dict[str, Any] | None) -> None:
    write_items(tmp_path, {"1": None})
    done = run(script, tmp_path, vision, {})

    assert done.returncode == 1
    assert "domains.ml-1m.vision" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_crawl_without_a_network_is_not_over(tmp_path: Path) -> None:
    write_items(tmp_path, {"1": "http://127.0.0.1:9/1.jpg", "2": None})
    done = run("crawl_images.py", tmp_path, {"kind": "image"}, {"allow_private": True, "attempts": 1})

    assert done.returncode == 1
    assert "No request of the crawl got an answer" in done.stderr
    assert ledger(tmp_path / "media")["1"]["state"] == "failed"
