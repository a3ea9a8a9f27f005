"""Table 1: zero-shot retrieval between captions and clips, reported beside measured."""

import polars as pl

from mmsrec.report.inputs import RETRIEVED, Inputs
from mmsrec.report.published import published_retrieval
from mmsrec.report.table import Column, Table, fixed, signed
from mmsrec.settings.params import Params

REPORTED = ("recall@5", "recall@10")
DIRECTIONS = {"text_to_video": "text to video", "video_to_text": "video to text"}
# The paper's names of what is measured here; the paper reports one direction.
PAPER_MODELS = {"encoder": "clip", "pretrained": "mmsrec"}
PAPER_DIRECTION = "text_to_video"


def retrieval_table(inputs: Inputs) -> Table:
    """The recalls of a report's pre-trained item encoders beside those of the paper's Table 1."""
    frame = retrieval_frame(inputs.retrievals(), inputs.params)
    return Table(
        name="table1",
        title="Zero-shot retrieval",
        caption="Table 1: captions find their clips among all of a test corpus, and the reverse, without training.",
        frame=frame,
        columns=_columns(),
        notes=[
            "The row encoder is the cosine of the frozen encoder's own vectors; untrained the item encoder before its "
            "first step; pretrained the same after pre-training; chance a random ranking.",
            "The paper reports text to video, by CLIP ViT-B/32 and pre-training on WebVid.",
        ],
        groups=(Column("corpus", "Test corpus"), Column("pretraining", "Pre-training"), Column("direction", "From")),
    )


def retrieval_frame(measured: pl.DataFrame, params: Params) -> pl.DataFrame:
    """One row a corpus, pre-training, direction and model.

    Args:
        measured: rows as `Inputs.retrievals` returns them.
        params: tells the name of a corpus in the paper.

    Returns:
        corpus, pretraining, direction, model, pairs; each metric; METRIC_reported and METRIC_difference (measured less
        reported) for each of `REPORTED`, null where the paper has no such row.
    """
    names = {name: getattr(corpus, "published", None) for name, corpus in params.corpora.items()}
    reported = published_retrieval().rename({name: f"{name}_reported" for name in REPORTED} | {"model": "paper_model"})
    return (
        measured.sort("corpus", "pretraining", "direction", maintain_order=True)
        .with_columns(
            published=pl.when(direction=PAPER_DIRECTION).then(
                pl.col("corpus").replace_strict(names, return_dtype=pl.String)
            ),
            paper_model=pl.col("model").replace_strict(PAPER_MODELS, default=None, return_dtype=pl.String),
            direction=pl.col("direction").replace_strict(DIRECTIONS, return_dtype=pl.String),
        )
        .join(reported, on=["published", "paper_model"], how="left", maintain_order="left")
        .with_columns((pl.col(name) - pl.col(f"{name}_reported")).alias(f"{name}_difference") for name in REPORTED)
        .select(*measured.columns, *(f"{name}_{kind}" for name in REPORTED for kind in ("reported", "difference")))
    )


def _columns() -> list[Column]:
    columns = [Column("model", "Model"), Column("pairs", "Clips")]
    for name in RETRIEVED:
        if name == "median_rank":
            columns.append(Column(name, "Median rank", show="{:.1f}".format))
            continue
        title = name.replace("recall", "Recall")
        if name in REPORTED:
            columns.append(Column(f"{name}_reported", "reported", over=title, show=fixed))
        columns.append(Column(name, "measured", over=title, show=fixed, best=True))
        if name in REPORTED:
            columns.append(Column(f"{name}_difference", "difference", over=title, show=signed))
    return columns
