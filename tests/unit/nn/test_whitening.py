import torch

from mmsrec.models.mmsrec import MMSRec
from mmsrec.models.recommender import Features, ModelInputs
from mmsrec.nn.whitening import Whitening
from tests.unit.models.examples import MMSREC, TRAINER, changed


def vectors(count=500, width=6):
    generator = torch.Generator().manual_seed(0)
    mixed = torch.randn(count, width, generator=generator) @ torch.randn(width, width, generator=generator)
    return mixed + 40 * torch.randn(width, generator=generator)


def test_whitened_features_have_zero_mean_and_unit_covariance():
    whitening = Whitening(6)
    whitening.fit([vectors()])
    white = whitening(vectors()).double()
    torch.testing.assert_close(white.mean(0), torch.zeros(6, dtype=torch.float64), atol=1e-3, rtol=0)
    torch.testing.assert_close(white.T.cov(correction=0), torch.eye(6, dtype=torch.float64), atol=0.1, rtol=0)


def test_a_fit_in_parts_equals_a_fit_of_the_whole():
    whole, parts = Whitening(6), Whitening(6)
    whole.fit([vectors()])
    parts.fit(vectors().split([1, 199, 300]))
    torch.testing.assert_close(whole.matrix, parts.matrix)
    torch.testing.assert_close(whole.mean, parts.mean)


def test_noise_in_a_constant_direction_is_damped():
    flat = vectors()
    flat[:, 0] = 3
    whitening = Whitening(6)
    whitening.fit([flat])
    assert whitening(flat).isfinite().all()
    noisy = flat.clone()
    noisy[:, 0] += 1e-3
    assert (whitening(noisy) - whitening(flat)).abs().max() < 0.1


def test_whitening_is_the_identity_before_it_is_fitted():
    torch.testing.assert_close(Whitening(6)(vectors()), vectors(), rtol=0, atol=0)


def test_a_model_fits_the_whitening_to_present_features_and_stores_it():
    present = torch.ones(500, dtype=torch.bool)
    present[:5] = False
    wild = vectors()
    wild[:5] = 1e6
    inputs = ModelInputs(500, {"text": Features(wild, present)})
    model = MMSRec(inputs, changed(MMSREC, whiten=True), TRAINER)
    alone = Whitening(6)
    alone.fit([wild[5:]])
    assert torch.equal(model.state_dict()["encoder.embedding.whiten.text.matrix"], alone.matrix)
    assert not any("whiten" in name for name in MMSRec(inputs, MMSREC, TRAINER).state_dict())
