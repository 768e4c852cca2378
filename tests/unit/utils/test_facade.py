"""The lazy facade of `naslib.utils`."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

import naslib
from naslib import utils

PROMISED = {
    *{"get_config_from_args", "set_seed", "setup_logger", "log_args", "get_last_checkpoint", "get_train_val_loaders"},
    *{
        "get_dataset_api",
        "accuracy",
        "count_parameters_in_MB",
        "AverageMeter",
        "AttrDict",
        "compute_scores",
        "parse_args",
        "get_project_root",
    },
}


def test_the_project_root_is_the_folder_of_the_package() -> None:
    from naslib.utils.utils import get_project_root

    assert utils.get_project_root() == get_project_root() == Path(naslib.__file__).resolve().parent
    assert (get_project_root() / "errors.py").is_file()


def test_every_promised_name_is_there() -> None:
    assert set(dir(utils)) >= PROMISED
    assert {*utils._TABLE, "get_config_from_args"} >= PROMISED


@pytest.mark.parametrize("name", sorted(utils._TABLE))
def test_rows_resolve(name: str) -> None:
    module, attribute = utils._TABLE[name].split(":")
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not built yet")
    assert getattr(utils, name) is getattr(importlib.import_module(module), attribute)


def test_unknown_names() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = utils.nope
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = naslib.nope
    assert "load_network" in dir(naslib)


def test_importing_is_light() -> None:
    code = "import sys, naslib, naslib.utils; sys.exit('torch' in sys.modules or 'pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_version() -> None:
    assert naslib.__version__ == "0.1.0"


def test_get_config_from_args_asks_the_registries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from naslib.config.extensions import SchemaExtensions
    from naslib.errors import ConfigError

    build: Any = types.ModuleType("naslib.build")
    build.schema_extensions = lambda: SchemaExtensions(datasets=["digits", "cifar10"])
    monkeypatch.setitem(sys.modules, "naslib.build", build)
    monkeypatch.setattr(sys, "argv", ["runner.py", "dataset=digits", f"out_dir={tmp_path}"])
    config = utils.get_config_from_args()
    assert config.dataset == "digits"
    assert Path(config.save).is_dir()
    with pytest.raises(ConfigError, match="did you mean 'digits'"):
        utils.get_config_from_args(["dataset=digit"], config_type="nas")
