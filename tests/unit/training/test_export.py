"""load_network: the trained network back, with its preprocessing, class names and predictions."""

from __future__ import annotations

import json

import pytest
import torch
from small_spaces import mlp_space
from torch import nn
from training_runs import config_for

from naslib.data import load_data
from naslib.defaults.trainer import Trainer
from naslib.errors import ArchitectureError, CheckpointError
from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace, SimpleCellSearchSpace
from naslib.training.export import load_network
from naslib.training.space_record import constructor_arguments, describe_architecture, rebuild_architecture
from naslib.utils.seeding import set_seed

SPACES = {
    "simple_cell": lambda: SimpleCellSearchSpace(10, 1, channels=4),
    "nasbench201": lambda: NasBench201SearchSpace(10, 1, channels=4, cells_per_stage=1),
    "nasbench301": lambda: NasBench301SearchSpace(10, 1, channels=4, cells=2, nodes=2, image_size=8),
}


def _trainer(folder, name, epochs=0):
    set_seed(3)
    config = config_for(folder, epochs=0, batch_size=64)
    config.evaluation.update({"epochs": epochs, "batch_size": 64, "mode": "retrain"})
    if name == "nasbench301":
        config.evaluation.update({"cells": 3, "channels": 4})
    optimizer = DARTSOptimizer()
    optimizer.adapt_search_space(SPACES[name](), "digits")
    return Trainer(optimizer, config)


@pytest.mark.parametrize("retrain", [True, False])
@pytest.mark.parametrize("name", SPACES)
def test_gives_the_tested_network_back(tmp_path, name, retrain):
    trainer = _trainer(tmp_path, name)
    trainer.search()
    accuracy = trainer.evaluate(retrain=retrain)
    network = load_network(tmp_path)
    assert isinstance(network, nn.Module) and not network.training
    data = load_data("digits")
    predicted = network.predict(data.test.images)
    assert 100 * (predicted == data.test.labels).double().mean() == pytest.approx(accuracy)
    assert network.class_names == [str(digit) for digit in range(10)]
    x = network.preprocess(data.test.images[:4])
    _, _, loader = trainer.build_eval_dataloaders(trainer.config)
    torch.testing.assert_close(x, next(iter(loader))[0][:4], rtol=0, atol=1e-6)
    expected = trainer.result.network.eval()(x)
    torch.testing.assert_close(network(x), expected, rtol=1e-5, atol=1e-6)
    assert network.predict(data.test.images[0]).shape == (1,)


def test_messages(tmp_path):
    with pytest.raises(CheckpointError, match="holds no trained network"):
        load_network(tmp_path)
    trainer = _trainer(tmp_path, "simple_cell")
    trainer.evaluate()
    record = json.loads((tmp_path / "eval" / "network.json").read_text())
    record["architecture"]["class"] = "naslib.nowhere:Space"
    (tmp_path / "eval" / "network.json").write_text(json.dumps(record))
    with pytest.raises(CheckpointError, match="cannot be imported"):
        load_network(tmp_path)
    record["architecture"]["class"] = "subprocess:Popen"
    (tmp_path / "eval" / "network.json").write_text(json.dumps(record))
    with pytest.raises(CheckpointError, match="no search space"):
        load_network(tmp_path)
    (tmp_path / "eval" / "network.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot read"):
        load_network(tmp_path)


@pytest.mark.parametrize("name", SPACES)
def test_constructor_arguments(name):
    space = SPACES[name]()
    again = type(space)(**constructor_arguments(space))
    assert constructor_arguments(again) == constructor_arguments(space)
    assert {"n_classes", "in_channels", "channels"} <= set(constructor_arguments(space))
    if name == "nasbench301":
        assert constructor_arguments(space)["nodes"] == 2


def test_a_space_without_a_constructor_of_its_own():
    optimizer = DARTSOptimizer()
    optimizer.adapt_search_space(mlp_space())
    record = describe_architecture(optimizer.get_final_architecture())
    with pytest.raises(ArchitectureError, match="the space was changed since"):
        rebuild_architecture(record)
