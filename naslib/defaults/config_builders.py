"""What a Trainer makes from its config; the static methods are meant to be overridden."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from naslib.data.loaders import build_eval_loaders, build_search_loaders

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
        """Return the optimizer of the retraining: SGD with momentum."""
        evaluation = config.evaluation
        return torch.optim.SGD(
            parameters,
            lr=evaluation.learning_rate,
            momentum=evaluation.momentum,
            weight_decay=evaluation.weight_decay,
        )

    @staticmethod
    def build_search_scheduler(optimizer: torch.optim.Optimizer, config: Any) -> Any:
        """Return the learning-rate schedule of the search's weights: cosine over the epochs."""
        search = config.search
        return torch.optim.lr_scheduler.CosineAnnealingLR(
            optimizer, T_max=max(int(search.epochs), 1), eta_min=search.learning_rate_min
        )

    @staticmethod
    def build_eval_scheduler(optimizer: torch.optim.Optimizer, config: Any) -> Any:
        """Return the learning-rate schedule of the retraining: cosine over the epochs."""
        evaluation = config.evaluation
        return torch.optim.lr_scheduler.CosineAnnealingLR(
            optimizer, T_max=max(int(evaluation.epochs), 1), eta_min=evaluation.learning_rate_min
        )
