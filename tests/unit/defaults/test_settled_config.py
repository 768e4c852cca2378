"""A config that is echoed once the data is known is read back to the same config."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from naslib.cli.builders import build_trainer
from naslib.config import load_config
from naslib.config.config import config_to_yaml


@pytest.mark.parametrize(
    ("dataset", "length"),
    [("digits", 4), ("digits_angle", 16), ("digits_canvas", 16)],
)
def test_what_is_settled_is_read_back(dataset: str, length: int, tmp_path: Path) -> None:
    for asked in (False, True):
        config = load_config(
            {
                "dataset": dataset,
                "search_space": "simple_cell",
                "optimizer": "darts",
                "seed": int(asked),
                "out_dir": str(tmp_path),
                "search": {"epochs": 1, "cutout": asked},
                "evaluation": {"epochs": 1},
            }
        )
        build_trainer(config)
        echoed = tmp_path / "config.yaml"
        echoed.write_text(config_to_yaml(config), encoding="utf-8")
        search = yaml.safe_load(echoed.read_text())["search"]
        assert (search["cutout"], search["cutout_length"]) == (asked and dataset == "digits", length)
        assert load_config(echoed).to_dict() == config.to_dict()
