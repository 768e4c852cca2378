"""The kernels as other processors would run them: all their tests once more, compiled for fewer instructions."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from naslib import native
from naslib.native.build import EXTRA_FLAGS

X86 = platform.machine().lower() in ("x86_64", "amd64")


@pytest.mark.skipif(not native.available("auto"), reason="the native kernels cannot be built here")
@pytest.mark.skipif(not X86, reason="vectors of one width only on this kind of processor")
@pytest.mark.parametrize("flag", ["-mno-avx512f", pytest.param("-mno-avx", marks=pytest.mark.slow)])
def test_kernels_compiled_for_narrower_vectors(flag: str) -> None:
    environment = {**os.environ, EXTRA_FLAGS: flag, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-x"]
    kernels = Path(__file__).with_name("test_kernels.py")
    done = subprocess.run([*command, str(kernels)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "skipped" not in done.stdout, done.stdout[-3000:] + done.stderr[-3000:]
