"""New arrivals: items of a shop without any action, as a metadata file in the shop's format.

The last arrival copies an old item's text and picture, so a model must give both the same score.
"""

from collections import Counter
from dataclasses import dataclass, replace
from itertools import chain

from mmsrec.demo.addresses import MEDIA
from mmsrec.demo.shop import Product, Shop, codes, gzipped, make_product, metadata, picture_path, record_of
from mmsrec.demo.taste_world import stream, uniform_taste

# The faults of the first arrivals' pictures: these items have a text alone.
FAULTS = ("no link", "gone")
FIELDS = frozenset({"asin", "title", "price", "imUrl", "brand", "categories", "description"})


@dataclass(frozen=True)
class Arrivals:
    """New items of a shop.

    Attributes:
        shop: the shop, whose words, looks and format they share.
        products: the new items; the last one is the copy.
        copied: the shop's item that the last one copies, with a sound picture and all fields in its metadata.
    """

    shop: Shop
    products: list[Product]
    copied: Product


def make_arrivals(shop: Shop, count: int) -> Arrivals:
    """Makes new items of a shop; `count` includes the copy."""
    random = stream(shop.seed, shop.name, "arrivals")
    asins = codes("B1", 8, count, random)
    faults = FAULTS + (None,) * count
    products = [
        make_product(asin, uniform_taste(1, random)[0], shop.name, fault, random)
        for asin, fault in zip(asins[:-1], faults, strict=False)
    ]
    copied = _best_seller(shop)
    return Arrivals(shop, [*products, replace(copied, asin=asins[-1])], copied)


def _best_seller(shop: Shop) -> Product:
    """The most popular item with a sound picture and a whole record."""
    actions = Counter(chain.from_iterable(history.tolist() for history in shop.latent.histories))
    records, cut = metadata(shop, MEDIA)
    whole = [
        item
        for item, record in enumerate(records)
        if item not in cut and record.keys() == FIELDS and shop.products[item].fault is None
    ]
    return shop.products[max(whole, key=actions.__getitem__)]


def arrivals_gz(arrivals: Arrivals, media_base: str) -> bytes:
    """The file meta_New.json.gz: a Python literal a line, some fields absent.

    Args:
        arrivals: the new items.
        media_base: base URL of the pictures.
    """
    shop = arrivals.shop
    random = stream(shop.seed, shop.name, "arrivals' metadata")
    old = {record["asin"]: record for record in metadata(shop, media_base)[0]}
    *products, copy = arrivals.products
    records = [record_of(product, shop.sold, media_base, random) for product in products]
    records.append(old[arrivals.copied.asin] | {"asin": copy.asin, "imUrl": f"{media_base}/{picture_path(copy)}"})
    return gzipped(map(repr, records))
