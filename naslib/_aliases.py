"""The module paths that stay importable: NASLib's own, and those of ours that have moved, in one table."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_ONESHOT = "naslib.optimizers.oneshot"
_METHODS = f"{_ONESHOT}.methods"
_CORE = "naslib.search_spaces.core"

# One folder for each method in NASLib; the module or package of ours that has its classes.
_NASLIB = {
    f"{_ONESHOT}.{folder}{tail}": f"{_METHODS}.{folder}"
    for folder in (
        *("darts", "gdas", "drnas", "gsparsity", "oneshot_train", "rs_ws"),
        # in the same form from the first release on, beside NASLib's
        *("binary", "darts_minus", "darts_plus", "darts_pt", "edge_popup", "enas", "fair_darts", "fair_nas"),
        *("lambda_darts", "mixed_op", "oles", "p_darts", "pc_darts", "proxylessnas", "reinmax", "robust_darts"),
        *("sdarts", "setn", "snas", "spos"),
    )
    for tail in ("", ".optimizer")
}
_SPACES = "naslib.search_spaces"
_NASLIB |= {
    f"{_SPACES}.nasbenchasr": f"{_SPACES}.nasbench_asr.graph",
    f"{_SPACES}.nasbenchasr.graph": f"{_SPACES}.nasbench_asr.graph",
    f"{_SPACES}.nasbenchnlp": f"{_SPACES}.nasbench_nlp.graph",
    f"{_SPACES}.nasbenchnlp.conversions": f"{_SPACES}.nasbench_nlp.conversions",
    f"{_SPACES}.nasbenchnlp.graph": f"{_SPACES}.nasbench_nlp.graph",
    f"{_SPACES}.transbench101.graph": _SPACES,
    "naslib.optimizers.discrete.bananas.acquisition_functions": "naslib.optimizers.discrete.model_based.acquisition",
}
# Modules of ours that have moved: a FutureWarning names the new place; the old one goes with release 0.3.
_MOVED = {
    **{
        f"{_ONESHOT}.{name}": f"{_ONESHOT}.supernet.{name}"
        for name in (
            *("base", "structure", "relaxations", "sampling", "stages", "undecided", "curvature"),
            *(
                "bilevel",
                "estimators",
                "strategy",
                "strategy_optimizer",
                "moving_average",
                "compatibility",
            ),
        )
    },
    f"{_ONESHOT}.reinforce": "naslib.optimizers.core.reward_baseline",
    f"{_ONESHOT}.supernet.reinforce": "naslib.optimizers.core.reward_baseline",
    f"{_ONESHOT}.mixture": f"{_ONESHOT}.supernet.relaxed_op",
    f"{_ONESHOT}.schedules": f"{_ONESHOT}.supernet.stage_schedules",
    f"{_ONESHOT}.state": f"{_ONESHOT}.supernet.checkpointables",
    **{
        f"{_ONESHOT}.{name}": f"{_ONESHOT}.paths.{name}"
        for name in ("evolution", "weight_sharing", "scoring", "selection", "sizes")
    },
    f"{_ONESHOT}.parts.base": f"{_ONESHOT}.supernet.part",
    f"{_ONESHOT}.drnas.dirichlet": f"{_METHODS}.drnas.dirichlet",
    f"{_ONESHOT}.enas.choices": f"{_METHODS}.enas.controller_space",
    f"{_ONESHOT}.enas.controller": f"{_METHODS}.enas.controller",
    f"{_ONESHOT}.gsparsity.prox_sgd": f"{_METHODS}.gsparsity.prox_sgd",
    f"{_ONESHOT}.p_darts.skips": f"{_METHODS}.p_darts.skips",
    f"{_ONESHOT}.proxylessnas.sampler": f"{_METHODS}.proxylessnas.sampler",
    **{
        f"{_CORE}.{name}": f"{_CORE}.kernels.{name}"
        for name in ("average_pool", "depthwise", "normalization", "pointwise", "strided")
    },
    f"{_CORE}.mixture": f"{_CORE}.kernels.weighted_sum",
}

ALIASES: dict[str, str] = {**_NASLIB, **_MOVED}
# Names that were renamed where they were, by module: found through an alias of it, with a FutureWarning.
_OF_ENAS = {"Choices": "ControllerSpace", "choices_of": "controller_space_of"}
RENAMED: dict[str, dict[str, str]] = {
    f"{_METHODS}.enas": _OF_ENAS,
    f"{_METHODS}.enas.controller_space": _OF_ENAS,
}


class _AliasLoader(Loader):
    """Make a module whose names are those of another one, read when they are asked for."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Leave it to Python."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Hand every name over to the module that the table says; the folder of a method has modules inside."""
        target = importlib.import_module(ALIASES[module.__name__])
        if module.__name__ in _MOVED:
            warnings.warn(
                f"{module.__name__} has moved to {target.__name__}; the old path goes with release 0.3",
                FutureWarning,
                stacklevel=2,
            )
        module.__doc__ = target.__doc__
        module.__getattr__ = _finder_in(target)  # type: ignore[method-assign]
        module.__dir__ = lambda: dir(target)  # type: ignore[method-assign]
        module.__all__ = [name for name in dir(target) if not name.startswith("_")]  # type: ignore[attr-defined]


def _finder_in(target: ModuleType) -> Callable[[str], Any]:
    """Return what finds the names of a module, those that it has renamed included."""
    renamed = RENAMED.get(target.__name__, {})

    def find(name: str) -> Any:
        if name not in renamed:
            return getattr(target, name)
        warnings.warn(
            f"{target.__name__}.{renamed[name]} was called {name}; the old name goes with release 0.3",
            FutureWarning,
            stacklevel=2,
        )
        return getattr(target, renamed[name])

    return find


class _AliasFinder(MetaPathFinder):
    """Find the modules of the table; asked after everything else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of an alias, None for any other name."""
        if fullname not in ALIASES:
            return None
        return ModuleSpec(fullname, _AliasLoader(), is_package=any(name.startswith(f"{fullname}.") for name in ALIASES))


def install() -> None:
    """Let the import system know the table; once, however often the package is imported."""
    if not any(type(finder).__name__ == _AliasFinder.__name__ for finder in sys.meta_path):
        sys.meta_path.append(_AliasFinder())
