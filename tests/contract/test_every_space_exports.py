"""Every space, and every task: a found network as safetensors, torch.export and ONNX, each equal to the network."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from naslib.cli.serving import kind_of_task
from naslib.data.info import DatasetInfo
from naslib.data.preprocess_sequences import preprocess_of
from naslib.export.bundle import export_network
from naslib.search_spaces import SEARCH_SPACES
from naslib.search_spaces.core.graph import Graph
from naslib.tasks import TASKS, build_task, with_data
from naslib.training.export import TrainedNetwork
from tests.support.zoo import ENTRIES, Entry

# What is exported whenever the tests run, without ONNX; all others, and ONNX, with the slow tests
FAST = ("simple_cell",)
# Networks that draw random numbers in evaluation, which ONNX runtimes draw otherwise
DRAWING = {"darts_s4"}


def test_all_that_is_registered_is_exported() -> None:
    made = {type(entry.make(n_classes=4, in_channels=3)) for entry in ENTRIES.values()}
    assert {SEARCH_SPACES.get(name) for name in SEARCH_SPACES.names()} <= made
    assert len(ENTRIES) >= 49 and set(FAST) <= set(ENTRIES) and all(entry.exports for entry in ENTRIES.values())


def _network(entry: Entry) -> Graph:
    torch.manual_seed(0)
    graph = entry.make(n_classes=4, in_channels=3)
    graph.sample_random_architecture(rng=Random(6))
    graph.compile()
    graph.parse()
    return graph.evaluation_network(**entry.evaluation).eval()


def _check(entry: Entry, folder: Path, formats: list[str]) -> set[str]:
    """Export a network in formats and return the files that are not there."""
    network, (inputs, _) = _network(entry), entry.batch(3, 0)
    done = export_network(network, folder, formats=formats, example_inputs=inputs)
    weights = load_file(done.folder / "weights.safetensors")
    if "network.py" in formats:
        scope: dict[str, Any] = {"__name__": "network"}
        exec((done.folder / "network.py").read_text(), scope)
        written = scope["Network"]().eval()
        written.load_state_dict(weights)
    else:
        assert sum(w.numel() for w in weights.values()) == sum(v.numel() for v in network.state_dict().values())
        network.load_state_dict(weights)
        written = network
    program = torch.export.load(str(done.folder / "network.pt2")).module()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        for batch in (inputs, inputs[:1]):
            torch.manual_seed(1)
            expected = network(batch)
            torch.manual_seed(1)
            torch.testing.assert_close(program(batch), expected, rtol=1e-5, atol=1e-5)
            torch.manual_seed(1)
            torch.testing.assert_close(written(batch), expected, rtol=0, atol=0)
    return set(done.left_out)


@pytest.mark.parametrize("name", FAST)
def test_a_network_is_exported(name: str, tmp_path: Path) -> None:
    assert _check(ENTRIES[name], tmp_path / "net", ["safetensors", "pt2"]) == set()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The tensor attributes .*lstm")  # torch's own, of its LSTM
@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_every_network_is_exported_in_every_format(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    left_out = _check(ENTRIES[name], tmp_path / "net", ["network.py", "safetensors", "pt2", "onnx"])
    assert left_out == ({"network.onnx"} if name in DRAWING else set())
    if name in DRAWING:
        assert "draws random numbers (aten" in (tmp_path / "net" / "README.md").read_text()


WORDS = ("<unk>", "<eos>", "the", "cat")
INFO = {
    "classification": ("image", 10, "images", "logits", (1, 8, 8)),
    "regression": ("image", 1, "images", "values", (1, 8, 8)),
    "segmentation": ("image", 3, "images", "logits", (1, 8, 12)),
    "few_shot": ("image", 10, "images", "embeddings", (1, 8, 8)),
    "sequence_classification": ("sequence", 5, "sequences", "logits", (6, 20)),
    "language_modelling": ("tokens", 4, "tokens", "logits", (7,)),
}


def _info(task: str) -> DatasetInfo:
    kind, classes, _, _, shape = INFO[task]
    channels = 1 if kind == "tokens" else shape[0]
    names = WORDS if kind == "tokens" else tuple(f"class {number}" for number in range(classes))
    size = shape[1:] if kind == "image" else shape[-1]
    return DatasetInfo(
        "made up", classes, channels, size, (0.25,) * channels, (0.5,) * channels, names, task=task, kind=kind,
        vocabulary=4 if kind == "tokens" else 0,
    )  # fmt: skip


def _trained(task: str) -> tuple[TrainedNetwork, DatasetInfo]:
    info = _info(task)
    what = with_data(build_task(task), info)
    more = {"vocabulary": 4} if info.vocabulary else {}
    name = "simple_cell" if info.kind == "image" else "simple_sequence"
    space = SEARCH_SPACES.get(name)(
        n_classes=info.output_size, in_channels=info.in_channels, channels=4, task=kind_of_task(task), **more
    )
    space.sample_random_architecture(rng=Random(2))
    space.compile()
    space.parse()
    return TrainedNetwork(space.evaluation_network(), preprocess_of(info), list(info.class_names), what).eval(), info


def test_every_task_is_exported() -> None:
    assert {TASKS.get(name) for name in INFO} == {TASKS.get(name) for name in TASKS}


# Those whose program is made whenever the tests run
QUICK = ("language_modelling", "segmentation")


@pytest.mark.parametrize(
    "task", [task if task in QUICK else pytest.param(task, marks=pytest.mark.slow) for task in INFO]
)
def test_a_task_is_exported(task: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, info = _trained(task)
    done = export_network(network, tmp_path / "net", formats=["safetensors", "pt2"])
    assert not done.left_out
    content = json.loads((done.folder / "preprocessing.json").read_text())
    _, classes, input_name, output_name, shape = INFO[task]
    assert content["kind"] == info.kind and content["input"]["name"] == input_name
    assert content["output"]["name"] == output_name and content["input"]["shape"] == ["batch", *shape]
    assert json.loads((done.folder / "classes.json").read_text()) == list(info.class_names)
    generator = torch.Generator().manual_seed(3)
    inputs: Tensor = torch.randn(4, *shape, generator=generator)
    if info.kind == "tokens":
        inputs = torch.randint(4, (4, *shape), generator=generator)
        assert content["vocabulary"] == list(WORDS)
    program = torch.export.load(str(done.folder / "network.pt2")).module()
    with torch.no_grad():
        expected = network(inputs)
        torch.testing.assert_close(program(inputs), expected, rtol=1e-5, atol=1e-5)
    assert expected.shape[0] == 4 and classes in expected.shape
