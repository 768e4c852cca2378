"""Every shipped config is valid, says how it is run, and builds its space and optimizer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from naslib.build import build_optimizer, build_space, schema_extensions
from naslib.config.loader import load_config
from naslib.optimizers import OPTIMIZERS, OneShotOptimizer

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
PAGES = [ROOT / "docs" / "optimizers.md", *sorted((ROOT / "docs" / "methods").glob("*.md"))]
# what compares methods does not describe them
PAGES = [page for page in PAGES if page.name != "choosing.md"]


def test_there_are_configs():
    assert len(CONFIGS) >= 6


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config(path: Path):
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith(f"# python runner.py --config {path.name}")
    config = load_config(path, extensions=schema_extensions())
    assert not config.notes
    optimizer = build_optimizer(config)
    if optimizer.using_step_function:
        optimizer.adapt_search_space(build_space(config), config.dataset)
        assert optimizer.get_model_size() > 0.01


def _methods() -> dict[type, list[str]]:
    """Return the names of every weight-sharing optimizer, aliases together."""
    found: dict[type, list[str]] = {}
    for name in OPTIMIZERS.names():
        if issubclass(OPTIMIZERS.get(name), OneShotOptimizer):
            found.setdefault(OPTIMIZERS.get(name), []).append(name)
    return found


@pytest.mark.parametrize("names", _methods().values(), ids=lambda names: names[0])
def test_every_method_has_a_config_and_a_page(names: list[str]):
    """A config is a method's if its `optimizer` is it, or if it says for which override it is (`optimizer=...`)."""
    either = "|".join(names)
    of_method = re.compile(rf"^optimizer: *({either})$|optimizer=({either})\b", re.MULTILINE)
    assert any(of_method.search(path.read_text(encoding="utf-8")) for path in CONFIGS), "no config"
    described = re.compile(rf"`({either})`")
    assert any(described.search(page.read_text(encoding="utf-8")) for page in PAGES), "no page in docs/methods"


def test_the_page_for_choosing_names_only_what_there_is():
    page = (ROOT / "docs" / "methods" / "choosing.md").read_text(encoding="utf-8")
    first_cells = re.findall(r"^\| `([a-z_]+)`", page, re.MULTILINE)
    assert len(first_cells) >= 12
    assert [name for name in first_cells if name not in OPTIMIZERS] == []
