"""LSA against an exact decomposition of the same term weights, and its errors."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from threadpoolctl import threadpool_limits

from mmsrec.errors import FeatureError
from mmsrec.features.encoders import encoder_digest, load_encoder
from mmsrec.settings.encoding import LsaEncoder
from tests.unit.features.worlds import encode_texts

WORDS = [f"word{number}" for number in range(40)]


def row(**changes):
    return LsaEncoder(**{"kind": "lsa", "dim": 8, "ngrams": 2, "min_items": 2, "seed": 1} | changes)


@pytest.fixture(scope="module")
def corpus():
    """Texts of two topics that share no word."""
    rng = np.random.default_rng(3)
    return [" ".join(rng.choice(WORDS[:20] if item % 2 else WORDS[20:], size=8)) for item in range(200)]


def test_inner_products_match_the_exact_decomposition(corpus):
    encoder = load_encoder("lsa", row(dim=30, ngrams=1), corpus)
    found = encode_texts(encoder, corpus)
    weights = TfidfVectorizer(min_df=2, sublinear_tf=True).fit_transform(corpus).toarray()
    left, sizes, _ = np.linalg.svd(weights, full_matrices=False)
    expected = left[:, :30] * sizes[:30]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=0.02)


def test_texts_of_a_topic_are_nearer_to_each_other(corpus):
    vectors = encode_texts(load_encoder("lsa", row(), corpus), corpus)
    odd, even = vectors[1::2], vectors[0::2]
    assert (odd @ odd.T).mean() > (odd @ even.T).mean() + 0.2
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


def test_the_same_corpus_and_seed_give_the_same_vectors(corpus):
    first, second = (encode_texts(load_encoder("lsa", row(), corpus), corpus) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_the_number_of_threads_changes_no_bit_of_the_weights(corpus):
    digests = set()
    for threads in (1, 2, 3):
        with threadpool_limits(threads):
            digests.add(load_encoder("lsa", row(dim=30), corpus).weights)
    assert len(digests) == 1


def test_a_batch_changes_no_vector(corpus):
    encoder = load_encoder("lsa", row(), corpus)
    np.testing.assert_allclose(encode_texts(encoder, corpus)[17:19], encode_texts(encoder, corpus[17:19]), atol=1e-6)


def test_a_text_with_unknown_terms_only_gets_zeros(corpus):
    encoder = load_encoder("lsa", row(), corpus)
    assert not encode_texts(encoder, ["nothing known here"]).any()


def test_the_words_of_new_texts_are_counted_as_the_encoder_cuts_them(corpus):
    encoder = load_encoder("lsa", row(), corpus)
    assert encoder.count_words(["WORD1, word2; zest", "word1 of a w\u00f3rd3"]) == (4, 6)
    assert encoder.count_words([]) == (0, 0)


def test_the_dimensions_are_a_bound_for_few_terms(corpus, caplog):
    encoder = load_encoder("lsa", row(dim=64, ngrams=1), corpus)
    assert encoder.dim == encode_texts(encoder, corpus).shape[1] == 40
    assert "encoders.lsa: 40 dimensions, not 64, because 200 texts with 40 terms" in caplog.text


def test_the_dimensions_are_a_bound_for_few_independent_texts(caplog):
    texts = ["red blue green", "red yellow black", "white pink grey"] * 20
    encoder = load_encoder("lsa", row(dim=6), texts)
    vectors = encode_texts(encoder, texts[:3])
    assert encoder.dim == vectors.shape[1] == 3
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(3), atol=0.3)
    assert "3 dimensions, not 6" in caplog.text


@pytest.mark.parametrize("texts", [["a", "!"], ["alpha", "beta"]])
def test_texts_without_a_common_term_are_refused(texts):
    with pytest.raises(FeatureError, match="no term"):
        load_encoder("lsa", row(dim=1), texts)


def test_the_digest_follows_the_settings(corpus):
    assert load_encoder("lsa", row(), corpus).digest == encoder_digest(row())
    assert len({encoder_digest(row(**change)) for change in ({}, {"dim": 9}, {"seed": 2}, {"ngrams": 1})}) == 4


def test_it_reads_no_images(corpus):
    with pytest.raises(FeatureError, match="does not read this modality"):
        load_encoder("lsa", row(), corpus).encode_images([])
