"""What README and docs print is right: Python runs as printed, YAML is a config, commands do what they are given."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import runpy
import subprocess
import sys
import warnings
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from doc_blocks import ROOT, Block, blocks, commands, pages, words
from own_data import leave_data
from page_runner import run_page

import naslib
from naslib.build import build_optimizer, main, schema_extensions
from naslib.cli.subcommands import SUBCOMMANDS
from naslib.config.find import find_config_file
from naslib.config.loader import load_config

# So that the words of the page run in seconds: nothing else is changed
TINY = ["search.epochs=1", "evaluation.epochs=1", "search_space_args={cells: 2, nodes: 1, channels: 4}"]
TINY += ["evaluation.channels=4", "evaluation.cells=2", "search.batch_size=256", "evaluation.batch_size=256"]
PYTHON_PAGES = sorted({block.page for block in blocks() if block.language == "python"})
YAML = [block for block in blocks() if block.language == "yaml"]
# Subcommands whose next word is one again
NESTED = {"bench", "data"}
# Words that stand for something
PLACEHOLDERS = {"FILE", "key=value", "...", "DIR"}


def _name(block: object) -> str:
    return block.name if isinstance(block, Block) else str(block)


def test_every_block_is_of_a_kind_that_is_tested():
    assert len(blocks()) >= 25 and len(YAML) >= 18 and len(PYTHON_PAGES) >= 3 and len(commands()) >= 20
    assert {block.language for block in blocks()} <= {"python", "yaml", "bash", "text"}
    for page in pages():
        assert page.read_text(encoding="utf-8").count("```") % 2 == 0, page


@pytest.mark.parametrize("page", PYTHON_PAGES, ids=lambda page: page.stem)
def test_python_runs_as_printed(page: Path, tmp_path: Path):
    """The blocks of a page, one after the other in one process, with its words; the README's in a new Python."""
    code = "\n".join(block.text for block in blocks() if block.page == page and block.language == "python")
    (tmp_path / "page.py").write_text(code, encoding="utf-8")
    words = ["--config", "darts.yaml", *TINY]
    if page.stem != "README":
        status, printed = run_page(tmp_path, words)
        assert status == 0, printed
        assert "ERROR" not in printed
        return
    command = [sys.executable, "page.py", *words]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ERROR" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("page", "status", "printed"),
    [
        ("import sys\nprint(__name__, sys.argv[1:])\n", 0, "__main__ ['word']"),
        ("print(torch.zeros(1))", 1, "NameError: name 'torch' is not defined"),
        ("import matplotlib\nmatplotlib.pyplot.figure()", 1, "AttributeError: module 'matplotlib' has no"),
        ("import data_files", 1, "ModuleNotFoundError"),  # of the tests
        ("import sys\nprint('naslib' in sys.modules, 'conftest' in sys.modules)", 0, "False False"),
        ("import sys\nsys.exit('no such file')", 1, "no such file"),
        ("import os\nprint('last words')\nos.kill(os.getpid(), 6)", -6, "last words"),
        (
            "import multiprocessing\n\n\ndef double(x):\n    return 2 * x\n\n\nif __name__ == '__main__':\n"
            "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n        print(pool.map(double, [21]))",
            0,
            "[42]",
        ),
    ],
)
def test_a_page_is_run_as_a_program_of_its_own(page: str, status: int, printed: str, tmp_path: Path):
    (tmp_path / "page.py").write_text(page, encoding="utf-8")
    found = run_page(tmp_path, ["word"], seconds=60)
    assert found[0] == status and printed in found[1], found


def test_a_page_that_does_not_end_is_killed_with_what_it_has_started(tmp_path: Path):
    child = "import time; time.sleep(600)"
    words = f"import subprocess, sys\nchild = subprocess.Popen([sys.executable, '-c', {child!r}])\nprint(child.pid)"
    (tmp_path / "page.py").write_text(f"{words}\nchild.wait()", encoding="utf-8")
    status, printed = run_page(tmp_path, [], seconds=2)
    assert status == -9
    state = Path(f"/proc/{int(printed)}/stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"


@pytest.mark.parametrize("block", YAML, ids=_name)
def test_yaml_is_a_config(block: Block, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table.json").write_text('{"entries": {"Zero-input:1": 0.5}, "fixed": 0.0, "input_shape": [1, 8, 8]}')
    (tmp_path / "block.yaml").write_text(block.text)
    config = load_config("block.yaml", extensions=schema_extensions())
    assert not config.notes
    build_optimizer(config)


@pytest.mark.parametrize("block", YAML, ids=_name)
def test_yaml_that_names_a_file_is_in_that_file(block: Block):
    named = re.search(r"# configs/([\w/]+\.yaml)$", block.text.splitlines()[0])
    if named is None:
        return
    shown = yaml.safe_load(block.text)
    file = yaml.safe_load((ROOT / "configs" / named[1]).read_text(encoding="utf-8"))
    assert _differences(shown, file) == []


def _differences(shown: object, file: object, path: str = "") -> list[str]:
    """Return the dotted keys whose values differ; a page may leave keys of the file out."""
    if not isinstance(shown, dict) or not isinstance(file, dict):
        return [] if shown == file else [path]
    return [found for key in shown for found in _differences(shown[key], file.get(key, ...), f"{path}.{key}")]


@pytest.mark.parametrize("block", {block.text: block for block in commands()}.values(), ids=_name)
def test_command(block: Block, tmp_path: Path, monkeypatch, capsys):
    program, *rest = words(block.text)
    if program == "pip":
        extras = re.findall(r"\.\[(\w+)\]", block.text)
        assert rest[0] == "install" and all(f'"{extra}"' in (ROOT / "setup.py").read_text() for extra in extras)
    elif program == "pytest":
        assert "pytest-xdist" in (ROOT / "setup.py").read_text()
    elif program == "naslib" or rest[0] == "runner.py":
        _check_run(rest[rest[0] == "runner.py" :], tmp_path, monkeypatch, capsys)
    elif rest[0] == "-m":
        _check_module(rest[1], rest[2:], monkeypatch, capsys)
    else:
        assert (ROOT / rest[0]).is_file()


def _check_run(given: list[str], folder: Path, monkeypatch, capsys) -> None:
    """Say whether the command could do what it is given: with `--dry-run`; of a subcommand, by the options it has."""
    if given and given[0] in SUBCOMMANDS:
        with suppress(SystemExit):
            main([*given[: 1 + (given[0] in NESTED)], "--help"])
        help_text = capsys.readouterr().out
        assert all(word.partition("=")[0] in help_text for word in given if word.startswith("--")), help_text
        return
    if PLACEHOLDERS & set(given) or given in (["-m"], []):
        return
    monkeypatch.chdir(folder)
    _leave_architectures(folder)
    if any(re.match(r"(dataset|test_sets)=.*(birds|ages|faces|scans|signals)", word) for word in given):
        leave_data(folder)
    if {"--help", "--print-schema", "--version"} & set(given):
        with suppress(SystemExit):  # as argparse ends these
            assert main(given) == 0
        assert capsys.readouterr().out
        return
    monkeypatch.setenv("NASLIB_DATA", str(folder))
    status = main([word.replace("=DIR", f"={folder}") for word in given] + ["--dry-run"])
    # a page that tells how to search a table also says where to get it, and one about runs and files names some of the
    # reader's: they are not here
    absent = ("nb101.npz", "nb201.npz", "there is no file or folder")
    error = capsys.readouterr().err
    assert status == 0 or any(words in error for words in absent), error


def _leave_architectures(folder: Path) -> None:
    """Put where pages say that they are: what a run of darts.yaml found, and a file of genotypes."""
    edges = "[('sep_conv_3x3', 0), ('skip_connect', 1), ('max_pool_3x3', 0), ('sep_conv_5x5', 2)"
    four = f"{edges}, ('sep_conv_3x3', 1), ('dil_conv_3x3', 0), ('skip_connect', 0), ('sep_conv_3x3', 3)]"
    cell = "Genotype(normal={0}, normal_concat=[{1}], reduce={0}, reduce_concat=[{1}])"
    (folder / "genotypes.py").write_text(f"DARTS_V2 = {cell.format(four, '2, 3, 4, 5')}\n")
    run = folder / "run" / "nasbench301" / "digits" / "darts" / "1"
    run.mkdir(parents=True)
    found = {"search_space": "nasbench301", "genotype": cell.format(edges + "]", "2, 3")}
    (run / "genotype.json").write_text(json.dumps(found))


def _check_module(module: str, given: list[str], monkeypatch, capsys) -> None:
    """Say whether a module that is run has the options it is given."""
    if module == "naslib":
        return
    assert importlib.util.find_spec(module) is not None, module
    monkeypatch.setattr(sys, "argv", [module, "--help"])
    with suppress(SystemExit), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of runpy, where the module is imported already
        runpy.run_module(module, run_name="__main__")
    shown = capsys.readouterr().out
    assert [word for word in given if word.startswith("--") and word not in shown] == []


def test_the_table_of_overrides_in_the_readme():
    """Every word of the table can be added to the command above it."""
    table = re.search(r"^\| what \| add \|\n(.*?)\n\n", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert table is not None
    cells = re.findall(r"`'?([^`]+?)'?`", "\n".join(row.split("|")[2] for row in table[1].splitlines()))
    overrides = [cell for cell in cells if not cell.startswith("--")]
    assert len(overrides) >= 12
    for override in overrides:
        load_config(
            "darts.yaml", override.split(" ") if "=" not in override else [override], extensions=schema_extensions()
        )


def test_every_config_that_a_page_names_is_there():
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages())
    named = set(re.findall(r"(?:configs/|--config )([\w/]+\.yaml)", text))
    assert len(named) >= 5
    for name in named:
        assert find_config_file(name).is_file()


def test_links_lead_somewhere():
    for page in pages():
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}"


def test_the_version_in_the_changelog():
    assert f"## {naslib.__version__}" in (ROOT / "CHANGELOG.md").read_text()
