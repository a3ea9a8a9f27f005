"""The page of users: its structure, its marks, and hostile titles."""

import re
from base64 import b64decode
from html.parser import HTMLParser

import pytest

from mmsrec.errors import ArtifactError
from mmsrec.recommend.user_page import Card, ShownUser, write_page

ALONE = {"meta", "img", "link", "br", "input", "base"}
RED, BLUE = b"\xff\xd8red", b"\xff\xd8blue"
CARDS = {
    "a": Card("Wooden train", RED),
    "b": Card("Blue blocks", BLUE),
    "c": Card("Another train", RED),
    "d": Card("A doll", None),
}


class Element:
    def __init__(self, tag, attributes):
        self.tag, self.attributes, self.parts = tag, dict(attributes), []

    @property
    def classes(self):
        return (self.attributes.get("class") or "").split()

    @property
    def text(self):
        return " ".join("".join(self.strings()).split())

    def strings(self):
        for part in self.parts:
            yield from [part] if isinstance(part, str) else part.strings()

    def all(self, tag="", kind=""):
        """The elements below with a tag and a class, in the order of the page."""
        below = [part for part in self.parts if isinstance(part, Element)]
        found = []
        for part in below:
            fits = tag in ("", part.tag) and (not kind or kind in part.classes)
            found += [part] * fits + part.all(tag, kind)
        return found

    def one(self, tag="", kind=""):
        (found,) = self.all(tag, kind)
        return found


class Tree(HTMLParser):
    """A page as a tree; an end tag that does not close the innermost open element fails."""

    def __init__(self, page):
        super().__init__()
        self.root = Element("", {})
        self.open = [self.root]
        self.feed(page)
        self.close()
        assert self.open == [self.root]

    def handle_starttag(self, tag, attrs):
        element = Element(tag, attrs)
        self.open[-1].parts.append(element)
        if tag not in ALONE:
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open.pop().tag == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data):
        self.open[-1].parts.append(data)


def user(name="ann", history=("a", "b"), recommended=(("c", 0.5), ("d", 0.25)), taken=None):
    return ShownUser(name, history, recommended, taken)


@pytest.fixture
def written(tmp_path):
    def write(*shown, cards=CARDS, heading="A shop"):
        path = write_page(tmp_path / "page", shown, cards, heading)
        assert path == tmp_path / "page" / "index.html"
        return path.read_text(encoding="utf-8")

    return write


@pytest.fixture
def shown(written):
    return lambda *users, **options: Tree(written(*users, **options)).root


def titles(element):
    return [title.text for title in element.all(kind="title")]


def test_a_user_is_a_history_followed_by_recommended_items(shown):
    page = shown(user(), user("bob", ["d"], [("a", 3)]))

    assert [section.one("h2").text for section in page.all("section")] == ["User ann", "User bob"]
    for section in page.all("section"):
        assert [part.classes for part in section.all("div") if part.classes] == [["history"], ["recommended"]]
    ann = page.all("section")[0]
    assert titles(ann.one(kind="history")) == ["Wooden train", "Blue blocks"]
    assert titles(ann.one(kind="recommended")) == ["Another train", "A doll"]
    assert [part.text for part in ann.all(kind="position")] == ["Position 1", "Position 2"]
    assert [part.text for part in ann.all(kind="score")] == ["Score 0.5000", "Score 0.2500"]


def test_headings_links_and_the_language_help_to_move_about(shown):
    page = shown(user(), user("bob"))

    assert page.one("html").attributes["lang"] == "en"
    assert page.one("title").text == page.one("h1").text == "A shop"
    assert [part.tag for part in page.all() if re.fullmatch("h[1-6]", part.tag)] == ["h1", *["h2", "h3", "h3"] * 2]
    ids = [part.attributes["id"] for part in page.all() if "id" in part.attributes]
    assert len(ids) == len(set(ids))
    assert {link.attributes["href"][1:] for link in page.all("a")} == {"users", "user-1", "user-2"}
    assert {link.attributes["href"][0] for link in page.all("a")} == {"#"}
    for section in page.all("section"):
        assert section.attributes["aria-labelledby"] == section.one("h2").attributes["id"]


def test_the_item_taken_next_is_marked_in_words(shown):
    page = shown(user(taken="d"))

    marked = [part for part in page.one(kind="recommended").all("li") if "taken" in part.classes]
    assert [part.one(kind="mark").text for part in marked] == ["Taken next"]
    assert titles(marked[0]) == ["A doll"]
    assert not page.all(kind="missed")
    assert "for 1 of 1 user." in page.one("header").text


def test_a_user_with_a_hit_is_named_with_the_position_at_the_top(shown):
    page = shown(user(taken="d"), user("bob", taken="a"), user("eve"))

    assert [entry.text for entry in page.one("nav").all("li")] == ["ann taken next is at 2", "bob", "eve"]
    assert "for 1 of 2 users." in page.one("header").text


def test_an_item_taken_next_that_is_not_recommended_is_shown_beside_the_others(shown):
    page = shown(user(taken="b"))

    missed = page.one(kind="recommended").one(kind="missed")
    assert missed.one(kind="mark").text == "Taken next, not among the first 2"
    assert titles(missed) == ["Blue blocks"]
    assert not page.all(kind="taken")


def test_nothing_is_marked_where_the_next_item_is_not_known(shown):
    page = shown(user())

    assert not page.all(kind="mark")
    assert not page.all(kind="missed")


def test_a_long_history_shows_its_latest_items_and_counts_the_others(shown):
    items = [f"item {number}" for number in range(43)]
    history = shown(user(history=items)).one(kind="history")

    assert titles(history) == items[31:]
    assert history.one("h3").text == "History, latest last 12 shown, and 31 earlier"


@pytest.mark.parametrize(("length", "count"), [(0, ""), (1, " 1 item"), (12, " 12 items")])
def test_a_short_history_is_shown_whole(shown, length, count):
    history = shown(user(history=["a"] * length)).one(kind="history")

    assert history.one("h3").text == f"History, latest last{count}"
    assert len(titles(history)) == length


def test_a_user_without_history_and_recommended_items_is_said_to_have_none(shown):
    page = shown(user(history=[], recommended=[], taken="a"))

    assert page.one(kind="history").one(kind="note").text == "This user has no history."
    assert page.one(kind="recommended").one(kind="note").text == "Nothing is recommended to this user."
    assert page.one(kind="missed").one(kind="mark").text == "Taken next, not recommended"


def test_a_page_without_users_says_so(shown):
    assert shown().one("main").text == "No user is shown."


def test_equal_pictures_are_in_the_page_once(written):
    page = written(user(), user("bob", ["c"] * 5))

    rules = dict(
        re.findall(r"^\.(p\d+) { background-image: url\(data:image/jpeg;base64,(\S+)\) }$", page, re.MULTILINE)
    )
    assert {name: b64decode(picture) for name, picture in rules.items()} == {"p0": RED, "p1": BLUE}
    pictures = Tree(page).root.all(kind="p0")
    assert [part.attributes["role"] for part in pictures] == ["img"] * 8
    assert pictures[0].attributes["aria-label"] == "Picture of Wooden train"


def test_an_item_without_a_picture_has_the_first_letters_of_its_title(shown):
    cards = {"a": Card("(the) étoile of night", None), "b": Card("12 & dice", None), "c": Card("&&", None)}
    page = shown(user(history=["a", "b", "c", "unknown"]), cards=cards)

    tiles = page.one(kind="history").all(kind="none")
    assert [part.text for part in tiles] == ["TÉ", "1D", "", ""]
    assert {part.attributes["aria-hidden"] for part in tiles} == {"true"}


@pytest.mark.parametrize(
    "title",
    [
        "<script>alert(1)</script>",
        "\"double\" 'single' &amp; <b>",
        "</style></p></section><img src=x onerror=alert(1)>",
        "\u202eoverride that nothing ends",
        "ألعاب خشبية (12)",
        "{{ title }} {% raw %}",
        "x" * 5000,
    ],
    ids=["script", "quotes", "end tags", "override", "Arabic", "template", "long"],
)
def test_a_hostile_title_is_text_everywhere(shown, title):
    cards = CARDS | {"a": Card(title, RED)}
    page = shown(user(title, taken="a"), user("bob", taken="a"), cards=cards, heading=title)

    assert {part.tag for part in page.all()} & {"script", "img", "b"} == set()
    taken = page.all(kind="missed")[0].one(kind="title")
    assert taken.text == taken.attributes["title"] == title
    assert taken.one("bdi").text == title
    assert page.one("title").text == page.one("h1").one("bdi").text == title
    assert page.all("h2")[0].one("bdi").text == title
    picture = page.all(kind="p0")[0].attributes["aria-label"]
    assert picture.startswith(f"Picture of {title[:20]}")
    assert len(picture) < 100


@pytest.mark.parametrize(
    ("title", "text"),
    [
        (None, "a"),
        ("", "a"),
        (" \n", "a"),
        ("\u200f\u202e", "a"),
        ("two\r\nlines\tand\x00 marks\x07", "two lines and marks"),
        ("half of a pair \ud83e", "half of a pair"),
        ("family 👩\u200d👧", "family 👩\u200d👧"),
    ],
)
def test_a_title_is_one_line_or_else_the_id_of_the_item(shown, title, text):
    page = shown(user(history=["a"]), cards={"a": Card(title, None)})

    assert titles(page.one(kind="history")) == [text]


def test_a_user_without_a_visible_name_is_said_to_have_none(shown):
    assert shown(user("\u200f")).one("h2").text == "User without a name"


@pytest.mark.parametrize(
    ("scores", "texts"),
    [
        ([12.346, 1.5, -0.001], ["12.35", "1.50", "0.00"]),
        ([0.61234, 0.6, -0.5], ["0.6123", "0.6000", "−0.5000"]),
        ([12345.0, 3], ["12345", "3"]),
        ([0.0, 0.0], ["0", "0"]),
        ([1e-30], ["0.000000000"]),
    ],
)
def test_the_scores_of_a_user_have_equally_many_decimals(shown, scores, texts):
    page = shown(user(recommended=[("a", score) for score in scores]))

    assert [part.text for part in page.all(kind="score")] == [f"Score {text}" for text in texts]


def test_the_page_loads_nothing_and_runs_nothing(written):
    page = written(user(taken="c"), user("bob", taken="a"))
    elements = Tree(page).root.all()

    assert not {"script", "link", "iframe", "object", "embed", "base", "img"} & {part.tag for part in elements}
    names = {name for part in elements for name in part.attributes}
    assert not {"src", "srcset", "style", "action"} & names
    assert not [name for name in names if name.startswith("on")]
    assert not re.search(r"https?:|//|@import", re.sub(r"base64,\S+\)", "", page))
    assert set(re.findall(r"url\((.{11})", page)) == {"data:image/"}


def test_equal_inputs_give_equal_bytes(written):
    assert written(user(taken="c")) == written(user(taken="c"))


def test_an_older_page_is_replaced_and_other_files_stay(tmp_path):
    (tmp_path / "index.html").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")

    write_page(tmp_path, [user()], CARDS, "A shop")

    assert (tmp_path / "index.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert {path.name for path in tmp_path.iterdir()} == {"index.html", "notes.txt"}


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_folder_that_cannot_be_written_is_an_error_with_the_fix(tmp_path, name):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(ArtifactError, match="cannot be written") as error:
        write_page(tmp_path / name, [user()], CARDS, "A shop")

    assert str(tmp_path / name) in str(error.value)
    assert "fix: " in str(error.value)
