"""Small searches for tests of the training package: a config, loaders and an optimizer that take milliseconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from small_spaces import mlp_space
from torch.utils.data import DataLoader, TensorDataset

from naslib.config.loader import load_config
from naslib.defaults.trainer import Trainer
from naslib.optimizers import DARTSOptimizer
from naslib.utils.seeding import set_seed

WIDTH, CLASSES = 6, 3


def config_for(folder: Path, **search: Any) -> Any:
    """Return a config whose run folder is `folder`."""
    section = {"epochs": 3, "batch_size": 8, "checkpoint_freq": 1, **search}
    evaluation = {"epochs": 2, "batch_size": 8, "checkpoint_freq": 1, "train_portion": 1.0, "cutout": False}
    config = load_config({"dataset": "digits", "device": "cpu", "search": section, "evaluation": evaluation})
    config.save = str(folder)
    return config


def tensors(n: int, seed: int) -> TensorDataset:
    """Return a learnable toy data set."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, WIDTH, generator=generator)
    return TensorDataset(x, (x[:, :CLASSES].argmax(dim=1)))


def loaders(n: int = 40, shuffle: bool = True) -> dict[str, Any]:
    """Return keyword arguments of a Trainer with loaders of our own."""
    return {
        "train_loader": DataLoader(tensors(n, 0), batch_size=8, shuffle=shuffle),
        "valid_loader": DataLoader(tensors(24, 1), batch_size=8, shuffle=shuffle),
        "test_loader": DataLoader(tensors(16, 2), batch_size=8),
    }


def small_trainer(folder: Path, *, seed: int = 0, optimizer: Any = None, own: Any = None, **search: Any) -> Trainer:
    """Return a trainer of a DARTS search on `mlp_space`, everything seeded."""
    set_seed(seed)
    config = config_for(folder, **search)
    optimizer = optimizer or DARTSOptimizer(learning_rate=0.1, arch_learning_rate=0.05)
    optimizer.adapt_search_space(mlp_space(WIDTH, CLASSES, batch_norm=True), config.dataset)
    return Trainer(optimizer, config, **(loaders() if own is None else own))


def load(path: Path) -> Any:
    """Read a checkpoint."""
    return torch.load(path, weights_only=True)


def differences(a: Any, b: Any, where: str = "") -> list[str]:
    """Return where two nested states differ in any bit, wall-clock fields and the environment aside."""
    if where.endswith(
        (".clock", ".environment", ".history.runtime", ".history.train_time", ".run.seconds", ".seconds")
    ):
        return []
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        same = a.dtype == b.dtype and a.shape == b.shape and torch.equal(a.nan_to_num(7.25), b.nan_to_num(7.25))
        return [] if same else [where]
    if type(a) is not type(b):
        return [f"{where}: {type(a)} {type(b)}"]
    if isinstance(a, dict):
        if list(a) != list(b):
            return [f"{where}: keys {list(a)} {list(b)}"]
        return [d for key in a for d in differences(a[key], b[key], f"{where}.{key}")]
    if isinstance(a, list | tuple):
        if len(a) != len(b):
            return [f"{where}: lengths {len(a)} {len(b)}"]
        return [d for i, (x, y) in enumerate(zip(a, b, strict=True)) for d in differences(x, y, f"{where}[{i}]")]
    return [] if a == b else [f"{where}: {a} {b}"]
