"""Configs of NASLib's other experiments: defaults, overrides, folders, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from naslib.config.experiments import TYPES, experiment_config
from naslib.errors import ConfigError
from naslib.utils import get_config_from_args

FOLDERS = {
    "bbo-bs": "run/nasbench201/cifar10/re/config_0/0",
    "nas_predictor": "run/cifar10/nas_predictors/nasbench201/var_sparse_gp/0",
    "predictor": "run/cifar10/predictors/mlp/1000",
    "zc": "run/zc/nasbench201/cifar10/synflow/0",
    "statistics": "run/nasbench201/cifar10/statistics/1000",
    "oneshot": "run/cifar10/nas_predictors/nasbench201/oneshot/0",
}


@pytest.mark.parametrize("config_type", FOLDERS)
def test_each_has_its_folder_which_is_made(config_type, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = get_config_from_args([], config_type=config_type)
    assert Path(config.save) == Path(FOLDERS[config_type]) and Path(config.save).is_dir()
    assert not config.resume and config.model_path is None and set(FOLDERS) | {"nas"} == set(TYPES)


def test_overrides_have_the_kinds_of_the_defaults():
    config = experiment_config(None, ["test_size", "7", "search.batch_size=8", "fidelity_list=[1, 2]"], "predictor")
    assert (config.test_size, config.search.batch_size, config.fidelity_list) == (7, 8, [1, 2])
    search = experiment_config(None, ["search.use_zc_api", "true", "config_id", "3", "seed", "5"], "bbo-bs")
    assert search.search.use_zc_api is True and search.config_id == 3
    assert Path(search.save).parts[-2:] == ("config_3", "5") and search.search.epochs == 10


def test_curves_by_size_and_by_fidelity_have_folders_of_their_own():
    config = experiment_config(None, ["predictor=lcsvr", "experiment_type=vary_fidelity"], "predictor")
    assert Path(config.save).parts[-2] == "lcsvr_fidelity"


@pytest.mark.parametrize(
    ("words", "config_type", "message"),
    [
        (["tes_size=3"], "predictor", "did you mean 'test_size'"),
        (["test_size=many"], "predictor", "expected a number"),
        ([], "bbo", "unknown config_type 'bbo'; did you mean 'bbo-bs'"),
        (["search.epoch=3"], "bbo-bs", "did you mean 'search.epochs'"),
    ],
)
def test_what_there_is_not_is_refused(words, config_type, message):
    with pytest.raises(ConfigError, match=message):
        experiment_config(None, words, config_type)
