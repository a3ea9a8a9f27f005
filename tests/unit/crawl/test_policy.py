import pytest

from mmsrec.crawl.entry import Rejected
from mmsrec.crawl.policy import Origin, agent_name, candidates, opted_out, target


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
def test_a_target_has_the_normalised_url(url: str, origin: tuple[str, str, int], path: str) -> None:
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
def test_only_plain_web_urls_are_accepted(url: str) -> None:
    with pytest.raises(Rejected) as caught:
        target(url)

    assert caught.value.state == "refused"


@pytest.mark.parametrize("origin", ["http://a.example", "https://a.example:8443", "http://[2001:db8::1]:81"])
def test_an_origin_builds_its_urls(origin: str) -> None:
    assert target(origin).origin.url("/robots.txt") == f"{origin}/robots.txt"


def test_replacement_origins_come_before_the_original() -> None:
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
def test_opt_outs_apply_to_all_agents_or_to_the_named_one(tags: list[str], found: str | None) -> None:
    assert opted_out(tags, "mmsrec") == found
