import socket
from xml.etree import ElementTree

import pytest
import requests

from mmsrec.demo.faults import RAW_FAULTS
from mmsrec.demo.media_files import faults_of, media_of
from mmsrec.demo.server import serving
from mmsrec.errors import ArtifactError, DemoError
from mmsrec.sources.download import fetch
from mmsrec.sources.file_registry import SourceFile


@pytest.fixture(scope="module")
def base(mirror):
    with serving(mirror, port=0) as url:
        yield url


@pytest.fixture(scope="module")
def sound(world):
    """A picture and a trailer that nothing is wrong with."""
    paths = [path for path in media_of(world) if path not in faults_of(world)]
    return paths[0], paths[-1]


def get(url, **headers):
    return requests.get(url, headers=headers, timeout=5)


def raw(base, request):
    """The answer to bytes that no client library would send."""
    host, _, port = base.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(request)
        return connection.recv(65536)


def test_a_picture_and_a_trailer_are_served_whole(base, mirror, sound):
    for path, kind in zip(sound, ("image/jpeg", "video/mp4"), strict=True):
        answer = get(f"{base}/{path}?size=large")
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, kind)
        assert answer.content == (mirror / "media" / path).read_bytes()


def test_a_head_request_gets_only_the_length(base, mirror, sound):
    answer = requests.head(f"{base}/{sound[0]}", timeout=5)
    assert int(answer.headers["Content-Length"]) == (mirror / "media" / sound[0]).stat().st_size
    assert answer.content == b""


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=0-99", 206, slice(0, 100)),
        ("bytes=100-", 206, slice(100, None)),
        ("bytes=100-99999999", 206, slice(100, None)),
        ("bytes=99999999-", 416, slice(0, 0)),
        ("bytes=9-3", 200, slice(None)),
        ("bytes=0-1,5-6", 200, slice(None)),
        ("lines=0-1", 200, slice(None)),
    ],
)
def test_a_range_request_gets_a_part_of_the_file(base, mirror, sound, asked, status, part):
    whole = (mirror / "media" / sound[1]).read_bytes()
    answer = get(f"{base}/{sound[1]}", Range=asked)
    assert (answer.status_code, answer.content) == (status, whole[part])


def test_one_connection_serves_many_requests(base, sound):
    with requests.Session() as session:
        ports = set()
        for _ in range(3):
            answer = session.get(f"{base}/{sound[0]}", timeout=5, stream=True)
            ports.add(answer.raw.connection.sock.getsockname())
            assert answer.content
    assert len(ports) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/../demo/films.zip",
        "/images/../faults.json",
        "/images/%2e%2e/faults.json",
        "/images/..%2ffaults.json",
        "/images//etc/passwd",
        "/images/a\\..\\b.jpg",
        "/faults.json",
        "/images/.jpg",
        "/images/" + "a" * 65 + ".jpg",
        "/",
        "*",
        "http://[/images/a.jpg",
    ],
)
def test_other_paths_are_not_served(base, path):
    answer = raw(base, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("name", ["ratings_Wear.csv", "meta_Demo.json.gz"])
def test_a_raw_file_is_served_whole(base, mirror, name):
    assert get(f"{base}/demo/{name}").content == (mirror / "demo" / name).read_bytes()


def test_faulty_raw_files_arrive_after_retries(mirror, tmp_path):
    with serving(mirror, 0) as url:
        for path in RAW_FAULTS:
            fetch(SourceFile(path, (f"{url}/{path}",), None, None), tmp_path / path, ())
            assert (tmp_path / path).read_bytes() == (mirror / path).read_bytes()


def test_the_download_of_a_cut_off_file_resumes(mirror):
    path = next(path for path, fault in RAW_FAULTS.items() if fault == "cut off")
    whole = (mirror / path).read_bytes()
    with serving(mirror, 0) as url:
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            get(f"{url}/{path}")
        answer = get(f"{url}/{path}", Range="bytes=100-")
        assert (answer.status_code, answer.content) == (206, whole[100:])


def test_robots_txt_names_the_forbidden_files(base, world):
    text = get(f"{base}/robots.txt").text.splitlines()
    forbidden = [path for path, fault in faults_of(world).items() if fault == "forbidden"]
    assert forbidden
    assert text == ["User-agent: *", *(f"Disallow: /{path}$" for path in forbidden)]


def test_a_search_returns_a_feed(base, world):
    film = next(film for film in world.films.films if film.fault == "no id")
    feed = ElementTree.fromstring(requests.get(f"{base}/search", {"q": f"{film.title} <&>"}, timeout=5).content)
    urls = [hit.attrib["url"] for hit in feed.findall("./channel/item/enclosure")]
    assert urls == [f"{base}/films/whole.mp4", f"{base}/trailers/{film.trailer}.mp4"]
    assert not ElementTree.fromstring(get(f"{base}/search?q=nothing+known").content).findall("./channel/item")


def test_a_port_in_use_is_an_error(mirror, base):
    port = int(base.rpartition(":")[2])
    with pytest.raises(DemoError, match=f"127.0.0.1:{port}") as caught, serving(mirror, port):
        pass
    assert "in use" in str(caught.value)


def test_a_folder_without_media_is_an_error(tmp_path):
    with pytest.raises(ArtifactError, match=r"faults\.json"), serving(tmp_path, 0):
        pass
