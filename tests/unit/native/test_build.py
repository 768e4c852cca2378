"""Building, caching and doing without: the kernels are optional."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest
import torch

from naslib import native
from naslib.errors import ConfigError
from naslib.native import availability, build


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> availability._Library:
    """Forget what this process knows about the library."""
    library = availability._Library()
    monkeypatch.setattr(availability, "_LIBRARY", library)
    return library


def fail() -> Path:
    raise native.NativeKernelError("no C++ compiler 'c++' found; install g++ or set CXX")


def test_off_compiles_nothing(fresh: availability._Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(availability, "load_library", fail)
    assert native.available("off") is False
    assert fresh.error is None


def test_auto_says_once_why_not(
    fresh: availability._Library, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(availability, "load_library", fail)
    with caplog.at_level(logging.INFO, logger="naslib"):
        assert [native.available("auto") for _ in range(3)] == [False] * 3
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1
    assert "no C++ compiler" in lines[0]


def test_on_raises_and_names_the_way_out(fresh: availability._Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(availability, "load_library", fail)
    with pytest.raises(native.NativeKernelError, match=r"no C\+\+ compiler.*native=auto"):
        native.available("on")


def test_unknown_mode() -> None:
    with pytest.raises(ConfigError, match="did you mean 'auto'"):
        native.available("atuo")


def test_without_the_library_every_function_is_pytorch(
    fresh: availability._Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(availability, "load_library", fail)
    x, d, p = torch.randn(2, 16, 6, 6), torch.randn(16, 1, 3, 3), torch.randn(16, 16, 1, 1)
    expected = torch.nn.functional.conv2d(x.relu(), d, padding=1, groups=16)
    torch.testing.assert_close(native.relu_depthwise(x, d, 1, 1, 1), expected)
    expected = torch.nn.functional.batch_norm(torch.nn.functional.conv2d(expected, p), None, None, training=True)
    torch.testing.assert_close(native.sep_branch(x, d, p, None, None, 0.1, 1e-5, True, 1, 1, 1), expected)
    branch = native.Branch(x, [native.Stage(d, p, padding=1)])
    mixed = native.mixed_node([branch], [x], torch.tensor([0.5, 2.0]), training=True)
    torch.testing.assert_close(mixed, 0.5 * expected + 2 * x)
    torch.testing.assert_close(native.weighted_sum([x, x], torch.tensor([0.5, 2.0])), 2.5 * x)


def test_compiler_comes_from_cxx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler-here")
    with pytest.raises(native.NativeKernelError, match="no-such-compiler-here"):
        build.compiler()


def test_missing_ninja_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "ninja" else "/usr/bin/c++")
    monkeypatch.setattr(build, "build_key", lambda path: "key")
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    with pytest.raises(native.NativeKernelError, match="ninja"):
        build.load_library()
    assert not (tmp_path / build.NAME / "key" / f"{build.NAME}.so").exists()


def test_broken_binary_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(build, "build_key", lambda path: "key")
    monkeypatch.setattr(build, "compiler", lambda: "c++")
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    folder = tmp_path / build.NAME / "key"
    folder.mkdir(parents=True)
    (folder / f"{build.NAME}.so").write_bytes(b"not a library")
    with pytest.raises(native.NativeKernelError, match="failed"):
        build.load_library()


def test_key_follows_processor_flags_and_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    keys = {build.build_key(compiler)}
    assert keys == {build.build_key(compiler)}
    with monkeypatch.context() as patch:
        patch.setattr(build, "cpu_flags", lambda: "another processor")
        keys.add(build.build_key(compiler))
    with monkeypatch.context() as patch:
        patch.setattr(torch, "__version__", "0.0")
        keys.add(build.build_key(compiler))
    with monkeypatch.context() as patch:
        patch.setattr(build, "compile_flags", lambda: ["-O0"])
        keys.add(build.build_key(compiler))
    assert len(keys) == 4


def test_sources_are_there() -> None:
    assert [path.name for path in build.source_files()] == ["depthwise.cpp", "mixed_node.cpp", "weighted_sum.cpp"]
