"""Which space has a head for which task: said at the door, and where the data is known."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from naslib.cli.builders import build_dataset, build_space
from naslib.cli.serving import OURS, check_serves, declared_task, kind_of_task
from naslib.config import load_config
from naslib.errors import ConfigError
from naslib.registry.catalogue import DATASET_TASKS, DATASETS, SEARCH_SPACES, TASKS


def config(**keys: Any) -> Any:
    return load_config({"device": "cpu", **keys})


def test_what_is_read_from_the_source_is_what_the_class_says() -> None:
    assert len(SEARCH_SPACES) >= 5
    for name in SEARCH_SPACES:
        fresh = type(SEARCH_SPACES)(SEARCH_SPACES.kind, SEARCH_SPACES._places)  # nothing is imported in this one
        space = SEARCH_SPACES.get(name)
        for attribute in ("TASKS", "INPUTS"):
            assert fresh.constant(name, attribute) == getattr(space, attribute)
        assert set(fresh.constant(name, "TASKS")) <= set(OURS)
        assert not fresh._entries


def test_tables_hold_names_that_exist() -> None:
    assert set(OURS) <= set(TASKS) and all(kind_of_task(task) in OURS for task, _ in DATASET_TASKS.values())
    assert all(name in DATASETS for name in DATASET_TASKS)
    assert declared_task("Digits_Angle", {}) == ("regression", "image")
    assert declared_task("my.npz", {"task": "segmentation"}) == ("segmentation", None)
    assert declared_task("digits", {}) == (None, None)


@pytest.mark.parametrize(
    ("space", "task", "kind", "message"),
    [
        (
            "nasbench201",
            "segmentation",
            "image",
            "for segmentation on images there is: simple_cell, transbench101_macro, transbench101_micro$",
        ),
        (
            "darts",
            "language_modelling",
            "tokens",
            "no head for language_modelling on tokens.*: darts_rnn, gpt, .*simple_sequence",
        ),
        ("simple_cell", "regression", "sequence", "regression on sequences.*: nasbench_asr, simple_sequence"),
        (
            "simple_sequence",
            "classification",
            "image",
            "classification on images.*: autoformer, darts, .*nasbench201.*simple_cell",
        ),
        ("simple_sequence", "segmentation", None, "no head for segmentation"),
    ],
)
def test_a_space_without_a_head_is_refused_with_those_that_have_one(
    space: str, task: str, kind: str | None, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        check_serves(space, task, kind, "some data")


def test_nothing_is_refused_that_is_not_known() -> None:
    check_serves("nasbench201", None, None)
    check_serves("nasbench201", "a task of mine", "image")
    assert kind_of_task("classification") == "classification" and kind_of_task("mine") == "mine"


@pytest.mark.parametrize("task", OURS)
def test_a_task_of_ones_own_is_of_the_kind_that_it_builds_on(task: str) -> None:
    parent: Any = TASKS.get(task)
    TASKS.register(f"mine_of_{task}")(type("Mine", (parent,), {}))
    try:
        assert kind_of_task(f"mine_of_{task}") == task
    finally:
        del TASKS._entries[f"mine_of_{task}"]


def test_the_door_says_so_before_torch_is_imported() -> None:
    code = (
        "import sys; from naslib.cli import main\n"
        "status = main(['--config', 'darts.yaml', 'search_space=nasbench201', 'dataset=digits_canvas', '--dry-run'])\n"
        "print(status, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.split() == ["2", "False"]
    assert "no head for segmentation on images, the task of 'digits_canvas'" in done.stderr


@pytest.mark.parametrize(
    ("space", "dataset", "expected"),
    [
        ("simple_cell", "digits_angle", {"n_classes": 1, "in_channels": 1, "task": "regression"}),
        ("simple_cell", "digits_canvas", {"n_classes": 11, "in_channels": 1, "task": "segmentation"}),
        ("nasbench201", "digits_angle", {"n_classes": 1, "in_channels": 1}),
        ("nasbench301", "digits_angle", {"n_classes": 1, "image_size": 16}),
        ("simple_cell", "digits", {"n_classes": 10, "task": "classification"}),
    ],
)
def test_a_space_is_made_for_task_and_data(space: str, dataset: str, expected: dict[str, Any]) -> None:
    settings = config(search_space=space, dataset=dataset, search_space_args={"channels": 4})
    made = build_space(settings, build_dataset(settings).info)
    assert {key: getattr(made, key) for key in expected} == expected


def test_a_file_whose_task_is_known_when_it_is_read(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 255, (60, 6, 9))
    np.savez(tmp_path / "own.npz", x=x, y=x % 3)
    settings = config(
        search_space="nasbench201", dataset=str(tmp_path / "own.npz"), dataset_args={"task": "segmentation"}
    )
    with pytest.raises(ConfigError, match="no head for segmentation on images, the task of 'own'"):
        build_space(settings, build_dataset(settings).info)
    settings = config(search_space="simple_cell", dataset=settings.dataset, dataset_args={"task": "segmentation"})
    assert build_space(settings, build_dataset(settings).info).task == "segmentation"
