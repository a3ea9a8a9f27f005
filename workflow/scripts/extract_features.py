"""Encodes the items of a collection, or reads their vectors from a table."""

from argparse import Namespace
from pathlib import Path

import stage
from stage import computing, layout

from mmsrec.features.extract import extract_frames, extract_pictures, extract_texts
from mmsrec.features.vector_table import extract_table
from mmsrec.settings.encoding import TableEncoder, vector_tables
from mmsrec.settings.params import read_params, row_of
from mmsrec.settings.plan import has_videos


def main(flags: Namespace) -> None:
    params = read_params(flags.params)
    row = row_of(params.encoders, flags.encoder, "encoders")
    computing.take_gpu()
    items = flags.items or stage.items_file(params, flags.collection)
    target = (flags.encoder, row, flags.output)
    # A new item may have a picture alone, or a text alone.
    given = {"domain": flags.collection, "required": flags.collection not in params.catalogues}
    if isinstance(row, TableEncoder):
        (table,) = vector_tables(row, flags.modality, flags.raw) or [None]
        extract_table(items, table, flags.encoder, row, flags.modality, flags.output, **given)
    elif flags.modality == "text":
        texts = flags.captions if flags.collection in params.corpora and not flags.items else items
        catalogue = params.catalogues.get(flags.collection)
        fitted_on = flags.fitted_on or (stage.items_file(params, catalogue.domain) if catalogue else None)
        extract_texts(texts, *target, fitted_on=fitted_on, **given)
    elif has_videos(params, flags.collection):
        extract_frames(items, flags.frames, *target, **given)
    else:
        extract_pictures(items, flags.media, *target, **given)


if __name__ == "__main__":
    arguments = stage.parser(__doc__)
    arguments.add_argument("--collection", required=True, help="row of `domains`, `catalogues` or `corpora`")
    arguments.add_argument("--encoder", required=True, help="row of `encoders` in the parameter file")
    arguments.add_argument("--modality", required=True, choices=["text", "vision"], help="modality to encode")
    arguments.add_argument("--items", type=Path, help="table of items (default: those of the collection)")
    arguments.add_argument("--fitted-on", type=Path, help="items that an encoder is fitted on (default: the old ones)")
    arguments.path("--raw", layout.RAW, "folder that the paths of given vectors start from")
    arguments.path("--captions", layout.CAPTIONS, "texts of a corpus of clips", corpus="{collection}")
    arguments.path("--media", layout.MEDIA, "folder of the pictures, with its ledger.parquet")
    arguments.path("--frames", layout.FRAMES, "table of the videos' frames")
    arguments.path("--output", layout.FEATURES, "feature file to write")
    stage.run(main, arguments)
