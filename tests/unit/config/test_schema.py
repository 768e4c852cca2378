"""Keys, defaults, types and ranges."""

from __future__ import annotations

from typing import Any

import pytest

from naslib.config.editor_schema import json_schema, json_schema_text
from naslib.config.extensions import SchemaExtensions
from naslib.config.loader import load_config
from naslib.config.schema import EVALUATION_KEYS, OPTIMIZER_KEYS, SEARCH_KEYS, SECTIONS, TOP_KEYS, ConfigKeys, defaults
from naslib.errors import ConfigError

TOP = {
    "dataset": "cifar10",
    "seed": 99,
    "search_space": "nasbench201",
    "out_dir": "run",
    "optimizer": "darts",
}
TOP_OURS = {
    "data": None,
    "search_space_args": {},
    "dataset_args": {},
    "task": None,
    "task_args": {},
    "device": "auto",
    "workers": 0,
    "threads": "auto",
}
SEARCH = {
    "checkpoint_freq": 5,
    "batch_size": 64,
    "learning_rate": 0.025,
    "learning_rate_min": 0.001,
    "momentum": 0.9,
    "weight_decay": 3e-4,
    "epochs": 50,
    "grad_clip": 5,
    "train_portion": 0.5,
    "cutout": False,
    "cutout_length": 16,
    "cutout_prob": 1.0,
    "unrolled": False,
    "arch_learning_rate": 3e-4,
    "arch_weight_decay": 1e-3,
    "tau_max": 10,
    "tau_min": 0.1,
    "fidelity": 200,
    "sample_size": 10,
    "population_size": 100,
    "num_init": 10,
    "k": 10,
    "num_ensemble": 3,
    "acq_fn_type": "its",
    "acq_fn_optimization": "mutation",
    "encoding_type": "path",
    "num_arches_to_mutate": 2,
    "max_mutations": 1,
    "num_candidates": 100,
    "predictor_type": "var_sparse_gp",
}
SCHEDULE = {"scheduler": "cosine", "scheduler_args": {}, "warmup_epochs": 0, "label_smoothing": 0.0}
SEARCH_OURS = {
    "accumulate": 1,
    "sync_batch_norm": False,
    "nesterov": False,
    "batch_norm": "running",
    "hessian": "finite_difference",
    "amp": False,
    "channels_last": "auto",
    "checkpoint_steps": 0,
    "save_arch_weights": True,
    "native": "off",
    "loss_criteria": "CrossEntropyLoss",
    "op_optimizer": "SGD",
    "arch_optimizer": "Adam",
    "evaluator": None,
    "evaluator_args": {},
    "objectives": None,
    "hardware": {},
    "limits": {},
    "budget": None,
    "budget_unit": "seconds",
    "workers": 1,
    "executor": None,
    "executor_args": {},
    "tell": None,
    **SCHEDULE,
}
EVALUATION = {
    "checkpoint_freq": 30,
    "batch_size": 96,
    "learning_rate": 0.025,
    "learning_rate_min": 0,
    "momentum": 0.9,
    "weight_decay": 3e-4,
    "epochs": 600,
    "grad_clip": 5,
    "train_portion": 1.0,
    "cutout": True,
    "cutout_length": 16,
    "cutout_prob": 1.0,
    "drop_path_prob": 0.2,
    "auxiliary_weight": 0.4,
}
EVALUATION_OURS = {
    "accumulate": 1,
    "sync_batch_norm": False,
    "mode": "auto",
    "drop_path": "auto",
    "genotype": None,
    "averaging": None,
    "op_optimizer": "SGD",
    "network_args": {},
    "cells": None,
    "channels": None,
    "auxiliary": None,
    "loss_criteria": None,
    "amp": False,
    **SCHEDULE,
}


def test_defaults_literally() -> None:
    config = load_config(None).to_dict()
    search, evaluation = config.pop("search"), config.pop("evaluation")
    assert config == {**TOP, **TOP_OURS}
    assert search == {**SEARCH, **SEARCH_OURS}
    assert evaluation == {**EVALUATION, **EVALUATION_OURS}
    for key, value in {**SEARCH, **SEARCH_OURS}.items():
        assert isinstance(search[key], bool) == isinstance(value, bool), key
    assert load_config(None).save == "run/nasbench201/cifar10/darts/99"


def test_defaults_validate_and_key_lists() -> None:
    assert ConfigKeys.model_validate(defaults()).model_dump() == defaults()
    assert set(SEARCH_KEYS) == {*SEARCH, *SEARCH_OURS}
    assert set(EVALUATION_KEYS) == {*EVALUATION, *EVALUATION_OURS}
    assert set(TOP_KEYS) == {*TOP, *TOP_OURS, *SECTIONS}
    assert set(SEARCH_KEYS) > OPTIMIZER_KEYS


def test_every_key_is_described() -> None:
    for model in (*SECTIONS.values(), ConfigKeys):
        for key, field in model.model_fields.items():
            assert key in SECTIONS or field.description, key


WRONG_RANGE = [
    *[(f"{s}.batch_size", v) for s in SECTIONS for v in (0, -1)],
    *[(f"{s}.epochs", -1) for s in SECTIONS],
    *[(f"{s}.train_portion", v) for s in SECTIONS for v in (0, 1.01, -0.5)],
    *[(f"{s}.learning_rate", v) for s in SECTIONS for v in (0, -0.1, float("inf"), float("nan"))],
    *[(f"{s}.learning_rate_min", -1e-9) for s in SECTIONS],
    *[(f"{s}.momentum", v) for s in SECTIONS for v in (1, -0.1)],
    *[(f"{s}.weight_decay", -1) for s in SECTIONS],
    *[(f"{s}.grad_clip", -1) for s in SECTIONS],
    *[(f"{s}.cutout_prob", v) for s in SECTIONS for v in (-0.1, 1.1, float("nan"))],
    *[(f"{s}.cutout_length", 0) for s in SECTIONS],
    *[(f"{s}.checkpoint_freq", 0) for s in SECTIONS],
    *[("search.tau_max", 0), ("search.tau_min", 0), ("search.arch_learning_rate", 0), ("search.fidelity", -2)],
    *[("search.checkpoint_steps", -1), ("search.population_size", 0), ("search.sample_size", 0), ("search.k", 0)],
    *[("evaluation.drop_path_prob", 1), ("evaluation.auxiliary_weight", -0.1), ("evaluation.cells", 0)],
    ("evaluation.averaging", 0),
    *[("evaluation.channels", 0), ("seed", -1), ("seed", 2**32), ("workers", -1), ("out_dir", ""), ("dataset", "")],
]
WRONG_TYPE = [
    *[(f"{s}.{k}", True) for s in SECTIONS for k in ("batch_size", "epochs", "learning_rate", "train_portion")],
    *[(f"{s}.{k}", "3") for s in SECTIONS for k in ("batch_size", "learning_rate", "cutout", "grad_clip")],
    *[(f"{s}.cutout", v) for s in SECTIONS for v in (0, 1, 1.0, "true", None)],
    *[(f"{s}.epochs", v) for s in SECTIONS for v in (2.0, None, [1], {})],
    *[("seed", True), ("seed", 1.0), ("seed", None), ("dataset", 3), ("dataset", None), ("optimizer", False)],
    *[("search.hessian", "Exact"), ("search.native", 1), ("search.native", "yes"), ("search.channels_last", "on")],
    *[("search.batch_norm", True), ("evaluation.mode", "train"), ("evaluation.auxiliary", 1), ("search.amp", 1)],
    *[("device", "gpu"), ("device", "cuda:x"), ("device", 0), ("data", 3), ("search_space_args", [1])],
    *[("search", [1]), ("search", "x"), ("evaluation", 3), ("search_space_args", None)],
]


@pytest.mark.parametrize(("key", "value"), WRONG_RANGE + WRONG_TYPE)
def test_wrong_values_name_the_key(key: str, value: Any) -> None:
    section, _, leaf = key.partition(".")
    raw = {section: {leaf: value}} if leaf else {section: value}
    with pytest.raises(ConfigError) as info:
        load_config(raw)
    (problem,) = info.value.problems
    assert problem.startswith(f"{key}: expected ")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *[("search.epochs", 0), ("search.train_portion", 1), ("search.train_portion", 1.0), ("search.grad_clip", None)],
        *[("search.grad_clip", 0), ("search.momentum", 0), ("search.fidelity", -1), ("search.cutout_prob", 0)],
        *[("evaluation.drop_path_prob", 0.0), ("evaluation.cells", 3), ("evaluation.auxiliary", True), ("seed", 0)],
        *[("search.channels_last", True), ("search.channels_last", "auto"), ("device", "cuda:1"), ("data", "x/y")],
        *[("seed", 2**32 - 1), ("search_space_args", {"a": {"b": [1]}})],
    ],
)
def test_right_values_arrive(key: str, value: Any) -> None:
    section, _, leaf = key.partition(".")
    config = load_config({section: {leaf: value}} if leaf else {section: value})
    assert (config[section][leaf] if leaf else config[section]) == value


@pytest.mark.parametrize(("given", "expected"), [(True, "on"), (False, "off"), ("auto", "auto"), ("on", "on")])
def test_native_takes_yaml_switches(given: Any, expected: str) -> None:
    assert load_config({"search": {"native": given}}).search.native == expected


def test_integers_for_numbers_become_numbers() -> None:
    config = load_config({"search": {"learning_rate": 1, "tau_max": 4}})
    assert isinstance(config.search.learning_rate, float)
    assert isinstance(config.search.tau_max, float)


def test_json_schema_for_editors() -> None:
    schema = json_schema()
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert set(TOP_KEYS) <= set(schema["properties"])
    search = schema["$defs"]["SearchKeys"]
    assert search["additionalProperties"] is False
    assert search["properties"]["batch_size"]["minimum"] == 1
    assert search["properties"]["hessian"]["enum"] == ["finite_difference", "exact"]
    assert search["properties"]["epochs"] | {"default": 50, "type": "integer"} == search["properties"]["epochs"]
    assert search["properties"]["warm_start_epochs"]["deprecated"] is True
    assert json_schema_text().startswith("{")


def test_json_schema_with_registered_names() -> None:
    import inspect

    def init(self: Any, *, epochs: int, own_key: int = 3, **kwargs: Any) -> None: ...

    parameters = inspect.signature(init).parameters
    schema = json_schema(SchemaExtensions(optimizers={"mine": parameters}, spaces={"b": {}, "a": {}}, datasets=["d"]))
    assert schema["properties"]["optimizer"]["enum"] == ["mine"]
    assert schema["properties"]["search_space"]["enum"] == ["a", "b"]
    properties = schema["$defs"]["SearchKeys"]["properties"]
    assert "mine" in properties["own_key"]["description"]
    assert properties["epochs"]["type"] == "integer"
    assert not {"self", "kwargs"} & set(properties)
