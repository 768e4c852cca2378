"""What a Trainer reads from its config, and the batches it works on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch

from naslib.data.info import DatasetInfo
from naslib.optimizers.core.metaclasses import MetaOptimizer
from naslib.tasks import Task, check_weights
from naslib.tasks.joined import check_accumulate
from naslib.training.fit import check_fits, warn_of_imbalance
from naslib.training.lengths import check_batches
from naslib.training.loaders import look_at
from naslib.training.run_record import RunRecord
from naslib.training.shares import check_not_shared_out
from naslib.training.threads import settle_threads

from ._config_data import settle_cutout, uses_channels_last
from ._config_task import config_task, evaluation_task
from .config_builders import ConfigBuilders


class TrainerSettings(ConfigBuilders):
    """A Trainer's optimizer, config and device, and what it is told by them."""

    optimizer: MetaOptimizer
    config: Any
    device: torch.device
    record: RunRecord
    _own_loaders: tuple[Any, Any, Any] | None
    _given_task: Any
    _task: Task | None
    _seen: list[Any]
    # what there is to say of the data set of the config, once its loaders were built
    _about: Mapping[str, Any] = MappingProxyType({})

    @property
    def task(self) -> Task:
        """What learning means; what the data set declares is known once its loaders were built."""
        return self._task if self._task is not None else config_task(self.config, self.optimizer, self._given_task)

    def settle_task(self, info: Any = None) -> Task:
        """Settle which task the run has, and let the optimizer search for what does it best; return the task.

        Args:
            info: The data set (`DatasetInfo`), None where nothing is known of it.

        Raises:
            ConfigError: If the task and the loss do not go together.
        """
        if self._task is None:
            self._task = config_task(self.config, self.optimizer, self._given_task, info)
            warn_of_imbalance(self._task, info)
            self.optimizer.check_task(self._task)
            passes = int(self.config.get("evaluation", {}).get("accumulate", 1))
            check_accumulate(self._task, passes, "evaluation.accumulate")
            self._task.to(self.device)
            self.optimizer.use_task(self._task)
        return self._task

    @property
    def data_record(self) -> dict[str, Any] | None:
        """What a summary says of the data: items of each part, what was chosen and left out, classes and weights."""
        if not self._about:
            return None
        weights = getattr(self._task, "class_weights", None)
        return {**self._about, "class_weights": None if weights is None else list(weights)}

    def _evaluation_task(self, architecture: Any) -> Task:
        """Return the task of the retraining: that of the search, or with a loss of its own."""
        found = evaluation_task(self.settle_task(), self.config, self.optimizer, architecture, self._given_task)
        return found.to(self.device)

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

    def _loaders(
        self, build: Callable[[Any], Any], saved: Any, epochs: int = 1, retrains: bool = False
    ) -> tuple[Any, Any, Any]:
        """Return (train, valid, test): the user's, or those of the config with the seed of the checkpoint.

        The task is settled, and the first batches that are needed last are compared with it now.
        """
        if self._own_loaders is not None:
            train, valid, tests = self._own_loaders
        else:
            config = self.config
            seed = self._seed() if saved is None else saved[1]["run"]["settings"].get("seed", self._seed())
            if seed != self._seed():
                config = config.copy()
                config["seed"] = seed
            train, valid, tests = tuple(build(config))[:3]
        for loader, name in ((train, "training"), (valid, "validation"), (tests, "test")):
            check_not_shared_out(loader, name)
        info = getattr(train, "info", None)
        self._about = getattr(tests, "about", {})
        declared = info if self._own_loaders is None and isinstance(info, DatasetInfo) else None
        if declared is not None and (settle_cutout(self.config, declared) or self._about.get("chosen")):
            self.record.echo()
        task = self.settle_task(info)
        check_weights(task)
        if self._own_loaders is None:
            check_fits(self.optimizer.space, info, task)
        check_batches({"training": train, "validation": valid, "test": tests}, epochs)
        tests = self._looked_at(tests, "test")
        if retrains:  # the search looks at its own before it takes a step
            valid = self._looked_at(valid, "validation")
        if self._own_loaders is not None:
            self._own_loaders = (train, valid, tests)
        return train, valid, tests

    def _looked_at(self, loader: Any, name: str) -> Any:
        """Return a loader whose first batch was compared with the task; ours, which were made for it, are not asked."""
        if loader is None or getattr(loader, "info", None) is not None or any(loader is seen for seen in self._seen):
            return loader
        batch, loader = look_at(loader, self.task, name)
        self._seen.append(loader)
        if self.task.input_shape is None:
            self.task.input_shape = self.task.shape_of(batch)
        return loader

    def _flag(self, name: str) -> Any:
        """Return what the command line said besides the config: `resume`, `eval_only`, `model_path`."""
        return getattr(self.config, name, None)
