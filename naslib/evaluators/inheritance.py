"""Inheritance: the network of a trial begins with the weights of its parent's, transformed to its architecture."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from naslib.errors import ConfigError, HistoryError, MorphismError, did_you_mean
from naslib.history import Trial
from naslib.search_spaces.core.decisions import Code
from naslib.search_spaces.core.fresh_network import fresh_network
from naslib.search_spaces.core.graph import Graph
from naslib.utils.log import get_logger
from naslib.utils.seeding import derive_seed

logger = get_logger(__name__)

FOLDER_NAME = "weights"
KINDS = ("morphism",)
# What the authors of EAS add to new weights, as shares of the standard deviation of their tensor: of copied units, and
# of new layers
NOISE = (1e-2, 1e-3)
_UNREADABLE = (OSError, EOFError, RuntimeError, ValueError, KeyError, TypeError, pickle.UnpicklingError)


class Kept(NamedTuple):
    """A network after the training of its trial.

    Attributes:
        code: Its architecture.
        value: Of the first objective.
        state: Its `state_dict()`.
    """

    code: Code
    value: float
    state: dict[str, Any]


class KeptNetworks:
    """The trained networks of trials, in files `NUMBER_VALUE.pth` of a folder, or in memory; so many at most.

    The best one stays, and of the others those that were written or read last. A file is written whole or not at all,
    and several processes may use one folder.

    Args:
        folder: Where they are, made when it is needed; None for memory.
        maximize: Whether larger values are better.
        keep: How many there are at most.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, maximize: bool = True, keep: int = 64) -> None:
        self.folder, self.maximize, self.keep = None if folder is None else Path(folder), maximize, keep
        self._memory: dict[int, Kept] = {}

    def save(self, number: int, kept: Kept) -> None:
        """Keep the network of a trial."""
        if self.folder is None:
            self._memory.pop(number, None)
            self._memory[number] = kept
        else:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / f"{number}_{kept.value!r}.pth"
            temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
            torch.save({"code": list(kept.code), "value": kept.value, "state": kept.state}, temporary)
            temporary.replace(path)
            for other in self.folder.glob(f"{number}_*.pth"):
                if other != path:
                    other.unlink(missing_ok=True)
        self._make_room()

    def load(self, number: int, device: torch.device | str = "cpu") -> Kept | None:
        """Return the network of a trial; None where it is not kept (any more)."""
        if self.folder is None:
            kept = self._memory.pop(number, None)
            if kept is not None:
                self._memory[number] = kept
            return kept
        for path in self.folder.glob(f"{number}_*.pth"):
            try:
                found = torch.load(path, map_location=device, weights_only=True)
                os.utime(path)
                return Kept(tuple(found["code"]), float(found["value"]), found["state"])
            except _UNREADABLE as error:
                reason = (str(error) or type(error).__name__).splitlines()[0]
                logger.warning("%s cannot be used: %s", path, reason)
        return None

    def values(self) -> dict[int, float]:
        """Return the values of the networks that are kept, by the numbers of their trials, in order."""
        if self.folder is None:
            return {number: self._memory[number].value for number in sorted(self._memory)}
        return dict(sorted(_said(path) for path in self.folder.glob("*_*.pth")))

    def best(self) -> int | None:
        """Return the number of the trial whose network is the best one; of equals the first. None if none is kept."""
        values = self.values()
        sign = 1.0 if self.maximize else -1.0
        return max(values, key=lambda number: sign * values[number], default=None)

    def _make_room(self) -> None:
        best = self.best()
        if self.folder is None:
            others = [number for number in self._memory if number != best]
            for number in others[: max(0, len(self._memory) - self.keep)]:
                del self._memory[number]
            return
        found = []
        for path in self.folder.glob("*_*.pth"):
            try:
                found.append((path.stat().st_mtime_ns, path))
            except FileNotFoundError:  # another process was faster
                continue
        old = [path for _, path in sorted(found) if _said(path)[0] != best]
        for path in old[: max(0, len(found) - self.keep)]:
            path.unlink(missing_ok=True)


def _said(path: Path) -> tuple[int, float]:
    """Return the number and the value that the name of a file says."""
    number, value = path.stem.split("_")
    return int(number), float(value)


class Inheritance:
    """Let the network of a trial begin with what its parent has learned.

    A trial with a parent whose network is kept begins with that network, transformed to its architecture by the space's
    `morphed`: the function is the parent's, but for the noise. Where it is not kept any more, or the architecture has
    not grown from the parent's, the weights are fresh. `user["inherited"]` has the number of the parent, or None.

    Args:
        space: The search space; not changed.
        kind: `"morphism"`.
        noise: On the weights of copied units, and of new layers; shares of the standard deviation of their tensor.
        maximize: Whether larger values are better.

    Attributes:
        networks: Where networks are kept; in memory until a run says a folder.

    Raises:
        ConfigError: For another kind, a noise that is none, or a space whose networks do not say how they grow.
    """

    def __init__(self, space: Graph, kind: str, noise: Sequence[float] = NOISE, maximize: bool = True) -> None:
        place = "search.evaluator_args.inherit"
        if kind not in KINDS:
            raise ConfigError(f"{place} is {' or '.join(KINDS)}, or null, not {kind!r}{did_you_mean(str(kind), KINDS)}")
        if len(noise) != 2 or not all(isinstance(share, int | float) and 0 <= share < float("inf") for share in noise):
            raise ConfigError(f"{place}_noise is two shares from 0, of wider and of deeper layers, not {noise!r}")
        if not callable(getattr(space, "morphed", None)):
            raise ConfigError(
                f"{place}: networks of {space.get_type()} do not say how one grows from another; those of eas_cnn do"
            )
        self.space, self.kind, self.noise = space, kind, (float(noise[0]), float(noise[1]))
        self.networks = KeptNetworks(maximize=maximize)

    def network(self, trial: Trial, seed: int, inputs: Callable[[], Any], device: torch.device) -> nn.Module | None:
        """Return the network that a trial begins with, on a device; None where its weights are fresh.

        Args:
            trial: The trial.
            seed: Of the copies and the noise.
            inputs: Returns images of a training batch, on which batch norm of new layers is measured.
            device: Where it is made.
        """
        kept = self.networks.load(trial.parent, device) if trial.parent is not None else None
        if kept is None:
            if trial.parent is not None:
                logger.warning(
                    "trial %d: the network of its parent, trial %d, is not kept: its weights are fresh",
                    trial.number, trial.parent,
                )  # fmt: skip
            return None
        parent = fresh_network(self.space, kept.code).to(device)
        parent.load_state_dict(kept.state)
        generator = torch.Generator().manual_seed(derive_seed(seed, "morphism"))
        space: Any = self.space
        try:
            found: nn.Module = space.morphed(
                parent.eval(), kept.code, trial.code, inputs=inputs(), noise=self.noise, generator=generator
            )
        except MorphismError as error:
            logger.info("trial %d does not inherit from trial %s: %s", trial.number, trial.parent, error)
            return None
        return found.to(device)

    def keep(self, trial: Trial, network: nn.Module, value: float) -> None:
        """Keep the network of a trial, on the CPU."""
        state = {key: tensor.detach().cpu().clone() for key, tensor in network.state_dict().items()}
        self.networks.save(trial.number, Kept(trial.code, value, state))

    def describe(self) -> dict[str, Any]:
        """Return, as plain values, what must be the same for values to be comparable."""
        return {"kind": self.kind, "noise": list(self.noise)}


def kept_network(
    run_folder: str | os.PathLike[str], space: Graph, number: int | None = None, maximize: bool = True
) -> nn.Module:
    """Return the network of a trial with the weights that it had after its training, in evaluation mode.

    Args:
        run_folder: Of a search whose trials inherit.
        space: As it was searched; not changed.
        number: Of the trial; None for the best one that is kept.
        maximize: Whether larger values are better.

    Raises:
        HistoryError: If it is not kept.
    """
    networks = KeptNetworks(Path(run_folder) / FOLDER_NAME, maximize)
    wanted = networks.best() if number is None else number
    kept = networks.load(wanted) if wanted is not None else None
    if kept is None:
        there = ", ".join(map(str, networks.values())) or "none"
        raise HistoryError(f"{networks.folder} has no network of trial {number}; there are those of: {there}")
    network = fresh_network(space, kept.code)
    network.load_state_dict(kept.state)
    return network.eval()
