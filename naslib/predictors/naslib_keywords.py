"""NASLibKeywords: constructors of predictors take what NASLib's take."""

from __future__ import annotations

import inspect
import json
from abc import ABCMeta
from pathlib import Path
from typing import Any

from naslib.errors import ConfigError

# What NASLib's constructors take and has no effect here: hyperparameters of processes are always fitted, depths of
# trees are chosen by the evidence, columns of info are named where they are given
_SETTLED = (
    "optimize_gp_hyper",
    "kernel_type",
    "h",
    "num_steps",
    "zc",
    "zc_only",
    "config",
    "jacov_onehot",
    "hparams_from_file",
)


class NASLibKeywords(ABCMeta):
    """Accept, beside a class's own keywords, `ss_type`, `hpo_wrapper`, `hparams_from_file` and what is settled here.

    `hparams_from_file` names a JSON file of hyperparameters by NASLib's name of the predictor, or of them alone; False
    and None name none. Any other keyword that a class does not have is a TypeError as always.
    """

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Make the predictor, and then set what its constructor does not take."""
        takes = inspect.signature(cls).parameters
        aside = {
            name: kwargs.pop(name)
            for name in (*_SETTLED, "ss_type", "hpo_wrapper")
            if name in kwargs and name not in takes
        }
        predictor = super().__call__(*args, **kwargs)
        if aside.get("ss_type"):
            predictor.set_ss_type(aside["ss_type"])
        predictor.hpo_wrapper = bool(aside.get("hpo_wrapper", predictor.hpo_wrapper))
        if aside.get("hparams_from_file"):
            predictor.set_hyperparams(_read(Path(aside["hparams_from_file"]), cls.__name__))
        return predictor


def _read(path: Path, name: str) -> dict[str, Any]:
    """Return the hyperparameters in a file.

    Raises:
        ConfigError: If there are none.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"hparams_from_file: {path} has no hyperparameters that can be read: {error}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"hparams_from_file: {path} is no mapping of hyperparameters")
    inner = found.get(name, found)
    return dict(inner)
