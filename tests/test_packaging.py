"""What is built to be given away: the sdist is a checkout, the wheel finds its configs and kernels."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# What README names, and by which suffixes
TREES = {
    "naslib": (".py", ".cpp", ".h", ".npz", ".typed", ".html", ".css", ".js"),
    "tests": (".py",),
    "docs": (".md", ".png", ".svg", ".py", ".css"),
    "examples": (".py", ".ipynb"),
    "configs": (".yaml",),
    "benchmarks": (".py", ".md", ".csv", ".png"),
}
FILES = ["README.md", "CHANGELOG.md", "LICENSE", "runner.py", "setup.py", "pyproject.toml", ".ci/run"]
FILES += ["mkdocs.yml", ".ci/docs"]


def _files(folder: str, suffixes: tuple[str, ...]) -> set[str]:
    return {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*") if path.suffix in suffixes}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the sdist and, in `lib`, what a wheel installs."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", str(folder)]
    command += ["sdist", "--dist-dir", str(folder), "build_py", "--build-lib", str(folder / "lib")]
    env = {**os.environ, "PYTHONWARNINGS": "ignore"}
    subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, timeout=300)
    return folder


def test_the_sdist_holds_what_the_readme_names(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        held = {name.partition("/")[2] for name in file.getnames()}
    expected = {*FILES, *(name for folder, suffixes in TREES.items() for name in _files(folder, suffixes))}
    assert len(expected) > 400
    assert sorted(expected - held) == []
    assert not [name for name in held if "__pycache__" in name or name.endswith(".pyc")]


def test_the_wheel_holds_configs_and_kernels(built: Path) -> None:
    package = built / "lib" / "naslib"
    configs = {f"configs/{path.relative_to(package / '_configs').as_posix()}" for path in package.rglob("*.yaml")}
    assert configs == _files("configs", (".yaml",))
    found = {f"naslib/{path.relative_to(package).as_posix()}" for path in package.rglob("*") if path.suffix != ".yaml"}
    assert sorted(_files("naslib", TREES["naslib"]) - found) == []
    assert not (built / "lib" / "tests").exists()


def test_the_metadata(built: Path) -> None:
    metadata = HeaderParser().parsestr((built / "naslib.egg-info" / "PKG-INFO").read_text(encoding="utf-8"))
    assert metadata["License-Expression"] == "Apache-2.0" and metadata["License"] is None
    assert metadata["Requires-Python"] == ">=3.11"
    page = metadata.get_payload()
    assert "one line the space" in page
    # a package page has no files beside it
    assert [target for target in re.findall(r"\]\(([^)]+)\)", page) if "://" not in target] == []
