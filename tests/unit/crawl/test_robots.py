import random
import re
import time
import tracemalloc
from threading import Thread

import pytest
from protego import Protego

from mmsrec.crawl import robots as robots_module
from mmsrec.crawl.entry import Rejected
from mmsrec.crawl.policy import Origin, target
from mmsrec.crawl.robots import MAX_ALIKE, MAX_BYTES, Robots, parse

X = target("http://a.example/x.jpg")
OTHER = target("http://a.example:81/x.jpg")


def allowed_by(text: str, path: str) -> bool:
    return parse(text, "mmsrec").allow(target(f"http://a.example{path}").path)


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
        ("User-agent: mmsrec 2.0 # all versions\nDisallow: /", "/x", False),
        # The name of another agent may be a part of this agent's name.
        ("User-agent: mm\nDisallow: /", "/x", True),
        ("User-agent: mmsrec-news\nDisallow: /", "/x", True),
        ("User-agent: *\nDisallow: /\nUser-agent: mm\nAllow: /", "/x", False),
        # protego accepts common misspellings.
        ("Useragent mmsrec\nDissalow: /", "/x", False),
        # The agent's own group replaces the group of all agents.
        ("User-agent: *\nDisallow: /\n\nUser-agent: mmsrec\nDisallow: /a", "/x", True),
        ("User-agent: mmsrec\nAllow: /\nUser-agent: *\nDisallow: /", "/x", True),
        # Several groups of one agent are merged. Agents may share a group.
        ("User-agent: mmsrec\nDisallow: /a\nUser-agent: x\nDisallow: /\nUser-agent: mmsrec\nDisallow: /b", "/b", False),
        ("User-agent: x\nUser-agent: mmsrec\nDisallow: /a", "/a", False),
        ("User-agent: x\nSitemap: http://a/\nUser-agent: mmsrec\nDisallow: /a", "/a", False),
        # The longest match decides. At equal length, the rule that allows decides.
        ("User-agent: *\nDisallow: /a\nAllow: /a/b", "/a/b/c", True),
        ("User-agent: *\nAllow: /a\nDisallow: /a/b", "/a/b/c", False),
        ("User-agent: *\nDisallow: /a\nAllow: /a", "/a", True),
        # Wildcards.
        ("User-agent: *\nDisallow: /*.jpg$", "/i/x.jpg", False),
        ("User-agent: *\nDisallow: /*.jpg$", "/i/x.jpg?size=1", True),
        ("User-agent: *\nDisallow: /*.jpg", "/i/x.jpg?size=1", False),
        ("User-agent: *\nDisallow: /a$", "/a", False),
        ("User-agent: *\nDisallow: /a$", "/ab", True),
        # Percent-encoding does not change a path, except for an encoded slash.
        ("User-agent: *\nDisallow: /caf\u00e9", "/caf%C3%A9", False),
        ("User-agent: *\nDisallow: /caf%c3%a9", "/caf%C3%A9/x", False),
        ("User-agent: *\nDisallow: /%7Eme", "/~me", False),
        ("User-agent: *\nDisallow: /a%2Fb", "/a/b", True),
        # Comments, byte order mark, line ends, spaces, unknown lines, rules without an agent.
        ("\ufeffUSER-AGENT : * # all\r\nDISALLOW : /a # this\r\n", "/a", False),
        ("User-agent: *\rDisallow: /a\rCrawl-delay: 9", "/a", False),
        ("Disallow: /\nUser-agent: x\nDisallow: /", "/a", True),
        ("<html>404: not found</html>", "/a", True),
        ("\x00\xff: \n::::\nUser-agent\nDisallow: /", "/a", True),
    ],
)
def test_a_file_allows_or_disallows_a_path(text: str, path: str, allowed: bool) -> None:
    assert allowed_by(text, path) == allowed


def test_a_pattern_matches_like_a_regular_expression() -> None:
    draw = random.Random(0)
    for _ in range(2000):
        pattern = "/" + "".join(draw.choices("ab*/", k=draw.randrange(6))) + draw.choice(["", "$"])
        path = "/" + "".join(draw.choices("ab/", k=draw.randrange(7)))
        oracle = "".join(".*" if char == "*" else re.escape(char) for char in pattern.removesuffix("$"))
        expected = re.match(oracle + ("$" if pattern.endswith("$") else ""), path) is not None
        assert allowed_by(f"User-agent: *\nDisallow: {pattern}", path) != expected, (pattern, path)


def test_a_file_is_read_as_protego_reads_it() -> None:
    draw = random.Random(0)
    pieces = ["a", "b", "/", "*", "%7E", "~", "%2F", "%3D", "=", "?", "\u00e9", "%C3%A9", " ", "%zz"]
    for _ in range(1500):
        patterns = ["/" + "".join(draw.choices(pieces, k=draw.randrange(5))) for _ in range(6)]
        rules = [f"{draw.choice(('Allow', 'Disallow'))}: {pattern}{draw.choice(('', '$'))}" for pattern in patterns]
        text = "User-agent: *\n" + "\n".join(rules)
        asked = target("http://a.example/" + "".join(draw.choices([*pieces[:3], *pieces[4:]], k=draw.randrange(6))))
        expected = Protego.parse(text).can_fetch(asked.url, "mmsrec")
        assert parse(text, "mmsrec").allow(asked.path) == expected, (text, asked.url)


def milliseconds_of_a_check(rule: str, rules: int) -> float:
    """The processor time of a check, after the first one."""
    text = "User-agent: *\nAllow: /\n" + "".join(f"Disallow: {rule.format(n)}\n" for n in range(rules))
    robots = Robots("mmsrec", lambda _: text[:MAX_BYTES])
    robots.check(X)
    start = time.process_time()
    for number in range(100):
        robots.check(target(f"http://a.example/images/{number}.jpg"))
    return (time.process_time() - start) * 10


@pytest.mark.parametrize(("rule", "rules"), [("/p{:06}/", 24_380), ("/p{:06}*x$", 24_380), ("/*{:06}x$", MAX_ALIKE)])
def test_many_rules_cost_little_for_each_item(rule: str, rules: int) -> None:
    assert milliseconds_of_a_check(rule, rules) < 5


def test_too_many_rules_that_begin_alike_refuse_the_whole_host_for_now() -> None:
    with pytest.raises(Rejected, match=r"robots\.txt: more than 1000 rules begin alike") as caught:
        milliseconds_of_a_check("/*{:06}x$", MAX_ALIKE + 1)

    assert (caught.value.state, caught.value.of_host) == ("failed", True)


def test_the_rules_of_all_hosts_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robots_module, "MAX_KEPT", 25)
    asked: list[str] = []
    rules = "User-agent: *\n" + "".join(f"Disallow: /p{n}\n" for n in range(10))
    robots = Robots("mmsrec", lambda origin: asked.append(origin.host) or rules)
    for host in ("a", "b", "a", "c", "a", "b"):
        robots.check(target(f"http://{host}.example/x"))

    assert asked == ["a.example", "b.example", "c.example", "b.example"]


HALF = MAX_BYTES // 2
HOSTILE = {
    "long wildcard": "User-agent: *\nDisallow: /" + "a*" * HALF + "b",
    "24,000 rules": "User-agent: *\n" + "".join(f"Disallow: /{n}*x$\n" for n in range(24_000)),
    "many wildcards": "User-agent: *\n" + "Disallow: /*a*a*a*a*b\n" * (MAX_BYTES // 22),
    "many agents, many rules": "".join(f"User-agent: x{n}\n" for n in range(HALF // 18)) + "Allow: /a\n" * (HALF // 10),
    "repeated agents": "".join(f"User-agent: x{n}\n" for n in range(HALF // 18)) * 2,
    "one long line": "User-agent: *\nDisallow: /" + "%" * MAX_BYTES,
    "many dollars": "User-agent: *\nDisallow: /" + "$" * MAX_BYTES,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_needs_little_time(text: str) -> None:
    start = time.process_time()
    assert allowed_by(text[:MAX_BYTES], "/" + "a" * 2000)
    assert time.process_time() - start < 10


def test_many_agents_with_many_rules_need_little_memory() -> None:
    tracemalloc.start()
    parse(HOSTILE["many agents, many rules"], "mmsrec")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50 * 2**20


def test_each_origin_s_file_is_fetched_once() -> None:
    asked: list[Origin] = []
    robots = Robots("mmsrec", lambda origin: asked.append(origin) or "")

    threads = [Thread(target=robots.check, args=(X,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    robots.check(OTHER)

    assert asked == [X.origin, OTHER.origin]


def test_a_failed_fetch_is_repeated() -> None:
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
