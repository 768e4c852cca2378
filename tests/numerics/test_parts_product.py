"""The product of parts, methods and options: each effect survives in company, or the company is refused beforehand."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from observed_search import Search
from option_figures import OPTION_FIGURES, OPTION_VALUES
from part_figures import PART_FIGURES, PARTS_KEYWORDS

from naslib.build import build_trainer, schema_extensions
from naslib.config.loader import load_config
from naslib.errors import ConfigError
from naslib.native import available
from naslib.optimizers import OPTIMIZERS, OneShotOptimizer
from naslib.optimizers.oneshot.parts import PARTS
from naslib.optimizers.oneshot.parts.early_stopping import CRITERIA
from naslib.optimizers.oneshot.supernet.compatibility import OPTIONS

PARTS_KNOWN = sorted(PARTS.names())
NAMES = [name for name in OPTIMIZERS.names() if name not in ("proxyless", "oneshot", "rsws", "rs_ws")]  # short forms
METHODS = sorted({OPTIMIZERS.get(name): name for name in NAMES}.values())
METHODS = [name for name in METHODS if issubclass(OPTIMIZERS.get(name), OneShotOptimizer)]
METHODS = [name for name in METHODS if not OPTIMIZERS.get(name).OWN_SPACE]  # these have tests of their own
SKIPS = {"criterion": "skip_dominance", "skips": 2}

# One method of each kind, with keywords that make a single step show something
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "mixture": ("darts", {}),
    "draw": ("gdas", {}),
    "gates": ("proxylessnas", {}),
    "policy gradient": ("proxylessnas", {"update": "reinforce", "n_networks": 3}),
    "controller": ("enas", {"controller_aggregate": 1}),
    "path": ("spos", {"recalibration_batches": 0}),
    "single level": ("snas", {"tau_last": 1.0}),
}
DRAWING = {"perturbation", "perturbation_selection", "layer_alignment", "early_stopping"}
UNTRAINED = {"cost", "edge_normalization", "latency", "operation_early_stopping", "warm_up", "zero_one_loss"}
# Parts that a kind of method cannot have; early_stopping stands for its eigenvalue
REFUSED: dict[str, set[str]] = {
    "mixture": set(),
    "draw": DRAWING,
    "gates": DRAWING,
    "policy gradient": DRAWING | {"edge_normalization", "zero_one_loss", "operation_early_stopping"},
    "controller": DRAWING
    | {"edge_normalization", "zero_one_loss", "operation_early_stopping", "progressive_shrinking"},
    "path": DRAWING | UNTRAINED | {"progressive_shrinking"},
    "single level": {"perturbation", "operation_early_stopping"},
}
# The other methods: what they are like, and what else they refuse (or do not, with a minus); a new one belongs here
OTHERS: dict[str, tuple[str, set[str]]] = {
    **{name: ("mixture", set()) for name in ("darts_minus", "darts_pt", "lambda_darts", "oles", "pc_darts")},
    **{name: ("mixture", set()) for name in ("sdarts_adv", "sdarts_rs")},
    **{name: ("mixture", {"progressive_shrinking"}) for name in ("darts_plus", "robust_darts")},
    "metadapt": ("mixture", {"progressive_shrinking", "early_stopping"}),
    **{name: ("mixture", {"perturbation"}) for name in ("drnas", "fair_darts")},
    "p_darts": ("mixture", {"early_stopping", "progressive_shrinking"}),
    **{name: ("draw", set()) for name in ("reinmax", "edge_popup", "mixed_op")},
    **{name: ("gates", set()) for name in ("binary", "binary_masked", "binary_proxyless_style")},
    "binary_moving_average": ("gates", {"progressive_shrinking"}),
    **{name: ("path", set()) for name in ("fair_nas", "ofa", "one_shot", "random_nas", "gsparsity")},
    "te_nas": ("path", set(PARTS_KNOWN)),
    "setn": ("path", {f"-{name}" for name in UNTRAINED | {"early_stopping"}}),
}
# Keywords by which one step of a method on the small space shows something
KEYWORDS: dict[str, dict[str, Any]] = {
    **{name: keywords for kind, (name, keywords) in KINDS.items() if kind != "policy gradient"},
    "p_darts": {"added_cells": [0], "skip_dropout": [0.0], "warm_up_epochs": 0, "max_skips": None},
}
OWN_PARTS = {"pc_darts": {"warm_up": {"epochs": 0}}}
PAIRS = list(itertools.permutations(PARTS_KNOWN, 2))
# Two parts that add a term to one loss stand for the others, of which `cost` knows as little
QUICK_PAIRS = [pair for pair in PAIRS if "cost" not in pair or set(pair) == {"cost", "latency"}]


def _search(name: str, parts: tuple[str, ...], keywords: dict | None = None) -> Search:
    given = {part: dict(PARTS_KEYWORDS[part]) for part in parts}
    own = {part: values for part, values in OWN_PARTS.get(name, {}).items() if part not in given}
    return Search(OPTIMIZERS.get(name), {**KEYWORDS.get(name, {}), **(keywords or {})}, {**own, **given})


def _needs_compiler(*options: str) -> None:
    if "native" in options and not available("auto"):
        pytest.skip("the native kernels cannot be compiled here")


def _refused(search: Search) -> str:
    """Return the reason for which a search cannot be built, empty where it can."""
    try:
        search.build(epoch=0)
    except ConfigError as error:
        return str(error)
    return ""


def _refused_by(name: str) -> set[str]:
    """Return the parts that a method refuses."""
    kind, more = OTHERS.get(name) or next((kind, set()) for kind, (other, _) in KINDS.items() if other == name)
    return {part for part in REFUSED[kind] | more if not part.startswith("-") and f"-{part}" not in more}


def _check(search: Search, part: str, refused: set[str]) -> None:
    """Measure a part, or see that it is refused with a reason."""
    if part in refused:
        reason = _refused(search)
        assert re.search(rf"{part} does not fit \w+: |\w+ does not fit {part}: ", reason)
        if part != "early_stopping":
            return
        search.parts["early_stopping"] = SKIPS
        reason = _refused(search)
        if reason:
            assert "does not fit" in reason and "early_stopping" in reason
            return
    PART_FIGURES[part](search)


@pytest.fixture(autouse=True)
def _double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


# what there is


def test_the_product_is_as_large_as_it_is_said_to_be():
    """A new part, option or method needs a figure, or its place among the kinds."""
    assert set(PART_FIGURES) == set(PARTS_KEYWORDS) == set(PARTS_KNOWN) and len(PARTS_KNOWN) == 14
    assert set(OPTION_FIGURES) == set(OPTION_VALUES) == set(OPTIONS) and len(OPTIONS) == 6
    assert set(OTHERS) | {name for name, _ in KINDS.values()} == set(METHODS) and len(METHODS) >= 32
    assert len(PAIRS) == 182 and len(KINDS) == 7 and set(REFUSED) == set(KINDS)


# what the docs say


def _asked(name: str, parts: dict[str, dict], keywords: dict[str, Any]) -> bool:
    """Say whether a method refuses parts and keywords, by its declarations alone."""
    try:
        OPTIMIZERS.get(name)(parts=parts, **keywords).check_combination()
    except ConfigError:
        return True
    return False


def test_the_table_in_the_docs_is_that_of_the_code():
    lines = (Path(__file__).parents[2] / "docs" / "optimizers.md").read_text(encoding="utf-8").splitlines()
    start = lines.index("## What goes together")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start:] if line.startswith("| `")]
    told = {tuple(re.findall("`(.*?)`", row[0])): re.findall("`(.*?)`", row[-1]) for row in rows}
    assert len(told) >= 15 + 3
    asked = {(part,): {part: dict(PARTS_KEYWORDS[part])} for part in PARTS_KNOWN if part != "early_stopping"}
    asked |= {("early_stopping", kind): {"early_stopping": {"criterion": kind}} for kind in CRITERIA}
    for key, parts in asked.items():
        assert told[key] == [name for name in METHODS if _asked(name, parts, {})], key
    pairs = {
        frozenset(pair) for pair in PAIRS if _asked("darts", {part: dict(PARTS_KEYWORDS[part]) for part in pair}, {})
    }
    assert pairs == {frozenset({"early_stopping", *told["early_stopping",]})}
    options = {"unrolled: true": OPTION_VALUES["unrolled"], "hessian: exact": OPTION_VALUES["hessian"]}
    for key, keywords in options.items():
        refusing = [part for part in PARTS_KNOWN if _asked("darts", {part: dict(PARTS_KEYWORDS[part])}, keywords)]
        assert [word for word in told[key,] if word in PARTS_KNOWN] == refusing
        assert [name for name in METHODS if not _asked(name, {}, keywords)] == ["darts"] == told[key,][:1]
    others = set(OPTIONS) - {"unrolled", "hessian"}
    assert not any(_asked(name, {}, OPTION_VALUES[option]) for name in METHODS for option in others)


def test_what_the_docs_say_about_variants():
    def more(name: str, keywords: dict[str, Any]) -> set[str]:
        both = ({}, keywords)
        found = [
            {part for part in PARTS_KNOWN if _asked(name, {part: dict(PARTS_KEYWORDS[part])}, given)} for given in both
        ]
        return found[1] ^ found[0]

    reinforced = {"edge_normalization", "operation_early_stopping"}
    assert more("proxylessnas", {"update": "reinforce"}) == reinforced | {"zero_one_loss"}
    assert more("mixed_op", {"gradient": "reinforce"}) == reinforced
    assert more("mixed_op", {"sampler": "all", "forward": "p", "gradient": "autodiff"}) == DRAWING
    assert more("edge_popup", {"train_weights": False}) == {"operation_early_stopping"}
    assert more("darts_pt", {"train_architecture": False}) == UNTRAINED | {"early_stopping", "progressive_shrinking"}


def test_a_config_is_refused_before_its_data_is_read(tmp_path: Path):
    text = "dataset: digits\noptimizer: {}\nsearch_space: simple_cell\nsearch: {}\n"
    for optimizer, search, reason in (
        ("gdas", "{parts: {perturbation: {}}}", "perturbation does not fit GDASOptimizer: it draws some operations"),
        ("spos", "{parts: {warm_up: {}}}", "warm_up does not fit SPOSOptimizer: it has no architecture parameters"),
        ("snas", "{unrolled: true}", "unrolled=True does not fit SNASOptimizer: it has no second-order step"),
    ):
        path = tmp_path / f"{optimizer}.yaml"
        path.write_text(text.format(optimizer, search), encoding="utf-8")
        config = load_config(path, extensions=schema_extensions())
        with pytest.MonkeyPatch.context() as patch, pytest.raises(ConfigError, match=reason):
            patch.setattr("naslib.build.build_dataset", None)
            build_trainer(config)


# pairs of parts on the mixture


@pytest.mark.parametrize(
    ("first", "second"),
    [pair if pair in QUICK_PAIRS else pytest.param(*pair, marks=pytest.mark.slow) for pair in PAIRS],
)
def test_pairs_of_parts_on_a_mixture(first: str, second: str):
    search = _search("darts", (first, second))
    if {first, second} == {"early_stopping", "progressive_shrinking"}:
        assert "progressive_shrinking does not fit early_stopping: it may return" in _refused(search)
        return
    PART_FIGURES[first](search)
    PART_FIGURES[second](search)


# options


@pytest.mark.parametrize("part", PARTS_KNOWN)
@pytest.mark.parametrize("option", OPTIONS)
def test_options_with_parts_on_a_mixture(option: str, part: str):
    _needs_compiler(option)
    search = _search("darts", (part,), OPTION_VALUES[option])
    if (option, part) in {("unrolled", "operation_early_stopping"), ("hessian", "operation_early_stopping")}:
        reason = "operation_early_stopping does not fit unrolled=True: its gradient is that at other weights"
        assert reason in _refused(search)
        return
    OPTION_FIGURES[option](search)
    if option != "amp":  # the part's figure is in float64
        PART_FIGURES[part](search)


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(OPTIONS, 2)))
def test_options_with_options(first: str, second: str):
    _needs_compiler(first, second)
    search = _search("darts", (), {**OPTION_VALUES[first], **OPTION_VALUES[second]})
    if {first, second} == {"hessian", "checkpoint_cells"}:
        assert "hessian=exact does not fit checkpoint_cells=True: what is computed again" in _refused(search)
        return
    if "amp" not in (first, second):
        OPTION_FIGURES[first](search)
    elif first == "amp":
        OPTION_FIGURES["amp"](search)


# kinds of methods, and all of them


@pytest.mark.parametrize("part", PARTS_KNOWN)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "mixture"])
def test_parts_on_each_kind_of_method(kind: str, part: str):
    name, keywords = KINDS[kind]
    _check(_search(name, (part,), keywords), part, REFUSED[kind])


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_options_on_each_kind_of_method(kind: str, option: str):
    name, keywords = KINDS[kind]
    _check_option(_search(name, (), {**keywords, **OPTION_VALUES[option]}), option)


def _check_option(search: Search, option: str) -> None:
    _needs_compiler(option)
    if option in ("unrolled", "hessian") and search.cls.__name__ != "DARTSOptimizer":
        assert f"unrolled=True does not fit {search.cls.__name__}: it has no second-order step" in _refused(search)
        return
    OPTION_FIGURES[option](search)


def test_hessian_without_unrolled_is_refused():
    for name in METHODS:
        assert "hessian=exact does not fit" in _refused(_search(name, (), {"hessian": "exact"}))


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS_KNOWN)
@pytest.mark.parametrize("name", METHODS)
def test_parts_on_every_method(name: str, part: str):
    _check(_search(name, (part,)), part, _refused_by(name))


@pytest.mark.slow
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", METHODS)
def test_options_on_every_method(name: str, option: str):
    _check_option(_search(name, (), OPTION_VALUES[option]), option)


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), PAIRS)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "mixture"])
def test_pairs_of_parts_on_each_kind_of_method(kind: str, first: str, second: str):
    name, keywords = KINDS[kind]
    search = _search(name, (first, second), keywords)
    refused = {first, second} & REFUSED[kind]
    if refused or {first, second} == {"early_stopping", "progressive_shrinking"}:
        reason = _refused(search)
        assert all(f"{part} does not fit {search.cls.__name__}: " in reason for part in refused) and reason
        return
    PART_FIGURES[first](search)
    PART_FIGURES[second](search)
