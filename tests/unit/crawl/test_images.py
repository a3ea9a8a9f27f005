import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmsrec.crawl.images import collect_images, crawl_images, media_urls
from mmsrec.errors import DataError
from mmsrec.settings.crawling import Vision
from tests.servers import Reply, Server
from tests.unit.crawl.examples import PARAMS, files, ledger, picture, policy, urls

Serve = Callable[..., Server]
PICTURE = picture()
# The transparent GIF that Amazon sends with status 200 for a picture that it does not have.
PIXEL = bytes.fromhex("47494638396101000100800000ffffff00000021f90401000000002c00000000010001000002024401003b")
PATIENT = {"read_timeout": 20.0, "total_timeout": 60.0}


def states(folder: Path) -> dict[str, str]:
    return {item: row["state"] for item, row in ledger(folder).items()}


def test_pictures_are_in_the_folder_and_in_the_ledger(serve: Serve, tmp_path: Path) -> None:
    pictures = {str(number): picture(seed=number, kind=("JPEG", "PNG", "WEBP")[number % 3]) for number in range(40)}
    server = serve({f"/{item}": Reply(body) for item, body in pictures.items()})
    counts = crawl_images(
        urls({item: server.url(f"/{item}") for item in pictures} | {"none": None, "blank": "  "}),
        tmp_path,
        policy(**PATIENT),
    )

    assert counts == {"ok": 40, "missing": 2}
    rows = ledger(tmp_path)
    assert list(rows) == sorted(rows)
    found = files(tmp_path)
    assert {item: found[rows[item]["path"]] for item in pictures} == pictures
    assert len(server.asked("/robots.txt")) == 1


def test_only_unfinished_items_are_requested_again(serve: Serve, tmp_path: Path) -> None:
    server = serve(
        {
            "/ok": Reply(PICTURE),
            "/odd": Reply(b"<html>"),
            "/later": [Reply(status=500)] * 2 + [Reply(PICTURE)],
            "/moved": Reply(PICTURE),
        }
    )
    items = {name: server.url(f"/{name}") for name in ("ok", "gone", "odd", "later")}
    rules = policy(attempts=2, **PATIENT)
    crawl_images(urls(items), tmp_path, rules)
    assert states(tmp_path) == {"ok": "ok", "gone": "dead", "odd": "undecodable", "later": "failed"}

    first = len(server.requests)
    crawl_images(urls(items), tmp_path, rules)
    assert states(tmp_path) == {"ok": "ok", "gone": "dead", "odd": "undecodable", "later": "ok"}
    assert [request.path for request in server.requests[first:]] == ["/robots.txt", "/later"]
    assert ledger(tmp_path)["later"]["attempts"] == 1

    second = len(server.requests)
    crawl_images(urls(items | {"gone": server.url("/moved")}), tmp_path, policy(attempts=2, max_bytes=10**6, **PATIENT))
    assert sorted(request.path for request in server.requests[second:]) == ["/moved", "/odd", "/robots.txt"]
    assert states(tmp_path)["gone"] == "ok"


def test_equal_answers_give_an_equal_ledger(serve: Serve, tmp_path: Path) -> None:
    server = serve({f"/{n}": Reply(picture(seed=n)) for n in range(0, 20, 2)})
    items = urls({str(n): server.url(f"/{n}") for n in range(20)})
    for name in ("a", "b"):
        crawl_images(items, tmp_path / name, policy(**PATIENT))

    ledgers = [(tmp_path / name / "ledger.parquet").read_bytes() for name in ("a", "b")]
    assert ledgers[0] == ledgers[1]
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_robots_and_opt_outs_are_respected_by_default(serve: Serve, tmp_path: Path) -> None:
    server = serve(
        {
            "/robots.txt": Reply(b"User-agent: mmsrec\nDisallow: /no/\n"),
            "/no/x": Reply(PICTURE),
            "/yes": Reply(PICTURE, headers={"X-Robots-Tag": "noindex"}),
            "/hop": Reply(status=302, headers={"Location": "/no/x"}),
        }
    )
    items = urls({path: server.url(path) for path in ("/no/x", "/yes", "/hop")})
    crawl_images(items, tmp_path / "by default", policy(**PATIENT))
    assert set(states(tmp_path / "by default").values()) == {"refused"}
    assert not server.asked("/no/x")

    crawl_images(items, tmp_path / "b", policy(respect_robots=False, respect_opt_out=False, **PATIENT))
    assert set(states(tmp_path / "b").values()) == {"ok"}


@pytest.mark.parametrize(
    ("reply", "state"),
    [
        (Reply(status=404), "ok"),
        (Reply(status=403), "ok"),
        (Reply(status=503), "failed"),
        (Reply(status=429), "failed"),
        (Reply(drop_after=0, body=b"x"), "failed"),
        (Reply(b"User-agent: *\nDisallow: /\n" + b"#" * 600_000), "refused"),
        (Reply(b"\xff\xfe\x00"), "ok"),
        (Reply(status=302, headers={"Location": "/rules"}), "refused"),
        (Reply(status=302, headers={"Location": "/robots.txt"}), "ok"),
    ],
)
def test_the_answer_for_robots_txt_determines_the_state(serve: Serve, tmp_path: Path, reply: Reply, state: str) -> None:
    server = serve({"/robots.txt": reply, "/rules": Reply(b"User-agent: *\nDisallow: /"), "/x": Reply(PICTURE)})
    crawl_images(urls({"x": server.url("/x")}), tmp_path, policy(attempts=2, **PATIENT))

    assert states(tmp_path) == {"x": state}
    assert bool(server.asked("/x")) == (state == "ok")


def test_a_retry_after_pauses_the_whole_host(serve: Serve, tmp_path: Path) -> None:
    server = serve(
        {"/a": [Reply(status=429, headers={"Retry-After": "1"}), Reply(PICTURE)]}
        | {f"/{n}": Reply(picture(seed=n)) for n in range(20)}
    )
    items = {"a": server.url("/a")} | {str(n): server.url(f"/{n}") for n in range(20)}
    crawl_images(urls(items), tmp_path, policy(host_concurrency=1, backoff=0.01, **PATIENT))

    times = [request.time for request in server.requests if request.path != "/robots.txt"]
    assert server.requests[1].path == "/a"
    assert times[1] - times[0] >= 0.9
    assert set(states(tmp_path).values()) == {"ok"}


def test_the_rate_of_a_host_is_bounded(serve: Serve, tmp_path: Path) -> None:
    server = serve({f"/{n}": Reply(PICTURE) for n in range(16)})
    items = urls({str(n): server.url(f"/{n}") for n in range(16)})
    crawl_images(items, tmp_path, policy(host_rate=20.0, **PATIENT), connections=8)

    times = sorted(request.time for request in server.requests if request.path != "/robots.txt")
    assert times[-1] - times[0] >= 15 / 20 - 0.1


def test_a_replacement_host_is_tried_before_the_original(serve: Serve, tmp_path: Path) -> None:
    old = serve({"/I/both": Reply(PICTURE), "/I/old": Reply(PICTURE), "/I/flaky": Reply(status=404)})
    new = serve({"/I/both": Reply(PICTURE), "/I/flaky": Reply(status=500)})
    items = urls({name: old.url(f"/I/{name}") for name in ("both", "old", "none", "flaky")})
    crawl_images(items, tmp_path, policy(host_rewrites={old.base: [new.base]}, attempts=2, **PATIENT))

    assert states(tmp_path) == {"both": "ok", "old": "ok", "none": "dead", "flaky": "failed"}
    assert not old.asked("/I/both")
    attempts = {item: row["attempts"] for item, row in ledger(tmp_path).items()}
    assert attempts == {"both": 1, "old": 2, "none": 2, "flaky": 3}
    assert ledger(tmp_path)["both"]["url"] == old.url("/I/both")


@pytest.mark.parametrize("robots", [Reply(status=503), None])
def test_a_host_that_keeps_failing_is_given_up(serve: Serve, tmp_path: Path, robots: Reply | None) -> None:
    server = serve({"/robots.txt": robots} if robots else {})
    base = server.base if robots else "http://127.0.0.1:1"
    items = urls({str(number): f"{base}/{number}" for number in range(200)})
    start = time.monotonic()
    crawl_images(items, tmp_path, policy(host_failures=5, host_concurrency=2, host_rate=100.0, **PATIENT))

    rows = ledger(tmp_path).values()
    assert {row["state"] for row in rows} == {"failed"}
    assert sum("given up" in row["error"] for row in rows) > 190
    assert len(server.requests) < 10
    assert time.monotonic() - start < 20


def test_items_of_a_host_that_was_given_up_try_the_next_host(serve: Serve, tmp_path: Path) -> None:
    server = serve({f"/{n}": Reply(picture(seed=n)) for n in range(30)})
    items = urls({str(n): f"http://127.0.0.1:1/{n}" for n in range(30)})
    rewrites = {"http://127.0.0.1:1": ["http://127.0.0.1:2", server.base]}
    crawl_images(items, tmp_path, policy(host_failures=3, host_rewrites=rewrites, **PATIENT))

    assert set(states(tmp_path).values()) == {"ok"}


def test_a_placeholder_is_missing_and_the_next_host_is_tried(serve: Serve, tmp_path: Path) -> None:
    old = serve({f"/{name}": Reply(PICTURE) for name in ("both", "old")})
    new = serve({f"/{name}": Reply(PIXEL) for name in ("both", "old", "gone", "none")} | {"/both": Reply(PICTURE)})
    old.routes["/none"] = [Reply(PIXEL)]
    items = urls({name: old.url(f"/{name}") for name in ("both", "old", "gone", "none")})
    crawl_images(items, tmp_path, policy(host_rewrites={old.base: [new.base]}, **PATIENT))

    assert states(tmp_path) == {"both": "ok", "old": "ok", "gone": "dead", "none": "missing"}
    row = ledger(tmp_path)["none"]
    assert row["error"] == "a placeholder of 1 x 1 pixels"
    assert (row["status"], row["bytes"], row["sha256"], row["path"]) == (200, None, None, None)
    asked = len(new.requests)
    crawl_images(items, tmp_path, policy(host_rewrites={old.base: [new.base]}, **PATIENT))
    assert len(new.requests) == asked


def test_the_picture_of_many_items_is_missing_whatever_the_order(serve: Serve, tmp_path: Path) -> None:
    shared = picture(seed=99)
    bodies = {str(n): shared if n % 2 else picture(seed=n) for n in range(60)}
    server = serve({f"/{item}": Reply(body) for item, body in bodies.items()})
    items = {item: server.url(f"/{item}") for item in bodies}
    crawl_images(urls(items), tmp_path / "whole", policy(**PATIENT))
    # A first run sees too few of them to know.
    few = {item: url for item, url in items.items() if int(item) < 30}
    assert crawl_images(urls(few), tmp_path / "parts", policy(**PATIENT)) == {"ok": 30}
    asked = len(server.requests)
    crawl_images(urls(dict(reversed(items.items()))), tmp_path / "parts", policy(**PATIENT))

    assert states(tmp_path / "whole") == {item: "missing" if int(item) % 2 else "ok" for item in items}
    assert ledger(tmp_path / "whole")["1"]["error"] == "a placeholder: 30 of 60 pictures of the host have these bytes"
    tables = [(tmp_path / name / "ledger.parquet").read_bytes() for name in ("whole", "parts")]
    assert tables[0] == tables[1]
    assert len(server.requests) - asked == 31
    assert crawl_images(urls(items), tmp_path / "parts", policy(most_alike=1.0, **PATIENT)) == {"ok": 60}


def test_two_items_with_one_id_are_an_error(tmp_path: Path) -> None:
    items = pa.table({"item_id": ["a", "a"], "url": ["http://a.example/", "http://b.example/"]})
    with pytest.raises(DataError, match="share an id"):
        crawl_images(items, tmp_path, policy())


def test_no_items_give_an_empty_ledger(tmp_path: Path) -> None:
    assert crawl_images(urls({}), tmp_path, policy()) == {}
    assert ledger(tmp_path) == {}


def test_the_place_of_a_picture_follows_the_settings() -> None:
    items = pa.table({"item_id": ["1", "a/b ?"], "media_url": ["http://a.example/1", None]})

    def found(**row: str) -> list[str | None]:
        return media_urls(items, Vision(**row)).column("url").to_pylist()

    assert found(kind="image") == ["http://a.example/1", None]
    assert found(kind="poster", pattern="https://p.example/{item_id}.jpg")[1] == "https://p.example/a%2Fb%20%3F.jpg"
    assert found(kind="poster", pattern="ml-1m/posters/{item_id}.jpg")[0] == "ml-1m/posters/1.jpg"


def test_pictures_from_a_folder_pass_the_same_checks(tmp_path: Path) -> None:
    posters = tmp_path / "raw/posters"
    posters.mkdir(parents=True)
    (posters / "1.jpg").write_bytes(PICTURE)
    (posters / "2.jpg").write_bytes(PICTURE[:-100])
    (posters / "3.jpg").write_bytes(b"<html>")
    (posters / "5.jpg").write_bytes(PICTURE + bytes(100_000))
    (tmp_path / "secret.jpg").write_bytes(PICTURE)
    ids = ["1", "2", "3", "4", "5", "../../secret", "/etc/passwd"]
    items = media_urls(pa.table({"item_id": ids}), Vision(kind="poster", pattern="posters/{item_id}.jpg"))
    crawl = tmp_path / "crawl"
    collect_images(items, crawl, policy(max_bytes=50_000), tmp_path / "raw")

    expected = ["ok", "undecodable", "undecodable", "missing", "oversize", "refused", "missing"]
    assert states(crawl) == dict(zip(ids, expected, strict=True))
    assert list(files(crawl).values()) == [PICTURE]

    (posters / "4.jpg").write_bytes(PICTURE)
    assert collect_images(items, crawl, policy(max_bytes=50_000), tmp_path / "raw")["ok"] == 2


def test_the_real_posters_are_collected(real_data: Path, tmp_path: Path) -> None:
    ids = [str(number) for number in range(1, 200)]
    items = media_urls(pa.table({"item_id": ids}), Vision(kind="poster", pattern="ml-1m/posters/{item_id}.jpg"))
    counts = collect_images(items, tmp_path, policy(), real_data)

    there = sum((real_data / f"ml-1m/posters/{item}.jpg").exists() for item in ids)
    assert counts == {"ok": there, "missing": len(ids) - there}


KILLED = """
import sys
from pathlib import Path
import pyarrow.parquet as pq
from mmsrec.crawl.images import crawl_images
from tests.unit.crawl.examples import policy
crawl_images(pq.read_table(sys.argv[1]), Path(sys.argv[2]), policy(read_timeout=20.0), connections=4)
"""


def test_a_killed_crawl_resumes_and_gives_the_same_ledger(serve: Serve, tmp_path: Path) -> None:
    replies = (
        lambda n: Reply(picture(seed=n), pause=0.01),
        lambda n: Reply(status=404),
        lambda n: Reply(picture(seed=n), delay=0.02),
        lambda n: Reply(picture(seed=n)[:-50]),
        lambda n: Reply(status=500),
    )
    server = serve({f"/{n}": replies[n % 5](n) for n in range(60)})
    items = urls({str(n): server.url(f"/{n}") for n in range(60)})
    pq.write_table(items, tmp_path / "items.parquet")
    crawl_images(items, tmp_path / "whole", policy(**PATIENT), connections=4)

    killed = tmp_path / "killed"
    log = killed / "ledger.jsonl"
    for lines in (10, 30):
        command = [sys.executable, "-c", KILLED, str(tmp_path / "items.parquet"), str(killed)]
        process = subprocess.Popen(command, cwd=PARAMS.parent, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if log.exists() and log.read_bytes().count(b"\n") >= lines:
                break
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not (killed / "ledger.parquet").exists()
    served = {path: len(server.asked(path)) for path in server.routes}
    crawl_images(items, killed, policy(**PATIENT), connections=4)

    assert (killed / "ledger.parquet").read_bytes() == (tmp_path / "whole/ledger.parquet").read_bytes()
    assert files(killed) == files(tmp_path / "whole")
    final = [f"/{n}" for n in range(60) if n % 5 != 4]
    again = [path for path in final if len(server.asked(path)) > served[path]]
    assert len(again) <= 30
