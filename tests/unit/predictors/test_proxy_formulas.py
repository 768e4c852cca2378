"""Each proxy against a formula written out by hand, on small networks in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from naslib.errors import PredictorError
from naslib.predictors import compute_proxy
from naslib.predictors.proxies import compute_parts
from naslib.tasks import Classification, Regression

N, CLASSES = 6, 3


def batch(n: int = N, seed: int = 0, shape: tuple[int, ...] = (2, 4, 4)) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, *shape, generator=generator, dtype=torch.float64)
    return [x, torch.arange(n) % CLASSES]


def convolutional(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    layers = (nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 4, 3, bias=False), nn.ReLU())
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, CLASSES)).double()


def perceptron(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 4), nn.ReLU(), nn.Linear(4, CLASSES)).double()


def vectors(n: int = N, seed: int = 0) -> list[torch.Tensor]:
    return batch(n, seed, (5,))


def weights_of(network: nn.Module) -> list[torch.Tensor]:
    return [parameter for parameter in network.parameters() if parameter.dim() > 1]


def gradients(network: nn.Module, data: list[torch.Tensor], create_graph: bool = False) -> tuple[torch.Tensor, ...]:
    loss = F.cross_entropy(network(data[0]), data[1])
    return torch.autograd.grad(loss, weights_of(network), create_graph=create_graph)


def proxy(name: str, network: nn.Module, data: object, **options: object) -> float:
    return compute_proxy(name, network, Classification(), data, 0, **options)


def test_sizes():
    network = convolutional()
    count = 3 * 2 * 9 + 3 + 4 * 3 * 9 + 4 * CLASSES + CLASSES
    assert proxy("params", network, batch()) == count / 1e6
    macs = 16 * 3 * 2 * 9 + 4 * 4 * 3 * 9 + 4 * CLASSES
    assert proxy("flops", network, batch()) == pytest.approx(macs / 1e6, rel=1e-12)
    norms = sum(math.sqrt(float((weight.detach() ** 2).sum())) for weight in weights_of(network))
    assert proxy("l2_norm", network, batch()) == pytest.approx(norms, rel=1e-12)


def test_gradient_sums():
    network, data = convolutional(), batch()
    pairs = [
        (w.detach().numpy(), g.numpy()) for w, g in zip(weights_of(network), gradients(network, data), strict=True)
    ]
    expected = {
        "grad_norm": sum(np.linalg.norm(g.reshape(-1)) for _, g in pairs),
        "snip": sum(np.abs(g * w).sum() for w, g in pairs),
        "plain": sum((g * w).sum() for w, g in pairs),
    }
    for name, value in expected.items():
        assert proxy(name, network, data) == pytest.approx(value, rel=1e-12), name


def test_snip_is_the_gradient_of_masks():
    network, data = perceptron(), vectors()
    masks = [torch.ones_like(weight, requires_grad=True) for weight in weights_of(network)]
    hidden = data[0]
    for layer, mask in zip((network[0], network[2], network[4]), masks, strict=True):
        hidden = F.linear(hidden, layer.weight.detach() * mask, layer.bias)
        hidden = F.relu(hidden) if layer is not network[4] else hidden
    F.cross_entropy(hidden, data[1]).backward()
    expected = sum(float(mask.grad.abs().sum()) for mask in masks)
    assert proxy("snip", network, data) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 200.0])
def test_grasp_is_the_product_with_the_whole_hessian(temperature):
    network, data = perceptron(), vectors()
    names = [name for name, parameter in network.named_parameters() if parameter.dim() > 1]
    fixed = {name: p.detach() for name, p in network.named_parameters()}
    flat = torch.cat([fixed[name].reshape(-1) for name in names])

    def loss(vector: torch.Tensor) -> torch.Tensor:
        parts = vector.split([fixed[name].numel() for name in names])
        given = fixed | {name: part.view_as(fixed[name]) for name, part in zip(names, parts, strict=True)}
        outputs = torch.func.functional_call(network, given, (data[0],))
        return F.cross_entropy(outputs / temperature, data[1])

    gradient = torch.func.grad(loss)(flat)
    hessian = torch.autograd.functional.hessian(loss, flat)
    expected = float(-(flat * (hessian @ gradient)).sum())
    assert proxy("grasp", network, data, temperature=temperature) == pytest.approx(expected, rel=1e-9)


def test_fisher_of_channels_and_of_weights():
    network, data = convolutional(), batch()
    acts = []
    hidden = data[0]
    for layer in network:
        hidden = layer(hidden)
        if isinstance(layer, nn.Conv2d | nn.Linear):
            hidden.retain_grad()
            acts.append((layer, hidden))
    F.cross_entropy(hidden, data[1]).backward()
    by_channel = by_weight = 0.0
    for layer, act in acts:
        product = (act * act.grad).detach().reshape(N, act.shape[1], -1).sum(2)  # (n, channels)
        saliency = (product**2).sum(0) / (2 * N)
        by_channel += float(saliency.sum())
        by_weight += float(saliency.sum()) * layer.weight[0].numel()
    assert proxy("fisher", network, data, per="channel") == pytest.approx(by_channel, rel=1e-12)
    assert proxy("fisher", network, data) == pytest.approx(by_weight, rel=1e-12)


def test_synflow_of_a_chain_is_the_product_of_absolute_weights():
    torch.manual_seed(0)
    network = nn.Sequential(*(nn.Linear(3, 3, bias=False) for _ in range(4))).double()
    flow = torch.ones(3, dtype=torch.float64)
    for layer in network:
        flow = layer.weight.detach().abs() @ flow
    # R is linear in each layer, so that each of the four contributes R
    data = [torch.zeros(2, 3), torch.tensor([0, 1])]
    assert proxy("synflow", network, data) == pytest.approx(4 * float(flow.sum()), rel=1e-12)


def test_synflow_leaves_batch_norm_out_and_reads_no_data():
    torch.manual_seed(1)
    layers = nn.Conv2d(2, 3, 1, bias=False), nn.Conv2d(3, 2, 1, bias=False)
    plain = nn.Sequential(layers[0], layers[1], nn.Flatten()).double()
    normed = nn.Sequential(layers[0], nn.BatchNorm2d(3), layers[1], nn.BatchNorm2d(2), nn.Flatten()).double()
    nn.init.constant_(normed[1].weight, 5.0)
    one, two = batch(seed=0), batch(seed=1)
    expected = proxy("synflow", plain, one)
    inner = float((layers[1].weight.detach().abs().flatten(1) @ layers[0].weight.detach().abs().flatten(1)).sum()) * 16
    assert expected == pytest.approx(2 * inner, rel=1e-12)
    assert proxy("synflow", normed, one) == proxy("synflow", normed, two) == pytest.approx(expected, rel=1e-12)
    # with batch norm: its weights of 5, and 1 / sqrt(1 + eps) of either
    scaled = proxy("synflow", normed, one, batch_norm=True)
    assert scaled == pytest.approx(expected * 5 / (1 + 1e-5), rel=1e-9)


def test_logsynflow_of_two_weights():
    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)).double()
    with torch.no_grad():
        network[0].weight.fill_(-2.0)
        network[1].weight.fill_(3.0)
    data = [torch.zeros(2, 1), torch.tensor([0, 0])]
    assert proxy("synflow", network, data) == pytest.approx(12.0)
    assert proxy("logsynflow", network, data) == pytest.approx(2 * math.log(4) + 3 * math.log(3), rel=1e-12)


def jacobian(network: nn.Module, x: torch.Tensor) -> np.ndarray:
    full = torch.autograd.functional.jacobian(lambda value: network(value).sum(dim=1), x)  # (n, n, ...)
    return np.stack([full[i, i].reshape(-1).numpy() for i in range(len(x))])


def test_jacov_by_eigenvalues_of_correlations():
    network, data = convolutional(), batch()
    rows = jacobian(network, data[0])
    centred = rows - rows.mean(axis=1, keepdims=True)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    values = np.linalg.eigvals(unit @ unit.T).real
    expected = -sum(math.log(value + 1e-5) + 1 / (value + 1e-5) for value in values)
    assert proxy("jacov", network, data) == pytest.approx(expected, rel=1e-6)


def test_epe_nas_adds_up_classes():
    network, data = convolutional(), batch()
    rows, expected = jacobian(network, data[0]), 0.0
    for label in range(CLASSES):
        own = rows[data[1].numpy() == label]
        terms = [math.log(abs(np.corrcoef(a, b)[0, 1]) + 1e-5) for a in own for b in own]
        expected += abs(sum(terms))
    assert proxy("epe_nas", network, data) == pytest.approx(expected, rel=1e-9)


def test_nwot_counts_agreeing_units():
    network, data = perceptron(), vectors()
    first = network[0](data[0])
    second = network[2](network[1](first))
    codes = [[bool(v > 0) for v in (*a, *b)] for a, b in zip(first, second, strict=True)]
    kernel = np.array([[sum(p == q for p, q in zip(a, b, strict=True)) for b in codes] for a in codes], dtype=float)
    assert kernel[0, 0] == 11  # 7 + 4 units
    assert proxy("nwot", network, data) == pytest.approx(math.log(abs(np.linalg.det(kernel))), rel=1e-9)
    patterns = {tuple(code) for code in codes}
    assert proxy("linear_regions", network, data) == len(patterns)
    columns = {tuple(code[unit] for code in codes) for unit in range(11)}
    assert proxy("swap", network, data) == len(columns)
    size = (5 * 7 + 7 + 7 * 4 + 4 + 4 * CLASSES + CLASSES) / 1e6
    expected = len(columns) * math.exp(-((size - 0.5) ** 2) / 0.3)
    assert proxy("swap", network, data, mu=0.5, sigma=0.3) == pytest.approx(expected, rel=1e-12)


def test_one_rectifier_has_two_regions():
    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.ReLU(), nn.Linear(1, 2)).double()
    data = [torch.tensor([[-2.0], [-1.0], [3.0], [5.0]]), torch.tensor([0, 1, 0, 1])]
    assert proxy("linear_regions", network, data) == 2
    assert proxy("linear_regions", network, data, samples=100) == 2
    assert proxy("swap", network, data) == 1
    with pytest.raises(PredictorError, match="nwot: two inputs activate exactly the same units"):
        proxy("nwot", network, data)


def test_ntk_by_explicit_jacobians():
    network, data = perceptron(), vectors(4)
    named = {name: p.detach() for name, p in network.named_parameters()}
    for kind in ("weight", "all"):
        chosen = {name: p for name, p in named.items() if kind == "all" or "weight" in name}

        def total(given: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
            return torch.func.functional_call(network, named | given, (x[None],)).sum()

        rows = [torch.func.grad(total)(chosen, x) for x in data[0]]
        matrix = np.stack([np.concatenate([g.reshape(-1).numpy() for g in row.values()]) for row in rows])
        values = np.linalg.svd(matrix, compute_uv=False) ** 2
        assert proxy("ntk", network, data, parameters=kind) == pytest.approx(values.max() / values.min(), rel=1e-8)


def test_vkdnw_by_the_expected_outer_products():
    network, data = perceptron(), vectors(8)
    first = {name: p.detach().reshape(-1)[:1] for name, p in network.named_parameters()}

    def log_probabilities(given: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        full = {}
        for name, parameter in network.named_parameters():
            flat = parameter.detach().reshape(-1)
            full[name] = torch.cat([given[name], flat[1:]]).view_as(parameter)
        return torch.log_softmax(torch.func.functional_call(network, full, (x[None],))[0], dim=0)

    information = np.zeros((len(first), len(first)))
    for x in data[0]:
        jac = torch.func.jacrev(log_probabilities)(first, x)
        scores = np.stack([jac[name].reshape(CLASSES).numpy() for name in first], axis=1)  # (classes, tensors)
        p = log_probabilities(first, x).exp().numpy()
        information += sum(p[c] * np.outer(scores[c], scores[c]) for c in range(CLASSES)) / len(data[0])
    deciles = np.quantile(np.linalg.svd(information, compute_uv=False), np.arange(1, 10) / 10)
    share = deciles / deciles.sum()
    entropy = -sum(value * math.log(value) for value in share if value > 0)
    found = proxy("vkdnw", network, data, init="as_is", smoothing=0.0, layers=False)
    assert found == pytest.approx(entropy, rel=1e-6)
    with_layers = proxy("vkdnw", network, data, init="as_is", smoothing=0.0)
    assert with_layers == pytest.approx(entropy + 6, rel=1e-6)  # three weights, three biases


def test_zico_over_two_batches():
    network, one, two = convolutional(), batch(seed=1), batch(seed=2)
    expected = 0.0
    for a, b in zip(gradients(network, one), gradients(network, two), strict=True):
        mean, spread = (a.abs() + b.abs()) / 2, (a - b).abs() / 2
        expected += math.log(float((mean / spread)[spread > 0].sum()))
    assert proxy("zico", network, [one, two]) == pytest.approx(expected, rel=1e-9)
    both = [torch.cat([a, b]) for a, b in zip(one, two, strict=True)]
    assert proxy("zico", network, both) == pytest.approx(expected, rel=1e-9)
    with pytest.raises(PredictorError, match="at least four inputs"):
        proxy("zico", network, batch(3))


def test_zen_wants_the_statistics_that_it_reads():
    norm = nn.BatchNorm2d(3, track_running_stats=False)
    network = nn.Sequential(nn.Conv2d(2, 3, 1), norm, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network = nn.Sequential(*network, nn.Linear(3, CLASSES)).double()
    with pytest.raises(PredictorError, match="no running statistics; take statistics='batch'"):
        proxy("zen", network, batch())
    assert np.isfinite(proxy("zen", network, batch(), statistics="batch"))


@pytest.mark.parametrize("statistics", ["batch", "running"])
def test_zen_score(statistics):
    network = nn.Sequential(nn.Conv2d(2, 3, 1, bias=False), nn.BatchNorm2d(3), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    network = nn.Sequential(*network, nn.Flatten(), nn.Linear(3, CLASSES)).double()
    data = batch()
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    weight = draw(3, 2, 1, 1)
    draw(CLASSES, 3)
    x = draw(N, 2, 4, 4)
    moved = x + 0.01 * draw(N, 2, 4, 4)
    variances, features = [], []
    for inputs in (x, moved):
        hidden = F.conv2d(inputs, weight)
        mean = hidden.mean(dim=(0, 2, 3), keepdim=True)
        biased = ((hidden - mean) ** 2).mean(dim=(0, 2, 3), keepdim=True)
        features.append(F.relu((hidden - mean) / (biased + 1e-5).sqrt()))
        variances.append(biased.reshape(-1) * (N * 16) / (N * 16 - 1))
    change = float((features[0] - features[1]).abs().sum(dim=(1, 2, 3)).mean())
    running = 0.9 * (0.9 * torch.ones(3, dtype=torch.float64) + 0.1 * variances[0]) + 0.1 * variances[1]
    variance = running if statistics == "running" else variances[1]
    expected = math.log(change) + 0.5 * math.log(float(variance.mean()))
    assert proxy("zen", network, data, statistics=statistics) == pytest.approx(expected, rel=1e-9)


def test_the_four_scores_of_az_nas():
    torch.manual_seed(3)
    blocks = [nn.Conv2d(2, 4, 1, bias=False), nn.Conv2d(4, 4, 2, stride=2, bias=False), nn.AdaptiveAvgPool2d(1)]
    network = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(4, CLASSES)).double()
    data = batch()
    named = ["0", "1"]
    found = compute_parts("az_nas", network, Classification(), data, 0, init="as_is", blocks=named)
    first = blocks[0](data[0]).detach()
    second = blocks[1](first)

    def entropy(feature: torch.Tensor) -> float:
        rows = feature.detach().permute(0, 2, 3, 1).reshape(-1, feature.shape[1]).numpy()
        share = np.linalg.eigvalsh(np.cov(rows.T, bias=True))
        share = share / share.sum()
        return float(-sum(max(s, 0) * math.log(max(s, 0) + 1e-8) for s in share))

    entropies = entropy(first), entropy(second)
    assert found["az_nas.expressivity"] == pytest.approx(sum(entropies), rel=1e-7)
    assert found["az_nas.progressivity"] == pytest.approx(entropies[1] - entropies[0], rel=1e-7)
    macs = 16 * 4 * 2 + 4 * 4 * 4 * 4 + 4 * CLASSES
    assert found["az_nas.complexity"] == pytest.approx(macs / 1e6)
    # the block of stride 2 passes signs g back as W^T g on patches of 2x2, one patch per output
    signs = torch.randint(0, 2, (N, 4, 2, 2), generator=torch.Generator().manual_seed(0)).double() * 2 - 1
    outgoing = signs.permute(0, 2, 3, 1).reshape(-1, 4).numpy()
    ingoing = outgoing @ blocks[1].weight.detach().reshape(4, -1).numpy()
    largest = np.linalg.svd(ingoing.T @ outgoing / len(outgoing), compute_uv=False).max()
    assert found["az_nas.trainability"] == pytest.approx(2 - largest - 1 / (largest + 1e-6), rel=1e-9)
    expected = sum(entropies) + entropies[1] - entropies[0] + found["az_nas.trainability"] + math.log(macs / 1e6)
    assert proxy("az_nas", network, data, init="as_is", blocks=named) == pytest.approx(expected, rel=1e-7)


def test_the_loss_is_that_of_the_task():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 1, bias=False)).double()
    x, y = vectors()[0], torch.linspace(-1, 1, N, dtype=torch.float64)[:, None]
    weight = network[0].weight.detach()
    gradient = 2 * ((x @ weight.T - y) * x).mean(dim=0)
    expected = float((gradient * weight).abs().sum())
    assert compute_proxy("snip", network, Regression(), [x, y], 0) == pytest.approx(expected, rel=1e-12)


def test_ntk_is_singular_where_features_are_normalised_by_the_batch():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.Linear(7, CLASSES)).double()
    with pytest.raises(PredictorError, match=r"singular as far as its numbers tell.*parameters='all' has the biases"):
        proxy("ntk", network, vectors())
    assert proxy("ntk", network, vectors(), parameters="all") > 1


def test_az_nas_of_a_sequence_with_a_stride():
    torch.manual_seed(3)
    blocks = nn.Conv1d(2, 4, 1, bias=False), nn.Conv1d(4, 3, 2, stride=2, bias=False)
    network = nn.Sequential(*blocks, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(3, CLASSES)).double()
    data = batch(shape=(2, 8))
    found = compute_parts("az_nas", network, Classification(), data, 0, init="as_is", blocks=["0", "1"])
    signs = torch.randint(0, 2, (N, 3, 4), generator=torch.Generator().manual_seed(0)).double() * 2 - 1
    outgoing = signs.permute(0, 2, 1).reshape(-1, 3).numpy()
    ingoing = outgoing @ blocks[1].weight.detach().reshape(3, -1).numpy()
    largest = np.linalg.svd(ingoing.T @ outgoing / len(outgoing), compute_uv=False).max()
    assert found["az_nas.trainability"] == pytest.approx(2 - largest - 1 / (largest + 1e-6), rel=1e-9)
