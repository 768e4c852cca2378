"""Parts of neural predictors against loops and closed forms."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from naslib.predictors.models.graph_networks import (
    DirectedGraphConvolution,
    DirectedGraphNetwork,
    GlobalNodeNetwork,
)
from naslib.predictors.models.sequence_model import Attention, SequenceModel, sequence_loss
from naslib.predictors.neural.batches import Tokens, graph_batch, topological_order
from naslib.search_spaces.nasbench201.codec import NasBench201Codec
from naslib.utils.encodings import EncodingType

CODEC = NasBench201Codec()
CODES = [(0, 1, 2, 3, 4, 0), (2, 2, 2, 2, 2, 2), (1, 4, 1, 3, 1, 2)]


def test_a_directed_convolution_is_a_loop_over_vertices():
    torch.manual_seed(0)
    layer = DirectedGraphConvolution(3, 2).eval()
    adjacency = torch.tensor([[1.0, 1, 1], [0, 1, 1], [0, 0, 1]])
    vertices = torch.randn(3, 3)
    found = layer(vertices[None], adjacency[None])[0]
    for v in range(3):
        out = [w for w in range(3) if adjacency[v, w]]
        into = [w for w in range(3) if adjacency[w, v]]
        forth = sum(layer.along.weight @ vertices[w] + layer.along.bias for w in out) / len(out)
        back = sum(layer.against.weight @ vertices[w] + layer.against.bias for w in into) / len(into)
        torch.testing.assert_close(found[v], (forth.clamp(min=0) + back.clamp(min=0)) / 2)


def test_vertices_that_are_not_there_count_nothing():
    torch.manual_seed(0)
    network = DirectedGraphNetwork(4, hidden=6, linear=5).eval()
    vertices, adjacency = torch.randn(1, 3, 4), torch.triu(torch.ones(1, 3, 3), 1)
    alone = network(vertices, adjacency, torch.ones(1, 3))
    padded = network(F.pad(vertices, (0, 0, 0, 2)), F.pad(adjacency, (0, 2, 0, 2)), torch.tensor([[1.0, 1, 1, 0, 0]]))
    torch.testing.assert_close(alone, padded)


def test_the_global_node_network_is_a_chain_of_products():
    torch.manual_seed(0)
    network = GlobalNodeNetwork(4, hidden=5)
    assert (
        all(float(weight.weight.detach().abs().max()) <= 0.05 for weight in network.weights)
        and len(network.weights) == 4
    )
    for norm in network.norms:  # as if trained: means and variances that are not 0 and 1
        norm.running_mean.uniform_(-0.1, 0.1)
        norm.running_var.uniform_(0.5, 2)
    network.eval()
    vertices, adjacency, _ = graph_batch(CODEC, CODES, EncodingType.BONAS)
    network.weights[0] = torch.nn.Linear(vertices.shape[-1], 5, bias=False)
    network.requires_grad_(False)
    h = vertices[1].double()
    for weight, norm in zip(network.weights, network.norms, strict=True):
        h = adjacency[1].double() @ h @ weight.weight.T.double()
        h = (h - norm.running_mean.double()) / (norm.running_var.double() + norm.eps).sqrt()
        h = (h * norm.weight.double() + norm.bias.double()).clamp(min=0)
    torch.testing.assert_close(network.embed(vertices, adjacency)[1].double(), h[-1], atol=1e-6, rtol=1e-5)
    head = network.head.weight[0].double() @ h[-1] + network.head.bias[0].double()
    assert float(network(vertices, adjacency)[1]) == pytest.approx(1 / (1 + math.exp(-float(head))), abs=1e-6)


def test_attention_weighs_the_source():
    torch.manual_seed(0)
    attention = Attention(4)
    target, source = torch.randn(2, 3, 4), torch.randn(2, 5, 4)
    outputs, weights = attention(target, source)
    assert outputs.shape == (2, 3, 4) and weights.shape == (2, 3, 5)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3))
    scores = torch.stack([(attention.query.weight @ target[1, 2]) @ row for row in source[1]])
    wanted = torch.softmax(scores, 0)
    torch.testing.assert_close(weights[1, 2], wanted)
    mixed = torch.cat([sum(w * row for w, row in zip(wanted, source[1], strict=True)), target[1, 2]])
    torch.testing.assert_close(outputs[1, 2], torch.tanh(attention.combine.weight @ mixed))


def test_the_decoder_is_told_the_token_before_each_step():
    """Teacher forcing: the logits at a place do not depend on that token or later ones, but for the encoder's part."""
    torch.manual_seed(0)
    tokens = Tokens(CODEC, EncodingType.COMPACT, CODES)
    model = SequenceModel(tokens.allowed, hidden=8).eval()
    sequences = tokens.sequences(CODES[:1])
    changed = sequences.clone()
    changed[0, 3] = (changed[0, 3] - 2 + 1) % 5 + 2
    encoded = model.encoder(sequences)
    before = [torch.cat([torch.zeros(1, 1, dtype=torch.int64), row[:, :-1]], 1) for row in (sequences, changed)]
    first, second = (model.decoder(previous, encoded)[0] for previous in before)
    torch.testing.assert_close(first[:, :4], second[:, :4])
    assert not torch.allclose(first[:, 4], second[:, 4])
    # Step by step as in one go
    state, rows = None, []
    for place in range(6):
        logits, state = model.decoder(before[0][:, place : place + 1], encoded, state)
        rows.append(logits)
    torch.testing.assert_close(torch.cat(rows, 1), first)


def test_outputs_of_the_encoder_have_length_one():
    torch.manual_seed(0)
    tokens = Tokens(CODEC, EncodingType.SEMINAS, CODES)
    model = SequenceModel(tokens.allowed, hidden=8).eval()
    encoded = model.encoder(tokens.sequences(CODES))
    assert encoded.steps.shape == (3, 35, 8)
    torch.testing.assert_close(encoded.steps.norm(dim=-1), torch.ones(3, 35))
    torch.testing.assert_close(encoded.embedding, F.normalize(encoded.steps.mean(1), dim=-1))
    assert encoded.value.shape == (3,)


def test_a_small_set_is_written_again_exactly():
    torch.manual_seed(0)
    rng = Random(0)
    codes = [CODEC.random(rng) for _ in range(10)]
    tokens = Tokens(CODEC, EncodingType.COMPACT, codes)
    sequences, targets = tokens.sequences(codes), torch.linspace(-1, 1, 10)
    model = SequenceModel(tokens.allowed, hidden=24, dropout=0.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(120):
        optimizer.zero_grad()
        values, logits = model(sequences)
        sequence_loss((values - targets).square().mean(), logits, sequences).backward()
        optimizer.step()
    model.eval().requires_grad_(False)
    encoded = model.encoder(sequences)
    assert tokens.codes(model.decode(encoded)) == codes
    assert float((encoded.value - targets).abs().max()) < 0.1
    # A step along the gradient raises the prediction, and a step of nothing changes nothing
    same, value = model.improved(sequences, 0.0)
    assert torch.equal(same, sequences)
    torch.testing.assert_close(value, encoded.value, atol=1e-5, rtol=1e-5)
    _, raised = model.improved(sequences, 0.05)
    assert bool((raised > encoded.value).all())
    assert all(CODEC.is_valid(code) for code in tokens.codes(model.improved(sequences, 5.0)[0]))


def test_the_loss_is_the_sum_of_both():
    logits, tokens = torch.randn(2, 3, 4), torch.tensor([[0, 1, 2], [3, 3, 0]])
    written = -sum(torch.log_softmax(logits[i, j], 0)[tokens[i, j]] for i in range(2) for j in range(3)) / 6
    torch.testing.assert_close(sequence_loss(torch.tensor(2.0), logits, tokens, 0.8), 0.8 * 2.0 + 0.2 * written)


def test_sequences_of_vertices_and_edges():
    tokens = Tokens(CODEC, EncodingType.SEMINAS, CODES)
    row = tokens.sequences(CODES[:1])[0].tolist()
    encoded = CODEC.encode(CODES[0], EncodingType.SEMINAS)
    wanted = []
    for v in range(1, 8):
        wanted += [1 + int(encoded["adjacency"][u, v]) for u in range(v)] + [3 + encoded["operations"][v]]
    assert row == wanted and len(row) == 35
    assert bool(tokens.allowed[torch.arange(35), torch.tensor(row)].all())
    assert CODES[0] == tokens_as_code(row)


def tokens_as_code(row: list[int]) -> tuple[int, ...]:
    """Return the six operations of a sequence of NAS-Bench-201: the last token of vertices 1 to 6, less 4."""
    ends = np.cumsum([v + 1 for v in range(1, 8)]) - 1
    return tuple(row[end] - 4 for end in ends[:6])


def test_another_order_of_vertices_is_the_same_graph():
    adjacency = np.asarray(CODEC.encode(CODES[0], EncodingType.SEMINAS)["adjacency"])
    rng, seen = Random(0), set()
    for _ in range(40):
        order = topological_order(adjacency, rng)
        assert sorted(order) == list(range(8)) and order[0] == 0 and order[-1] == 7
        moved = adjacency[np.ix_(order, order)]
        assert not np.tril(moved).any() and moved.sum() == adjacency.sum()
        seen.add(tuple(order))
    assert len(seen) > 5


def test_genes_are_written_and_read_back():
    tokens = Tokens(CODEC, EncodingType.COMPACT, [])
    assert tokens.allowed.shape == (6, 7) and int(tokens.allowed.sum()) == 30
    assert tokens.codes(tokens.sequences(CODES)) == CODES
