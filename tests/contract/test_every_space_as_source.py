"""Every space, as found and as retrained, is written as plain source that gives the same, bit for bit."""

from __future__ import annotations

import inspect
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from naslib.export.source import NetworkSource, drawing_alike, write_source
from naslib.search_spaces import SEARCH_SPACES
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import DropPath
from tests.support.zoo import ENTRIES

KINDS = ("found", "retrained")
QUICK = ("darts_rnn", "fbnet", "nasbench301", "own_module", "simple_sequence_text")
ROOT = Path(__file__).resolve().parents[2]


def _pairs() -> list[Any]:
    return [
        pytest.param(space, kind, marks=() if space in QUICK and kind == "retrained" else pytest.mark.slow)
        for space in sorted(ENTRIES)
        for kind in KINDS
    ]


def test_the_product_is_as_large_as_it_is_said_to_be() -> None:
    made = {type(entry.make(n_classes=4, in_channels=3)) for name, entry in ENTRIES.items() if name in QUICK}
    assert len(made) == 5 and len(_pairs()) == 2 * len(ENTRIES) >= 102


def network_of(space: Graph, kind: str, evaluation: Any, inputs: Tensor, seed: int = 1) -> Graph:
    """Return a random architecture after two forwards in training, in evaluation mode."""
    torch.manual_seed(seed)
    space.sample_random_architecture(rng=seed)
    space.compile()
    space.parse()
    network = space if kind == "found" else space.evaluation_network(**evaluation)
    with torch.no_grad():
        for shift in (0, 1):
            network.train()(inputs.roll(shift, 0))
    return network.eval()


def assert_trains_alike(network: nn.Module, source: NetworkSource, inputs: Tensor) -> None:
    """Compare outputs and gradients in training, where the same is drawn and no path is dropped."""
    assert all(module.drop_prob == 0.0 for module in network.modules() if isinstance(module, DropPath))
    written = source.build().train()
    network.train()
    losses = []
    for model in (network, written):
        with drawing_alike():
            outputs = model(inputs)
        losses.append(outputs.pow(2).sum())
        losses[-1].backward()
    assert torch.equal(losses[0], losses[1])
    parameters = dict(written.named_parameters())
    checked = 0
    for name, tensor in source.names.items():
        if isinstance(tensor, nn.Parameter) and name in parameters and parameters[name].grad is not None:
            assert tensor.grad is not None
            torch.testing.assert_close(parameters[name].grad, tensor.grad, rtol=2e-3, atol=1e-4)
            checked += 1
    assert checked == sum(parameter.grad is not None for parameter in parameters.values()) > 0
    for name, buffer in written.named_buffers():
        torch.testing.assert_close(buffer, source.names[name])


def assert_formatted(text: str) -> None:
    """Hold the source against the formatter and the linter, where they are installed."""
    ruff = shutil.which("ruff")
    if ruff is None:
        return
    for arguments in (["format", "--check"], ["check"]):
        settings = ["--config", str(ROOT / "pyproject.toml"), "--stdin-filename", "network.py", "-"]
        done = subprocess.run([ruff, *arguments, *settings], input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("space", "kind"), _pairs())
def test_a_network_is_written_as_source(space: str, kind: str) -> None:
    entry = ENTRIES[space]
    inputs = entry.batch(8, 0, in_channels=3, n_classes=4)[0]
    network = network_of(entry.make(n_classes=4, in_channels=3), kind, entry.evaluation, inputs)
    source = write_source(network, inputs=inputs)  # compares outputs for 1, 3 and 8 inputs
    assert "naslib" not in source.text.lower() and "torch.ops" not in source.text
    assert "contextvars" not in source.text and "draw_for_rows" not in source.text  # which only ranks need
    written = source.build()
    with torch.no_grad(), drawing_alike():
        mine = written(inputs[:5])
    with torch.no_grad(), drawing_alike():
        assert torch.equal(mine, network(inputs[:5]))
    assert mine.unique().numel() > 1
    assert_formatted(source.text)
    assert_trains_alike(network, source, inputs)


def _spaces_and_tasks() -> list[Any]:
    pairs = []
    for name in sorted(SEARCH_SPACES):
        for task in getattr(SEARCH_SPACES.get(name), "TASKS", None) or ():
            quick = (name, task) == ("simple_cell", "segmentation")
            pairs.append(pytest.param(name, task, marks=() if quick else pytest.mark.slow))
    return pairs


def test_spaces_and_tasks_are_as_many_as_they_are_said_to_be() -> None:
    assert len(_spaces_and_tasks()) == sum(len(SEARCH_SPACES.get(name).TASKS or ()) for name in SEARCH_SPACES) >= 60


@pytest.mark.parametrize(("name", "task"), _spaces_and_tasks())
def test_a_space_for_a_task_is_written_as_source(name: str, task: str) -> None:
    kind = SEARCH_SPACES.get(name)
    given: dict[str, Any] = {"n_classes": 5, "in_channels": 3} if task != "language_modelling" else {"n_classes": 12}
    takes = inspect.signature(kind.__init__).parameters
    given |= {"task": task} if "task" in takes else {}  # others have one head for all that they serve
    given |= {"channels": 8} if name in ("hierarchical", "nasnet", "pnas") else {}  # large ones
    space = kind(**given)
    generator = torch.Generator().manual_seed(0)
    reads = kind.INPUTS or ("image",)
    if "tokens" in reads and task == "language_modelling":
        inputs = torch.randint(12, (3, 7), generator=generator)
    elif "sequence" in reads:
        inputs = torch.randn(3, 3, 32, generator=generator)
    else:
        side = getattr(space, "image_size", None) or 32
        inputs = torch.randn(3, 3, side, side, generator=generator)
    space.sample_random_architecture(rng=0)
    space.compile()
    space.parse()
    source = write_source(space.eval(), inputs=inputs)
    assert "naslib" not in source.text.lower()
