"""Renamed names are found, with a word on it; and no two public classes are called the same."""

from __future__ import annotations

import ast
import importlib
import types
from collections import defaultdict
from pathlib import Path

import pytest

import naslib
from naslib.utils.renamed import renamed

RENAMED = [
    ("naslib.hardware.trace", "Place", "EdgeKey"),
    ("naslib.optimizers.oneshot.supernet.stages", "Place", "StagePosition"),
    ("naslib.training.retrain", "Place", "Workplace"),
]
# `Constant`: of learning rates in a config, and of the features of an elastic layer; `Node`: of a tree of decisions,
# and of a cell of ENAS. Operations of NNI's zoo have NNI's names, in a package of their own. `EarlyStopping` is a part,
# and NASLib's predictor
TWICE = {"Constant", "Node", "FactorizedReduce", "StdConv", "EarlyStopping"}


@pytest.mark.parametrize(("module", "old", "new"), RENAMED)
def test_an_old_name_is_found_and_the_new_one_is_said(module: str, old: str, new: str) -> None:
    found = importlib.import_module(module)
    with pytest.warns(FutureWarning, match=rf"{module}\.{old} is now called {new}.*0\.3"):
        assert getattr(found, old) is getattr(found, new)


def test_a_name_renamed_behind_an_alias_is_found_there() -> None:
    alias, target = (importlib.import_module(f"naslib.optimizers.oneshot.{place}enas") for place in ("", "methods."))
    with pytest.warns(FutureWarning, match=r"enas\.ControllerSpace was called Choices"):
        assert alias.Choices is target.ControllerSpace
    assert alias.ENASOptimizer is target.ENASOptimizer


def test_other_names_are_missing_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("some_module")
    module.__getattr__ = renamed("some_module", {"Old": "New"})  # type: ignore[method-assign]
    with pytest.raises(AttributeError, match="module 'some_module' has no attribute 'Young'"):
        module.Young  # noqa: B018
    assert not hasattr(module, "Young")


def test_no_two_public_classes_are_called_the_same() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    package = Path(naslib.__file__).parent
    for path in sorted(package.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(path.relative_to(package)))
    assert len(places) >= 300
    twice = {name: where for name, where in places.items() if len(where) > 1 and name not in TWICE}
    assert not twice, "give one of them a name of its own, or say in this test why both are clear"
