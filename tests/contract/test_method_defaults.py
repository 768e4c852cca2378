"""A method's own defaults win over the shared schema's unless a value was given, however the optimizer is built."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from naslib.build import build_optimizer, schema_extensions
from naslib.config.config import Config, config_to_yaml
from naslib.config.loader import load_config
from naslib.config.method_defaults import own_defaults, shared_default
from naslib.config.schema import OPTIMIZER_KEYS, SEARCH_KEYS
from naslib.optimizers import (
    OPTIMIZERS,
    DARTSOptimizer,
    FairDARTSOptimizer,
    GSparseOptimizer,
    OneShotOptimizer,
    PCDARTSOptimizer,
)
from naslib.optimizers.core.metaclasses import accepted_keywords
from naslib.registry.signatures import keywords_through, source_signatures
from naslib.search_spaces import MemoryBankSearchSpace, NasBench201SearchSpace

DOCS = Path(__file__).resolve().parents[2] / "docs" / "optimizers.md"
METHODS = sorted({OPTIMIZERS.get(name): name for name in reversed(OPTIMIZERS.names())}.values())
# What the methods say; a default that is not here is the shared one
OWN: dict[str, dict[str, Any]] = {
    "az_nas": {"population_size": 512},
    "binary": {"arch_weight_decay": 0.0},
    "binary_masked": {"arch_weight_decay": 0.0},
    "binary_moving_average": {"arch_weight_decay": 0.0},
    "binary_proxyless_style": {"arch_weight_decay": 0.0},
    "bonas": {"acq_fn_type": "ei", "population_size": 30},
    "eas": {"arch_learning_rate": 2e-3},
    "enas": {"arch_learning_rate": 3.5e-3, "arch_weight_decay": 0.0},
    "fair_darts": {"arch_learning_rate": 3e-3},
    "gsparsity": {"learning_rate": 1e-3, "grad_clip": None},
    "genetic": {"population_size": 20},
    "hierarchical_evolution": {"population_size": 200},
    "modnas": {"num_init": 20, "num_candidates": 1000},
    "nao": {"num_init": 50},
    "neural_predictor": {"num_init": 100},
    "nas_rl": {"arch_learning_rate": 6e-4},
    "nsga2": {"population_size": 30},
    "p_darts": {"arch_learning_rate": 6e-4},
    "pareto_search": {"predictor_type": "grid_gp", "encoding_type": "graf"},
    "pc_darts": {"arch_learning_rate": 6e-4},
    "ppo": {"arch_learning_rate": 3.5e-4},
    "proxyless": {"arch_learning_rate": 1e-3, "arch_weight_decay": 0.0},
    "reinforce": {"arch_learning_rate": 0.01},
    "seminas": {"num_init": 50},
    "transfer_controller": {"arch_learning_rate": 5e-4},
    "smash": {"op_optimizer": "Adam", "learning_rate": 1e-3, "weight_decay": 1e-4, "grad_clip": None},
}
GIVEN = {"learning_rate": 0.05, "grad_clip": 2.0, "arch_learning_rate": 0.07, "arch_weight_decay": 0.02}


def _config(name: str, **search: Any) -> Config:
    return load_config({"optimizer": name, "search": search}, extensions=schema_extensions())


def _read(optimizer: Any) -> dict[str, Any]:
    """Return the keys of the shared schema that an optimizer has taken."""
    kinds = getattr(optimizer, "_optimizer_kinds", None)
    found = {key: getattr(optimizer, key) for key in OPTIMIZER_KEYS if hasattr(optimizer, key) and kinds is not None}
    return {**found, "op_optimizer": kinds[0], "arch_optimizer": kinds[1]} if kinds is not None else vars(optimizer)


def _same(first: Any, second: Any) -> None:
    one, other = _read(first), _read(second)
    plain = {key for key in one if isinstance(one[key], bool | int | float | str | None)} - {"rng", "dataset"}
    assert plain and {key: one[key] for key in plain} == {key: other[key] for key in plain}


def _shared() -> list[str]:
    return [name for name in METHODS if name not in OWN]


def test_the_list_is_complete():
    found = {name: own_defaults(accepted_keywords(OPTIMIZERS.get(name))) for name in METHODS}
    assert {name: own for name, own in found.items() if own} == OWN
    assert len(METHODS) >= 32 and len(_shared()) >= 20


def test_the_command_line_reads_the_same_from_source_text():
    """It knows them before torch is imported."""
    for name in METHODS:
        chain = source_signatures(OPTIMIZERS._places[name])
        assert chain is not None and own_defaults(keywords_through(chain)) == OWN.get(name, {}), name


@pytest.mark.parametrize("name", METHODS)
def test_every_way_of_building_agrees_with_and_without_the_keys(name: str):
    cls, own = OPTIMIZERS.get(name), OWN.get(name, {})
    for given in ({}, GIVEN):
        config = _config(name, **given)
        expected = {key: given.get(key, own.get(key, shared_default(key))) for key in SEARCH_KEYS}
        assert {key: config.search[key] for key in SEARCH_KEYS} == expected
        built = build_optimizer(config)
        for other in (cls(**config.search), cls(config), cls(**given)):
            _same(built, other)
        if issubclass(cls, OneShotOptimizer):
            assert {key: _read(built)[key] for key in GIVEN} == {key: expected[key] for key in GIVEN}
        echoed = yaml.safe_load(config_to_yaml(config))
        assert {key: echoed["search"][key] for key in SEARCH_KEYS} == expected
        again = load_config(echoed, extensions=schema_extensions())
        assert again.search == config.search
        _same(build_optimizer(again), built)


@pytest.mark.parametrize("name", [name for name in OWN if issubclass(OPTIMIZERS.get(name), OneShotOptimizer)])
def test_the_optimizers_of_torch_have_the_methods_values(name: str):
    for given in ({}, GIVEN):
        config = _config(name, **given)
        optimizer = build_optimizer(config)
        is_own = OPTIMIZERS.get(name).OWN_SPACE == "memory_bank"
        space = MemoryBankSearchSpace() if is_own else NasBench201SearchSpace(channels=4, cells_per_stage=1)
        optimizer.adapt_search_space(space)
        values = {**{key: shared_default(key) for key in GIVEN}, **OWN[name], **given}
        assert optimizer.op_optimizer.param_groups[0]["lr"] == values["learning_rate"]
        assert optimizer.grad_clip == values["grad_clip"]
        if optimizer.arch_optimizer is not None:
            group = optimizer.arch_optimizer.param_groups[0]
            assert group["lr"] == values["arch_learning_rate"]
            assert group["weight_decay"] == values["arch_weight_decay"]


# whichever way the method is named


def test_an_override_on_the_command_line_brings_the_methods_defaults():
    config = load_config({"optimizer": "darts"}, ["optimizer=gsparsity"], extensions=schema_extensions())
    assert (config.search.learning_rate, config.search.grad_clip) == (1e-3, None)
    config = load_config(
        {"optimizer": "darts", "search": {"grad_clip": 5.0}}, ["optimizer=gsparsity"], extensions=schema_extensions()
    )
    assert (config.search.learning_rate, config.search.grad_clip) == (1e-3, 5.0)  # given, though it is the shared one


@pytest.mark.parametrize("echo", [True, False])
def test_the_echo_of_a_run_with_another_method_keeps_what_was_given_only(echo: bool):
    config = _config("gsparsity", batch_size=32)
    source = yaml.safe_load(config_to_yaml(config)) if echo else config
    other = load_config(source, ["optimizer=fair_darts"], extensions=schema_extensions())
    found = {key: other.search[key] for key in ("batch_size", "learning_rate", "grad_clip", "arch_learning_rate")}
    assert found == {"batch_size": 32, "learning_rate": 0.025, "grad_clip": 5.0, "arch_learning_rate": 3e-3}
    assert load_config(source, ["optimizer=gsparsity"], extensions=schema_extensions()).search == config.search


def test_a_method_named_after_loading_has_its_defaults_where_nothing_was_given():
    config = _config("darts", arch_weight_decay=0.5)
    config.optimizer = "gsparsity"
    config.search.batch_size = 8
    assert build_optimizer(config).learning_rate == 1e-3
    assert (config.search.learning_rate, config.search.grad_clip) == (1e-3, None)  # what is echoed
    assert (config.search.arch_weight_decay, config.search.batch_size) == (0.5, 8)
    config.optimizer = "fair_darts"
    built = build_optimizer(config)
    assert (built.learning_rate, built.grad_clip, built.arch_learning_rate) == (0.025, 5.0, 3e-3)
    assert built.arch_weight_decay == 0.5


def test_a_class_that_the_config_does_not_name_has_its_own_defaults_and_leaves_the_config_alone():
    config = _config("darts")
    before = config.to_dict()
    optimizer = GSparseOptimizer(config)
    assert (optimizer.learning_rate, optimizer.grad_clip) == (1e-3, None) and config.to_dict() == before
    config.search.learning_rate = 0.5  # assigned: given
    assert GSparseOptimizer(config).learning_rate == 0.5
    assert GSparseOptimizer(config, learning_rate=0.25).learning_rate == 0.25
    assert DARTSOptimizer(_config("gsparsity")).grad_clip == 5.0
    copied = config.copy()
    copied["seed"] = 3
    assert GSparseOptimizer(copied).grad_clip is None
    assert FairDARTSOptimizer({"search": {"learning_rate": 0.1}}).arch_learning_rate == 3e-3  # no config of load_config


# optimizers of a user's own


class _Own(OneShotOptimizer):
    """Two keywords that the optimizer reads, and one that only the Trainer does."""

    def __init__(
        self, learning_rate: float = 0.125, arch_learning_rate: float = 0.5, batch_size: int = 16, **kwargs: Any
    ) -> None:
        super().__init__(learning_rate=learning_rate, arch_learning_rate=arch_learning_rate, **kwargs)


class _Child(_Own):
    """Its constructor names one of the parent's."""

    def __init__(self, arch_learning_rate: float = 0.75, **kwargs: Any) -> None:
        super().__init__(arch_learning_rate=arch_learning_rate, **kwargs)


class _Closed(GSparseOptimizer):
    """Hands nothing on: only what it names is a key."""

    def __init__(self, learning_rate: float = 0.2) -> None:
        super().__init__(learning_rate=learning_rate)


@pytest.mark.parametrize(
    ("cls", "expected"),
    [
        (_Own, {"learning_rate": 0.125, "arch_learning_rate": 0.5, "batch_size": 16}),
        (_Child, {"learning_rate": 0.125, "arch_learning_rate": 0.75, "batch_size": 16}),
    ],
)
def test_an_optimizer_of_ones_own(monkeypatch, cls: type[OneShotOptimizer], expected: dict[str, Any]):
    monkeypatch.setitem(OPTIMIZERS._entries, "own", cls)
    assert own_defaults(accepted_keywords(cls)) == expected
    config = _config("own")
    assert {key: config.search[key] for key in expected} == expected and config.notes == []
    for optimizer in (build_optimizer(config), cls(config), cls(**config.search), cls()):
        assert all(getattr(optimizer, key) == value for key, value in expected.items() if key != "batch_size")
    assert cls(learning_rate=0.0625).learning_rate == 0.0625


def test_a_constructor_that_hands_nothing_on_keeps_the_parents_defaults():
    assert own_defaults(accepted_keywords(_Closed)) == {"learning_rate": 0.2}
    optimizer = _Closed()
    assert (optimizer.learning_rate, optimizer.grad_clip) == (0.2, None)


def test_methods_take_each_keyword_that_a_config_may_give_them():
    for name in METHODS:
        cls = OPTIMIZERS.get(name)
        defaults = {key: p.default for key, p in accepted_keywords(cls).items() if p.default is not p.empty}
        assert isinstance(cls(**defaults), cls)


def test_arguments_by_position_are_where_they_were():
    assert PCDARTSOptimizer(0.5).learning_rate == 0.5 and PCDARTSOptimizer(0.5).arch_learning_rate == 6e-4
    assert FairDARTSOptimizer(0.7).threshold == 0.7


def test_a_default_that_no_file_could_hold_stays_with_the_class(monkeypatch):
    class Automatic(OneShotOptimizer):
        def __init__(self, learning_rate: Any = None, loss_criteria: Any = _Own, **kwargs: Any) -> None:
            super().__init__(learning_rate=learning_rate or 0.5, **kwargs)

    monkeypatch.setitem(OPTIMIZERS._entries, "automatic", Automatic)
    config = _config("automatic")
    assert (config.search.learning_rate, config.search.loss_criteria) == (0.025, "CrossEntropyLoss")


# the page


def _cell(value: Any) -> str:
    return "none" if value is None else str(value) if isinstance(value, str) else f"{value:g}"


def test_the_page_lists_them():
    rows = [
        f"| `{name}` | `{key}` | {_cell(value)} | {_cell(shared_default(key))} |"
        for name, own in OWN.items()
        for key, value in own.items()
    ]
    text = DOCS.read_text(encoding="utf-8")
    assert re.findall(r"^\| `\w+` \| `\w+` \| \S+ \| \S+ \|$", text, re.MULTILINE) == rows, "\n".join(rows)
    others = re.search(r"All others have the shared defaults: (.+?)\.\n", text, re.DOTALL)
    assert others and re.findall(r"`(\w+)`", others[1]) == _shared(), ", ".join(f"`{name}`" for name in _shared())
