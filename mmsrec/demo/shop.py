"""Shops in the format of the Amazon 2014 review data: ratings as CSV, metadata as Python literals."""

import gzip
import html
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mmsrec.demo.addresses import MOVED, UNREACHABLE
from mmsrec.demo.faults import PICTURE_FAULTS, site_faults
from mmsrec.demo.looks import Look, look_of
from mmsrec.demo.taste_world import Site, SiteSize, make_site, stream
from mmsrec.demo.words import Draw, vocabulary

DAY = 86_400
LAST_DAY = 15_900  # days since 1970: July 2013
STARS = (0.06, 0.05, 0.1, 0.2, 0.59)  # share of the ratings 1 to 5

HAS_LOOK_WORDS = 0.5  # share of the descriptions that name the pattern
ESCAPED = 0.5  # share of the items whose texts hold HTML entities
ABSENT = {"title": 0.01, "description": 0.06, "brand": 0.15, "price": 0.2}
MALFORMED = 1 / 250  # share of the metadata lines that are cut off, at least one line
LINK_FAULTS = {"no link": None, "moved": MOVED, "unreachable": UNREACHABLE}  # base URL of such links


class Category(NamedTuple):
    """A shop's category: its name in file names, and the first category in the metadata."""

    file: str
    name: str


# The category of a shop, by the name of its vocabulary.
CATEGORIES: Mapping[str, Category] = {"shop": Category("Demo", "Home"), "wear": Category("Wear", "Clothing")}


@dataclass(frozen=True)
class Product:
    """An item of a shop; `fault` is the fault of its picture, a key of faults.PICTURE_FAULTS, or None."""

    asin: str
    title: str
    description: str
    brand: str
    category: str
    price: float
    look: Look
    fault: str | None


@dataclass(frozen=True)
class Shop:
    """A shop. `name` is the name of its vocabulary; `products` have the order of the latent items."""

    name: str
    seed: int
    latent: Site
    products: list[Product]

    @property
    def sold(self) -> Category:
        """The category of the shop."""
        return CATEGORIES[self.name]


def make_shop(size: SiteSize, seed: int, name: str) -> Shop:
    """Makes a shop whose texts have words from the vocabulary `name`."""
    latent = make_site(size, seed, name)
    random = stream(seed, name, "products")
    asins = codes("B0", 8, size.items, random)
    faults = site_faults(PICTURE_FAULTS, latent, stream(seed, name, "faults"))
    products = [
        make_product(asin, taste, name, faults.get(item), random)
        for item, (asin, taste) in enumerate(zip(asins, latent.taste, strict=True))
    ]
    return Shop(name, seed, latent, products)


def make_product(asin: str, taste: np.ndarray, name: str, fault: str | None, random: np.random.Generator) -> Product:
    """Makes an item of this taste, float64 [factors], with words from the vocabulary `name`."""
    draw = Draw(vocabulary(name), taste, random)
    purposes = ["about", "scene", "make", "place", "extra"] + ["look"] * (random.random() < HAS_LOOK_WORDS)
    return Product(
        asin=asin,
        title=draw.sentence("title"),
        description=" ".join(draw.sentence(purpose) for purpose in random.permutation(purposes)),
        brand=draw["brand"],
        category=draw["category"],
        price=int(random.lognormal(3)) + 0.99,
        look=look_of(taste),
        fault=fault,
    )


def ratings_csv(shop: Shop) -> bytes:
    """The file ratings_CATEGORY.csv: user, asin, rating and the unix time of a day; no header, grouped by asin."""
    random = stream(shop.seed, shop.name, "ratings")
    latent = shop.latent
    asins = [product.asin for product in shop.products]
    users = codes("A", 12, len(latent.histories), random)
    rows = [
        (asins[item], f"{user},{asins[item]},{stars}.0,{(LAST_DAY - before) * DAY}")
        for user, history, days in zip(users, latent.histories, latent.days, strict=True)
        for item, before, stars in zip(history, days, _stars(len(history), random), strict=True)
    ]
    shuffled = [rows[index] for index in random.permutation(len(rows))]
    grouped = sorted(shuffled, key=lambda row: row[0])
    return "".join(f"{line}\n" for _, line in grouped).encode("ascii")


def _stars(count: int, random: np.random.Generator) -> np.ndarray:
    return random.choice(np.arange(1, 6), count, p=STARS)


def metadata_gz(shop: Shop, media_base: str) -> bytes:
    """The file meta_CATEGORY.json.gz: a Python literal a line. Some fields are absent; a few lines are cut off.

    Args:
        shop: the shop.
        media_base: base URL of the products' pictures.
    """
    records, cut = metadata(shop, media_base)
    lines = [repr(record) for record in records]
    return gzipped(line[: len(line) // 2] if index in cut else line for index, line in enumerate(lines))


def metadata(shop: Shop, media_base: str) -> tuple[list[dict[str, object]], set[int]]:
    """The record of each product, and the products whose line is cut off, by their numbers."""
    random = stream(shop.seed, shop.name, "metadata")
    records = [record_of(product, shop.sold, media_base, random) for product in shop.products]
    sound = [index for index, product in enumerate(shop.products) if product.fault is None]
    return records, set(random.permutation(sound)[: max(1, round(MALFORMED * len(records)))].tolist())


def gzipped(lines: Iterable[str]) -> bytes:
    """A gzip file of text lines; equal lines give equal bytes."""
    return gzip.compress("".join(f"{line}\n" for line in lines).encode("utf-8"), mtime=0)


def record_of(product: Product, sold: Category, media_base: str, random: np.random.Generator) -> dict[str, object]:
    """A product's line of the metadata; some fields are absent, and half of the lines hold HTML entities."""
    spell = html.escape if random.random() < ESCAPED else str
    absent = {field for field, share in ABSENT.items() if random.random() < share}
    base = LINK_FAULTS.get(product.fault, media_base)
    record = {
        "asin": product.asin,
        "title": spell(product.title),
        "price": product.price,
        "imUrl": f"{base}/{picture_path(product)}" if base else None,
        "brand": spell(product.brand),
        "categories": [[sold.name, spell(product.category)]],
        "description": spell(product.description),
    }
    return {field: value for field, value in record.items() if field not in absent and value is not None}


def picture_path(product: Product) -> str:
    """The path of a product's picture below the media's base URL."""
    return f"images/{product.asin}.jpg"


def codes(prefix: str, width: int, count: int, random: np.random.Generator) -> list[str]:
    """Different codes of `width` letters and digits after a prefix."""
    numbers = random.choice(36**width, count, replace=False)
    return [prefix + np.base_repr(number, 36).zfill(width) for number in numbers]
