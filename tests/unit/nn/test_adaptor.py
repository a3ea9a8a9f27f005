"""UniSRec's adaptor against a computation of one item and one expert at a time."""

import torch

from mmsrec.nn.adaptor import Adaptor
from mmsrec.nn.dropout import dropout_draws_from
from mmsrec.nn.transformer import initialise

WIDTH, DIM, EXPERTS = 6, 4, 3


def adaptor(dropout=0.0, scale=1.0):
    torch.manual_seed(0)
    network = Adaptor(WIDTH, DIM, EXPERTS, dropout, torch.float32)
    initialise(network)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=scale)
    return network


def slow(network, features, gates):
    """The mixture of one item's experts, in plain numbers."""
    rows = []
    for item, shares in zip(features, gates, strict=True):
        row = torch.zeros(DIM)
        for expert, share in zip(network.experts, shares, strict=True):
            row += share * (expert.project.weight @ (item - expert.centre))
        rows.append(row)
    return torch.stack(rows)


def test_vectors_equal_the_plain_computation():
    network, features = adaptor().eval(), torch.randn(5, WIDTH)
    gates = torch.stack([(item @ network.gates).softmax(0) for item in features])
    torch.testing.assert_close(network(features), slow(network, features, gates))


def test_all_experts_begin_with_equal_gates():
    network = Adaptor(WIDTH, DIM, EXPERTS, 0.0, torch.float32).eval()
    assert torch.equal(network.mixture(torch.randn(5, WIDTH)), torch.full((5, EXPERTS), 1 / EXPERTS))
    assert all(torch.equal(expert.centre, torch.zeros(WIDTH)) for expert in network.experts)
    assert all(expert.project.bias is None for expert in network.experts)


def test_the_noise_of_the_gates_is_drawn_in_training_alone_and_has_its_deviation():
    network = adaptor(scale=0.3).train()
    item = torch.randn(1, WIDTH)
    features = item.expand(20_000, WIDTH)
    with dropout_draws_from(torch.Generator().manual_seed(1)):
        noisy = network.mixture(features)
    with dropout_draws_from(torch.Generator().manual_seed(1)):
        assert torch.equal(network.mixture(features), noisy)
    # The difference of two logits is the logarithm of the ratio of two gates.
    differences = (noisy[:, 0] / noisy[:, 1]).log()
    clean, raw = (item @ network.gates)[0], (item @ network.noise)[0]
    deviation = torch.log1p(raw.exp()) + 0.01
    torch.testing.assert_close(differences.mean(), clean[0] - clean[1], atol=0.03, rtol=0)
    torch.testing.assert_close(differences.std(), (deviation[0] ** 2 + deviation[1] ** 2).sqrt(), rtol=0.03, atol=0)
    assert torch.equal(network.eval().mixture(item), (item @ network.gates).softmax(1))


def test_each_expert_drops_features_of_its_own():
    network = adaptor(dropout=0.5).train()
    features = torch.ones(1, WIDTH)
    dropped = [expert.dropout(features) for expert in network.experts for _ in range(8)]
    assert len({tuple(row[0].tolist()) for row in dropped}) > 4
    with torch.no_grad():
        network.gates.zero_()
        network.noise.fill_(-50.0)  # a deviation of 0.01
    many = torch.stack([network(features)[0] for _ in range(4000)]).mean(0)
    torch.testing.assert_close(many, network.eval()(features)[0], atol=0.3, rtol=0.1)
