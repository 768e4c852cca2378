"""Environment: on what a run runs, and what run a checkpoint is of."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from naslib.errors import CheckpointError, ConfigError
from naslib.utils.distributed import is_distributed, world_size
from naslib.utils.files import atomic_write_json
from naslib.utils.launch import Launch, launched
from naslib.utils.log import get_logger
from naslib.utils.text import differences, listed, show

from .threads import thread_reason

logger = get_logger(__name__)

_PACKAGES = ("torch", "torchvision", "numpy", "networkx", "scikit-learn")
# What must be equal for a resumed run to equal the uninterrupted one bit for bit.
_DECISIVE = ("torch", "python", "threads", "device", "world_size", "cpu_kernels", "deterministic", "tf32", "seed")


def resolve_device(name: str | torch.device = "auto") -> torch.device:
    """Return the device called `name`; "auto" is CUDA where there is one, else the CPU.

    Raises:
        ConfigError: If torch does not know the device, or this machine lacks it.
    """
    launch = launched()
    if str(name) == "auto" and not torch.cuda.is_available():
        return torch.device("cpu")
    if launch is not None and str(name).startswith(("auto", "cuda")):
        return _device_of_rank(str(name), launch)
    if str(name) == "auto":
        return torch.device("cuda")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device={name!r} is no device of torch; use auto, cpu, cuda or cuda:N") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"device={name!r}: this machine has {torch.cuda.device_count()} CUDA devices; use device=auto"
        )
    return device


def _device_of_rank(name: str, launch: Launch) -> torch.device:
    """Return the GPU of a rank: that of its number on this machine.

    Raises:
        ConfigError: If there are more ranks than GPUs, or one GPU is named for all of them.
    """
    gpus = torch.cuda.device_count()
    if ":" in name:
        raise ConfigError(
            f"device={name!r} is one GPU, and there are {launch.world} ranks: device=cuda gives each its own"
        )
    if launch.local_world > gpus:
        raise ConfigError(
            f"{launch.local_world} ranks were started on this machine, which has {gpus} GPUs: start "
            f"--nproc-per-node {max(gpus, 1)}, or compute on the CPU with device=cpu"
        )
    return torch.device("cuda", launch.local_rank)


def describe_environment(device: torch.device, seed: int) -> dict[str, Any]:
    """Return versions, device, threads and kernel settings as plain values."""
    return {
        "naslib": _version("naslib"),
        "python": platform.python_version(),
        **{package: _version(package) for package in _PACKAGES},
        "seed": int(seed),
        "device": _device_name(device),
        "world_size": world_size(),
        "backend": _backend(device),
        "threads": torch.get_num_threads(),
        "threads_reason": thread_reason(),
        "cpu": _cpu_name(),
        "cpu_count": os.cpu_count(),
        "cpu_kernels": torch.backends.cpu.get_cpu_capability(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "tf32": bool(torch.backends.cuda.matmul.allow_tf32),
        "platform": platform.platform(),
    }


def write_environment(path: Path, device: torch.device, seed: int) -> None:
    """Write `environment.json`: the environment, the git commit if there is one, and the command."""
    record = describe_environment(device, seed)
    atomic_write_json(path, {**record, "git_commit": _git_commit(), "command": typed_command()})


def typed_command() -> str:
    """Return the command of this process as a shell reads it, without the folder that the program is installed in."""
    program, *words = sys.argv or [""]
    path = Path(program)
    if path.name == "__main__.py":
        return shlex.join(["python", "-m", path.parent.name, *words])
    return shlex.join([program if path.suffix == ".py" else path.name, *words])


def compare_environment(saved: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """Return one phrase per difference that can change the last bits of a resumed run."""
    return [
        f"{key}: {saved[key]} then, {current.get(key)} now"
        for key in _DECISIVE
        if key in saved and saved[key] != current.get(key)
    ]


# Parts of a fingerprint that checkpoints of earlier versions do not have
_ADDED_LATER = ("decisions",)


def check_fingerprint(saved: Mapping[str, Any], current: Mapping[str, Any], path: Path) -> None:
    """Raise if a checkpoint is of another run.

    Args:
        saved: The fingerprint in the checkpoint.
        current: That of this run.
        path: The checkpoint, for the message.

    Raises:
        CheckpointError: Naming everything that differs.
    """
    keys = dict.fromkeys([*saved, *(key for key in current if key in saved or key not in _ADDED_LATER)])
    found = [d for key in keys for d in differences(saved.get(key), current.get(key), key)]
    if found:
        phrases = [f"{place} is {show(then)} in the checkpoint and {show(now)} here" for place, then, now in found]
        raise CheckpointError(
            f"the checkpoint {path} is of another run: {listed(phrases, 4)}. "
            "Resume with the config it was made with (config.yaml in its run folder), evaluate what the search found "
            "once more with --eval-only, or start anew in another out_dir="
        )


@functools.cache
def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _backend(device: torch.device) -> str | None:
    """Return by what several ranks exchange tensors of a device, None for a single process."""
    if not is_distributed():
        return None
    return "nccl" if device.type == "cuda" else "gloo"


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{device.type} ({torch.cuda.get_device_name(device)})"
    return device.type


@functools.cache
def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


@functools.cache
def _git_commit() -> str | None:
    """Return the commit of the checkout that naslib is imported from, marked where files were changed."""
    folder = Path(__file__).resolve().parent
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit} (changed)" if changed else commit


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=5, check=True)
    return done.stdout.strip()
