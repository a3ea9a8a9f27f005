"""The transformers encoder against a loop over single texts, in folders made here."""

import json

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

from mmsrec.errors import FeatureError
from mmsrec.features.encoders import encoder_digest, frozen, load_encoder
from mmsrec.settings.encoding import TransformersEncoder
from tests.unit.features.worlds import encode_texts

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "blue", "soap", "brush", "for", "hair"]
TEXTS = ["red soap", "a blue brush for hair", "hair " * 90, "soap"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A BERT of two small layers, as transformers saves it."""
    path = tmp_path_factory.mktemp("bert")
    (path / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(str(path / "vocab.txt")).save_pretrained(path)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    torch.manual_seed(5)
    BertModel(config).save_pretrained(path)
    return path


def row(model, **changes):
    fields = {"kind": "transformers", "model": str(model), "weights": "pretrained", "pooling": "cls", "max_tokens": 64}
    return TransformersEncoder(**fields | changes)


def stored(folder, tmp_path, *, modes=("mean_tokens",), modules=("Transformer", "Pooling", "Normalize"), limit=8):
    """A sentence-transformers folder around the same model."""
    path = tmp_path / "sentences"
    path.mkdir()
    for file in folder.iterdir():
        (path / file.name).write_bytes(file.read_bytes())
    listed = [{"type": f"sentence_transformers.models.{name}", "path": f"{n}_{name}"} for n, name in enumerate(modules)]
    (path / "modules.json").write_text(json.dumps(listed))
    (path / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": limit}))
    (path / "1_Pooling").mkdir()
    flags = {"word_embedding_dimension": 16, "pooling_mode_cls_token": False} | dict.fromkeys(
        [f"pooling_mode_{mode}" for mode in modes], True
    )
    (path / "1_Pooling" / "config.json").write_text(json.dumps(flags))
    return path


@pytest.fixture(autouse=True)
def in_full_precision(monkeypatch):
    monkeypatch.setattr(frozen, "precision", lambda where: torch.float32)


def slow(folder, pool, max_tokens):
    """One text at a time, so without padding."""
    tokenizer, model = BertTokenizerFast.from_pretrained(folder), BertModel.from_pretrained(folder).eval()
    vectors = []
    for text in TEXTS:
        tokens = tokenizer(text, return_tensors="pt", truncation=True, max_length=max_tokens)
        with torch.inference_mode():
            vectors.append(pool(model(**tokens).last_hidden_state[0]).numpy())
    return np.stack(vectors)


@pytest.mark.parametrize("max_tokens", [64, 5])
def test_the_pooling_cls_takes_the_first_token(folder, max_tokens):
    found = encode_texts(load_encoder("bert", row(folder, max_tokens=max_tokens)), TEXTS)
    np.testing.assert_allclose(found, slow(folder, lambda hidden: hidden[0], max_tokens), atol=1e-5)


def test_the_pooling_mean_averages_the_tokens(folder):
    found = encode_texts(load_encoder("bert", row(folder, pooling="mean")), TEXTS)
    np.testing.assert_allclose(found, slow(folder, lambda hidden: hidden.mean(0), 64), atol=1e-5)


def test_texts_are_cut_at_the_models_last_position(folder):
    assert load_encoder("bert", row(folder, max_tokens=512)).tower("text").prepare(TEXTS)["input_ids"].shape[1] == 64


def test_a_stored_pooling_is_followed(folder, tmp_path):
    found = encode_texts(load_encoder("mini", row(stored(folder, tmp_path), pooling="stored")), TEXTS)
    expected = slow(folder, lambda hidden: torch.nn.functional.normalize(hidden.mean(0), dim=0), 8)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_stored_cls_without_normalisation_is_followed(folder, tmp_path):
    path = stored(folder, tmp_path, modes=("cls_token",), modules=("Transformer", "Pooling"), limit=64)
    found = encode_texts(load_encoder("mini", row(path, pooling="stored")), TEXTS)
    np.testing.assert_allclose(found, slow(folder, lambda hidden: hidden[0], 64), atol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"modes": ("max_tokens",)},
        {"modes": ("mean_tokens", "max_tokens")},
        {"modules": ("Transformer", "Pooling", "Dense")},
    ],
)
def test_an_unknown_stored_pooling_is_refused(folder, tmp_path, changes):
    with pytest.raises(FeatureError, match="not supported"):
        load_encoder("mini", row(stored(folder, tmp_path, **changes), pooling="stored"))


def test_a_folder_without_a_pooling_is_an_error(folder):
    with pytest.raises(FeatureError, match="states no pooling") as error:
        load_encoder("mini", row(folder, pooling="stored"))
    assert "modules.json" in str(error.value)


def test_seeded_weights_need_no_weights_file(folder, tmp_path):
    for file in folder.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    encoders = [load_encoder("bert", row(tmp_path, weights="seeded", seed=seed)) for seed in (1, 1, 2)]
    assert encoders[0].weights == encoders[1].weights != encoders[2].weights
    with pytest.raises(FeatureError, match="are not available"):
        load_encoder("bert", row(tmp_path))


def test_an_empty_folder_names_the_three_ways(tmp_path):
    with pytest.raises(FeatureError, match="are not available") as error:
        load_encoder("bert", row(tmp_path))
    assert f"the folder {tmp_path} failed" in str(error.value)
    for way in ("hub", "`model` to its path", "`weights: seeded`"):
        assert way in error.value.details["fix"]


def test_the_digest_follows_the_folder(folder, tmp_path):
    before = encoder_digest(row(stored(folder, tmp_path)))
    (tmp_path / "sentences" / "vocab.txt").write_text("\n".join([*WORDS, "new"]))
    assert encoder_digest(row(tmp_path / "sentences")) != before


def test_it_reads_no_images(folder):
    with pytest.raises(FeatureError, match="does not read this modality"):
        load_encoder("bert", row(folder)).encode_images([])
