"""The evaluator that scores paths with the weights of a supernet."""

from __future__ import annotations

import pickle
from random import Random
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from training_runs import config_for

from naslib.config.config import config_to_yaml
from naslib.defaults.trainer import Trainer
from naslib.errors import CheckpointError, ConfigError, DataError
from naslib.evaluators import SupernetEvaluator, WithCosts
from naslib.hardware.given import CostsOfSpace
from naslib.hardware.metrics import macs
from naslib.history import Trial
from naslib.optimizers import RandomNASOptimizer
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace
from naslib.search_spaces.core.batch_norm import batch_norm_modules
from naslib.search_spaces.core.fresh_network import fresh_network
from naslib.utils.seeding import set_seed


def space() -> NasBench201SearchSpace:
    return NasBench201SearchSpace(n_classes=3, in_channels=1, channels=4, cells_per_stage=1)


def batches(n: int, seed: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 1, 8, 8, generator=generator)
    labels = x.mean(dim=(1, 2, 3)).mul(20).clamp(-1, 1).round().long() + 1
    return list(zip(x.split(8), labels.split(8), strict=True))


TRAIN, VALID = batches(48, 0), batches(24, 1)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Any:
    folder = tmp_path_factory.mktemp("run")
    set_seed(0)
    config = config_for(folder, epochs=1)
    config.optimizer = "random_nas"
    optimizer = RandomNASOptimizer(learning_rate=0.1, num_samples=3, sample_batches=1, num_finalists=1)
    optimizer.adapt_search_space(space(), config.dataset)
    trainer = Trainer(optimizer, config, train_loader=TRAIN, valid_loader=VALID, test_loader=VALID)
    trainer.search()
    (folder / "config.yaml").write_text(config_to_yaml(config))
    return folder, optimizer


def test_values_are_those_of_the_path_with_the_shared_weights(run):
    folder, optimizer = run
    evaluator = SupernetEvaluator(space(), TRAIN, VALID, objectives=["loss", "accuracy"], run=str(folder))
    before = {key: value.clone() for key, value in optimizer.graph.state_dict().items()}
    seen = set()
    for number in range(4):
        code = space().codec.random(Random(number))
        loss, accuracy = evaluator.evaluate(Trial(number, code)).values
        optimizer.use(code)
        optimizer.graph.eval()
        with torch.no_grad():
            logits = torch.cat([optimizer.graph(x) for x, _ in VALID])
        labels = torch.cat([y for _, y in VALID])
        assert loss == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)
        assert accuracy == pytest.approx(100 * logits.argmax(1).eq(labels).float().mean().item())
        seen.add(loss)
    assert len(seen) == 4
    after = evaluator.supernet().graph.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    again = pickle.loads(pickle.dumps(evaluator))
    assert again.evaluate(Trial(3, code)).values == (loss, accuracy)


def test_recalibrated_norms_are_those_of_the_training_batches(run):
    folder, optimizer = run
    code = (2, 0, 3, 1, 2, 4)
    evaluator = SupernetEvaluator(space(), TRAIN, VALID, objectives=["loss"], run=str(folder), recalibration=6)
    (loss,) = evaluator.evaluate(Trial(0, code)).values
    copy = evaluator.supernet().graph
    kept = {key: value.clone() for key, value in copy.state_dict().items()}
    optimizer.use(code)
    for norm in batch_norm_modules(optimizer.graph):
        norm.reset_running_stats()
        norm.momentum = None
    optimizer.graph.train()
    with torch.no_grad():
        for x, _ in TRAIN:
            optimizer.graph(x)
        optimizer.graph.eval()
        logits = torch.cat([optimizer.graph(x) for x, _ in VALID])
    labels = torch.cat([y for _, y in VALID])
    assert loss == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-4)
    assert all(torch.equal(kept[key], value) for key, value in copy.state_dict().items())


def test_what_is_no_supernet_of_paths_is_one_clear_error(run, tmp_path):
    folder, _ = run
    code = (2, 0, 3, 1, 2, 4)

    def check(space: Any, **more: Any) -> None:
        SupernetEvaluator(space, TRAIN, VALID, **more).check(code)

    with pytest.raises(CheckpointError, match="no run folder"):
        check(space(), run=str(tmp_path))
    with pytest.raises(CheckpointError, match="is of the space nasbench201, this search of nasbench301"):
        check(NasBench301SearchSpace(cells=2, channels=4, nodes=2), run=str(folder))
    with pytest.raises(DataError, match="validation part"):
        SupernetEvaluator(space(), TRAIN, None, run=str(folder))
    with pytest.raises(ConfigError, match="recalibration must not be negative"):
        SupernetEvaluator(space(), TRAIN, VALID, run=str(folder), recalibration=-1)
    (tmp_path / "config.yaml").write_text((folder / "config.yaml").read_text().replace("random_nas", "darts"))
    with pytest.raises(ConfigError, match="is a search of darts, whose supernet is no set of paths"):
        check(space(), run=str(tmp_path))


def test_costs_are_beside_its_score(run):
    folder, _ = run
    evaluator = WithCosts(
        SupernetEvaluator(space(), TRAIN, VALID, objectives=["loss"], run=str(folder)),
        CostsOfSpace(space(), input_shape=lambda: (1, 8, 8)).costs(["macs", "params"]),
        ["macs", "loss", "params"],
    )
    assert [objective.name for objective in evaluator.objectives] == ["macs", "loss", "params"]
    code = space().codec.random(Random(0))
    of_macs, loss, of_params = evaluator.evaluate(Trial(0, code)).values
    network = fresh_network(space(), code)
    assert of_params == pytest.approx(sum(weight.numel() for weight in network.parameters()) / 1e6, rel=1e-12)
    assert of_macs == pytest.approx(macs(network, (1, 8, 8)), rel=1e-12)
    assert (loss,) == evaluator.inner.evaluate(Trial(0, code)).values
