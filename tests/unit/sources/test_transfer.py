import random
import re
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from mmsrec.sources.partial import Partial
from mmsrec.sources.transfer import Limits, UnavailableError, download
from tests.certificates import self_signed
from tests.hostile_server import hostile_server
from tests.servers import Reply, Server

BODY = random.Random(7).randbytes(200_000)
QUICK = Limits(
    connect_seconds=2, stall_seconds=0.5, total_seconds=20, attempts=3, backoff_seconds=0.01, max_pause_seconds=2
)
ETAG = {"ETag": '"one"'}


def partial_of(folder, name="file.csv"):
    return Partial(folder / name)


def received(server, partial, limits=QUICK, path="/file"):
    download(server.url(path), partial, limits)
    return partial.path.read_bytes()


def test_a_dropped_connection_resumes(serve, tmp_path):
    server = serve({"/file": [Reply(BODY, drop_after=70_000, headers=ETAG), Reply(BODY, headers=ETAG)]})
    assert received(server, partial_of(tmp_path)) == BODY
    first, second = server.asked("/file")
    assert "Range" not in first.headers
    assert (second.headers["Range"], second.headers["If-Range"], second.status) == ("bytes=70000-", '"one"', 206)


def test_progress_resets_the_count_of_failures(serve, tmp_path):
    drops = [Reply(BODY, drop_after=30_000, headers=ETAG)] * 6
    server = serve({"/file": [*drops, Reply(BODY, headers=ETAG)]})
    assert received(server, partial_of(tmp_path)) == BODY
    assert len(server.asked("/file")) == 7 > QUICK.attempts


def test_a_later_call_resumes_after_the_received_bytes(serve, tmp_path):
    dated = {"Last-Modified": "Wed, 01 May 2024 12:00:00 GMT"}
    server = serve({"/file": [Reply(BODY, drop_after=70_000, headers=dated), Reply(BODY, headers=dated)]})
    with pytest.raises(UnavailableError, match="gave up at try 1"):
        received(server, partial_of(tmp_path), Limits(attempts=1))
    assert received(server, partial_of(tmp_path)) == BODY
    assert server.asked("/file")[1].headers["If-Range"] == dated["Last-Modified"]


def test_a_complete_file_is_not_requested_again(serve, tmp_path):
    server = serve({"/file": Reply(BODY)})
    assert received(server, partial_of(tmp_path)) == received(server, partial_of(tmp_path)) == BODY
    assert len(server.requests) == 1


def test_without_range_support_the_download_starts_again(serve, tmp_path):
    server = serve({"/file": [Reply(BODY, drop_after=70_000), Reply(BODY, ranges=False)]})
    assert received(server, partial_of(tmp_path)) == BODY
    assert [request.status for request in server.requests] == [200, 200]


def test_a_file_that_changed_starts_again(serve, tmp_path):
    other = BODY[::-1]
    server = serve({"/file": [Reply(BODY, drop_after=70_000, headers=ETAG), Reply(other, headers={"ETag": '"two"'})]})
    assert received(server, partial_of(tmp_path)) == other


def test_a_weak_etag_is_no_condition_and_a_changed_length_starts_again(serve, tmp_path):
    weak = {"ETag": 'W/"one"'}
    longer = BODY + b"more"
    server = serve({"/file": [Reply(BODY, drop_after=70_000, headers=weak), Reply(longer, headers=weak)]})
    assert received(server, partial_of(tmp_path)) == longer
    assert "If-Range" not in server.requests[1].headers
    assert "Range" not in server.requests[2].headers


@pytest.mark.parametrize("header", [f"bytes 0-{len(BODY) - 1}/{len(BODY)}", "bytes 70000-", "nonsense"])
def test_an_answer_with_another_range_starts_again(serve, tmp_path, header):
    lie = Reply(BODY, headers={"Content-Range": header})
    server = serve({"/file": [Reply(BODY, drop_after=70_000), lie, Reply(BODY)]})
    assert received(server, partial_of(tmp_path)) == BODY
    assert "Range" not in server.requests[2].headers


def test_a_file_that_shrank_starts_again(serve, tmp_path):
    server = serve({"/file": [Reply(BODY, drop_after=70_000), Reply(BODY[:100])]})
    assert received(server, partial_of(tmp_path)) == BODY[:100]
    assert [request.status for request in server.requests] == [200, 416, 200]


def test_bytes_from_another_url_are_discarded(serve, tmp_path):
    server = serve({"/a": Reply(BODY, drop_after=70_000), "/b": Reply(BODY[::-1])})
    with pytest.raises(UnavailableError):
        received(server, partial_of(tmp_path), Limits(attempts=1), path="/a")
    assert received(server, partial_of(tmp_path), path="/b") == BODY[::-1]


def test_a_short_body_is_a_failure(serve, tmp_path):
    server = serve({"/file": Reply(BODY, length=len(BODY) + 5, ranges=False)})
    with pytest.raises(UnavailableError, match="gave up at try 3"):
        received(server, partial_of(tmp_path))


def test_a_body_without_length_is_read_to_its_end(serve, tmp_path):
    assert received(serve({"/file": Reply(BODY, no_length=True)}), partial_of(tmp_path)) == BODY


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_transient_status_is_retried(serve, tmp_path, status):
    server = serve({"/file": [Reply(status=status), Reply(BODY)]})
    assert received(server, partial_of(tmp_path)) == BODY


def test_tries_are_bounded(serve, tmp_path):
    server = serve({"/file": Reply(status=503)})
    with pytest.raises(UnavailableError, match=re.escape("HTTP 503 Service Unavailable; gave up at try 3")):
        received(server, partial_of(tmp_path))
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_another_status_is_final(serve, tmp_path, status):
    server = serve({"/file": Reply(status=status)})
    with pytest.raises(UnavailableError, match=f"HTTP {status}"):
        received(server, partial_of(tmp_path))
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "header", ["1", lambda: format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)], ids=["s", "date"]
)
def test_retry_after_is_respected(serve, tmp_path, header):
    value = header if isinstance(header, str) else header()
    server = serve({"/file": [Reply(status=429, headers={"Retry-After": value}), Reply(BODY)]})
    assert received(server, partial_of(tmp_path)) == BODY
    first, second = server.requests
    assert 0.9 < second.time - first.time < 4


def test_retry_after_is_bounded(serve, tmp_path):
    server = serve({"/file": [Reply(status=429, headers={"Retry-After": "3600"}), Reply(BODY)]})
    assert received(server, partial_of(tmp_path), Limits(max_pause_seconds=0.05)) == BODY


def test_a_pause_beyond_the_total_time_is_not_made(serve, tmp_path):
    server = serve({"/file": Reply(status=429, headers={"Retry-After": "30"})})
    started = time.monotonic()
    with pytest.raises(UnavailableError, match=re.escape("HTTP 429 Too Many Requests; no time left of 5 s")):
        received(server, partial_of(tmp_path), Limits(total_seconds=5))
    assert time.monotonic() - started < 3
    assert len(server.requests) == 1


def test_a_slow_server_is_abandoned_at_the_deadline(serve, tmp_path):
    server = serve({"/file": Reply(BODY, chunk=10, pause=0.05)})
    started = time.monotonic()
    with pytest.raises(UnavailableError, match=re.escape("in the 0.4 s allowed")):
        received(server, partial_of(tmp_path), Limits(total_seconds=0.4))
    assert time.monotonic() - started < 3


def test_a_silent_server_is_abandoned_at_the_timeout(serve, tmp_path):
    server = serve({"/file": Reply(BODY, delay=3)})
    started = time.monotonic()
    with pytest.raises(UnavailableError, match="timed out"):
        received(server, partial_of(tmp_path), Limits(stall_seconds=0.2, attempts=2, backoff_seconds=0.01))
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(("faults", "message"), [({}, "announces 200,000"), ({"no_length": True}, "sends more")])
def test_size_is_bounded(serve, tmp_path, faults, message):
    server = serve({"/file": Reply(BODY, **faults)})
    partial = partial_of(tmp_path)
    with pytest.raises(UnavailableError, match=message):
        received(server, partial, Limits(max_bytes=150_000))
    assert partial.size == 0


def test_redirects_are_followed_and_bounded(serve, tmp_path):
    server = serve(
        {
            "/file": Reply(status=302, headers={"Location": "/there"}),
            "/there": Reply(BODY),
            "/loop": Reply(status=301, headers={"Location": "/loop"}),
        }
    )
    assert received(server, partial_of(tmp_path)) == BODY
    with pytest.raises(UnavailableError, match="redirects"):
        received(server, partial_of(tmp_path, "other"), path="/loop")
    assert len(server.asked("/loop")) == QUICK.redirects + 1


@pytest.mark.parametrize("location", ["http://[::1", "/\xff\xfe", "ftp://a.example/x", "http://a.example:99999/", "//"])
def test_a_redirect_to_what_is_no_url_is_this_url_s_failure(serve, tmp_path, location):
    server = serve({"/file": Reply(status=302, headers={"Location": location})})
    with pytest.raises(UnavailableError):
        received(server, partial_of(tmp_path), QUICK)


def test_the_body_of_a_redirect_is_not_read(serve, tmp_path):
    endless = Reply(bytes(2**20), status=302, headers={"Location": "/there"}, length=2**40, pause=0.2)
    server = serve({"/file": endless, "/there": Reply(BODY)})
    start = time.monotonic()
    assert received(server, partial_of(tmp_path), QUICK) == BODY
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("headers", [{"Content-Length": "9" * 5000}, {"Content-Range": f"bytes 0-1/{'9' * 5000}"}])
def test_a_number_of_5000_digits_is_an_answer_like_any_other(serve, tmp_path, headers):
    status = 206 if "Content-Range" in headers else 200
    server = serve({"/file": [Reply(BODY, drop_after=100, headers=ETAG), Reply(BODY, status=status, headers=headers)]})
    with pytest.raises(UnavailableError):
        received(server, partial_of(tmp_path), QUICK)


def test_credentials_of_a_url_are_used_but_neither_kept_nor_printed(serve, tmp_path, caplog):
    caplog.set_level("INFO")
    server = serve({"/file": [Reply(status=503), Reply(BODY, drop_after=9, headers=ETAG), Reply(status=404)]})
    partial = partial_of(tmp_path)
    with pytest.raises(UnavailableError) as caught:
        download(server.url("/file").replace("//", "//me:secret@"), partial, QUICK)
    assert server.requests[0].headers["Authorization"].startswith("Basic ")
    kept = [path.read_text(errors="replace") for path in tmp_path.iterdir()]
    assert "part.json" in str(list(tmp_path.iterdir()))
    assert "secret" not in caplog.text + str(caught.value) + "".join(kept)


@pytest.mark.parametrize("seed", range(12))
def test_a_hostile_answer_is_this_url_s_failure(tmp_path, seed):
    haste = Limits(2**20, 2, 0.1, 0.5, 2, 0.01, 0.01, 3)
    with hostile_server(seed) as port:
        for number in range(5):
            with suppress(UnavailableError):
                download(f"http://127.0.0.1:{port}/{number}", partial_of(tmp_path, f"{number}.gz"), haste)


def test_a_web_page_is_refused(serve, tmp_path):
    server = serve({"/file": Reply(b"<p>moved</p>", headers={"Content-Type": "text/html; charset=utf-8"})})
    with pytest.raises(UnavailableError, match="web page"):
        received(server, partial_of(tmp_path, "data.zip"))


def test_a_content_encoding_is_accepted_for_gz_files_only(serve, tmp_path):
    server = serve({"/file": Reply(BODY, headers={"Content-Encoding": "gzip"})})
    assert received(server, partial_of(tmp_path, "meta.json.gz")) == BODY
    with pytest.raises(UnavailableError, match="encoding 'gzip'"):
        received(server, partial_of(tmp_path, "ratings.csv"))


def test_a_closed_port_is_an_error_with_a_reason(tmp_path):
    with Server({}) as server:
        url = server.url("/file")
    with pytest.raises(UnavailableError, match="refused"):
        download(url, partial_of(tmp_path), QUICK)


@pytest.fixture
def certificate(tmp_path):
    return tmp_path / "certificate.pem"


@pytest.fixture
def tls(certificate):
    return self_signed(certificate)


def test_an_unknown_certificate_is_refused_without_a_retry(serve, tmp_path, tls):
    server = serve({"/file": Reply(BODY)}, tls=tls)
    with pytest.raises(UnavailableError, match=r"TLS: .*CERTIFICATE_VERIFY_FAILED"):
        received(server, partial_of(tmp_path))
    assert not server.requests


def test_https_may_not_redirect_to_http(serve, tmp_path, tls, certificate, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    plain = serve({"/file": Reply(BODY)})
    safe = serve({"/file": Reply(BODY), "/down": Reply(status=302, headers={"Location": plain.url("/file")})}, tls=tls)
    assert received(safe, partial_of(tmp_path)) == BODY
    with pytest.raises(UnavailableError, match="https redirects to http"):
        received(safe, partial_of(tmp_path, "other"), path="/down")
