"""Run record: what a run leaves in its folder, the same from the command and from Python."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch

from naslib.config.run_folder import check_free, echo_config, holds_results, move_away, prepare_run_folder
from naslib.search_spaces.core.graph import Graph
from naslib.utils.distributed import is_main, on_main
from naslib.utils.lock import RunLock
from naslib.utils.log import get_logger, logging_to

from .checkpoint import CheckpointManager, DamagedCheckpoint
from .confusion_picture import confusion_pictures, draw_confusion
from .environment import write_environment
from .export import NetworkRecord
from .pictures import draw_arch_weights, draw_cells
from .plain import describe_values
from .report import write_genotype, write_summary, write_summary_file
from .retrain import is_retraining_of
from .space_pictures import draw_choices
from .tensorboard import write_pictures, write_result

logger = get_logger(__name__)

SUMMARY = "summary.json"
# In which folders an optimizer of this process has searched
_searched_in: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()


class RunRecord:
    """Write what a run leaves beside its checkpoints and its history: config, log, environment, outcome, pictures.

    Of several ranks rank 0 writes, and the others hear what came of it; all call the same methods.

    Args:
        config: The config; its `save` is the run folder.
        remark: Lines on what the config does not say (own loaders, an own search space ...), "" for none.

    Attributes:
        folder: The run folder.
        prelude: Seconds that were spent on the run before it began to work in its folder.
    """

    def __init__(self, config: Any, remark: str = "") -> None:
        self.config, self.remark = config, remark
        self.folder = Path(config.save)
        self.prelude = 0.0
        self._worked = 0.0
        self._entered: list[float] = []
        self._has_begun = False
        self._writer: Any = None

    @property
    def seconds(self) -> float:
        """How long this process has worked on the run so far."""
        running = time.perf_counter() - self._entered[0] if self._entered else 0.0
        return self.prelude + self._worked + running

    def make_room(self, optimizer: Any) -> None:
        """See to it that a search that begins anew overwrites nothing.

        What the same optimizer object has left there (a cell of a notebook that runs again) moves to `<folder>.1`.

        Raises:
            RunFolderError: If a run of anything else is there, or another process works in the folder.
        """
        on_main(partial(self._make_room, optimizer))

    def _make_room(self, optimizer: Any) -> None:
        folders = _searched_in.setdefault(optimizer, set())
        here = str(self.folder.resolve())
        if here in folders and holds_results(self.folder):
            prepare_run_folder(self.config, overwrite=True)
            self._has_begun = False
        else:
            with RunLock(self.folder):
                check_free(self.folder)
        folders.add(here)

    @contextmanager
    def working(self, device: torch.device, title: str, writer: Any = None) -> Iterator[Any]:
        """Hold the folder, log to its `log.log`, and yield the TensorBoard writer; may be entered within itself.

        Args:
            device: Where the run works.
            title: What it is, for the log.
            writer: A TensorBoard writer of the caller; one of the folder's own is made, and closed, if None.

        Raises:
            RunFolderError: If another process works in the folder.
        """
        self._entered.append(time.perf_counter())
        try:
            with ExitStack() as stack:
                on_main(partial(self._enter, stack, device, title))
                if not is_main():
                    writer = None
                elif writer is None:
                    writer = _summary_writer(self.folder)
                    stack.callback(writer.close)
                self._writer = writer
                yield writer
        finally:
            started = self._entered.pop()
            if not self._entered:
                self._worked += time.perf_counter() - started

    def _enter(self, stack: ExitStack, device: torch.device, title: str) -> None:
        stack.enter_context(RunLock(self.folder))
        stack.enter_context(logging_to(self.folder / "log.log"))
        self._begin(device, title)

    def _begin(self, device: torch.device, title: str) -> None:
        if self._has_begun:
            return
        self._has_begun = True
        self.echo()
        self._write_environment(device)
        logger.info("%s; everything goes to %s", title, self.folder)

    def echo(self) -> None:
        """Write `config.yaml` as the config is now, once the run has begun in its folder."""
        if self._has_begun:
            echo_config(self.config, describe_values(self.config), self.remark)

    def write_environment(self, device: torch.device) -> None:
        """Write `environment.json`, which says the number of threads as it is now."""
        if is_main():
            self._write_environment(device)

    def _write_environment(self, device: torch.device) -> None:
        write_environment(self.folder / "environment.json", device, int(self.config.get("seed", 0)))

    def write_architecture(self, architecture: Any, is_found: bool) -> None:
        """Write genotype and pictures; those of what a search found stay beside an architecture that was given."""
        if isinstance(architecture, Graph):
            on_main(partial(self._write_architecture, architecture, is_found))

    def _write_architecture(self, architecture: Graph, is_found: bool) -> None:
        if not is_found and CheckpointManager(self.folder / "search").candidates():
            return
        write_genotype(self.folder, architecture)
        pictures = [*draw_cells(architecture, self.folder), *draw_choices(architecture, self.folder)]
        if is_found:
            pictures += draw_arch_weights(self.folder)
        write_pictures(self._writer, pictures)

    def write_network(self, network: NetworkRecord) -> None:
        """Write `eval/network.json`."""
        on_main(partial(network.write, self.folder / "eval"))

    def begun_evaluation(self, architecture: Graph, keep: bool) -> str:
        """Return the checkpoint of an evaluation to go on with, "" for none; another evaluation is moved aside.

        Args:
            architecture: What is to be evaluated.
            keep: Whether to go on with an evaluation of it.
        """
        return on_main(partial(self._begun_evaluation, architecture, keep))

    def _begun_evaluation(self, architecture: Graph, keep: bool) -> str:
        newest = CheckpointManager(self.folder / "eval").newest()
        if newest is None:
            return ""
        why = ""
        if keep:
            try:
                if is_retraining_of(newest, architecture):
                    return str(newest)
                why = ", as it is of another architecture"
            except DamagedCheckpoint as error:
                logger.warning("%s", error)
                why = ", as none of its checkpoints can be read"
        aside = move_away(self.folder / "eval")
        if (self.folder / SUMMARY).is_file():  # it tells of that evaluation
            (self.folder / SUMMARY).rename(aside / SUMMARY)
        for picture in confusion_pictures(self.folder):
            picture.rename(aside / picture.name)
        logger.info("the previous evaluation was moved to %s%s; the architecture is evaluated anew", aside, why)
        return ""

    def write_summary(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """Write `summary.json`, log it as a table once there is an evaluation, and return it.

        What the file says of an earlier evaluation of the same architecture stays, where this summary has none.
        """
        return on_main(partial(self._write_summary, summary))

    def _write_summary(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        content = dict(summary)
        is_evaluated = content["evaluation_mode"] is not None
        if not is_evaluated:
            before = _read(self.folder / SUMMARY)
            if before.get("genotype") == json.loads(json.dumps(content["genotype"])):
                content |= {key: value for key, value in before.items() if _says_nothing(content.get(key))}
        if is_evaluated:
            write_summary(self.folder, content)
            write_pictures(self._writer, draw_confusion(self.folder, content))
            write_result(self._writer, content, describe_values(self.config))
        else:
            write_summary_file(self.folder, content)
        return content


def _says_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, Mapping) and all(map(_says_nothing, value.values())))


def _read(path: Path) -> dict[str, Any]:
    """Return a JSON object, {} where there is none or it cannot be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _summary_writer(folder: Path) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder / "tensorboard"))
