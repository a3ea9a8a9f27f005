import ipaddress

import pytest

from mmsrec.crawl.outcome import Rejected
from mmsrec.crawl.policy import Origin, agent_name, candidates, is_public, opted_out, target


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("http://a.example/x.jpg", ("http", "a.example", 80), "/x.jpg"),
        ("https://A.Example:8443/x y.jpg?q=1#part", ("https", "a.example", 8443), "/x%20y.jpg?q=1"),
        ("  http://a.example  ", ("http", "a.example", 80), "/"),
        ("http://b\u00fccher.example/\u00e9", ("http", "xn--bcher-kva.example", 80), "/%C3%A9"),
        ("http://[2001:db8::1]:81/x", ("http", "2001:db8::1", 81), "/x"),
        ("HTTP://a.example/%7Eme", ("http", "a.example", 80), "/~me"),
    ],
)
def test_a_target_is_the_normalised_url(url: str, origin: tuple[str, str, int], path: str) -> None:
    assert target(url)[2:] == (Origin(*origin), path)
    assert "#" not in target(url).url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x.jpg",
        "//a.example/x.jpg",
        "ftp://a.example/x.jpg",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        "http://",
        "http:///x.jpg",
        "http://user:secret@a.example/x.jpg",
        "http://user@a.example/x.jpg",
        "http://a.example:99999/x.jpg",
        "http://a.example:port/x.jpg",
        "http://[::1/x.jpg",
        "http://*.example/x.jpg",
        "http://a\x00b.example/",
    ],
)
def test_anything_but_a_plain_web_address_is_refused(url: str) -> None:
    with pytest.raises(Rejected) as caught:
        target(url)

    assert caught.value.state == "refused"


@pytest.mark.parametrize("origin", ["http://a.example", "https://a.example:8443", "http://[2001:db8::1]:81"])
def test_an_origin_gives_its_urls(origin: str) -> None:
    assert target(origin).origin.url("/robots.txt") == f"{origin}/robots.txt"


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_public_addresses(address: str) -> None:
    # Python counts mapped addresses as private; refusing more than needed is safe.
    assert is_public(address) or ipaddress.ip_address(address).ipv4_mapped


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "::",
        "::1",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2002:a00:1::",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
    ],
)
def test_addresses_of_no_public_host(address: str) -> None:
    assert not is_public(address)


def test_urls_of_a_moved_origin_come_before_the_original() -> None:
    rewrites = {"http://old.example": ["https://new.example", "https://newer.example/"]}

    assert candidates("http://old.example/I/x.jpg", rewrites) == [
        "https://new.example/I/x.jpg",
        "https://newer.example/I/x.jpg",
        "http://old.example/I/x.jpg",
    ]
    for other in ("http://old.example.org/x.jpg", "https://old.example/x.jpg", "http://old.example"):
        assert candidates(other, rewrites) == [other]


def test_the_agent_is_the_first_word_of_the_user_agent() -> None:
    assert agent_name("MMSRec/0.1 (research)") == "mmsrec"
    assert agent_name("mmsrec (research)") == "mmsrec"
    assert agent_name("mmsrec") == "mmsrec"


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ([], None),
        (["noai"], "noai"),
        (["NoImageAI"], "noimageai"),
        (["nofollow, noindex"], "noindex"),
        (["nosnippet", "none"], "none"),
        (["max-image-preview:large, noai"], "noai"),
        (["unavailable_after: 25 Jun 2030 15:00:00 PST, noai"], "noai"),
        (["mmsrec: noai"], "noai"),
        (["MMSREC: noai"], "noai"),
        (["otherbot: noai"], None),
        (["otherbot: nofollow, noai"], None),
        (["otherbot: noai, mmsrec: noindex"], "noindex"),
        (["otherbot: noai", "noindex"], "noindex"),
        (["index, follow, all"], None),
        (["noaimless"], None),
        ([",,: ,"], None),
    ],
)
def test_opt_outs_for_all_or_for_this_agent(tags: list[str], found: str | None) -> None:
    assert opted_out(tags, "mmsrec") == found
