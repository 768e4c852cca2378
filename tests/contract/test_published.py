"""The published protocols: every file says where it is from, is valid, and is found, also in an installation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from naslib.build import main, schema_extensions
from naslib.config.find import find_config_file, shipped_configs
from naslib.config.loader import load_config
from naslib.errors import ConfigError
from naslib.optimizers import OPTIMIZERS
from naslib.optimizers.discrete.base import DiscreteOptimizer

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "configs" / "published"
FILES = sorted(FOLDER.rglob("*.yaml"))
# What is nobody's published search on these spaces: our own readings, building blocks, a paper without public settings,
# `ofa` and `smash`, whose own spaces have docs/methods for them, and `te_nas`, which has no epochs
WITHOUT = {"binary", "binary_masked", "binary_moving_average", "binary_proxyless_style", "mixed_op"}
WITHOUT |= {"edge_popup", "reinmax", "one_shot", "ofa", "smash", "te_nas"}
# What was published of these is of NAS-Bench-101 with another signal than the table's
WITHOUT |= {"ls", "bananas", "npenas", "bp"}
# Published on other spaces, or by nobody
WITHOUT |= {"ppo", "genetic", "hierarchical_evolution", "tpe", "nsga2", "pareto_search", "pnas", "q_learning"}
WITHOUT |= {"metadapt", "transfer_controller"}
# What was published of these is of NAS-Bench-101 with hundreds of evaluations more, or another signal than the table's
WITHOUT |= {"nao", "seminas", "bonas", "neural_predictor"}
WITHOUT |= {"az_nas"}  # published on other spaces; on NAS-Bench-201 as a ranking of all cells
# What proposes is a person's own
WITHOUT |= {"proposer"}
# Published on NAS-Bench-101 and on functions of numbers
WITHOUT |= {"la_mcts"}
# Published with a supernet; on tables by docs/methods/modnas.md
WITHOUT |= {"modnas"}
# Published on CIFAR-10 and the Penn Treebank, in spaces of its own (docs/methods/reinforcement.md)
WITHOUT |= {"nas_rl"}
# Of networks that grow, published on no space that has a table
WITHOUT |= {"eas"}
# What was published of these is of hyperparameters, or with learning curves that the tables here do not have
WITHOUT |= {"sh", "hyperband", "asha"}


def test_there_are_protocols_for_every_method_that_has_one():
    assert len(FILES) >= 34
    assert [name for name in shipped_configs() if "/" in name] == [f"published/{path.name}" for path in FILES]
    names = {OPTIMIZERS.get(name): [] for name in OPTIMIZERS.names()}
    for name in OPTIMIZERS.names():
        names[OPTIMIZERS.get(name)].append(name)
    missing = [
        aliases
        for aliases in names.values()
        if not WITHOUT & set(aliases)
        and not any(path.name.startswith(f"{name}_nasbench") for path in FILES for name in aliases)
        and not any(f"{name}_progressive" in path.name for path in FILES for name in aliases)
    ]
    assert missing == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_protocol_says_where_it_is_from_and_is_valid(path: Path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == f"# python runner.py --config published/{path.name} data=DIR"
    comments = " ".join(line[2:] for line in lines[1:] if line.startswith("#"))
    assert re.search(r"Source(?: of the figures)?: ", comments), "where the settings are from"
    assert re.search(r"Published|Quoted|No published figure", comments), "what was published"
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    space = raw["search_space"]
    assert path.stem.endswith(f"_{space}") and raw["out_dir"] == f"run/published/{path.stem}"
    config = load_config(f"published/{path.stem}", extensions=schema_extensions())
    assert config.notes == []  # nothing that the method does not use
    if space == "nasbench301":
        found = {key: raw["evaluation"][key] for key in ("epochs", "cells", "channels", "auxiliary", "cutout")}
        assert found == {"epochs": 600, "cells": 20, "channels": 36, "auxiliary": True, "cutout": True}
    else:
        assert raw["evaluation"] == {"mode": "query"}


# spot checks of what the authors have otherwise than the shared defaults
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pc_darts_nasbench301", {"learning_rate": 0.1, "learning_rate_min": 0.0, "batch_size": 256}),
        ("p_darts_nasbench301", {"epochs": 75, "batch_size": 96, "learning_rate_min": 0.0}),
        ("fair_darts_nasbench301", {"learning_rate": 0.005, "batch_size": 128, "arch_learning_rate": 3e-3}),
        ("drnas_progressive_nasbench301", {"learning_rate": 0.1, "arch_learning_rate": 6e-4, "epochs": 50}),
        ("snas_nasbench301", {"epochs": 150, "train_portion": 1.0}),
        ("gdas_nasbench201", {"epochs": 250, "weight_decay": 5e-4, "nesterov": True}),
        ("gsparsity_nasbench201", {"learning_rate": 1e-3, "epochs": 100, "grad_clip": None, "train_portion": 1.0}),
        ("random_nas_nasbench301", {"grad_clip": 0.25, "epochs": 100}),
        ("enas_nasbench201", {"learning_rate": 0.05, "weight_decay": 2.5e-4, "samples_per_step": 5}),
        ("regularized_evolution_nasbench201", {"population_size": 10, "sample_size": 3, "fidelity": 12}),
    ],
)
def test_the_figures_of_the_authors(name: str, expected: dict):
    search = load_config(f"published/{name}", extensions=schema_extensions()).search
    assert {key: search[key] for key in expected} == expected


def test_the_selection_of_darts_pt_tunes_for_five_epochs():
    for space in ("nasbench201", "nasbench301"):
        search = load_config(f"published/darts_pt_{space}", extensions=schema_extensions()).search
        assert search.parts.perturbation_selection.tune_epochs == 5


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=[pytest.mark.slow] * (number % 3 > 0), id=path.stem)
        for number, path in enumerate(FILES)
    ],
)
def test_a_dry_run_needs_no_data(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NASLIB_DATA", str(tmp_path))
    words = ["--config", f"published/{path.name}", f"data={tmp_path}", f"out_dir={tmp_path / 'out'}", "device=cpu"]
    assert main([*words, "--dry-run"]) == 0, capsys.readouterr().err
    out = capsys.readouterr().out
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    on_table = issubclass(OPTIMIZERS.get(raw["optimizer"]), DiscreteOptimizer)
    assert f"optimizer: {raw['optimizer']}" in out and ("memory         about" in out) is not on_table
    assert "not checked    the table" in out if on_table else "cifar10: 10 classes, images 3x32x32" in out
    assert not (tmp_path / "out").exists()


# finding them


@pytest.mark.parametrize("given", ["published/darts_nasbench201", "published/darts_nasbench201.yaml"])
def test_they_are_found_from_anywhere(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert find_config_file(given) == FOLDER / "darts_nasbench201.yaml"


@pytest.mark.parametrize("given", ["darts_nasbench201", "published/darts_nasbench21.yaml", "darts_nasbench20.yaml"])
def test_a_protocol_without_its_folder_or_misspelt_is_pointed_out(given: str, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"did you mean 'published/darts_nasbench201.yaml'"):
        find_config_file(given)


def test_an_installation_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package = tmp_path / "site" / "_configs"
    (package / "published").mkdir(parents=True)
    for path in (ROOT / "configs" / "darts.yaml", FILES[0]):
        target = package / path.relative_to(ROOT / "configs")
        target.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr("importlib.resources.files", lambda name: package)
    monkeypatch.setattr("naslib.config.find.__file__", str(tmp_path / "site" / "naslib" / "config" / "find.py"))
    monkeypatch.chdir(tmp_path)
    assert find_config_file(f"published/{FILES[0].stem}") == package / "published" / FILES[0].name
    assert shipped_configs() == ["darts.yaml", f"published/{FILES[0].name}"]
    assert '"*/*.yaml"' in (ROOT / "setup.py").read_text(encoding="utf-8")
