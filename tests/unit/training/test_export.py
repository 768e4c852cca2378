"""load_network: the trained network back, with its preprocessing, class names and predictions."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from small_spaces import mlp_space
from torch import nn
from training_runs import config_for

from naslib.data import Preprocess, load_data
from naslib.defaults.trainer import Trainer
from naslib.errors import ArchitectureError, CheckpointError, DataError
from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace, SimpleCellSearchSpace
from naslib.training.export import TrainedNetwork, load_network
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


class Brightness(nn.Module):
    """Two classes: dark and bright. Says how many images it saw at a time."""

    def __init__(self, mean: float):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(mean))
        self.batches = []

    def forward(self, x):
        self.batches.append(len(x))
        level = x.mean(dim=(1, 2, 3)) - self.weight
        return torch.stack([-level, level], dim=1)


def _served():
    preprocess = Preprocess(mean=[0.5], std=[0.25], in_channels=1, image_size=8)
    return TrainedNetwork(Brightness(0.0), preprocess, ["dark", "bright"])


def test_predict_takes_whatever_holds_images(tmp_path):
    network = _served()
    levels = [0, 255, 10, 250]
    pictures = [Image.new("L", (9 + i, 12), level) for i, level in enumerate(levels)]
    paths = [tmp_path / f"{i}.png" for i in range(4)]
    for path, picture in zip(paths, pictures, strict=True):
        picture.save(path)
    arrays = [np.full((8, 8), level, np.uint8) for level in levels]
    batch = np.stack(arrays)
    for images in (pictures, paths, [str(path) for path in paths], arrays, batch, batch[..., None], batch / 255.0,
                   torch.from_numpy(batch)[:, None], [torch.from_numpy(array) for array in arrays],
                   np.repeat(batch[..., None], 3, axis=3)):  # fmt: skip
        assert network.predict(images).tolist() == [0, 1, 0, 1]
        assert network.predict_names(images) == ["dark", "bright", "dark", "bright"]
    for image in (pictures[1], paths[1], str(paths[1]), arrays[1], arrays[1] / 255.0):
        assert network.predict(image).tolist() == [1]
    assert network.predict([]).dtype == torch.int64 and network.predict([]).shape == (0,)
    with pytest.raises(DataError, match="divide grey levels by 255"):
        network.predict(batch.astype(np.float32))


@pytest.mark.parametrize("as_list", [False, True])
def test_predict_takes_many_images_some_at_a_time(as_list):
    network = _served()
    levels = torch.arange(1201) % 2
    images = (levels * 255).to(torch.uint8)[:, None, None, None].expand(-1, 1, 8, 8)
    assert torch.equal(network.predict(list(images) if as_list else images), levels)
    assert network.network.batches == [500, 500, 201]


def test_predict_of_a_network_that_own_loaders_fed():
    network = TrainedNetwork(Brightness(0.0), None, None)
    inputs = torch.tensor([-1.0, 2.0])[:, None, None, None].expand(-1, 1, 8, 8)
    assert network.predict(inputs).tolist() == [0, 1]
    assert network.predict(list(inputs)).tolist() == [0, 1]
    for images in ([], ["a.png"], "a.png", np.zeros((8, 8))):
        with pytest.raises(DataError, match="loaders of your own"):
            network.predict(images)
    with pytest.raises(DataError, match="name no classes"):
        network.predict_names(inputs)


def test_labels_come_back_as_they_were_given(tmp_path):
    rng = np.random.default_rng(0)
    values = np.array([0, 1, 2, 7])
    y = values[np.arange(80) % 4]
    x = np.clip(rng.integers(0, 20, (80, 8, 8)) + 75 * (np.arange(80) % 4)[:, None, None], 0, 255).astype(np.uint8)
    np.savez(tmp_path / "own.npz", x=x, y=y)
    config = config_for(tmp_path / "run", epochs=0, batch_size=16)
    config.dataset = str(tmp_path / "own.npz")
    config.evaluation.update({"epochs": 10, "batch_size": 16, "mode": "retrain"})
    optimizer = DARTSOptimizer()
    set_seed(3)
    optimizer.adapt_search_space(SimpleCellSearchSpace(4, 1, channels=8), "own")
    trainer = Trainer(optimizer, config)
    trainer.search()
    assert trainer.evaluate() >= 75
    network = load_network(config.save)
    assert network.class_names == ["0", "1", "2", "7"]
    predicted = np.array(network.predict_names(x), dtype=int)
    assert set(predicted) <= set(values) and (predicted == y).mean() >= 0.75


@pytest.mark.parametrize("name", SPACES)
def test_every_layer_is_shown(name):
    optimizer = DARTSOptimizer()
    optimizer.adapt_search_space(SPACES[name](), "digits")
    graph = optimizer.get_final_architecture().evaluation_network()
    preprocess = Preprocess(mean=[0.5], std=[0.25], in_channels=1, image_size=8)
    text = str(TrainedNetwork(graph, preprocess, None))
    assert text.startswith("TrainedNetwork(\n  (network): ") and "(preprocess): Preprocess(1x8x8, mean=[0.5]" in text
    convolutions = [module for module in graph.modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) >= 5
    assert text.count(": Conv2d(") == len(convolutions)
    for module in convolutions:
        assert repr(module) in text


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
