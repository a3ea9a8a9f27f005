"""The open_clip encoder against open_clip's own pipeline, and the ways to provide weights."""

import io

import numpy as np
import open_clip
import pytest
import torch
from huggingface_hub import constants
from PIL import Image
from safetensors.torch import save_file

from mmsrec.errors import FeatureError
from mmsrec.features.encoders import encoder_digest, frozen, load_encoder
from mmsrec.settings.encoding import OpenClipEncoder
from tests.unit.features.worlds import encode_texts, picture, write_architecture

TEXTS = ["red soap", "a blue brush for long hair", "x", "word " * 200]


@pytest.fixture(scope="module")
def architecture(tmp_path_factory):
    return write_architecture(tmp_path_factory.mktemp("clip"))


def row(model, **changes):
    return OpenClipEncoder(**{"kind": "open_clip", "model": str(model), "weights": "seeded", "seed": 3} | changes)


def file_row(model, weights):
    return OpenClipEncoder(kind="open_clip", model=str(model), weights=str(weights))


@pytest.fixture
def in_full_precision(monkeypatch):
    monkeypatch.setattr(frozen, "precision", lambda where: torch.float32)


@pytest.fixture(scope="module")
def official(architecture):
    """open_clip's own model, preprocessing and tokenizer, with the weights of the seed."""
    open_clip.add_model_config(architecture)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model, _, preprocess = open_clip.create_model_and_transforms(architecture.stem)
    return model.eval(), preprocess, open_clip.get_tokenizer(architecture.stem)


def images():
    wide, high, grey = picture(0, (90, 40)), picture(1, (33, 70), "JPEG"), picture(2, (20, 20), mode="L")
    return [Image.open(io.BytesIO(body)) for body in (wide, high, grey, picture(3, mode="P"))]


@pytest.mark.usefixtures("in_full_precision")
def test_images_are_encoded_as_open_clip_does(architecture, official):
    model, preprocess, _ = official
    with torch.inference_mode():
        expected = model.encode_image(torch.stack([preprocess(image) for image in images()])).numpy()
    found = load_encoder("tiny", row(architecture)).encode_images(images())
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_number_of_threads_changes_no_byte(architecture, threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    encoder = load_encoder("tiny", row(architecture))
    batches = [images(), images()[:2]] * 3
    several = list(encoder.tower("vision").vectors(list, batches))
    torch.set_num_threads(1)
    for found, batch in zip(several, batches, strict=True):
        np.testing.assert_array_equal(found, encoder.encode_images(batch))


@pytest.mark.usefixtures("in_full_precision")
@pytest.mark.parametrize("texts", [TEXTS, TEXTS[:2], ["x"]])
def test_texts_are_encoded_as_open_clip_does_without_their_padding(architecture, official, texts):
    model, _, tokenizer = official
    with torch.inference_mode():
        expected = model.encode_text(tokenizer(texts)).numpy()
    np.testing.assert_allclose(encode_texts(load_encoder("tiny", row(architecture)), texts), expected, atol=1e-5)


def test_padding_is_left_out(architecture):
    tower = load_encoder("tiny", row(architecture)).tower("text")
    assert tower.prepare(["red soap"])["text"].shape == (1, 4)
    assert tower.prepare(TEXTS)["text"].shape == (4, 77)


def test_bfloat16_keeps_the_direction(architecture, monkeypatch):
    vectors = []
    for precision in (torch.float32, torch.bfloat16):
        monkeypatch.setattr(frozen, "precision", lambda where, precision=precision: precision)
        vectors.append(load_encoder("tiny", row(architecture)).encode_images(images()))
    cosine = (vectors[0] * vectors[1]).sum(1) / np.prod([np.linalg.norm(each, axis=1) for each in vectors], axis=0)
    assert cosine.min() > 0.999


def test_seeded_weights_follow_the_seed_and_leave_the_random_state_alone(architecture):
    state = torch.random.get_rng_state()
    first, same, other = (load_encoder("tiny", row(architecture, seed=seed)) for seed in (3, 3, 4))
    assert first.weights == same.weights != other.weights
    np.testing.assert_array_equal(encode_texts(first, TEXTS), encode_texts(same, TEXTS))
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.usefixtures("in_full_precision")
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_weights_come_from_a_local_file(architecture, official, tmp_path, suffix):
    model = official[0]
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pt":
        torch.save(model.state_dict(), path)
    else:
        save_file(model.state_dict(), path)
    encoder = load_encoder("tiny", file_row(architecture, path))
    assert encoder.weights == frozen.weights_digest(model)
    np.testing.assert_allclose(
        encode_texts(encoder, TEXTS), encode_texts(load_encoder("tiny", row(architecture)), TEXTS), atol=1e-6
    )


def test_the_digest_follows_the_content_of_local_files(architecture, tmp_path):
    path = tmp_path / "weights.safetensors"
    digests = set()
    for content in (b"one", b"two"):
        path.write_bytes(content)
        digests.add(encoder_digest(file_row(architecture, path)))
    other = write_architecture(tmp_path)
    other.write_text(other.read_text() + " ")
    digests |= {encoder_digest(row(architecture)), encoder_digest(row(other))}
    assert len(digests) == 4


class Evil:
    def __reduce__(self):
        return (pytest.fail, ("the weights file ran code",))


def pickled(path):
    torch.save({"state_dict": Evil()}, path)


DAMAGE = {
    "absent": lambda path: None,
    "empty": lambda path: path.write_bytes(b""),
    "a web page": lambda path: path.write_text("<html></html>"),
    "another model": lambda path: torch.save({"weight": torch.zeros(3)}, path),
    "code": pickled,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_unusable_weights_name_the_three_ways_to_provide_them(architecture, tmp_path, damage):
    path = tmp_path / "weights.pt"
    DAMAGE[damage](path)
    with pytest.raises(FeatureError, match="weights of the encoder tiny are not available") as error:
        load_encoder("tiny", file_row(architecture, path))
    message = str(error.value)
    assert str(path) in message
    for way in ("hub", "`weights` to its path", "`weights: seeded`"):
        assert way in error.value.details["fix"]


def test_an_unreachable_hub_is_an_error(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_CACHE", "none")
    with pytest.raises(FeatureError, match="are not available") as error:
        load_encoder("clip", OpenClipEncoder(kind="open_clip", model="RN50", weights="cc12m"))
    assert "the hub's tag cc12m failed" in str(error.value)


@pytest.mark.parametrize("content", [None, "{", "[1]", '{"embed_dim": 4}'])
def test_an_unreadable_architecture_is_an_error(tmp_path, content):
    path = tmp_path / "model.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(FeatureError, match="architecture cannot be read"):
        load_encoder("tiny", row(path))


def test_an_unknown_architecture_is_an_error():
    with pytest.raises(FeatureError, match="does not know this architecture"):
        load_encoder("tiny", row("ViT-none"))


def test_openai_weights_bring_their_activation(monkeypatch):
    asked = {}
    monkeypatch.setattr(open_clip, "create_model", lambda *names, **options: asked.update(options) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        load_encoder("clip", OpenClipEncoder(kind="open_clip", model="ViT-B-32", weights="openai"))
    assert asked["force_quick_gelu"] is True


def test_the_demos_architecture_is_found_from_any_folder(tmp_path, monkeypatch):
    row = OpenClipEncoder(kind="open_clip", model="mmsrec/demo/tiny_clip.json", weights="seeded", seed=0)
    here = encoder_digest(row)
    monkeypatch.chdir(tmp_path)
    assert encoder_digest(row) == here
    assert [path.name for path in row.files] == ["tiny_clip.json"]
