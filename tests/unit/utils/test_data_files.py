"""Tests find the real tables where a user says they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from data_files import BESIDE, data_file


def test_the_folder_of_the_environment_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NASLIB_TEST_DATA", raising=False)
    monkeypatch.setenv("NASLIB_DATA", str(tmp_path))
    assert data_file("some.npz") == BESIDE / "some.npz"
    (tmp_path / "some.npz").touch()
    assert data_file("some.npz") == tmp_path / "some.npz"
    monkeypatch.setenv("NASLIB_DATA", "")
    assert data_file("some.npz") == BESIDE / "some.npz"
