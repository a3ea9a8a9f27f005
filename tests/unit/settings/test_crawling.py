"""The rows of params.yaml about media: what is refused."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from mmsrec.settings.crawling import Crawl, Trailers, Vision
from mmsrec.settings.params import read_params

CRAWL = read_params(Path(__file__).parents[3] / "params.yaml").crawl


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"kind": "image", "pattern": "a/{item_id}.jpg"}, "pattern must be set for the kind poster"),
        ({"kind": "poster"}, "pattern must be set for the kind poster"),
        ({"kind": "poster", "pattern": "a/{item}.jpg"}, "must contain {item_id}"),
        ({"kind": "image", "trailer_ids": "ml-1m/x.csv"}, "for the kind trailer only"),
        ({"kind": "trailer", "trailer_ids": "../x.csv"}, "should match pattern"),
        ({"kind": "trailer"}, "needs trailer_ids"),
    ],
)
def test_a_vision_that_contradicts_itself(row: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Vision(**row)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"user_agent": ""}, "user_agent"),
        ({"user_agent": "mmsrec/0.1\r\nX-Injected: 1"}, "user_agent"),
        ({"host_rate": 0.0}, "host_rate"),
        ({"read_timeout": 0.0}, "read_timeout"),
        ({"max_redirects": -1}, "max_redirects"),
        ({"attempts": 0}, "attempts"),
        ({"host_rewrites": {"http://a.example": []}}, "host_rewrites"),
    ],
)
def test_a_policy_without_a_bound(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Crawl(**CRAWL.model_dump() | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": "https://a.example/"}, "url must contain {id}"),
        ({"search": "ytsearch3:trailer"}, "search must contain {hits}, {title}"),
        ({"min_seconds": 600.0}, "min_seconds must be below max_seconds"),
        ({"extractors": []}, "extractors"),
    ],
)
def test_trailers_that_cannot_be_found(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Trailers(**CRAWL.trailers.model_dump() | change)


def test_a_domain_changes_what_it_names_of_the_policy() -> None:
    params = read_params(Path(__file__).parents[3] / "params.yaml")

    assert params.crawl_of("beauty") == params.crawl
