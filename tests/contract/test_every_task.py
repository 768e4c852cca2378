"""Every weight-sharing method on every task: two steps on a small batch of real data, finite, and everything moves."""

from __future__ import annotations

import functools
import itertools
from typing import Any, NamedTuple

import pytest
import torch
from small_searches import METHODS
from torch import Tensor

from naslib.cli.serving import kind_of_task
from naslib.data import ImageData, load_data
from naslib.data.loaders import build_search_loaders
from naslib.optimizers import OPTIMIZERS
from naslib.search_spaces import SEARCH_SPACES
from naslib.search_spaces.core.graph import Graph
from naslib.tasks import TASKS, Task, build_task, with_data
from tests.support.data_files import data_file

KEYWORDS: dict[str, Any] = {
    "robust_darts": {"parts": {"early_stopping": {"interval": 4}}},  # a Hessian takes long
    "pc_darts": {"parts": {"warm_up": {"epochs": 1}}},  # the architecture is trained from the second epoch on
}
# Methods that train the weights alone, and choose among random paths at the end, and one whose first round is longer
NO_ARCHITECTURE = {"fair_nas", "ofa", "one_shot", "random_nas", "spos", "te_nas"}
EPOCHS = 4


class Example(NamedTuple):
    """A data set with its keywords, the file that it needs, and the space that serves it."""

    dataset: str
    arguments: dict[str, Any]
    file: str | None
    space: str
    sizes: dict[str, Any]


EXAMPLES = {
    "classification": Example("digits", {}, None, "simple_cell", {"channels": 4}),
    "regression": Example("digits_angle", {"image_size": 8}, None, "simple_cell", {"channels": 4}),
    "segmentation": Example("digits_canvas", {"height": 8, "width": 16}, None, "simple_cell", {"channels": 4}),
    "language_modelling": Example(
        "wikitext2", {"bptt": 6, "vocabulary_size": 50, "train_tokens": 600}, "wikitext2/valid.txt.xz",
        "simple_sequence", {"channels": 8},
    ),
    "few_shot": Example(
        "few_shot", {"of": "digits", "ways": 2, "shots": 1, "queries": 2, "episodes": 2}, None, "simple_cell",
        {"channels": 4},
    ),
    "sequence_classification": Example(
        "spoken_digits", {"seconds": 0.15}, "fsdd_mulaw.npz", "simple_sequence", {"channels": 8}
    ),
}  # fmt: skip


def test_methods_and_tasks_are_as_many_as_they_are_said_to_be() -> None:
    assert len(METHODS) >= 30
    assert {TASKS.get(name) for name in EXAMPLES} == {TASKS.get(name) for name in TASKS}


@functools.cache
def _data(task: str) -> ImageData:
    example = EXAMPLES[task]
    folder = None
    if example.file is not None:
        path = data_file(example.file)
        if not path.exists():
            pytest.skip(f"{example.file} is not there")
        folder = path.parents[example.file.count("/")]
    return load_data(example.dataset, data_dir=folder, **example.arguments)


@functools.cache
def _batches(task: str) -> list[tuple[Tensor, Tensor]]:
    loaders = build_search_loaders(_data(task), batch_size=4, train_portion=0.5, seed=0)
    assert loaders.valid is not None
    return [*itertools.islice(loaders.train, 2), *itertools.islice(loaders.valid, 2)]


def _space(task: str) -> Graph:
    example, info = EXAMPLES[task], _data(task).info
    vocabulary = {"vocabulary": info.vocabulary} if info.vocabulary else {}
    return SEARCH_SPACES.get(example.space)(
        n_classes=info.output_size, in_channels=info.in_channels, task=kind_of_task(task), **vocabulary, **example.sizes
    )


@pytest.mark.parametrize("task", EXAMPLES)
@pytest.mark.parametrize("name", METHODS)
def test_a_method_steps_on_a_task(name: str, task: str) -> None:
    what: Task = with_data(build_task(task), _data(task).info)
    batches = [what.to_device(batch, torch.device("cpu")) for batch in _batches(task)]
    torch.manual_seed(0)
    optimizer = OPTIMIZERS.get(name)(
        epochs=EPOCHS, learning_rate=0.05, arch_learning_rate=0.05, task=what, **KEYWORDS.get(name, {})
    )
    optimizer.adapt_search_space(_space(task), EXAMPLES[task].dataset)
    optimizer.before_training()
    optimizer.graph.train()
    weights = [parameter.detach().clone() for parameter in optimizer.graph.parameters()]
    rows = [row.detach().clone() for row in optimizer.architectural_weights]
    for epoch in range(2):
        optimizer.new_epoch(epoch)
        outputs, _, *losses = optimizer.step(batches[epoch], batches[2 + epoch])
        assert all(torch.isfinite(torch.as_tensor(loss)).all() for loss in losses if loss is not None)
        assert not what.output_problems(outputs, batches[epoch])
    assert all(parameter.isfinite().all() for parameter in optimizer.graph.parameters())
    after = [*optimizer.graph.parameters()]
    assert len(after) != len(weights) or any(not torch.equal(a, b) for a, b in zip(weights, after, strict=True))
    moved = any(not torch.equal(a, b) for a, b in zip(rows, optimizer.architectural_weights, strict=False))
    assert moved is (name not in NO_ARCHITECTURE)
    final = optimizer.get_final_architecture()
    assert not what.output_problems(what.forward(final, batches[0]), batches[0])
