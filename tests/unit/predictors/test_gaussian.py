"""Gaussian processes against formulas written out, and the kernel of Weisfeiler and Lehman against a count by hand."""

from __future__ import annotations

import itertools
from collections import Counter
from random import Random

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal, spearmanr

from naslib.errors import ConfigError
from naslib.predictors.features import Scaler, encode_batch, zero_categories
from naslib.predictors.kernels import (
    KERNELS,
    distances,
    log_bound,
    log_density,
    posterior,
    sparse_posterior,
)
from naslib.predictors.weisfeiler_lehman import Subtrees, shared, wl_labels
from naslib.registry.catalogue import PREDICTORS
from naslib.search_spaces import NasBench201SearchSpace, SimpleCellSearchSpace

CODEC = NasBench201SearchSpace.codec
RNG = np.random.default_rng(0)
X, Y, NEW = RNG.normal(size=(14, 3)), RNG.normal(size=14), RNG.normal(size=(5, 3))


def _kernel(first, second, scale=1.3, length=0.8):
    """The squared exponential kernel, entry by entry."""
    return np.array([[scale * np.exp(-((a - b) ** 2).sum() / (2 * length**2)) for b in second] for a in first])


def _made_up(n: int, seed: int = 0):
    codes = [tuple(code) for code in np.random.default_rng(seed).integers(0, 5, (n, 6)).tolist()]
    return codes, np.array([60 + 5 * sum(op in (2, 3) for op in code) + 2 * (code[2] == 2) for code in codes], float)


def _tensors(*arrays):
    return [torch.tensor(array, dtype=torch.float64) for array in arrays]


def test_kernels_are_their_formulas():
    x, new = _tensors(X, NEW)
    r = np.array([[np.sqrt(((a - b) ** 2).sum()) for b in NEW] for a in X])
    assert np.allclose(distances(x, new).numpy(), r)
    found = {name: kernel(torch.tensor(r)).numpy() for name, kernel in KERNELS.items()}
    assert np.allclose(found["rbf"], np.exp(-(r**2) / 2))
    assert np.allclose(found["matern32"], (1 + 3**0.5 * r) * np.exp(-(3**0.5) * r))
    assert np.allclose(found["matern52"], (1 + 5**0.5 * r + 5 * r**2 / 3) * np.exp(-(5**0.5) * r))


def test_posterior_and_evidence_are_the_textbook_ones():
    own, across, noise = _kernel(X, X), _kernel(NEW, X), 0.2
    inverse = np.linalg.inv(own + noise * np.eye(14))
    mean, variance = posterior(*_tensors(own, across, np.full(5, 1.3)), noise, torch.tensor(Y))
    assert np.allclose(mean, across @ inverse @ Y, atol=1e-7)
    assert np.allclose(variance, 1.3 - np.einsum("ij,jk,ik->i", across, inverse, across), atol=1e-7)
    expected = multivariate_normal(np.zeros(14), own + noise * np.eye(14)).logpdf(Y)
    assert float(log_density(*_tensors(own + noise * np.eye(14), Y))) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("vfe", [False, True])
def test_inducing_points_that_are_all_points_give_the_exact_process(vfe):
    own, across, noise = _kernel(X, X), _kernel(NEW, X), 0.2
    parts = _tensors(np.full(14, 1.3), own, own, 0.2, Y)
    bound = log_bound(*parts, vfe)
    exact = log_density(*_tensors(own + noise * np.eye(14), Y))
    assert float(bound) == pytest.approx(float(exact), abs=1e-5)
    found = sparse_posterior(*parts, vfe, *_tensors(across.T, np.full(5, 1.3)))
    expected = posterior(*_tensors(own, across, np.full(5, 1.3)), noise, torch.tensor(Y))
    assert np.allclose(found[0], expected[0], atol=1e-5) and np.allclose(found[1], expected[1], atol=1e-5)


@pytest.mark.parametrize("vfe", [False, True])
def test_few_inducing_points_are_the_formulas_of_the_papers(vfe):
    z, noise = X[:4], 0.2
    uu, uf, u_new = _kernel(z, z), _kernel(z, X), _kernel(z, NEW)
    q = uf.T @ np.linalg.inv(uu) @ uf
    lam = noise * np.eye(14) if vfe else np.diag(1.3 - np.diag(q)) + noise * np.eye(14)
    expected = multivariate_normal(np.zeros(14), q + lam).logpdf(Y)
    expected -= (1.3 * 14 - np.trace(q)) / (2 * noise) if vfe else 0
    parts = _tensors(np.full(14, 1.3), uf, uu, noise, Y)
    assert float(log_bound(*parts, vfe)) == pytest.approx(expected, abs=1e-5)
    exact = float(log_density(*_tensors(_kernel(X, X) + noise * np.eye(14), Y)))
    assert not vfe or expected < exact  # a bound
    sigma = np.linalg.inv(uu + uf @ np.linalg.inv(lam) @ uf.T)
    mean, variance = sparse_posterior(*parts, vfe, *_tensors(u_new, np.full(5, 1.3)))
    assert np.allclose(mean, u_new.T @ sigma @ uf @ np.linalg.inv(lam) @ Y, atol=1e-6)
    own = 1.3 - np.diag(u_new.T @ np.linalg.inv(uu) @ u_new) + np.diag(u_new.T @ sigma @ u_new)
    assert np.allclose(variance, own, atol=1e-6)


def test_the_process_predicts_what_its_formula_says():
    codes, values = _made_up(30)
    unseen, _ = _made_up(7, seed=1)
    predictor = PREDICTORS.get("gp")(space=CODEC, warp=False)
    predictor.set_hyperparams({"kernel": "rbf", "scale": 1.3, "length": 0.8, "noise": 0.1})
    predictor.fit(codes, values)
    mean, std = predictor.predict(unseen)
    rows = encode_batch(CODEC, codes)
    scaler = Scaler(rows)
    x, new = scaler(rows), scaler(encode_batch(CODEC, unseen))
    unit = np.median([np.sqrt(((a - b) ** 2).sum()) for a, b in itertools.combinations(x, 2)])
    own, across = _kernel(x / unit, x / unit), _kernel(new / unit, x / unit)
    inverse = np.linalg.inv(own + 0.1 * np.eye(30))
    y = (values - values.mean()) / values.std()
    assert np.allclose(mean, across @ inverse @ y * values.std() + values.mean(), atol=1e-3)
    expected = np.sqrt(1.3 - np.einsum("ij,jk,ik->i", across, inverse, across)) * values.std()
    assert np.allclose(std, expected, atol=1e-3)


@pytest.mark.parametrize("name", ["gp", "sparse_gp", "var_sparse_gp", "gpwl"])
def test_a_process_learns_orders_and_knows_where_it_knows(name):
    codes, values = _made_up(70)
    unseen, truth = _made_up(60, seed=1)
    predictor = PREDICTORS.get(name)(space=CODEC)
    predictor.fit(codes, values)
    mean, std = predictor.predict(unseen)
    assert spearmanr(mean, truth).statistic > 0.85 and (std > 0).all()
    assert name == "gpwl" or predictor.predict(codes)[1].mean() < std.mean()  # it sees counts alone
    again = PREDICTORS.get(name)(space=CODEC)
    again.fit(codes, values)
    assert np.array_equal(again.query(unseen), mean)
    assert predictor.predict([])[0].shape == (0,)


def test_the_evidence_is_at_its_maximum():
    codes, values = _made_up(40)
    predictor = PREDICTORS.get("gp")(space=CODEC)
    predictor.fit(codes, values + np.random.default_rng(3).normal(size=40))
    logs = predictor._parameters.log()
    best = float(predictor._objective(logs))
    for number, step in itertools.product(range(3), (-0.05, 0.05)):
        moved = logs.clone()
        moved[number] += step
        if -3 < float(moved[number]) < 4:  # within the bounds of all three
            assert float(predictor._objective(moved)) < best + 1e-4
    assert 0 < predictor.parameters["noise"] < 0.5


def test_labels_of_a_small_graph_are_those_by_hand():
    # 0 -> 1, 0 -> 2, 1 -> 3, 2 -> 3, labels i, a, a, o
    readers, sources = [[1, 2], [3], [3], []], [[], [0], [0], [1, 2]]
    first, second = wl_labels(["i", "a", "a", "o"], readers, sources, 1)
    assert first == ["i", "a", "a", "o"]
    assert second == [("i", (), ("a", "a")), ("a", ("i",), ("o",)), ("a", ("i",), ("o",)), ("o", ("a", "a"), ())]


def test_the_kernel_counts_shared_subtrees():
    codes, _ = _made_up(12, seed=2)
    graphs, zeros = encode_batch(CODEC, codes, "gcn"), zero_categories(CODEC)
    assert zeros == (2,)  # Zero is the second operation, and the input is category 0
    depths = Subtrees(2).count(graphs, zeros)
    counters = [sum(own, Counter()) for own in depths]
    found = shared(counters, counters)
    lists = []
    for matrix, one_hot in zip(graphs["adjacency"], graphs["operations"], strict=True):
        kept = [v for v in range(8) if one_hot[v].argmax() != 2]
        readers = [[kept.index(w) for w in kept if matrix[v, w]] for v in kept]
        sources = [[kept.index(u) for u in kept if matrix[u, v]] for v in kept]
        labels = [int(one_hot[v].argmax()) for v in kept]
        found_labels = wl_labels(labels, readers, sources, 2)
        lists.append([(depth, label) for depth, own in enumerate(found_labels) for label in own])
    for i, j in itertools.product(range(12), repeat=2):
        assert found[i, j] == sum(a == b for a in lists[i] for b in lists[j])


def test_isomorphic_cells_are_one_to_the_subtree_kernel():
    codes, values = _made_up(20)
    predictor = PREDICTORS.get("gpwl")(space=CODEC)
    predictor.fit(codes, values)
    mean, std = predictor.predict([(2, 3, 0, 1, 4, 0), (3, 2, 0, 1, 0, 4)])
    assert mean[0] == pytest.approx(mean[1], abs=1e-9) and std[0] == pytest.approx(std[1], abs=1e-9)


def test_the_subtree_kernel_takes_a_space_without_a_codec():
    space = SimpleCellSearchSpace()
    codec = space._codec()
    rng = Random(0)
    codes = [codec.random(rng) for _ in range(20)]
    predictor = PREDICTORS.get("gpwl")(space=space)
    predictor.fit(codes, [float(sum(code)) for code in codes])
    assert np.isfinite(predictor.predict(codes[:3])[0]).all()


def test_settings_that_there_are_not():
    codes, values = _made_up(10)
    for name, settings, words in (
        ("gp", {"kernel": "mattern52"}, "matern52"),
        ("sparse_gp", {"n_inducing": 0}, "n_inducing"),
        ("gpwl", {"h": -1}, "h is a number"),
    ):
        predictor = PREDICTORS.get(name)(space=CODEC)
        predictor.set_hyperparams(settings)
        with pytest.raises(ConfigError, match=words):
            predictor.fit(codes, values)


@pytest.mark.parametrize("name", ["gp", "sparse_gp", "var_sparse_gp", "grid_gp"])
def test_one_architecture_measured_many_times_is_no_unit_of_distance(name):
    codes, values = _made_up(12)
    noisy = values[0] + np.random.default_rng(0).normal(size=30)
    predictor = PREDICTORS.get(name)(space=CODEC)
    predictor.fit([codes[0]] * 30 + codes[1:], [*noisy, *values[1:]])
    rows = Scaler(encode_batch(CODEC, [codes[0]] * 30 + codes[1:]))(encode_batch(CODEC, codes))
    apart = [np.linalg.norm(a - b) for a, b in itertools.combinations(rows, 2)]
    assert min(apart) < getattr(predictor, "_process", predictor)._unit < max(apart)
    unseen, _ = _made_up(80, seed=1)
    assert np.ptp(predictor.query(unseen)) > 1e-6
