"""Latent semantic analysis: TF-IDF, then truncated SVD, fitted on the domain's own item texts.

This encoder needs no weights (Deerwester et al., Indexing by Latent Semantic Analysis, 1990).
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits

from mmsrec.errors import FeatureError
from mmsrec.features.encoders.encoder import Encoder, Tower, encoder_digest
from mmsrec.settings.encoding import LsaEncoder

# Iterations of the randomised SVD: on Beauty's titles, 4 keep 98.9 % of the variance that 8 keep, in a second.
POWER_ITERATIONS = 4
BATCH_SIZE = 4096


def load(name: str, row: LsaEncoder, corpus: Sequence[str]) -> Encoder:
    """Fits the encoder on the corpus. Vectors have unit length; a text without a known term gets zeros.

    Raises:
        FeatureError: the corpus has fewer independent dimensions than the row's `dim`.
    """
    terms, svd = _fit(name, row, corpus)
    text = Tower(
        prepare=terms.transform,
        encode=lambda weights: normalize(svd.transform(weights)),
        batch_size=BATCH_SIZE,
        preprocessing=f"lower case, accents stripped, word 1..{row.ngrams}-grams, sublinear TF-IDF, L2 norm",
        on_host=True,
    )
    fitted = hashlib.sha256("\n".join(terms.get_feature_names_out()).encode() + svd.components_.tobytes())
    words = partial(_count_words, terms)
    return Encoder(name, row.dim, encoder_digest(row), fitted.hexdigest(), {"text": text}, count_words=words)


def _count_words(terms: TfidfVectorizer, texts: Iterable[str]) -> tuple[int, int]:
    """The number of words that are terms, and of all words, as the fitted terms cut texts into words."""
    prepared, tokens = terms.build_preprocessor(), terms.build_tokenizer()
    words = Counter(word for text in texts for word in tokens(prepared(text)))
    return sum(count for word, count in words.items() if word in terms.vocabulary_), words.total()


def _fit(name: str, row: LsaEncoder, corpus: Sequence[str]) -> tuple[TfidfVectorizer, TruncatedSVD]:
    terms = TfidfVectorizer(
        strip_accents="unicode",
        ngram_range=(1, row.ngrams),
        min_df=row.min_items,
        sublinear_tf=True,
        dtype=np.float32,
    )
    try:
        weights = terms.fit_transform(corpus)
    except ValueError as error:  # scikit-learn raises ValueError for an empty vocabulary
        raise FeatureError(
            "The texts hold no term that features can be made from.",
            where=f"encoders.{name}",
            expected=f"a term that occurs in at least min_items = {row.min_items} items",
            found=f"none in {len(corpus):,} texts ({error})",
            fix="Lower min_items, or give the items longer texts.",
        ) from error
    limit = min(weights.shape)
    if row.dim > limit:
        raise _too_small(name, row, f"{weights.shape[0]:,} texts with {weights.shape[1]:,} terms", limit)
    # The last bits of a product depend on the number of threads, and the fitted weights are part of the identity.
    with threadpool_limits(1, user_api="blas"):
        svd = TruncatedSVD(row.dim, n_iter=POWER_ITERATIONS, random_state=row.seed).fit(weights)
    tolerance = svd.singular_values_[0] * max(weights.shape) * np.finfo(np.float32).eps
    rank = int((svd.singular_values_ > tolerance).sum())
    if rank < row.dim:
        raise _too_small(name, row, f"texts of rank {rank}", rank)
    return terms, svd


def _too_small(name: str, row: LsaEncoder, found: str, limit: int) -> FeatureError:
    return FeatureError(
        "The items are too few for so many text dimensions.",
        where=f"encoders.{name}.dim",
        expected=f"texts with at least {row.dim} independent dimensions",
        found=found,
        fix=f"Lower dim to {limit} or less, or lower min_items, now {row.min_items}, so that more terms count.",
    )
