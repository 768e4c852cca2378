"""What a Trainer makes from its config; the static methods are meant to be overridden."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from naslib.data.loaders import build_eval_loaders, build_search_loaders
from naslib.errors import ConfigError
from naslib.optimizers.core.metaclasses import MetaOptimizer
from naslib.training.lengths import length_of
from naslib.training.named_schedules import build_schedule
from naslib.utils.pytorch_helper import create_optimizer

from ._config_data import load_config_data, loader_options


class ConfigBuilders:
    """Loaders, optimizers and schedules of a config; a subclass of the Trainer overrides what it wants otherwise."""

    @staticmethod
    def build_search_dataloaders(config: Any) -> tuple[Any, Any, Any]:
        """Return the (train, valid, test) loaders of the search; valid is None with a train portion of 1."""
        return build_search_loaders(load_config_data(config), **loader_options(config, "search"))

    @staticmethod
    def build_eval_dataloaders(config: Any) -> tuple[Any, Any, Any]:
        """Return the (train, valid, test) loaders of the retraining."""
        return build_eval_loaders(load_config_data(config), **loader_options(config, "evaluation"))

    @staticmethod
    def build_eval_optimizer(parameters: Iterable[nn.Parameter], config: Any) -> torch.optim.Optimizer:
        """Return the optimizer of the retraining: `evaluation.op_optimizer`, SGD with momentum if that says nothing."""
        evaluation = config.evaluation
        return create_optimizer(
            evaluation.get("op_optimizer", "SGD"),
            parameters,
            lr=evaluation.learning_rate,
            momentum=evaluation.momentum,
            weight_decay=evaluation.weight_decay,
        )

    @staticmethod
    def build_search_scheduler(optimizer: torch.optim.Optimizer, config: Any) -> Any:
        """Return the learning-rate schedule of the search's weights: `search.scheduler`; None for a constant rate.

        An override may return any object with `step`, `state_dict` and `load_state_dict`, stepped after each epoch
        (see `naslib.training.schedule.Schedule` for those that are stepped otherwise). The number of steps of an epoch
        is `config.search.steps_per_epoch` while this is called, None where the loader does not tell.
        """
        return _schedule_of(optimizer, config.search)

    @staticmethod
    def build_eval_scheduler(optimizer: torch.optim.Optimizer, config: Any) -> Any:
        """Return the learning-rate schedule of the retraining, as `build_search_scheduler` does from `evaluation`."""
        return _schedule_of(optimizer, config.evaluation)


def _schedule_of(optimizer: torch.optim.Optimizer, section: Any) -> Any:
    return build_schedule(
        optimizer,
        section.get("scheduler", "cosine"),
        int(section.epochs),
        rate_min=section.learning_rate_min,
        arguments=section.get("scheduler_args"),
        warmup_epochs=int(section.get("warmup_epochs", 0)),
        steps_per_epoch=vars(section).get("steps_per_epoch"),
    )


def make_schedule(make: Callable[..., Any], optimizer: Any, config: Any, section: str, loader: Any) -> Any:
    """Return what one of the two methods above makes, and tell it how many steps an epoch of `loader` has."""
    config[section].set_hidden("steps_per_epoch", length_of(loader))
    return make(optimizer, config)


def search_schedule(optimizer: MetaOptimizer, search: Any, make: Callable[[], Any]) -> tuple[Any, Any]:
    """Return the schedule of a search's weights, and what makes it anew; None for either where there is none.

    Args:
        optimizer: The method; its own schedule goes before the config's.
        search: That section of the config.
        make: Makes the config's schedule.

    Raises:
        ConfigError: If the config asks for a schedule, and the method brings its own.
    """
    own = optimizer.build_scheduler(search.get("learning_rate_min", 0.0))
    if own is None:
        has_weights = isinstance(getattr(optimizer, "op_optimizer", None), torch.optim.Optimizer)
        return (make(), make) if has_weights else (None, None)
    asked = {"scheduler": search.get("scheduler", "cosine") != "cosine"}
    asked |= {key: bool(search.get(key)) for key in ("scheduler_args", "warmup_epochs")}
    keys = [f"search.{key}" for key, given in asked.items() if given]
    if keys:
        name = type(optimizer).__name__
        raise ConfigError(f"{', '.join(keys)}: {name} brings a schedule of its own; leave the key out")
    return own, None
