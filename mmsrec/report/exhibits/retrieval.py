"""Table 1 of the paper: zero-shot retrieval between captions and clips, reported and measured."""

import polars as pl

from mmsrec.report.inputs import Inputs
from mmsrec.report.published import published_retrieval
from mmsrec.report.table import Column, Table, fixed, signed
from mmsrec.settings.layouts import RETRIEVED
from mmsrec.settings.params import Params

REPORTED = ("recall@5", "recall@10")
DIRECTIONS = {"text_to_video": "text to video", "video_to_text": "video to text"}
# The paper's names of the measured models; the paper reports one direction.
PAPER_MODELS = {"encoder": "clip", "pretrained": "mmsrec"}
PAPER_DIRECTION = "text_to_video"


def exhibit(inputs: Inputs) -> Table:
    """The recalls of a report's pre-trained item encoders next to the paper's Table 1."""
    frame = retrieval_frame(inputs.retrievals(), inputs.params)
    return Table(
        title="Zero-shot retrieval",
        caption="Captions find their clips among all clips of a test corpus, and the reverse, without training on it. "
        "The paper's Table 1 is next to measured values.",
        frame=frame,
        columns=_columns(),
        notes=[
            "encoder ranks by the cosine of the frozen encoder's own vectors. untrained is the item encoder before "
            "its first step, and pretrained the item encoder after pre-training. chance is a random ranking.",
            "The paper reports text to video only, with CLIP ViT-B/32 and pre-training on WebVid.",
        ],
        groups=(Column("corpus", "Test corpus"), Column("pretraining", "Pre-training"), Column("direction", "From")),
    )


def retrieval_frame(measured: pl.DataFrame, params: Params) -> pl.DataFrame:
    """One row for each corpus, pre-training, direction and model.

    Args:
        measured: rows as `Inputs.retrievals` returns them.
        params: has the name of a corpus in the paper.

    Returns:
        The columns corpus, pretraining, direction, model, pairs, and each metric. Then METRIC_reported and
        METRIC_difference (measured minus reported) for each of `REPORTED`; they are null where the paper has no row.
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
            columns.append(Column(name, "Median rank", show="{:.1f}".format, best="lowest"))
            continue
        title = name.replace("recall", "Recall")
        if name in REPORTED:
            columns.append(Column(f"{name}_reported", "reported", over=title, show=fixed))
        columns.append(Column(name, "measured", over=title, show=fixed, best="highest"))
        if name in REPORTED:
            columns.append(Column(f"{name}_difference", "difference", over=title, show=signed))
    return columns
