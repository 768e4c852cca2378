"""Inheritance: the network of a trial begins with the weights of its parent's, transformed to its architecture."""

from __future__ import annotations

import math
import os
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from naslib.errors import ConfigError, HistoryError, MorphismError, did_you_mean
from naslib.history import Trial
from naslib.morphism import inherited
from naslib.search_spaces.core.decisions import Code
from naslib.search_spaces.core.fresh_network import fresh_network
from naslib.search_spaces.core.graph import Graph
from naslib.utils.log import get_logger
from naslib.utils.seeding import derive_seed

logger = get_logger(__name__)

FOLDER_NAME = "weights"
KINDS = ("morphism", "names")
KEEP = 128
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

    The best one stays, and of the others those of the latest trials and of their parents: who inherited from whom is in
    empty files `CHILD~PARENT.use`. A file is written whole or not at all, and several processes may use one folder.

    Args:
        folder: Where they are, made when it is needed; None for memory.
        maximize: Whether larger values are better.
        keep: How many there are at most.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, maximize: bool = True, keep: int = KEEP) -> None:
        self.folder, self.maximize, self.keep = None if folder is None else Path(folder), maximize, keep
        self._memory: dict[int, Kept] = {}
        self._uses: dict[int, int] = {}

    def save(self, number: int, kept: Kept) -> None:
        """Keep the network of a trial."""
        if self.folder is None:
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
            return self._memory.get(number)
        for path in self.folder.glob(f"{number}_*.pth"):
            try:
                found = torch.load(path, map_location=device, weights_only=True)
                return Kept(tuple(found["code"]), float(found["value"]), found["state"])
            except _UNREADABLE as error:
                reason = (str(error) or type(error).__name__).splitlines()[0]
                logger.warning("%s cannot be used: %s", path, reason)
        return None

    def use(self, number: int, by: int) -> None:
        """Take note that a trial inherits from the network of another one."""
        if self.folder is None:
            self._uses[by] = number
        else:
            (self.folder / f"{by}~{number}.use").touch()

    def uses(self) -> dict[int, int]:
        """Return from whose network trials have inherited, by their numbers; of the latest of them."""
        if self.folder is None:
            return dict(self._uses)
        pairs = (path.stem.split("~") for path in self.folder.glob("*~*.use"))
        return {int(child): int(parent) for child, parent in pairs}

    def values(self) -> dict[int, float]:
        """Return the values of the networks that are kept, by the numbers of their trials, in order."""
        if self.folder is None:
            return {number: self._memory[number].value for number in sorted(self._memory)}
        return dict(sorted(_said(path) for path in self.folder.glob("*_*.pth")))

    def best(self, until: int | None = None) -> int | None:
        """Return the number of the trial whose network is the best one; of equals the first. None if none is kept.

        Args:
            until: Of trials up to this number; None for all.
        """
        values = {number: value for number, value in self.values().items() if until is None or number <= until}
        sign = 1.0 if self.maximize else -1.0
        return max(values, key=lambda number: sign * values[number], default=None)

    def _make_room(self) -> None:
        there, uses = list(self.values()), self.uses()
        last = {parent: child for child, parent in sorted(uses.items())}
        oldest_first = sorted(there, key=lambda number: max(number, last.get(number, number)))
        for child in [child for child in uses if child < there[-1] - self.keep]:
            self._forget_use(child, uses[child])
        # one that trials in other processes, which began before this one, may still know as the best
        staying = {self.best(), self.best(there[-1] - self.keep * 3 // 4)}
        for number in [number for number in oldest_first if number not in staying][: max(0, len(there) - self.keep)]:
            if self.folder is None:
                del self._memory[number]
            else:
                for path in self.folder.glob(f"{number}_*.pth"):
                    path.unlink(missing_ok=True)

    def _forget_use(self, child: int, parent: int) -> None:
        if self.folder is None:
            del self._uses[child]
        else:
            (self.folder / f"{child}~{parent}.use").unlink(missing_ok=True)


def _said(path: Path) -> tuple[int, float]:
    """Return the number and the value that the name of a file says."""
    number, value = path.stem.split("_")
    return int(number), float(value)


class Begun(NamedTuple):
    """What a trial begins with.

    Attributes:
        network: The network that has inherited; None where the weights are fresh.
        how: What was done, or why nothing was.
    """

    network: nn.Module | None
    how: str


class Inheritance:
    """Let the network of a trial begin with what its parent has learned.

    A trial with a parent whose network is kept begins with that network, transformed to its architecture by the space's
    `morphed` where it has one, and by `naslib.morphism.inherit` elsewhere: the function is the parent's, but for the
    noise. Where it is not kept any more, or the architecture has not grown from the parent's, the weights are fresh.
    `user["inherited"]` has the number of the parent, or None, and `user["inheritance"]` what was done, or why nothing.

    With the kind `names` tensors are copied whose names and shapes are the parent's, and the others are fresh, as in
    the code of aw_nas; the function is another one.

    With n networks kept, a parent counts as kept if it is at most n / 2 trials back, the best one of those further
    back, or was inherited from by a trial that is between n / 4 and n / 2 back: a network that all others grow from
    stays. So what a trial begins with is no matter of how fast workers are.

    Args:
        space: The search space; not changed.
        kind: `"morphism"` or `"names"`.
        noise: On the weights of copied units, and of new layers; shares of the standard deviation of their tensor.
        maximize: Whether larger values are better.
        keep: How many networks are kept at most.

    Attributes:
        networks: Where networks are kept; in memory until a run says a folder.

    Raises:
        ConfigError: For another kind, a noise that is none, or room for no network.
    """

    def __init__(
        self, space: Graph, kind: str, noise: Sequence[float] = NOISE, maximize: bool = True, keep: int = KEEP
    ) -> None:
        place = "search.evaluator_args.inherit"
        if kind not in KINDS:
            raise ConfigError(f"{place} is {' or '.join(KINDS)}, or null, not {kind!r}{did_you_mean(str(kind), KINDS)}")
        shares = noise if isinstance(noise, list | tuple) else ()
        if len(shares) != 2 or not all(isinstance(share, int | float) and 0 <= share < math.inf for share in shares):
            raise ConfigError(f"{place}_noise is two shares from 0, of wider and of deeper layers, not {noise!r}")
        if not isinstance(keep, int) or keep < 4:
            raise ConfigError(f"{place}_keep is a number of networks, at least 4, not {keep!r}")
        self.space, self.kind, self.noise, self._keep = space, kind, (float(noise[0]), float(noise[1])), keep
        self._maximize = maximize
        self.networks = KeptNetworks(None, maximize, keep)

    def keep_in(self, folder: str | os.PathLike[str]) -> None:
        """Keep networks in a folder from now on; those that are in it count."""
        self.networks = KeptNetworks(folder, self._maximize, self._keep)

    def network(
        self, trial: Trial, seed: int, run: Callable[[], Callable[[nn.Module], Any]], device: torch.device
    ) -> Begun:
        """Return what a trial begins with, on a device.

        Args:
            trial: The trial.
            seed: Of the copies and the noise.
            run: Returns a function that runs a network on a training batch, on which batch norm of new layers is
                measured.
            device: Where it is made.
        """
        number = trial.parent
        if number is None or trial.from_epoch:  # what goes on where another trial ended is no child of it
            return Begun(None, "no parent")
        kept = self.networks.load(number, device) if self._counts(number, trial.number) else None
        if kept is None:
            return Begun(None, f"the network of trial {number} is not kept")
        self.networks.use(number, trial.number)
        parent = fresh_network(self.space, kept.code).to(device)
        parent.load_state_dict(kept.state)
        try:
            found, how = self._transformed(parent.eval(), kept.code, trial.code, seed, run, device)
        except MorphismError as error:
            logger.info("trial %d does not inherit from trial %d: %s", trial.number, number, error)
            return Begun(None, str(error))
        return Begun(found.to(device), how)

    def _counts(self, number: int, child: int) -> bool:
        """Say whether the network of a trial counts as kept when another one begins."""
        far, near = child - self._keep // 2, child - self._keep // 4
        if number >= far or number == self.networks.best(far):
            return True
        return any(far <= by <= near for by, parent in self.networks.uses().items() if parent == number)

    def _transformed(
        self,
        parent: nn.Module,
        before: Code,
        after: Code,
        seed: int,
        run: Callable[[], Callable[[nn.Module], Any]],
        device: torch.device,
    ) -> tuple[nn.Module, str]:
        morphed: Any = getattr(self.space, "morphed", None)
        generator = torch.Generator().manual_seed(derive_seed(seed, "morphism"))
        if self.kind == "names":
            return _by_names(parent, fresh_network(self.space, after).to(device))
        if callable(morphed):
            found = morphed(parent, before, after, inputs=run(), noise=self.noise, generator=generator)
            return found, "morphism"
        child = fresh_network(self.space, after).to(device)
        network, said = inherited(parent, child, noise=self.noise, generator=generator, inputs=run())
        return network, "; ".join(said) or "the same architecture"

    def keep(self, trial: Trial, network: nn.Module, value: float) -> None:
        """Keep the network of a trial, on the CPU."""
        state = {key: tensor.detach().cpu().clone() for key, tensor in network.state_dict().items()}
        self.networks.save(trial.number, Kept(trial.code, value, state))

    def describe(self) -> dict[str, Any]:
        """Return, as plain values, what must be the same for values to be comparable."""
        return {"kind": self.kind, "noise": list(self.noise), "keep": self._keep}


@torch.no_grad()
def _by_names(parent: nn.Module, child: nn.Module) -> tuple[nn.Module, str]:
    """Copy tensors whose names and shapes are the parent's, and return the child, and how many those were."""
    given, own = parent.state_dict(), child.state_dict()
    alike = [name for name, value in own.items() if name in given and given[name].shape == value.shape]
    for name in alike:
        own[name].copy_(given[name])
    return child, f"{len(alike)} of {len(own)} tensors by name"


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
