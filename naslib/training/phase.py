"""Phase: everything stateful of a search or a retraining, into a checkpoint and out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from naslib.errors import CheckpointError, NASLibError, NonFiniteLossError
from naslib.utils.distributed import on_main
from naslib.utils.log import get_logger
from naslib.utils.seeding import rng_restore, rng_snapshot
from naslib.utils.text import differences, listed, shorten, show

from .checkpoint import CheckpointManager, Position, what_is_not_finite
from .environment import check_fingerprint, compare_environment
from .plain import to_plain

FORMAT = 1
START = Position(0, 0)
_RESERVED = ("run", "iteration")

logger = get_logger(__name__)


class Saveable(Protocol):
    """Anything that can save and load its state."""

    def state_dict(self) -> Any:
        """Return the state."""

    def load_state_dict(self, state_dict: Any) -> Any:
        """Take a state."""


@dataclass
class Phase:
    """What a checkpoint of one phase holds.

    Attributes:
        folder: Where the checkpoints are.
        checkpointables: Returns the stateful objects by name; they are top-level keys of the checkpoint, with "model".
        parts: Saveable helpers of the loop: history, cursors, meters.
        fingerprint: What must be the same for a checkpoint to be of this run.
        environment: What is recorded and compared with a warning.
        settings: Config values that are compared with a warning (seed, epochs, batch size ...).
        seconds: Time spent so far, over all resumptions.
        title: Name of the phase, for messages.
        unit: What an epoch is called in messages.
    """

    folder: Path
    checkpointables: Callable[[], Mapping[str, Saveable]]
    parts: dict[str, Saveable] = field(default_factory=dict)
    fingerprint: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    title: str = "search"
    unit: str = "epoch"

    def __post_init__(self) -> None:
        self.manager = CheckpointManager(self.folder)

    def capture(self, epoch: int, step: int) -> dict[str, Any]:
        """Return the checkpoint for the position (`epoch` epochs complete, and `step` steps)."""
        objects = {name: item.state_dict() for name, item in self._objects().items()}
        run = {
            "format": FORMAT,
            "epoch": epoch,
            "step": step,
            "seconds": self.seconds,
            "rng": rng_snapshot(),
            "fingerprint": self.fingerprint,
            "environment": self.environment,
            "settings": self.settings,
            "parts": {name: part.state_dict() for name, part in self.parts.items()},
        }
        return {**objects, "iteration": epoch - 1 if step == 0 else epoch, "run": run}

    def check_saveable(self) -> None:
        """Raise now, before anything is trained, if a checkpoint could not be written.

        Raises:
            CheckpointError: Naming what holds something else than tensors and plain values.
        """
        to_plain(self.capture(0, 0))

    def _objects(self) -> dict[str, Saveable]:
        objects = {name: item for name, item in self.checkpointables().items() if item is not None}
        clashes = [name for name in _RESERVED if name in objects]
        if clashes:
            raise CheckpointError(f"get_checkpointables() must not use the reserved names {', '.join(clashes)}")
        return objects

    def save_epoch(self, epoch: int) -> Path:
        """Write the checkpoint at the end of `epoch`; of several ranks rank 0 does, when all are here."""
        state = self._good_state(epoch + 1, 0)
        return on_main(lambda: self.manager.save_epoch(state, epoch))

    def save_step(self, epoch: int, step: int) -> Path:
        """Write the checkpoint after `step` steps of `epoch`."""
        state = self._good_state(epoch, step)
        return on_main(lambda: self.manager.save_step(state, epoch, step))

    def save_final(self, epochs: int) -> Path:
        """Write the checkpoint of the finished phase."""
        state = self._good_state(epochs, 0)
        return on_main(lambda: self.manager.save_final(state))

    def last_good(self) -> str:
        """Return the words that name the newest checkpoint that is intact and finite."""
        return f"the last good checkpoint is {self.manager.describe_good(none='none, as none was written yet')}"

    def _good_state(self, epoch: int, step: int) -> dict[str, Any]:
        state = self.capture(epoch, step)
        broken = what_is_not_finite(state)
        if broken:
            raise NonFiniteLossError(
                f"{self.title}: {broken} became NaN or infinite before step {step} of epoch {epoch} (counted from 0); "
                f"nothing was saved, {self.last_good()}. A smaller learning rate or grad_clip may help"
            )
        return state

    def check_run(self, state: Mapping[str, Any], path: Path) -> None:
        """Raise unless `state` is of this run: same space and sizes, optimizer, data set and classes.

        Raises:
            CheckpointError: Naming what differs.
        """
        run = state["run"]
        if run.get("format") != FORMAT:
            raise CheckpointError(f"{path} has format {run.get('format')}, this version reads format {FORMAT}")
        check_fingerprint(run["fingerprint"], to_plain(self.fingerprint), path)

    def check(self, state: Mapping[str, Any], path: Path) -> None:
        """Raise unless `state` is a complete checkpoint of this run; warn of what differs without harm.

        Raises:
            CheckpointError: Naming the differing fingerprint, or the missing and unexpected keys.
        """
        self.check_run(state, path)
        run = state["run"]
        _compare_keys(set(self._objects()), set(state) - set(_RESERVED), path)
        _compare_keys(set(self.parts), set(run["parts"]), path)
        different = compare_environment(run["environment"], to_plain(self.environment))
        settings = to_plain(self.settings)
        for key, value in run["settings"].items():
            if key in settings:
                changed = differences(value, settings[key], key)
                different += [f"{place}: {show(then)} then, {show(now)} now" for place, then, now in changed]
        if different:
            logger.warning(
                "resuming %s under other conditions, so the result may differ: %s", path.name, listed(different, 12)
            )

    def restore(self, state: Mapping[str, Any], path: Path) -> Position:
        """Load a checkpoint that passed `check`; the random state is the checkpoint's."""
        run = state["run"]
        for name, item in self._objects().items():
            _load(item, state[name], name, path)
        for name, part in self.parts.items():
            _load(part, run["parts"][name], name, path)
        self.seconds = run["seconds"]
        rng_restore(run["rng"])
        return Position(run["epoch"], run["step"])


def resume(phase: Phase, saved: tuple[Path, Any] | None, begin_epoch: Callable[[int], Any]) -> Position:
    """Load a checkpoint into a phase, if there is one, and return where the phase stands.

    Args:
        phase: The phase.
        saved: What `read_newest` returned, or None.
        begin_epoch: Called first with a half-done epoch, for what it sets beside the checkpoint's content.

    Raises:
        CheckpointError: If the checkpoint is of another run, or incomplete.
    """
    if saved is None:
        return START
    path, state = saved
    phase.check(state, path)
    if state["run"]["step"]:
        begin_epoch(state["run"]["epoch"])
    position = phase.restore(state, path)
    steps = f" and {position.step} steps" if phase.unit == "epoch" else ""
    logger.info("resuming from %s: %d %ss%s are done", path, position.epoch, phase.unit, steps)
    return position


def load_model_only(objects: Mapping[str, Saveable], state: Mapping[str, Any], path: Path) -> None:
    """Load the stateful objects of a checkpoint and leave random state, history and position alone."""
    missing = sorted(set(objects) - set(state))
    if missing:
        raise CheckpointError(f"the checkpoint {path} lacks {listed(missing)}")
    for name, item in objects.items():
        _load(item, state[name], name, path)


def _load(item: Saveable, state: Any, name: str, path: Path) -> None:
    try:
        item.load_state_dict(state)
    except NASLibError:
        raise
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise CheckpointError(f"the checkpoint {path} does not fit at {name!r}: {shorten(str(error), 600)}") from error


def _compare_keys(expected: set[str], found: set[str], path: Path) -> None:
    problems = []
    if expected - found:
        problems.append(f"lacks {listed(sorted(expected - found))}")
    if found - expected:
        problems.append(f"has the unexpected {listed(sorted(found - expected))}")
    if problems:
        raise CheckpointError(f"the checkpoint {path} {' and '.join(problems)}")
