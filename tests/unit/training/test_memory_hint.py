"""What is said of memory before the first step."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from naslib.data import ImageData, build_search_loaders
from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import SimpleCellSearchSpace
from naslib.training import memory_hint
from naslib.training.describe import estimate_memory_mb
from naslib.training.memory_hint import say_memory
from naslib.utils import memory

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def search() -> tuple[Any, Any]:
    x = np.random.default_rng(0).integers(0, 256, (64, 3, 40, 48), dtype=np.uint8)
    data = ImageData.from_arrays("some", x, np.arange(64) % 2)
    loaders = build_search_loaders(data, batch_size=16, train_portion=0.5, seed=0)
    optimizer = DARTSOptimizer()
    optimizer.adapt_search_space(SimpleCellSearchSpace(n_classes=2, in_channels=3, channels=4))
    return optimizer, loaders


def test_images_step_and_what_is_free(
    search: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    optimizer, loaders = search
    monkeypatch.setattr(memory_hint, "free_memory", lambda: 4000 * 2**20)
    before = torch.get_rng_state()
    say_memory(optimizer, loaders, CPU)
    assert torch.equal(before, torch.get_rng_state())
    step = estimate_memory_mb(optimizer.graph, (3, 40, 48), 16)
    images = 64 * 3 * 40 * 48 / 2**20
    assert caplog.messages == [
        f"memory: about {step:.0f} MB for a step on 16 images of 3x40x48, {images:.0f} MB for all images; "
        "4000 MB are free"
    ]
    assert step > 16 * 3 * 40 * 48 * 4 / 2**20


def test_what_does_not_fit_is_a_warning_with_the_knobs(
    search: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    optimizer, loaders = search
    step = estimate_memory_mb(optimizer.graph, (3, 40, 48), 16)
    monkeypatch.setattr(memory_hint, "free_memory", lambda: int(step / 2 * 2**20))
    say_memory(optimizer, loaders, CPU)
    assert "a step will probably not fit" in caplog.text
    assert "set search.batch_size=6, or a smaller image (dataset_args.image_size)" in caplog.text


def test_a_hint_never_ends_a_run(
    search: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    optimizer, loaders = search
    buffers = [buffer.clone() for buffer in optimizer.graph.buffers()]

    def fails(*args: Any, **kwargs: Any) -> None:
        torch.rand(1)
        raise RuntimeError("not with two images")

    before = torch.get_rng_state()
    monkeypatch.setattr(optimizer.graph, "forward", fails)
    optimizer.graph.eval()
    say_memory(optimizer, loaders, CPU)
    assert caplog.messages == ["memory: what a step takes is not known (not with two images)"]
    assert not optimizer.graph.training and torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(buffers, optimizer.graph.buffers(), strict=True))
    optimizer.graph.train()


def test_small_batches_and_unknown_loaders_are_not_spoken_of(
    search: tuple[Any, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    optimizer, _ = search
    data = ImageData.from_arrays(
        "small", np.zeros((20, 8, 8), np.uint8) + np.arange(8, dtype=np.uint8), np.arange(20) % 2
    )
    say_memory(optimizer, build_search_loaders(data, batch_size=4, train_portion=0.5, seed=0), CPU)
    own = SimpleNamespace()
    say_memory(optimizer, (own, own, own), CPU)
    assert not caplog.text


@pytest.mark.parametrize(
    ("limit", "used", "expected"),
    [("max\n", "5", 3000 * 1024), ("2000000\n", "500000", 1507000), ("10", "9000", 0), (None, None, 3000 * 1024)],
)
def test_free_memory_is_what_the_kernel_and_the_group_leave(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, limit: str | None, used: str | None, expected: int
) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemFree: 100 kB\nMemAvailable:    3000 kB\n")
    if limit is not None and used is not None:
        (tmp_path / "max").write_text(limit)
        (tmp_path / "current").write_text(used)
        (tmp_path / "memory.stat").write_text("anon 5\nfile 9\ninactive_file 4000\nactive_file 3000\n")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_CGROUPS", ((tmp_path / "max", tmp_path / "current"),))
    assert memory.free_memory() == expected


def test_free_memory_where_nothing_says_it(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "none")
    monkeypatch.setattr(memory, "_CGROUPS", ())
    monkeypatch.delattr("os.sysconf")
    assert memory.free_memory() is None
