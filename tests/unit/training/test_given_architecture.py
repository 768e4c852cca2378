"""`evaluation.genotype`: an architecture as text, in files, in run folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from naslib.config.loader import load_config
from naslib.defaults.given import find_given, given_architecture
from naslib.defaults.trainer import Trainer
from naslib.errors import ConfigError
from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace, SimpleCellSearchSpace
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.nasbench301.codec import count_parameters

NORMAL = [("sep_conv_3x3", 1), ("skip_connect", 0), ("dil_conv_5x5", 2), ("max_pool_3x3", 0)]
REDUCE = [("max_pool_3x3", 0), ("skip_connect", 1), ("skip_connect", 2), ("avg_pool_3x3", 1)]
TEXT = f"Genotype(normal={NORMAL}, normal_concat=range(2, 4), reduce={REDUCE}, reduce_concat=range(2, 4))"
OTHER = TEXT.replace("dil_conv_5x5", "dil_conv_3x3")
NB201 = "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|"
SPACE = NasBench301SearchSpace(channels=2, cells=2, nodes=2)
CODE = SPACE.codec.canonical(TEXT)


def code_in(value: Any, space: Graph = SPACE) -> Any:
    return space.check_spec(find_given(value, space))


def test_text_and_values_are_themselves() -> None:
    assert code_in(TEXT) == code_in({"normal": NORMAL, "reduce": REDUCE}) == code_in(list(CODE)) == CODE
    assert find_given(TEXT, SPACE) is TEXT


FILES = {
    "a.json": json.dumps({"normal": NORMAL, "reduce": REDUCE}),
    "code.json": json.dumps(CODE),
    "run.json": json.dumps({"search_space": "nasbench301", "genotype": {"normal": NORMAL, "reduce": REDUCE}}),
    "one.json": json.dumps({"genotypes": {"MINE": {"normal": NORMAL, "reduce": REDUCE, "params": 3}}, "note": "x"}),
    "a.txt": TEXT + "\n",
    "assigned.txt": "genotype = " + TEXT,
    "search.log": f"2026-01-01 12:00:00 epoch 1 lr 1e-3\n2026-01-01 12:10:00 genotype = {TEXT}\n(done)\n",
    "wrapped.log": "Best Genotype = " + TEXT.replace("reduce=", "\n         reduce=") + "\nend of 3 (three) epochs\n",
    "twice.log": f"genotype = {TEXT}\nagain: {TEXT}\n",
    "genotypes.py": (
        "from collections import namedtuple\n\nGenotype = namedtuple('Genotype', 'normal normal_concat reduce')\n"
        f"PRIMITIVES = ['none', 'max_pool_3x3']\n\nMINE = {TEXT}\nLATEST = MINE\n\nimport os\nx = os.getcwd()\n"
    ),
    "bare": TEXT,
}


@pytest.mark.parametrize("name", sorted(FILES))
def test_files(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(FILES[name])
    assert code_in(str(path)) == CODE
    assert code_in(path) == CODE


def test_one_of_several_is_chosen_by_name(tmp_path: Path) -> None:
    python, data = tmp_path / "genotypes.py", tmp_path / "all.json"
    python.write_text(f"FIRST = {TEXT}\nSECOND = {OTHER}\nBROKEN = {TEXT.replace('sep_conv_3x3', 'sep_conv_9x9')}\n")
    data.write_text(json.dumps({"papers": {"FIRST": {"normal": NORMAL, "reduce": REDUCE}, "SECOND": OTHER}}))
    for path in (python, data):
        assert code_in(f"{path}:FIRST") == CODE != code_in(f"{path}:SECOND")
        with pytest.raises(ConfigError, match=r"2 architectures; choose one by .*:NAME \(it has: FIRST, SECOND\)"):
            code_in(str(path))
        with pytest.raises(ConfigError, match="has no SECNOD; did you mean 'SECOND'"):
            code_in(f"{path}:SECNOD")
    with pytest.raises(ConfigError, match=r"evaluation\.genotype: .*unknown operation 'sep_conv_9x9'; did you mean"):
        code_in(f"{python}:BROKEN")


def test_run_folders(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(ConfigError, match=r"has no genotype\.json"):
        code_in(str(run))
    (run / "genotype.json").write_text(FILES["run.json"])
    assert code_in(str(run)) == code_in(run) == code_in(str(run / "genotype.json")) == CODE
    with pytest.raises(ConfigError, match="is an architecture of nasbench301, not of nasbench201"):
        code_in(str(run), NasBench201SearchSpace(channels=2, cells_per_stage=1))
    (run / "genotype.json").write_text("{")
    with pytest.raises(ConfigError, match="not valid JSON"):
        code_in(str(run))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("no/such/run", "there is no file or folder no/such/run"),
        ("mine.json", r"there is no file or folder mine\.json"),
        ("mine.py:BEST", r"there is no file or folder mine\.py:BEST"),
        ("DARTS_V2", "cannot read a genotype|not an architecture"),
        (TEXT.replace("dil_conv_5x5", "dil_conv_7x7"), "unknown operation 'dil_conv_7x7'; did you mean 'dil_conv"),
        ("Genotype(" * 3000, "cannot read"),
        (TEXT[:-30], "cannot read"),
        ({"normal": NORMAL}, "reduce missing"),
        (12, "number of an architecture in a benchmark"),
    ],
)
def test_what_is_none_is_one_clear_error(value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        code_in(value)
    text = str(caught.value)
    assert text.startswith("evaluation.genotype: ") and "\n" not in text and len(text) < 500


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(ConfigError, match=r"evaluation\.genotype"):
        code_in(str(tmp_path / "x.txt"))


def test_the_space_takes_the_number_of_nodes_of_the_architecture() -> None:
    big = NasBench301SearchSpace(n_classes=7, in_channels=1, channels=4, cells=3, nodes=4)
    architecture = given_architecture(TEXT, big)
    assert architecture.get_code() == CODE and architecture.nodes_per_cell == 2
    assert (architecture.n_classes, architecture.in_channels, architecture.channels, architecture.cells) == (7, 1, 4, 3)
    assert big.nodes_per_cell == 4 and architecture.is_parsed


def test_spaces_without_codes_take_what_their_genotype_is(tmp_path: Path) -> None:
    space = SimpleCellSearchSpace(channels=4)
    spec = []
    for name in ("normal_cell", "reduction_cell"):
        for (u, v), op in zip(
            [(1, 3), (2, 3), (1, 4), (3, 4)], ("skip", "SepConv3x3", "MaxPool1x1", "skip"), strict=True
        ):
            skip = "FactorizedReduce" if name == "reduction_cell" and u < 3 else "Identity"
            spec.append({"graph": name, "edge": [u, v], "op": skip if op == "skip" else op})
    path = tmp_path / "genotype.json"
    path.write_text(json.dumps({"search_space": "SimpleCellSearchSpace", "genotype": spec}))
    for value in (spec, json.dumps(spec), str(spec), str(tmp_path), str(path)):
        architecture = given_architecture(value, space)
        key = lambda entry: (entry["graph"], entry["edge"])  # noqa: E731
        assert sorted(architecture.genotype(), key=key) == sorted(spec, key=key)
        assert {(2, 4)} == {
            edge for cell in architecture.nested_graphs()[1:] for edge in [(2, 4)] if edge not in cell.edges
        }
    for change, message in (
        ({"op": "SepConv9x9"}, r"no candidate 'SepConv9x9'; did you mean 'SepConv3x3'"),
        ({"edge": [1, 9]}, r"no edge \(1, 9\) under search in a graph 'normal_cell'"),
        ({"graph": "cell"}, r"under search in a graph 'cell'"),
        ({"edge": 3}, "expected"),
    ):
        with pytest.raises(ConfigError, match=message):
            given_architecture([{**spec[0], **change}, *spec[1:]], space)


# the command line


@pytest.mark.parametrize(
    "text", [TEXT, NB201, str({"normal": NORMAL, "reduce": REDUCE}), "a/b c.json:X", "[1, 2]", "17"]
)
def test_overrides_are_taken_as_text(text: str) -> None:
    for words in ([f"evaluation.genotype={text}"], ["evaluation.genotype", text]):
        assert load_config({}, words).evaluation.genotype == text
    assert load_config({}, ["evaluation.genotype=null"]).evaluation.genotype is None
    assert load_config({}, ["evaluation.genotype="]).evaluation.genotype is None


def test_configs_may_write_it_as_yaml() -> None:
    spec = {"normal": [list(edge) for edge in NORMAL], "reduce": [list(edge) for edge in REDUCE]}
    config = load_config({"evaluation": {"genotype": {**spec, "normal_concat": range(2, 4)}}})
    assert code_in(config.evaluation.genotype) == CODE


def test_a_trainer_evaluates_it_and_best_arch_wins(tmp_path: Path) -> None:
    config = load_config({
        "dataset": "digits", "device": "cpu",
        "evaluation": {"genotype": TEXT, "epochs": 1, "batch_size": 8, "cells": 2, "channels": 2, "cutout": False},
    })  # fmt: skip
    config.save = str(tmp_path)
    images = TensorDataset(torch.randn(16, 3, 8, 8), torch.arange(16) % 10)
    loaders = {name: DataLoader(images, batch_size=8) for name in ("train_loader", "valid_loader", "test_loader")}
    optimizer = DARTSOptimizer(config)
    optimizer.adapt_search_space(SPACE)
    trainer = Trainer(optimizer, config, **loaders)
    trainer.evaluate()
    assert trainer.architecture is not None and trainer.architecture.get_code() == CODE
    assert trainer.result is not None and trainer.result.mode == "retrain"
    assert trainer.result.params_millions == pytest.approx(count_parameters(CODE, 10, 2, 2) / 1e6, abs=1e-12)
    other = given_architecture(OTHER, SPACE)
    trainer.evaluate(best_arch=other)
    assert trainer.architecture is other


def test_another_space_leaves_it_behind() -> None:
    source = {"search_space": "nasbench301", "evaluation": {"genotype": TEXT}}
    assert load_config(source).evaluation.genotype == TEXT
    assert load_config(source, ["search_space=nasbench201"]).evaluation.genotype is None
    given = load_config(source, ["search_space=nasbench201", f"evaluation.genotype={NB201}"])
    assert given.evaluation.genotype == NB201
