"""A stranger with a folder of images and README: every command of its section, as printed, in a fresh environment.

NASLIB_STRANGER_SITE_PACKAGES=1 takes the libraries of the environment that runs the test, in place of installing them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest
from doc_blocks import ROOT, words
from stranger_images import CLASSES, DAMAGED, write_images

SECTION = "## From a folder of images to a network in your hands"
# What of a checkout a stranger has; the tests are not among it
PARTS = ("naslib", "configs", "examples", "docs", "README.md", "LICENSE", "setup.py", "pyproject.toml", "runner.py")
# For all commands but the first, on two cores; for the first, which downloads gigabytes
SECONDS, INSTALL_SECONDS = 900, 3600


def commands_of_the_section() -> list[str]:
    """Return the commands of the section of README, as printed."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition(f"{SECTION}\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"```bash\n(.*?)```", section, re.DOTALL)
    return [line for line in block.splitlines() if line]


def test_the_section_has_the_commands_that_a_stranger_needs() -> None:
    given = [words(command) for command in commands_of_the_section()]
    assert [each[0] for each in given] == ["pip", *["naslib"] * 5, "python"]
    assert [each[1] for each in given[1:6]] == ["--config", "--config", "report", "export", "predict"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a folder with what a stranger has downloaded, and a folder of images in it."""
    folder = tmp_path / "naslib von hier"
    folder.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=ignored)
        else:
            shutil.copy(source, folder / part)
    return folder


def _environment(folder: Path) -> dict[str, str]:
    """Make a fresh virtual environment and return the variables under which its programs are found."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=120)
    bin_folder = folder / ("Scripts" if os.name == "nt" else "bin")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "NASLIB", "VIRTUAL"))}
    variables = {**kept, "PATH": f"{bin_folder}{os.pathsep}{kept['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"}
    if os.environ.get("NASLIB_STRANGER_SITE_PACKAGES") == "1":
        code = 'import sysconfig; print(sysconfig.get_path("purelib"))'
        done = subprocess.run([str(bin_folder / "python"), "-c", code], capture_output=True, text=True, check=True)
        link = Path(done.stdout.strip()) / "zz_libraries.pth"  # searched after its own packages
        link.write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    return variables


@pytest.mark.slow
def test_every_command_of_the_section_as_printed(checkout: Path, tmp_path: Path) -> None:
    new = write_images(checkout / "photos")
    variables = _environment(tmp_path / "fresh")
    printed, end = [], 0.0
    for number, command in enumerate(commands_of_the_section()):
        if number == 1:  # everything is installed
            end = time.monotonic() + SECONDS
        if "new.png" in command:
            shutil.copy(new["三"], checkout / "new.png")
        done = subprocess.run(
            command,
            shell=True,
            cwd=checkout,
            env=variables,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS if number == 0 else max(1.0, end - time.monotonic()),
        )
        said = done.stdout + done.stderr
        # the second one finds what is damaged, and says so before there is a search
        assert done.returncode == (2 if number == 1 else 0), f"{command}\n{said}"
        assert "Traceback" not in said, f"{command}\n{said}"
        printed.append(said)
        assert number > 1 or not (checkout / "run").exists()
    assert f"photos/{DAMAGED}" in printed[1]
    assert "1 of 751 images cannot be read and are left out" in printed[2]
    run = checkout / "run" / "nasbench301" / "photos" / "darts" / "1"
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    assert summary["test_accuracy"] >= 95
    assert sorted(entry["name"] for entry in summary["per_class"]) == sorted(CLASSES)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Nullen, groß" in page and "三" in page and "http://" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    exported = {path.name for path in (run / "export").iterdir()}
    assert exported >= {"network.py", "weights.safetensors", "network.onnx", "network.pt2", "preprocessing.json",
                        "classes.json", "README.md"}  # fmt: skip
    assert "naslib" not in (run / "export" / "network.py").read_text(encoding="utf-8").partition('"""')[0]
    predicted = re.search(r"^new\.png +(\S+) +([\d.]+)", printed[5], re.MULTILINE)
    by_onnx = re.search(r"^new\.png: (\S+) \(([\d.]+)\)", printed[6], re.MULTILINE)
    assert predicted is not None and by_onnx is not None
    assert predicted[1] == by_onnx[1] == "三"
    assert float(predicted[2]) == pytest.approx(float(by_onnx[2]), abs=1.01e-4)
