"""Neural predictors learn what they are given, and say what they cannot."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import torch

from naslib.errors import ConfigError, PredictorError, UnsupportedBySpaceError
from naslib.predictors import PREDICTORS
from naslib.predictors.measures import spearman
from naslib.predictors.neural import BonasPredictor, GCNPredictor, SemiNASPredictor
from naslib.search_spaces import (
    NasBench101SearchSpace,
    NasBench201SearchSpace,
    NasBench301SearchSpace,
    SimpleCellSearchSpace,
)
from naslib.search_spaces.nasbench201.codec import NasBench201Codec

CODEC = NasBench201Codec()
RNG = Random(0)
CODES = [CODEC.random(RNG) for _ in range(72)]
# Convolutions are good, pooling is bad, and the edge from input to output counts twice
WORTH = (0.0, -1.0, 3.0, 1.0, -2.0)
VALUES = np.array([70 + sum(WORTH[op] * (1 + (edge == 2)) for edge, op in enumerate(code)) for code in CODES])
TRAIN, TEST = slice(0, 48), slice(48, 72)
MAKE = {
    "gcn": lambda **kw: GCNPredictor(space=CODEC, epochs=15, **kw),
    "bonas": lambda **kw: BonasPredictor(space=CODEC, epochs=60, **kw),
    "nao": lambda **kw: SemiNASPredictor("compact", space=CODEC, epochs=25, **kw),
    "seminas": lambda **kw: SemiNASPredictor("compact", semi=True, up_sample=1, space=CODEC, epochs=15, **kw),
}


@pytest.mark.parametrize("name", MAKE)
def test_it_ranks_what_it_has_not_seen(name: str):
    predictor = MAKE[name](seed=1)
    fast = {} if name == "gcn" else {"lr": 5e-3} if name == "bonas" else {"lr": 1e-2, "gcn_hidden": 32}
    predictor.set_hyperparams({"batch_size": 12, **fast})
    error = predictor.fit(CODES[TRAIN], VALUES[TRAIN])
    mean, std = predictor.predict(CODES[TEST])
    assert spearman(VALUES[TEST], mean) > 0.7 and 0 < error < VALUES.std()
    assert mean.dtype == np.float64 and mean.shape == (24,)
    assert abs(mean.mean() - VALUES[TEST].mean()) < 3  # in the unit of the values
    assert (std is not None) == (name == "bonas") and (std is None or ((std > 0) & (std < 20)).all())
    assert predictor.query([]).shape == (0,)


@pytest.mark.parametrize("name", MAKE)
def test_it_is_a_function_of_its_seed_and_leaves_the_global_generator_alone(name: str):
    torch.manual_seed(5)
    wanted = torch.rand(1)
    torch.manual_seed(5)
    results = []
    for seed in (1, 1, 2):
        predictor = MAKE[name](seed=seed)
        predictor.epochs = 2
        predictor.fit(CODES[:12], VALUES[:12])
        results.append(predictor.query(CODES[TEST]))
    assert torch.equal(torch.rand(1), wanted)
    np.testing.assert_array_equal(results[0], results[1])
    assert not np.allclose(results[0], results[2])


@pytest.mark.parametrize("loss", ["hinge_pair", "list_mle"])
def test_a_loss_of_the_order_gives_values_on_their_scale(loss: str):
    predictor = GCNPredictor(space=CODEC, loss=loss, epochs=20)
    predictor.set_hyperparams({"batch_size": 16})
    predictor.fit(CODES[TRAIN], VALUES[TRAIN])
    found = predictor.query(CODES[TRAIN])
    slope, offset = np.polyfit(found, VALUES[TRAIN], 1)
    assert slope == pytest.approx(1, abs=1e-6) and offset == pytest.approx(0, abs=1e-3)
    assert spearman(VALUES[TEST], predictor.query(CODES[TEST])) > 0.7


@pytest.mark.parametrize("name", ["gcn", "nao", "seminas"])
def test_a_weighted_loss_is_of_values_between_zero_and_one(name: str):
    """Of standardised values half the weights would be negative, and errors of bad architectures a gain."""
    predictor = MAKE[name](loss="weighted_mse", seed=1)
    predictor.set_hyperparams({"batch_size": 12} if name == "gcn" else {"batch_size": 12, "lr": 1e-2})
    predictor.fit(CODES[TRAIN], VALUES[TRAIN])
    found = predictor.query(CODES[TEST])
    assert spearman(VALUES[TEST], found) > 0.5
    assert VALUES.min() - 10 < found.min() and found.max() < VALUES.max() + 10


def test_batches_of_one_are_learned_and_have_no_order():
    predictor = GCNPredictor(space=CODEC, epochs=8)
    predictor.set_hyperparams({"batch_size": 1, "gcn_hidden": 32})
    predictor.fit(CODES[TRAIN], VALUES[TRAIN])
    assert spearman(VALUES[TEST], predictor.query(CODES[TEST])) > 0.5
    for loss, size in (("hinge_pair", 1), ("list_mle", 1), ("mse", 0)):
        refused = GCNPredictor(space=CODEC, loss=loss, epochs=1)
        refused.set_hyperparams({"batch_size": size})
        with pytest.raises(ConfigError, match="batch_size is at least"):
            refused.fit(CODES[:4], VALUES[:4])


@pytest.mark.parametrize("name", MAKE)
def test_generators_of_other_devices_are_left_alone(name: str, monkeypatch):
    """`torch.manual_seed` reaches those of all devices, which a search on a GPU draws from."""
    reseeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", reseeded.append)
    predictor = MAKE[name]()
    predictor.epochs = 1
    predictor.fit(CODES[:6], VALUES[:6])
    assert reseeded == []


def test_equal_values_are_learned():
    for make in (MAKE["gcn"], MAKE["bonas"]):
        predictor = make()
        predictor.epochs = 3
        predictor.fit(CODES[:8], np.full(8, 91.0))
        assert np.abs(predictor.query(CODES[TEST]) - 91).max() < 1.5


def test_bogcn_regresses_logits_on_its_embedding():
    """Mean and deviation of a prediction by the closed form on the embedding, and by draws of the normal it gives."""
    predictor = BonasPredictor(space=CODEC, epochs=20)
    predictor.fit(CODES[TRAIN], VALUES[TRAIN])
    phi, new = (predictor._embedded(predictor._inputs(CODES[part])) for part in (TRAIN, TEST))
    low, high = VALUES[TRAIN].min(), VALUES[TRAIN].max()
    scaled = 0.05 + 0.9 * (VALUES[TRAIN] - low) / (high - low)
    alpha, beta = predictor.regression.alpha, predictor.regression.beta
    k = beta * phi.T @ phi + alpha * np.eye(65)
    mean = new @ (beta * np.linalg.solve(k, phi.T @ np.log(scaled / (1 - scaled))))
    std = np.sqrt([row @ np.linalg.solve(k, row) + 1 / beta for row in new])
    draws = 1 / (1 + np.exp(-np.random.default_rng(0).normal(mean, std, size=(20000, 24))))
    found_mean, found_std = predictor.predict(CODES[TEST])
    unit = (high - low) / 0.9
    np.testing.assert_allclose(found_mean, low + (draws.mean(0) - 0.05) * unit, atol=0.15)
    np.testing.assert_allclose(found_std, draws.std(0) * unit, rtol=0.05)


@pytest.mark.parametrize("name", ["gcn", "bonas", "nao"])
@pytest.mark.parametrize("space", [SimpleCellSearchSpace, NasBench101SearchSpace, NasBench301SearchSpace])
def test_they_read_any_space_with_cells(name: str, space: type):
    graph = space()
    codec, rng = graph._codec(), Random(0)
    codes = [codec.random(rng) for _ in range(9)]
    predictor = PREDICTORS.build(name, space=graph, epochs=1)
    predictor.fit(codes[:6], range(6))
    found = predictor.query(codes)
    assert found.shape == (9,) and np.isfinite(found).all() and len(set(found.round(9).tolist())) > 3


def test_graphs_are_taken_as_codes():
    graph = NasBench201SearchSpace(channels=4, cells_per_stage=1)
    graph.set_spec(CODES[0])
    predictor = BonasPredictor(epochs=1)
    with pytest.raises(PredictorError, match="does not know the space"):
        predictor.fit(CODES[:4], VALUES[:4])
    predictor.fit([graph, *CODES[1:4]], VALUES[:4])
    assert predictor.query([graph])[0] == predictor.query([CODES[0]])[0]


def test_names_of_naslib():
    kinds = {"gcn": GCNPredictor, "bonas": BonasPredictor, "nao": SemiNASPredictor, "seminas": SemiNASPredictor}
    for name, kind in kinds.items():
        predictor = PREDICTORS.build(name)
        assert type(predictor) is kind and predictor.encoding_type.value == {"nao": "seminas"}.get(name, name)
    assert PREDICTORS.build("seminas", synthetic_factor=3).get_data_reqs()["unlabeled_factor"] == 3
    assert not PREDICTORS.build("nao").get_data_reqs()["unlabeled"]
    assert GCNPredictor("gcn", "nasbench201", True).hpo_wrapper is True


def test_hyperparameters_are_drawn_within_their_ranges():
    rng = np.random.default_rng(0)
    for predictor in (GCNPredictor(), BonasPredictor(), SemiNASPredictor()):
        drawn = [predictor.set_random_hyperparams(rng) for _ in range(30)]
        assert all(1e-5 <= row["lr"] <= 0.1 for row in drawn) and set(drawn[0]) == set(predictor.DEFAULTS)
        assert len({row["gcn_hidden"] for row in drawn}) > 5 and predictor.get_hyperparams() == drawn[-1]


def test_pseudo_labels_go_to_architectures_that_have_none():
    predictor = SemiNASPredictor("compact", semi=True, synthetic_factor=2, space=CODEC)
    others = predictor._others(CODES[:10], Random(0))
    assert len(others) == 20 == len(set(others)) and not set(others) & set(CODES[:10])
    predictor.pre_compute(unlabeled=CODES[20:60])
    assert predictor._others(CODES[:10], Random(0)) == CODES[20:40]


def test_sequences_in_another_order_are_learned_too():
    predictor = SemiNASPredictor(space=CODEC, augment=2, epochs=1)
    learned = []
    learn, predictor._learn = predictor._learn, lambda *given: learned.append(given) or learn(*given)
    predictor.fit(CODES[:5], VALUES[:5])
    (tokens, numbers, labels), own = learned[0], predictor.tokens.sequences(CODES[:5])
    assert tokens.shape == (15, 35) and numbers.shape == (15, 0)
    assert torch.equal(tokens[:5], own) and torch.equal(labels[5:], labels[:5].repeat_interleave(2))
    for row in range(10):  # the same operations in another order
        assert sorted(tokens[5 + row].tolist()) == sorted(own[row // 2].tolist())
    assert not torch.equal(tokens[5:], own.repeat_interleave(2, 0))


def test_what_is_refused():
    with pytest.raises(ConfigError, match="no loss 'mes'"):
        GCNPredictor(loss="mes")
    with pytest.raises(ConfigError, match="at least 1 epoch"):
        GCNPredictor(epochs=0)
    with pytest.raises(ConfigError, match="augment at least 0"):
        SemiNASPredictor(augment=-1)
    with pytest.raises(ConfigError, match="has no hyperparameter 'hidden'"):
        GCNPredictor().set_hyperparams({"hidden": 3})
    with pytest.raises(UnsupportedBySpaceError, match="no encoding of graphs"):
        GCNPredictor("path", space=CODEC).fit(CODES[:3], VALUES[:3])
    with pytest.raises(UnsupportedBySpaceError, match="no encoding of sequences"):
        SemiNASPredictor("path", space=CODEC).fit(CODES[:3], VALUES[:3])
    with pytest.raises(ConfigError, match="reads the encoding bonas, not gcn"):
        BonasPredictor("gcn", space=CODEC)
    predictor = GCNPredictor(space=CODEC, epochs=4)
    predictor.set_hyperparams({"lr": 1e30})
    with pytest.raises(PredictorError, match="take a smaller lr"):
        predictor.fit(CODES[:24], VALUES[:24])
