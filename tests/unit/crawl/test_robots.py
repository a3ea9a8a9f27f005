import random
import re
from threading import Thread

import pytest

from mmsrec.crawl.outcome import Rejected
from mmsrec.crawl.policy import Origin, target
from mmsrec.crawl.robots import Robots, Rules, _matches


@pytest.mark.parametrize(
    ("text", "path", "allowed"),
    [
        ("", "/x", True),
        ("User-agent: *\nDisallow: /", "/x", False),
        ("User-agent: *\nDisallow: /", "/robots.txt", True),
        ("User-agent: *\nDisallow:", "/x", True),
        ("User-agent: *\nDisallow: /a", "/ab", False),
        ("User-agent: *\nDisallow: /a", "/b/a", True),
        ("User-agent: other\nDisallow: /", "/x", True),
        ("User-agent: MMSRec\nDisallow: /", "/x", False),
        ("User-agent: mmsrec/2.0\nDisallow: /", "/x", False),
        # The group of the agent stands in place of that for all.
        ("User-agent: *\nDisallow: /\n\nUser-agent: mmsrec\nDisallow: /a", "/x", True),
        ("User-agent: mmsrec\nAllow: /\nUser-agent: *\nDisallow: /", "/x", True),
        # Groups of one agent are one; agents may share a group.
        ("User-agent: mmsrec\nDisallow: /a\nUser-agent: x\nDisallow: /\nUser-agent: mmsrec\nDisallow: /b", "/b", False),
        ("User-agent: x\nUser-agent: mmsrec\nDisallow: /a", "/a", False),
        ("User-agent: x\nSitemap: http://a/\nUser-agent: mmsrec\nDisallow: /a", "/a", False),
        # The longest match counts; of two as long, the one that allows.
        ("User-agent: *\nDisallow: /a\nAllow: /a/b", "/a/b/c", True),
        ("User-agent: *\nAllow: /a\nDisallow: /a/b", "/a/b/c", False),
        ("User-agent: *\nDisallow: /a\nAllow: /a", "/a", True),
        # Wildcards.
        ("User-agent: *\nDisallow: /*.jpg$", "/i/x.jpg", False),
        ("User-agent: *\nDisallow: /*.jpg$", "/i/x.jpg?size=1", True),
        ("User-agent: *\nDisallow: /*.jpg", "/i/x.jpg?size=1", False),
        ("User-agent: *\nDisallow: /a$", "/a", False),
        ("User-agent: *\nDisallow: /a$", "/ab", True),
        # One spelling of a path, whether percent-encoded or not.
        ("User-agent: *\nDisallow: /caf\u00e9", "/caf%C3%A9", False),
        ("User-agent: *\nDisallow: /caf%c3%a9", "/caf%C3%A9/x", False),
        ("User-agent: *\nDisallow: /%7Eme", "/~me", False),
        ("User-agent: *\nDisallow: /a%2Fb", "/a/b", True),
        # Comments, byte order mark, line ends, spaces, unknown lines, rules of nobody.
        ("\ufeffUSER-AGENT : * # all\r\nDISALLOW : /a # this\r\n", "/a", False),
        ("User-agent: *\rDisallow: /a\rCrawl-delay: 9", "/a", False),
        ("Disallow: /\nUser-agent: x\nDisallow: /", "/a", True),
        ("<html>404: not found</html>", "/a", True),
        ("\x00\xff: \n::::\nUser-agent\nDisallow: /", "/a", True),
    ],
)
def test_rules_of_a_file(text: str, path: str, allowed: bool) -> None:
    assert Rules(text, "mmsrec").allow(path) == allowed


def test_patterns_match_as_a_regular_expression_would() -> None:
    draw = random.Random(0)
    for _ in range(5000):
        pattern = "/" + "".join(draw.choices("ab*/", k=draw.randrange(6))) + draw.choice(["", "$"])
        path = "/" + "".join(draw.choices("ab/", k=draw.randrange(7)))
        oracle = "".join(".*" if char == "*" else re.escape(char) for char in pattern.removesuffix("$"))
        expected = re.match(oracle + ("$" if pattern.endswith("$") else ""), path) is not None
        assert _matches(pattern, path) == expected, (pattern, path)


def test_a_hostile_pattern_takes_no_time() -> None:
    assert not _matches("/" + "a*" * 5000 + "b", "/" + "a" * 20_000)


X = target("http://a.example/x.jpg")
OTHER = target("http://a.example:81/x.jpg")


def test_a_file_is_fetched_once_an_origin() -> None:
    asked: list[Origin] = []
    robots = Robots("mmsrec", lambda origin: asked.append(origin) or "")

    threads = [Thread(target=robots.check, args=(X,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    robots.check(OTHER)

    assert asked == [X.origin, OTHER.origin]


def test_a_file_that_failed_is_asked_for_again() -> None:
    answers = iter([Rejected("failed", "robots.txt: HTTP status 503"), "User-agent: *\nDisallow: /"])

    def fetch(_: Origin) -> str:
        answer = next(answers)
        if isinstance(answer, Rejected):
            raise answer
        return answer

    robots = Robots("mmsrec", fetch)
    with pytest.raises(Rejected, match="503"):
        robots.check(X)
    with pytest.raises(Rejected, match="disallows"):
        robots.check(X)
