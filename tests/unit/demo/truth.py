"""Reads a demo world back from its files and measures what its generator promises, by means that no stage shares."""

import ast
import csv
import gzip
import html
import io
import json
import sys
import zipfile
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from threadpoolctl import threadpool_limits

from mmsrec.demo.mirror import World, make_world, raw_files
from mmsrec.demo.taste_world import FACTORS, PICTURE, SIZES, TEXT, WorldSize, affinity

CORE = 5
CUTOFF = 10
LSA_DIM = 64
SHOPS = {"shop": "Demo", "wear": "Wear"}  # how the names of their files end

Action = tuple[str, str, int]


@dataclass(frozen=True)
class Catalogue:
    """One site, filtered to its 5-core; `taste` and `texts` have a row for each item that is left.

    The actions are those of the files, and so is the text; only `taste` is the generator's.
    """

    actions: list[Action]
    histories: list[np.ndarray]
    taste: np.ndarray
    texts: list[str]


def read_ratings(files: dict[str, bytes], shop: str) -> list[list[str]]:
    """The fields of every line of a shop's ratings."""
    return list(csv.reader(io.StringIO(files[f"demo/ratings_{SHOPS[shop]}.csv"].decode("ascii"))))


def read_metadata(files: dict[str, bytes], shop: str) -> tuple[list[dict], int]:
    """The metadata records of a shop, and how many lines are no literal."""
    lines = gzip.decompress(files[f"demo/meta_{SHOPS[shop]}.json.gz"]).decode().splitlines()
    records = []
    for line in lines:
        try:
            records.append(ast.literal_eval(line))
        except SyntaxError:
            continue
    return records, len(lines) - len(records)


def read_members(files: dict[str, bytes]) -> dict[str, list[list[str]]]:
    """The fields of every line of the archive's members, by the member's stem."""
    with zipfile.ZipFile(io.BytesIO(files["demo/films.zip"])) as archive:
        return {
            name: [line.split("::") for line in archive.read(f"ml-1m/{name}.dat").decode("latin-1").splitlines()]
            for name in ("ratings", "movies", "users")
        }


def read_shop(world: World, files: dict[str, bytes], shop: str) -> Catalogue:
    """A shop of a world and of its files."""
    actions = [(user, asin, int(time)) for user, asin, _, time in read_ratings(files, shop)]
    ids = [product.asin for product in world.shops[shop].products]
    texts = {
        record["asin"]: html.unescape(f"{record.get('title', '')} {record.get('description', '')}")
        for record in read_metadata(files, shop)[0]
    }
    return _catalogue(actions, dict(zip(ids, world.shops[shop].latent.taste, strict=True)), texts)


def read_films(world: World, files: dict[str, bytes]) -> Catalogue:
    """The film site of a world and of its files."""
    members = read_members(files)
    actions = [(user, movie, int(time)) for user, movie, _, time in members["ratings"]]
    ids = [str(film.movie_id) for film in world.films.films]
    texts = {movie: f"{title} {genres.replace('|', ' ')}" for movie, title, genres in members["movies"]}
    return _catalogue(actions, dict(zip(ids, world.films.latent.taste, strict=True)), texts)


def _catalogue(actions: list[Action], taste: dict[str, np.ndarray], texts: dict[str, str]) -> Catalogue:
    core = five_core(actions)
    items = {item: index for index, item in enumerate(sorted({item for _, item, _ in core}))}
    histories = defaultdict(list)
    for user, item, _ in sorted(core, key=lambda action: action[2]):
        histories[user].append(items[item])
    return Catalogue(
        actions,
        [np.array(history) for history in histories.values()],
        np.array([taste[item] for item in items]),
        [texts.get(item, "") for item in items],
    )


def five_core(actions: list[Action]) -> list[Action]:
    """The largest part of the actions in which every user and every item has five."""
    while True:
        users, items = (np.unique([row[column] for row in actions], return_counts=True) for column in (0, 1))
        kept_users, kept_items = (set(values[counts >= CORE]) for values, counts in (users, items))
        left = [row for row in actions if row[0] in kept_users and row[1] in kept_items]
        if len(left) == len(actions):
            return left
        actions = left


def top_share(actions: list[Action]) -> float:
    """The share of the actions that the most popular fifth of the items gets."""
    counts = np.sort(np.unique([item for _, item, _ in actions], return_counts=True)[1])[::-1]
    return counts[: len(counts) // 5].sum() / counts.sum()


def recall(catalogue: Catalogue, scores: np.ndarray) -> float:
    """Recall@10 of each user's last item by scores [users, items], the items before it left out."""
    scores = scores.copy()
    for row, history in zip(scores, catalogue.histories, strict=True):
        row[history[:-1]] = -np.inf
    targets = np.array([history[-1] for history in catalogue.histories])
    own = np.take_along_axis(scores, targets[:, None], axis=1)
    above = (scores > own).sum(axis=1)
    level = (scores == own).sum(axis=1) - 1
    return float((above + level / 2 < CUTOFF).mean())


def measure(catalogue: Catalogue) -> dict[str, float]:
    """The numbers of docs/demo.md for one site."""
    taste = catalogue.taste
    known = [history[:-1] for history in catalogue.histories]
    counts = np.bincount(np.concatenate(known), minlength=len(taste))
    training = np.concatenate([history[:-2] for history in catalogue.histories])
    trained = np.bincount(training, minlength=len(taste))[[history[-1] for history in catalogue.histories]]
    random = np.random.default_rng(0)
    any_two, any_three = ([random.choice(history, count, replace=False) for history in known] for count in (2, 3))
    last_two, last_three = ([history[-count:] for history in known] for count in (2, 3))
    terms = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True).fit_transform(catalogue.texts)
    alike = (terms @ terms.T).toarray()
    near = affinity(taste, taste)
    moved = taste + np.array([factor.drift for factor in FACTORS])
    followed = np.zeros((len(taste), len(taste)))
    for history in known:
        np.add.at(followed, (history[:-1], history[1:]), 1)
    views = {shown: affinity(moved, taste, shown) + np.log(counts + 1) for shown in (TEXT, PICTURE, None)}
    return {
        "users in the 5-core": len(known),
        "items in the 5-core": len(taste),
        "actions a user": float(np.mean([len(history) + 1 for history in known])),
        "share of the top fifth": top_share(catalogue.actions),
        "targets never in training": int((trained == 0).sum()),
        "targets 0 to 5 times in training": float((trained <= 5).mean()),
        "targets more often than 20 times": float((trained > 20).mean()),
        "popularity": recall(catalogue, np.tile(counts.astype(float), (len(known), 1))),
        "taste, last": recall(catalogue, _mean(near, [history[-1:] for history in known])),
        "taste, last 2": recall(catalogue, _mean(near, last_two)),
        "taste, any 2": recall(catalogue, _mean(near, any_two)),
        "text, last 3": recall(catalogue, _mean(alike, last_three)),
        "text, any 3": recall(catalogue, _mean(alike, any_three)),
        "text, linear": recall(catalogue, _linear(terms, known)),
        "followed, last 2": recall(catalogue, _mean(followed, last_two)),
        "seen in text": recall(catalogue, _mean(views[TEXT], last_two)),
        "seen in pictures": recall(catalogue, _mean(views[PICTURE], last_two)),
        "seen in both": recall(catalogue, _mean(views[None], last_two)),
    }


def _mean(rows: np.ndarray, picks: list[np.ndarray]) -> np.ndarray:
    """For each user the mean of the picked rows."""
    return np.stack([rows[pick].mean(axis=0) for pick in picks])


def _linear(terms, known: list[np.ndarray]) -> np.ndarray:
    """Scores [users, items] of a ridge regression from the text of two successive items to the text of the next."""
    vectors = TruncatedSVD(LSA_DIM, random_state=0).fit_transform(terms)
    steps = np.concatenate([np.lib.stride_tricks.sliding_window_view(history, 3) for history in known])
    model = Ridge(alpha=5).fit((vectors[steps[:, 0]] + vectors[steps[:, 1]]) / 2, vectors[steps[:, 2]])
    return model.predict(_mean(vectors, [history[-2:] for history in known])) @ vectors.T


def measure_world(size: WorldSize, seed: int) -> dict[str, dict[str, float]]:
    """The numbers of every site of a world."""
    world = make_world(size, seed)
    files = raw_files(world)
    # Threads of these small products wait for each other longer than they compute.
    with threadpool_limits(1):
        shops = {shop: measure(read_shop(world, files, shop)) for shop in SHOPS}
        return {**shops, "films": measure(read_films(world, files))}


if __name__ == "__main__":
    for seed in map(int, sys.argv[1:]):
        for site, numbers in measure_world(SIZES["demo"], seed).items():
            print(seed, site, json.dumps({name: round(float(number), 3) for name, number in numbers.items()}))
