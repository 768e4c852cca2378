"""Retraining: a network from scratch, resumable, with its own checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from naslib.search_spaces.core.flops import count_macs
from naslib.search_spaces.core.graph import Graph
from naslib.tasks import Task
from naslib.tasks.joined import joined
from naslib.utils.meters import count_parameters_in_MB
from naslib.utils.renamed import renamed
from naslib.utils.seeding import rng_restore, rng_snapshot

from .checkpoint import read_newest
from .environment import describe_environment
from .evaluate import RetrainSettings, RetrainTask
from .loaders import BatchCursor
from .loop import EpochLoop, LoopSettings
from .network_args import without_auxiliary
from .phase import Phase, Saveable, resume
from .plain import to_plain
from .same_state import agree_on_state
from .sources import ReplayedSource, is_seeded
from .space_record import describe_architecture


@dataclass(frozen=True)
class Workplace:
    """Where and under which conditions a phase runs.

    Attributes:
        folder: Of its checkpoints and records.
        device: Where it runs.
        channels_last: Memory format of images.
        seed: Of the run, recorded in checkpoints.
        writer: A TensorBoard writer or None.
    """

    folder: Path
    device: torch.device
    channels_last: bool = False
    seed: int = 0
    writer: Any = None


@dataclass(frozen=True)
class Trainee:
    """A network and what trains it.

    Attributes:
        network: The network, on its device.
        optimizer: Of its weights.
        scheduler: A learning-rate schedule (see `Schedule`), or None.
        task: What is learned.
        train: Training batches.
        valid: Batches to validate on after each epoch, or None.
        remake_scheduler: Makes the schedule anew, for a resumed run whose schedule has changed its shape.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: Any
    task: Task
    train: Any
    valid: Any = None
    remake_scheduler: Callable[[], Any] | None = None


def retrain(
    trainee: Trainee,
    settings: RetrainSettings,
    checkpoints: LoopSettings,
    place: Workplace,
    fingerprint: Mapping[str, Any],
    recorded: Mapping[str, Any],
    saved: tuple[Path, Any] | None = None,
) -> float:
    """Train a network from scratch, or from a checkpoint of doing so.

    Args:
        trainee: What to train.
        settings: How.
        checkpoints: Epochs, and when to save.
        place: Where.
        fingerprint: What a checkpoint must agree with.
        recorded: Config values whose change is worth a warning.
        saved: A checkpoint that `read_newest` returned, or None.

    Returns:
        Seconds spent, over all resumptions.
    """
    passes = settings.sync_batch_norm, settings.accumulate
    trainee = replace(trainee, task=joined(trainee.task, *passes, "evaluation.accumulate"))
    cursor = BatchCursor(trainee.train, place.device, place.channels_last, "training", trainee.task)
    task = RetrainTask(
        trainee.network, trainee.optimizer, trainee.scheduler, trainee.task, trainee.valid, settings,
        place.device, place.channels_last, place.writer, place.folder / "history.json", cursor.length,
    )  # fmt: skip
    objects: dict[str, Saveable] = {"model": trainee.network, "optimizer": trainee.optimizer}
    if trainee.scheduler is not None:
        objects["scheduler"] = trainee.scheduler
    phase = Phase(
        folder=place.folder,
        checkpointables=lambda: objects,
        parts={"history": task.history},
        fingerprint=dict(fingerprint),
        environment=describe_environment(place.device, place.seed),
        settings={"seed": place.seed, **recorded},
        title="retraining",
    )
    if trainee.valid is not None and not is_seeded(trainee.valid):
        phase.parts["valid_loader"] = ReplayedSource(trainee.valid, "validation")
    if trainee.task.state_dict():
        phase.parts["task"] = trainee.task
    if task.average is not None:
        phase.parts["average"] = task.average
    loop = EpochLoop(task, phase, cursor, checkpoints)
    start = resume(phase, saved, task.begin_epoch)
    agree_on_state(phase)
    before = saved[1]["run"]["settings"] if saved is not None else {}
    task.schedule.refit(before, recorded, start, cursor.length, trainee.remake_scheduler)
    loop.run(start)
    return phase.seconds


def is_retraining_of(path: str | Path, architecture: Graph) -> bool:
    """Return whether a checkpoint of a retraining is of this architecture, rather than of one found before.

    Raises:
        CheckpointError: If neither it nor one before it can be read.
    """
    _, state = read_newest(path)
    saved = dict(state["run"]["fingerprint"].get("architecture") or {})
    if "optimizer" not in state:  # weights of the search that were kept
        return False
    return bool(saved == to_plain(describe_architecture(architecture, with_norms=False)))


def measure_size(
    architecture: Graph, sizes: Mapping[str, Any] | None, input_shape: tuple[int, ...]
) -> tuple[float, float | None]:
    """Return parameters and multiply-accumulates of the network of an architecture in millions, without auxiliary head.

    Args:
        architecture: A discrete architecture.
        sizes: Arguments of `evaluation_network`; None for the architecture itself.
        input_shape: Of one input. Multiply-accumulates are counted of images, sequences, and rows of tokens that an
            embedding reads (else None).
    """
    random_state = rng_snapshot()
    network = (
        architecture if sizes is None else architecture.evaluation_network(**without_auxiliary(architecture, sizes))
    )
    rng_restore(random_state)
    is_known = len(input_shape) in (2, 3) or any(isinstance(child, nn.Embedding) for child in network.modules())
    macs = count_macs(network, input_shape) if input_shape and is_known else None
    return count_parameters_in_MB(network), macs


if not TYPE_CHECKING:
    __getattr__ = renamed(__name__, {"Place": "Workplace"})
