"""Make optimizers and loss criteria of torch by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn

from naslib.errors import ConfigError, UnknownNameError, did_you_mean
from naslib.utils.log import get_logger

logger = get_logger(__name__)

_OPTIMIZER_ALIASES = {"momentum": "SGD", "sparceadam": "SparseAdam"}
_CRITERION_ALIASES = {
    "ce": "CrossEntropyLoss",
    "bce": "BCELoss",
    "bcelogits": "BCEWithLogitsLoss",
    "mae": "L1Loss",
    "kl": "KLDivLoss",
}
_ANY = (inspect.Parameter.VAR_KEYWORD,)


def _plain(name: str) -> str:
    """Return the letters and digits of `name` in lower case."""
    return "".join(char for char in name.lower() if char.isalnum())


def optimizer_names() -> dict[str, type[torch.optim.Optimizer]]:
    """Return the optimizers of `torch.optim` by their class names."""
    found = {name: getattr(torch.optim, name) for name in sorted(vars(torch.optim))}
    base = torch.optim.Optimizer
    return {n: c for n, c in found.items() if inspect.isclass(c) and issubclass(c, base) and c is not base}


def criterion_names() -> dict[str, type[nn.Module]]:
    """Return the loss criteria of `torch.nn` by their class names."""
    found = {name: getattr(nn, name) for name in sorted(vars(nn)) if name.endswith("Loss")}
    return {n: c for n, c in found.items() if inspect.isclass(c) and issubclass(c, nn.Module)}


def find_optimizer(name: str) -> type[torch.optim.Optimizer]:
    """Return the optimizer class called `name` (`"SGD"`, `"adam_w"` ...), case-insensitively.

    Raises:
        UnknownNameError: If torch has none; the message names the nearest.
    """
    return _find(name, optimizer_names(), _OPTIMIZER_ALIASES, "optimizer of torch.optim", suffix="")


def find_criterion(name: str) -> type[nn.Module]:
    """Return the criterion class called `name` (`"CrossEntropyLoss"`, `"cross_entropy"`, `"mse"` ...) in any case.

    Raises:
        UnknownNameError: If torch has none; the message names the nearest.
    """
    return _find(name, criterion_names(), _CRITERION_ALIASES, "loss criterion of torch.nn", suffix="loss")


def _find(name: str, found: Mapping[str, Any], aliases: Mapping[str, str], kind: str, suffix: str) -> Any:
    """Return the entry of `found` that `name` means."""
    plain = _plain(str(name))
    by_plain = {_plain(key): key for key in found}
    for candidate in (plain, plain + suffix):
        if candidate in by_plain:
            return found[by_plain[candidate]]
    if plain in aliases:
        return found[aliases[plain]]
    raise UnknownNameError(f"unknown {kind} {name!r}{did_you_mean(str(name), found)} (known: {', '.join(found)})")


def create_optimizer(
    opt: str | Callable[..., torch.optim.Optimizer],
    params: Iterable[Any],
    lr: float = 0.025,
    weight_decay: float = 0.0,
    **kwargs: Any,
) -> torch.optim.Optimizer:
    """Make an optimizer.

    Args:
        opt: A name of `torch.optim` in any case, an optimizer class, or any callable that makes one.
        params: Parameters or parameter groups, in the order in which their state is saved.
        lr: Learning rate.
        weight_decay: Weight decay.
        **kwargs: Further keywords (`momentum`, `betas`, `nesterov` ...). What this optimizer does not take is left out.

    Raises:
        UnknownNameError: If torch has no optimizer of that name.
        ConfigError: If a keyword is known to no optimizer of torch, or a value is refused.
    """
    cls = find_optimizer(opt) if isinstance(opt, str) else opt
    if not callable(cls):
        raise ConfigError(f"expected the name or the class of an optimizer, got {opt!r}")
    accepted = inspect.signature(cls).parameters
    takes_all = any(parameter.kind in _ANY for parameter in accepted.values())
    if not takes_all:
        known = {key for other in optimizer_names().values() for key in inspect.signature(other).parameters}
        unknown = [key for key in kwargs if key not in known | set(accepted)]
        if unknown:
            raise ConfigError([f"no optimizer takes {key!r}{did_you_mean(key, known)}" for key in unknown])
    wanted = {"lr": lr, "weight_decay": weight_decay, **kwargs}
    used = {key: value for key, value in wanted.items() if takes_all or key in accepted}
    name = getattr(cls, "__name__", repr(cls))
    if weight_decay and "weight_decay" not in used:
        logger.warning("%s has no weight decay: weight_decay=%g has no effect", name, weight_decay)
    try:
        return cls(list(params), **used)
    except (TypeError, ValueError) as err:
        raise ConfigError(f"{name}({', '.join(f'{k}={v!r}' for k, v in used.items())}): {err}") from err


def create_criterion(crit: str | Callable[..., Any], **kwargs: Any) -> Callable[..., Any]:
    """Make a loss criterion.

    Args:
        crit: A name of `torch.nn` in any case, with or without its "Loss"; a criterion class; or a ready module or
            function, which is returned as it is.
        **kwargs: Keywords of the criterion (`reduction`, `label_smoothing` ...).

    Raises:
        UnknownNameError: If torch has no criterion of that name.
        ConfigError: If the criterion does not take a keyword.
    """
    cls: Any = find_criterion(crit) if isinstance(crit, str) else crit
    if not callable(cls):
        raise ConfigError(f"expected the name or the class of a loss criterion, got {crit!r}")
    if not inspect.isclass(cls):
        if kwargs:
            raise ConfigError(f"the criterion {crit!r} is ready-made and takes no keywords, got {', '.join(kwargs)}")
        return cls
    accepted = inspect.signature(cls).parameters
    if not any(parameter.kind in _ANY for parameter in accepted.values()):
        unknown = [key for key in kwargs if key not in accepted]
        if unknown:
            raise ConfigError([f"{cls.__name__} takes no {key!r}{did_you_mean(key, accepted)}" for key in unknown])
    try:
        made: Any = cls(**kwargs)
    except (TypeError, ValueError) as err:
        raise ConfigError(f"{cls.__name__}: {err}") from err
    return made
