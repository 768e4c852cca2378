"""NASLibKeywords: constructors of predictors take what NASLib's take."""

from __future__ import annotations

import inspect
import json
from abc import ABCMeta
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from naslib.errors import ConfigError
from naslib.registry.signatures import keywords_through, signatures
from naslib.utils.log import get_logger

logger = get_logger(__name__)

# Of keywords that have no effect here: at which value nothing is lost by that, and what is done instead
_SETTLED: dict[str, tuple[Any, str]] = {
    "optimize_gp_hyper": (True, "what a process is fitted with is always fitted; set_hyperparams fixes it"),
    "num_steps": (None, "a process is fitted until it converges"),
    "require_hyper": (False, "settings of the trainings are not read"),
    "jacov_onehot": (False, "proxies enter by their ranks"),
}
# Nothing to do about: proxies are read where info is given, and ours are given the data that NASLib reads by a config
_NEEDLESS = ("zc", "config")
# Theirs to our hyperparameters
_HYPERPARAMETERS = {"kernel_type": "kernel", "h": "h"}
_KERNELS = {"rbf": "rbf", "matern32": "matern32", "matern52": "matern52"}
_OTHER = ("ss_type", "hpo_wrapper", "hparams_from_file", "zc_only")


class NASLibKeywords(ABCMeta):
    """Accept, beside a class's own keywords, those that NASLib's constructors have.

    `ss_type`, `hpo_wrapper`, `kernel_type` and `h` have their effect; `hparams_from_file` names a JSON file of
    hyperparameters by the name of the class, or of them alone (False and None name none). What is settled otherwise
    here is said in a warning. `zc_only` is refused. Any other keyword that a class does not have is a TypeError.
    """

    @property
    def __signature__(cls) -> inspect.Signature:
        """What a class itself takes, in place of the form below."""
        parameters = list(inspect.signature(cls.__init__).parameters.values())  # type: ignore[misc]
        return inspect.Signature(parameters[1:])

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Make the predictor, and then set what its constructor does not take.

        Raises:
            ConfigError: For `zc_only`, a kernel that there is not, or a file of hyperparameters that cannot be read.
        """
        takes = keywords_through(signatures(cls))
        theirs = (*_SETTLED, *_NEEDLESS, *_HYPERPARAMETERS, *_OTHER)
        given = {name: kwargs.pop(name) for name in theirs if name in kwargs and name not in takes}
        if given.get("zc_only"):
            raise ConfigError(f"{cls.__name__} reads proxies beside the encoding, not alone: leave zc_only out")
        predictor = super().__call__(*args, **kwargs)
        for name, (harmless, instead) in _SETTLED.items():
            if name in given and given[name] != harmless:
                logger.warning("%s: %s=%r is without effect: %s", cls.__name__, name, given[name], instead)
        if given.get("ss_type"):
            predictor.set_ss_type(given["ss_type"])
        predictor.hpo_wrapper = bool(given.get("hpo_wrapper", predictor.hpo_wrapper))
        predictor.set_hyperparams(_hyperparameters(cls.__name__, given, predictor.DEFAULTS))
        if given.get("hparams_from_file"):
            predictor.set_hyperparams(_read(Path(given["hparams_from_file"]), cls.__name__))
        return predictor


def _hyperparameters(name: str, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hyperparameters that NASLib's keywords of processes mean.

    Raises:
        ConfigError: For a kernel that there is not.
    """
    found: dict[str, Any] = {}
    for theirs, ours in _HYPERPARAMETERS.items():
        value = given.get(theirs)
        if value in (None, "auto"):
            continue
        if ours not in defaults:
            logger.warning("%s: %s=%r is without effect: it has no such hyperparameter", name, theirs, value)
        elif ours == "kernel" and str(value).lower() not in _KERNELS:
            raise ConfigError(f"kernel_type of {name} is one of {', '.join(_KERNELS)}, not {value!r}")
        else:
            found[ours] = _KERNELS[str(value).lower()] if ours == "kernel" else value
    return found


def _read(path: Path, name: str) -> dict[str, Any]:
    """Return the hyperparameters in a file.

    Raises:
        ConfigError: If there are none.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"hparams_from_file: {path} has no hyperparameters that can be read: {error}") from error
    inner = found.get(name, found) if isinstance(found, dict) else None
    if not isinstance(inner, dict):
        raise ConfigError(f"hparams_from_file: {path} is no mapping of hyperparameters")
    return dict(inner)
