"""Compile the kernels on first use and load them, once per machine, compiler, torch and source."""

from __future__ import annotations

import hashlib
import importlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from naslib.errors import NASLibError
from naslib.utils.log import get_logger

SOURCE_FOLDER = Path(__file__).parent / "csrc"
NAME = "naslib_native"
# More flags for the compiler, behind ours: "-mno-avx512f" builds what a processor without AVX-512 would run.
EXTRA_FLAGS = "NASLIB_NATIVE_CXXFLAGS"


class NativeKernelError(NASLibError, RuntimeError):
    """The native kernels cannot be built or loaded here."""


def source_files() -> list[Path]:
    """Return the C++ files, sorted."""
    return sorted(SOURCE_FOLDER.glob("*.cpp"))


def compiler() -> str:
    """Return the C++ compiler: the first word of `CXX`, or c++.

    Raises:
        NativeKernelError: If there is none.
    """
    words = os.environ.get("CXX", "c++").split()
    path = shutil.which(words[0]) if words else None
    if path is None:
        raise NativeKernelError(f"no C++ compiler {words[0] if words else ''!r} found; install g++ or set CXX")
    return path


def cpu_flags() -> str:
    """Return what tells one instruction set from another: -march=native binaries must not travel."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    wanted = ("flags", "Features", "model name", "CPU part")
    found = {line for line in lines if line.split(":")[0].strip() in wanted}
    return "\n".join(
        [platform.machine(), torch.backends.cpu.get_cpu_capability(), platform.processor(), *sorted(found)]
    )


def compile_flags() -> list[str]:
    """Return the compiler's flags, and those of `EXTRA_FLAGS`; infinities and NaN keep their meaning."""
    native = "-march=native" if platform.machine().lower() in ("x86_64", "amd64", "i686") else "-mcpu=native"
    flags = ["-O3", native, "-Wno-psabi", *shlex.split(os.environ.get(EXTRA_FLAGS, ""))]
    # Threads come from torch's own OpenMP, already in the process: compiled against it, not linked to a second one.
    return [*flags, "-fopenmp"] if torch.backends.openmp.is_available() else flags


def build_key(compiler_path: str) -> str:
    """Return a hash of all that the binary depends on: sources, flags, compiler, torch and processor."""
    digest = hashlib.sha256()
    for path in sorted(SOURCE_FOLDER.iterdir()):
        if path.suffix in (".cpp", ".h"):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    version = subprocess.run([compiler_path, "--version"], capture_output=True, text=True, check=False).stdout
    abi = torch.compiled_with_cxx11_abi()
    for part in (*compile_flags(), compiler_path, version, torch.__version__, str(abi), cpu_flags()):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()[:16]


def cache_root() -> Path:
    """Return the folder of torch's extension cache (`TORCH_EXTENSIONS_DIR` moves it), ours inside."""
    home = os.environ.get("TORCH_EXTENSIONS_DIR")
    if home:
        return Path(home) / NAME
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "torch_extensions" / NAME


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold an exclusive lock on `folder`, released by the system even if this process is killed."""
    import fcntl

    with (folder / ".naslib.lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def load_library() -> Path:
    """Load the kernels into `torch.ops.naslib_native`, compiling them if this machine has not yet.

    Returns:
        The binary.

    Raises:
        NativeKernelError: If there is no compiler, no ninja, or the build or the loading fails.
    """
    if os.name != "posix":
        raise NativeKernelError("the native kernels are built on Linux and macOS only")
    try:
        path = compiler()
        folder = cache_root() / build_key(path)
        binary = folder / f"{NAME}.so"
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            if binary.exists():
                torch.ops.load_library(str(binary))
            else:
                _build_and_load(folder, path)
    except NativeKernelError:
        raise
    except (OSError, RuntimeError, ImportError, ValueError) as err:
        raise NativeKernelError(f"building or loading the native kernels failed: {_short(err)}") from err
    return binary


def _build_and_load(folder: Path, compiler_path: str) -> None:
    """Compile with torch's extension builder, which loads the binary too, then move that to where it is looked for."""
    if shutil.which("ninja") is None:
        raise NativeKernelError("torch builds extensions with ninja, which is not installed (pip install ninja)")
    extension = _import_builder()
    scratch = folder / "build"
    scratch.mkdir(exist_ok=True)
    # torch's own lock is a file that outlives a killed build and then blocks for ever; ours is held, so it is stale.
    (scratch / "lock").unlink(missing_ok=True)
    get_logger(__name__).info("compiling the native kernels (once; about half a minute) into %s", folder)
    with _environment(CXX=os.environ.get("CXX") or compiler_path, MAX_JOBS=os.environ.get("MAX_JOBS", "2")):
        extension.load(
            name=NAME,
            sources=[str(source) for source in source_files()],
            extra_cflags=compile_flags(),
            build_directory=str(scratch),
            is_python_module=False,
        )
    (scratch / f"{NAME}.so").replace(folder / f"{NAME}.so")
    shutil.rmtree(scratch, ignore_errors=True)


def _import_builder() -> Any:
    """Import torch's extension builder without its warning that there is no GPU."""
    name = "torch.utils.cpp_extension"
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        return importlib.import_module(name)
    finally:
        logger.setLevel(level)


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    """Set environment variables for a while: torch's builder takes its compiler from there."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _short(err: Exception) -> str:
    """Return the compiler's first complaint, or the message's first line."""
    lines = str(err).splitlines() or [repr(err)]
    return next((line for line in lines if "error" in line.lower()), lines[0]).strip()
