"""The latent model behind the demo: items and users have places on circles of taste.

An item's taste is one angle for each factor. A user has a place on the same circles, and picks items that are near and
popular. After every action the place drifts in a direction that all users share, so the next item depends on the last
items. An item's text, its picture or both show a factor, so each modality shows a part of the taste.

A site may have late items. They appear in the last stretch of its time, one after another. So they occur rarely in a
user's earlier actions and often as the last one.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

TEXT = "text"
PICTURE = "picture"


@dataclass(frozen=True)
class Factor:
    """One circle of taste.

    Attributes:
        name: the property that the angle describes.
        focus: weight of the factor in a user's choice: the concentration of a von Mises distribution.
        drift: mean change of a user's angle after an action, in radians.
        shown: the modalities that show the factor.
    """

    name: str
    focus: float
    drift: float
    shown: frozenset[str]


FACTORS = (
    Factor("kind", focus=12, drift=0.12, shown=frozenset({TEXT, PICTURE})),
    Factor("temper", focus=12, drift=0.12, shown=frozenset({TEXT})),
    Factor("hue", focus=4.5, drift=0.25, shown=frozenset({PICTURE})),
    Factor("pattern", focus=1, drift=0, shown=frozenset({TEXT, PICTURE})),
)
FACTOR_INDEX = {factor.name: index for index, factor in enumerate(FACTORS)}

# Popularity by rank is 1 / (rank + ZIPF_SHIFT * items) ** ZIPF_EXPONENT (Zipf-Mandelbrot).
ZIPF_EXPONENT = 2.4
ZIPF_SHIFT = 0.05
PACE_SPREAD = 0.3  # relative standard deviation, over users, of the drift
WANDER = 0.15  # standard deviation of the noise on each drift, in radians

REGULAR_ACTIONS = 5  # fewest actions of a regular user
SPARSE_USERS = 0.05  # share of users with fewer actions, which a 5-core drops
RARE_ITEMS = 0.04  # share of items with few actions, which a 5-core drops
RARE_POPULARITY = 0.02

MEAN_ABSENCE = 20  # mean days between a user's last action and the site's last day
LONGEST_PAUSE = 30  # days between a user's actions
SAME_DAY = 0.2  # share of the actions on the same day as the action before
LAST_STRETCH = (7, 30)  # days before the site's last day between which late items appear
LATE_POPULARITY = 2  # popularity of a late item over the mean of the items: a shop shows its new items first


@dataclass(frozen=True)
class SiteSize:
    """Size of a shop or film site.

    Attributes:
        users: number of users.
        items: number of items.
        mean_actions: mean number of actions of a regular user, at least 5.
        late: share of the items that appear late.
    """

    users: int
    items: int
    mean_actions: float
    late: float = 0


@dataclass(frozen=True)
class CorpusSize:
    """Size of a corpus of clips: shards, clips in a shard, videos, and test videos among them."""

    shards: int
    shard: int
    videos: int
    test_videos: int


@dataclass(frozen=True)
class WorldSize:
    """Sizes of the sites and the corpus of a world; the keys of `shops` are vocabularies.

    `arrivals` is the number of the first shop's new items, which have no actions.
    """

    shops: Mapping[str, SiteSize]
    films: SiteSize
    corpus: CorpusSize
    arrivals: int


SIZES = {
    "demo": WorldSize(
        {"shop": SiteSize(1500, 500, 9.5, late=0.1), "wear": SiteSize(600, 300, 9.5)},
        SiteSize(800, 300, 16),
        CorpusSize(4, 500, 210, 200),
        arrivals=24,
    ),
    "test": WorldSize(
        {"shop": SiteSize(300, 120, 9.5, late=0.1), "wear": SiteSize(250, 110, 9.5)},
        SiteSize(150, 100, 16),
        CorpusSize(2, 100, 30, 24),
        arrivals=8,
    ),
}


@dataclass(frozen=True)
class Site:
    """The items and users of one shop or film site.

    Attributes:
        taste: float64 [items, factors], angles in radians, columns in the order of FACTORS.
        histories: for each user, item numbers in time order; no item occurs twice.
        days: for each user, the day of each action, counted back from the site's last day, which is 0.
        appears: float64 [items], the day on which an item appears, counted in the same way; infinite for an item that
            was always there.
    """

    taste: np.ndarray
    histories: list[np.ndarray]
    days: list[np.ndarray]
    appears: np.ndarray


def stream(seed: int, *names: str) -> np.random.Generator:
    """An independent random generator for each name, so one writer's draws never change another's."""
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])


def uniform_taste(items: int, random: np.random.Generator) -> np.ndarray:
    """The taste of some items, float64 [items, factors] in radians."""
    return random.uniform(0, 2 * np.pi, (items, len(FACTORS)))


def make_site(size: SiteSize, seed: int, name: str) -> Site:
    """Makes the items of a site and the histories of its users."""
    items, users = stream(seed, name, "items"), stream(seed, name, "users")
    taste = uniform_taste(size.items, items)
    popularity = _popularity(size.items, items)
    appears = _appears(size, stream(seed, name, "late"))
    popularity[appears < np.inf] = LATE_POPULARITY * popularity.mean()
    lengths = _lengths(size, users)
    days = _days(lengths, stream(seed, name, "days"))
    return Site(taste, _walk(taste, popularity, appears, days, users), days, appears)


def _popularity(count: int, random: np.random.Generator) -> np.ndarray:
    popularity = random.permutation((np.arange(count) + ZIPF_SHIFT * count) ** -ZIPF_EXPONENT)
    popularity[random.permutation(count)[: round(RARE_ITEMS * count)]] *= RARE_POPULARITY
    return popularity


def _appears(size: SiteSize, random: np.random.Generator) -> np.ndarray:
    appears = np.full(size.items, np.inf)
    late = random.permutation(size.items)[: round(size.late * size.items)]
    appears[late] = random.integers(*LAST_STRETCH, len(late))
    return appears


def _days(lengths: np.ndarray, random: np.random.Generator) -> list[np.ndarray]:
    last = random.exponential(MEAN_ABSENCE, len(lengths)).astype(np.int64)
    return [day + _days_left(length, random) for day, length in zip(last, lengths, strict=True)]


def _days_left(count: int, random: np.random.Generator) -> np.ndarray:
    """The days from each of a user's actions to the last one."""
    pauses = random.integers(1, LONGEST_PAUSE, count, endpoint=True) * (random.random(count) >= SAME_DAY)
    pauses[0] = 0
    return pauses.cumsum()[::-1]


def _walk(
    taste: np.ndarray, popularity: np.ndarray, appears: np.ndarray, days: list[np.ndarray], random: np.random.Generator
) -> list[np.ndarray]:
    lengths = np.array([len(row) for row in days])
    drift = np.array([factor.drift for factor in FACTORS]) * random.normal(1, PACE_SPREAD, (len(days), 1))
    place = random.uniform(0, 2 * np.pi, (len(days), len(FACTORS)))
    appeal = np.tile(np.log(popularity), (len(days), 1))
    chosen = np.empty((len(days), lengths.max()), dtype=np.int64)
    for step in range(lengths.max()):
        users = np.flatnonzero(lengths > step)
        today = np.array([days[user][step] for user in users])
        scores = appeal[users] + affinity(place[users], taste)
        scores[appears < today[:, None]] = -np.inf
        # The argmax of scores with Gumbel noise is a draw from the softmax of the scores.
        choice = (scores + random.gumbel(size=scores.shape)).argmax(axis=1)
        chosen[users, step] = choice
        appeal[users, choice] = -np.inf
        place[users] += drift[users] + random.normal(0, WANDER, (len(users), len(FACTORS)))
    return [row[:length] for row, length in zip(chosen, lengths, strict=True)]


def _lengths(size: SiteSize, random: np.random.Generator) -> np.ndarray:
    more = random.negative_binomial(3, 3 / (3 + size.mean_actions - REGULAR_ACTIONS), size.users)
    lengths = np.minimum(REGULAR_ACTIONS + more, size.items // 2)
    sparse = random.permutation(size.users)[: round(SPARSE_USERS * size.users)]
    lengths[sparse] = random.integers(1, REGULAR_ACTIONS, len(sparse))
    return lengths


def affinity(places: np.ndarray, taste: np.ndarray, shown: str | None = None) -> np.ndarray:
    """The affinity between places of taste and items, up to a constant.

    Args:
        places: float64 [places, factors], angles in radians.
        taste: float64 [items, factors], angles in radians.
        shown: a modality; only the factors that it shows count. None for all factors.

    Returns:
        float64 [places, items], the logarithm of a von Mises density without its constant.
    """
    focus = [factor.focus if shown is None or shown in factor.shown else 0 for factor in FACTORS]
    return sum(np.einsum("pf,if->pi", focus * part(places), part(taste)) for part in (np.cos, np.sin))
