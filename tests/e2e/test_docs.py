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
from doc_blocks import ROOT, Block, blocks, commands, commands_in_blocks, pages, python_of, shown_words, words
from doc_links import anchors, links
from own_data import leave_data
from page_runner import run_page
from PIL import Image

import naslib
from naslib.build import build_optimizer, main, schema_extensions
from naslib.cli.subcommands import SUBCOMMANDS
from naslib.config.find import find_config_file
from naslib.config.loader import load_config

PYTHON_PAGES = sorted({block.page for block in blocks() if block.language == "python"})
# Pages that go through runs, whose commands are run before their Python
WALKED = {"first_search", "reading_a_run", "comparing_fairly"}
# Pages that train several networks: ten seconds and more each
LONG = {"your_space", "your_optimizer", "your_task", "from_nni", "from_confopt"}
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


def _marked(page: Path) -> object:
    return pytest.param(page, marks=[pytest.mark.slow] * (page.stem in LONG), id=page.stem)


@pytest.mark.parametrize("page", [_marked(page) for page in PYTHON_PAGES if page.stem not in WALKED])
def test_python_runs_as_printed(page: Path, tmp_path: Path):
    """The blocks of a page, one after the other in one process, with the words it shows; README's in a new Python."""
    code = python_of(page)
    (tmp_path / "page.py").write_text(code, encoding="utf-8")
    words = shown_words(code)
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


def test_no_page_is_run_with_words_that_it_does_not_show():
    """A script that reads its command line shows one; everything else runs without words."""
    for page in PYTHON_PAGES:
        code = python_of(page)
        assert ("get_config_from_args()" in code) == bool(shown_words(code)), page.name
    assert shown_words("# python a.py --config b.yaml x=1  (why)\nimport c") == ["--config", "b.yaml", "x=1"]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(WALKED))
def test_a_page_that_goes_through_runs(name: str, tmp_path: Path):
    """All its commands as printed, but for installing, then its Python, in one folder."""
    page = ROOT / "docs" / f"{name}.md"
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    fenced = [words(block.text) for block in commands_in_blocks() if block.page == page]
    ran = [given for given in fenced if given[0] == "naslib"]
    assert ran and {given[0] for given in fenced} <= {"naslib", "pip"}
    start = "import sys; from naslib.cli import main; sys.exit(main())"
    for given in ran:
        command = [sys.executable, "-c", start, *given[1:]]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=1800)
        assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / "page.py").write_text(python_of(page), encoding="utf-8")
    status, printed = run_page(tmp_path, [])
    assert status == 0, printed


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
    elif program == "torchrun":  # what each rank does
        assert "--nproc-per-node" in rest
        _check_run(rest[rest.index("runner.py") + 1 :], tmp_path, monkeypatch, capsys)
    elif program == "naslib" or rest[0] == "runner.py":
        _check_run(rest[rest[0] == "runner.py" :], tmp_path, monkeypatch, capsys)
    elif rest[0] == "-m":
        _check_module(rest[1], rest[2:], monkeypatch, capsys)
    else:
        assert (ROOT / rest[0]).is_file()


def _check_run(given: list[str], folder: Path, monkeypatch, capsys) -> None:
    """Say whether the command could do what it is given: with `--dry-run`; of a subcommand, by the options it has."""
    if given[:1] == ["help"]:
        if "COMMAND" in given:
            return
        with suppress(SystemExit):
            assert main(given) == 0
        assert "usage: naslib" in capsys.readouterr().out
        return
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
    absent = ("nb101.npz", "nb201.npz", "there is no file or folder", "cannot be downloaded automatically")
    error = capsys.readouterr().err
    assert status == 0 or any(words in error for words in absent), error


def _of_the_shipped_table() -> list[Block]:
    """Return the searches in bash blocks that ask the table that comes with naslib: no data, no training, seconds."""
    found = {}
    for block in commands_in_blocks():
        given = words(block.text)
        if given[:2] == ["python", "runner.py"] and len(given) == 4:
            config = load_config(given[3], extensions=schema_extensions())
            asks = config.search_space == "nasbench201" and config.dataset == "digits"
            if asks and config.search.get("evaluator") in (None, "table") and config.evaluation.mode != "retrain":
                found[block.text] = block
    return list(found.values())


@pytest.mark.slow
def test_searches_of_the_shipped_table_run_as_printed(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NASLIB_DATA", raising=False)
    searches = _of_the_shipped_table()
    assert len(searches) >= 15
    for block in searches:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert main(words(block.text)[2:]) == 0, f"{block.name}: {capsys.readouterr().err}"
    assert len(list(tmp_path.glob("run/nasbench201/digits/*/*/summary.json"))) == len(searches)


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
    for name in ("rot", "grün"):  # what README and others call a folder of images
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(100):
            Image.new("L", (8, 8), number).save(folder / "photos" / name / f"{number}.png")


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
    """Files and headings; the first rows of a list of what is dead say enough."""
    found = [link for page in [*pages(), ROOT / "CHANGELOG.md"] for link in links(page)]
    assert len(found) >= 400 and sum(bool(link.anchor) for link in found) >= 40
    dead = [link for link in found if not link.file.exists()]
    dead += [link for link in found if link.anchor and link not in dead and link.anchor not in anchors(link.file)]
    assert [f"{link.page.relative_to(ROOT)}: {link.written}" for link in dead] == []


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("## What a run leaves", "what-a-run-leaves"),
        ("## `mepa`: *steps* and [a link](x.md)", "mepa-steps-and-a-link"),
        ("### One MixedOp, four choices, and parts", "one-mixedop-four-choices-and-parts"),
        ("## a_b and C++", "a_b-and-c"),
    ],
)
def test_the_name_of_a_heading_in_links(heading: str, anchor: str, tmp_path: Path):
    (tmp_path / "page.md").write_text(f"# Page\n\n{heading}\n\n```bash\n# no heading\n```\n\n{heading}\n")
    assert anchors(tmp_path / "page.md") == {"page", anchor, f"{anchor}-1"}


def test_the_version_in_the_changelog():
    assert f"## {naslib.__version__}" in (ROOT / "CHANGELOG.md").read_text()
