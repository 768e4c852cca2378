"""Every shipped config is valid, says how it is run, and builds its space and optimizer."""

from __future__ import annotations

from pathlib import Path

import pytest

from naslib.build import build_optimizer, build_space, schema_extensions
from naslib.config.loader import load_config

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.yaml"))


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
