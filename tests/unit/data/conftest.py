"""Keep the tests of data away from the user's folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from naslib.data import ImageData, ImageSet


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user-cache"))
    monkeypatch.delenv("NASLIB_CACHE", raising=False)
    monkeypatch.delenv("NASLIB_DATA", raising=False)
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")


@pytest.fixture
def colour_data() -> ImageData:
    """Return 103 + 20 random colour images of 16x16 in 4 classes."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (123, 3, 16, 16), dtype=np.uint8)
    y = np.arange(123) % 4
    return ImageData.from_arrays("colour", x[:103], y[:103], x[103:], y[103:], flip=True)


@pytest.fixture
def grey_set() -> ImageSet:
    """Return one 8x8 image of 64 different grey levels, 4,000 times."""
    image = (torch.randperm(64, generator=torch.Generator().manual_seed(1)) + 100).to(torch.uint8).view(1, 1, 8, 8)
    return ImageSet(image.expand(4000, 1, 8, 8).contiguous(), torch.arange(4000) % 2)
