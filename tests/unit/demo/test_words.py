from collections import Counter
from itertools import pairwise
from string import Formatter

import numpy as np
import pytest

from mmsrec.demo.looks import PATTERNS, look_of
from mmsrec.demo.taste_world import FACTOR_INDEX, FACTORS, PICTURE, TEXT
from mmsrec.demo.words import Draw, vocabulary

NAMES = ["shop", "wear", "films"]


def fields(words):
    return [field for rows in words.rings.values() for field in rows[0]] + list(words.common)


def taste(**angles):
    return np.array([angles.get(factor.name, 0.0) for factor in FACTORS])


@pytest.mark.parametrize("name", NAMES)
def test_only_factors_that_texts_show_have_words(name):
    assert set(vocabulary(name).rings) <= {factor.name for factor in FACTORS if TEXT in factor.shown}


def test_captions_name_what_pictures_show():
    assert set(vocabulary("clips").rings) == {factor.name for factor in FACTORS if PICTURE in factor.shown}


@pytest.mark.parametrize("name", [*NAMES, "clips"])
def test_every_placeholder_has_words_and_every_field_has_one_ring(name):
    words = vocabulary(name)
    wanted = {
        field
        for templates in words.templates.values()
        for template in templates
        for _, field, _, _ in Formatter().parse(template)
        if field
    }
    assert wanted | set(words.kept) <= set(fields(words))
    assert Counter(fields(words)).most_common(1)[0][1] == 1
    assert all(row.keys() == rows[0].keys() for rows in words.rings.values() for row in rows)


@pytest.mark.parametrize("name", [*NAMES, "clips"])
def test_a_word_can_follow_every_word(name):
    words = vocabulary(name)
    lists = [row[field] for rows in words.rings.values() for row in rows for field in row if field not in words.kept]
    assert all(len(set(options)) >= 2 for options in [*lists, *words.common.values()])


def test_no_word_belongs_to_two_rows_of_a_ring():
    for name in [*NAMES, "clips"]:
        for rows in vocabulary(name).rings.values():
            counts = Counter(word for row in rows for field in row if field != "genre" for word in row[field])
            assert counts.most_common(1)[0][1] == 1


def test_words_come_from_several_rows_near_the_taste():
    rows = vocabulary("shop").rings["temper"]
    random = np.random.default_rng(0)
    place = taste(temper=2 * np.pi * 3 / len(rows))
    drawn = Counter(Draw(vocabulary("shop"), place, random)["adjective"] for _ in range(400))
    share = [sum(drawn[word] for word in row["adjective"]) / 400 for row in rows]
    assert np.argmax(share) == 3
    assert sum(share[2:5]) > 0.9
    assert share[3] < 1


def test_kept_fields_stay_and_others_change_each_time():
    draw = Draw(vocabulary("shop"), taste(), np.random.default_rng(0))
    assert len({draw["noun"] for _ in range(20)}) == 1
    adjectives = [draw["adjective"] for _ in range(20)]
    assert all(first != second for first, second in pairwise(adjectives))


def test_kept_fields_of_a_factor_fit_each_other():
    words = vocabulary("shop")
    for seed in range(50):
        draw = Draw(words, taste(kind=np.pi / 10), np.random.default_rng(seed))
        assert any(draw["noun"] in row["noun"] and draw["category"] in row["category"] for row in words.rings["kind"])


def test_sentences_begin_with_a_capital():
    draw = Draw(vocabulary("shop"), taste(), np.random.default_rng(0))
    for _ in range(30):
        text = draw.sentence("about")
        assert all(not sentence[0].islower() for sentence in text.replace("?", ".").split(". "))


def test_an_unknown_vocabulary_is_an_error():
    with pytest.raises(FileNotFoundError):
        vocabulary("no-such-site")


def test_a_look_follows_the_taste():
    rows = vocabulary("shop").rings["pattern"]
    for index, pattern in enumerate(PATTERNS):
        look = look_of(taste(hue=np.pi, pattern=2 * np.pi * index / len(PATTERNS)))
        assert (look.hue, look.pattern) == (0.5, pattern)
        assert pattern in rows[index]["pattern"]
    assert look_of(taste(kind=0.1)).shape == look_of(taste(kind=2 * np.pi - 0.1)).shape != look_of(taste(kind=3)).shape


def test_a_look_does_not_depend_on_the_temper():
    angles = np.zeros(len(FACTORS))
    other = angles.copy()
    other[FACTOR_INDEX["temper"]] = np.pi
    assert look_of(angles) == look_of(other)
