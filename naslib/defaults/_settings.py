"""What a Trainer reads from its config, and the batches it works on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from naslib.optimizers.core.metaclasses import MetaOptimizer
from naslib.training.fit import check_fits
from naslib.training.lengths import check_batches
from naslib.training.threads import settle_threads

from ._config_data import uses_channels_last
from .config_builders import ConfigBuilders


class TrainerSettings(ConfigBuilders):
    """A Trainer's optimizer, config and device, and what it is told by them."""

    optimizer: MetaOptimizer
    config: Any
    device: torch.device
    _own_loaders: tuple[Any, Any, Any] | None

    def _unit(self) -> str:
        """Return what an entry of the history is: an epoch of training, or the evaluation of an architecture."""
        return "epoch" if self.optimizer.using_step_function else "evaluation"

    def _settle_threads(self, saved: Any) -> None:
        """Set the number of threads: the config's, that of the checkpoint that is continued, or what is fastest."""
        recorded = saved[1]["run"]["environment"].get("threads") if saved is not None else None
        settle_threads(self.config.get("threads", "auto"), recorded, self.device)

    def _seed(self) -> int:
        return int(self.config.get("seed", 0))

    def _steps(self) -> int:
        return int(self.config.search.get("checkpoint_steps", 0))

    def _channels_last(self) -> bool:
        return uses_channels_last(self.device, self.config.search.get("channels_last", "auto"))

    def _loaders(self, build: Callable[[Any], Any], saved: Any, epochs: int = 1) -> tuple[Any, Any, Any]:
        """Return (train, valid, test): the user's, or those of the config with the seed of the checkpoint."""
        if self._own_loaders is not None:
            train, valid, tests = self._own_loaders
        else:
            config = self.config
            seed = self._seed() if saved is None else saved[1]["run"]["settings"].get("seed", self._seed())
            if seed != self._seed():
                config = config.copy()
                config["seed"] = seed
            train, valid, tests = tuple(build(config))[:3]
            check_fits(self.optimizer.space, getattr(train, "info", None))
        check_batches({"training": train, "validation": valid, "test": tests}, epochs)
        return train, valid, tests

    def _flag(self, name: str) -> Any:
        """Return what the command line said besides the config: `resume`, `eval_only`, `model_path`."""
        return getattr(self.config, name, None)
