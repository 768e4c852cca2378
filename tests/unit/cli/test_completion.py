"""`naslib completion`: what may follow, and that bash, zsh and fish ask for it and put it into the line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from terminal import Terminal

import naslib
from naslib.cli.candidates import candidates
from naslib.cli.command import main
from naslib.cli.completion import SCRIPTS
from naslib.cli.subcommands import SUBCOMMANDS
from naslib.config.find import shipped_configs

ROOT = Path(naslib.__file__).resolve().parents[1]


def _found(line: str) -> list[str]:
    return candidates(line.split(" "))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run, a config of one's own, and a command `naslib` in bin/."""
    run = tmp_path / "run" / "nasbench301" / "digits" / "darts" / "1"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text("seed: 1\n")
    (tmp_path / "mine.yaml").write_text("optimizer: gdas\n")
    (tmp_path / "notes.txt").write_text("")
    command = tmp_path / "bin" / "naslib"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m naslib "$@"\n')
    command.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_commands_come_first():
    assert _found("") == [f"{name} " for name in ("run", *SUBCOMMANDS, "help")]
    assert _found("comple") == ["completion "] and _found("help dr") == ["draw "]
    assert _found("bench ") == ["build ", "merge ", "latency ", "info "]
    assert _found("data l") == ["list "] and _found("data list --m") == ["--missing "]


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_subcommand_tells_its_options(name):
    assert "--help " in _found(f"{name} --")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--config dart", "darts.yaml "),
        ("--config mi", "mine.yaml "),
        ("--config darts.yaml --se", "--seed "),
        ("--config darts.yaml optimizer=pc_", "optimizer=pc_darts "),
        ("--config darts.yaml search_space=nasbench20", "search_space=nasbench201 "),
        ("run dataset=fashion_", "dataset=fashion_mnist "),
        ("--config darts.yaml search.epo", "search.epochs="),
        ("--config darts.yaml sear", "search."),
        ("optimizer=gdas search.uns", "search.unselected="),
        ("--config mine.yaml search.uns", "search.unselected="),
        ("search.parts.warm_up.", "search.parts.warm_up.epochs="),
        ("search_space=nasbench201 search_space_args.cha", "search_space_args.channels="),
        ("dataset=npz dataset_args.pat", "dataset_args.path="),
        ("evaluation.mode=q", "evaluation.mode=query "),
        ("search.evaluator=pro", "search.evaluator=proxy "),
        ("task=seg", "task=segmentation "),
        ("compare ran", "random_search.yaml "),
        ("compare x.yaml --methods rs,ban", "rs,bananas"),
        ("correlate --proxies nwot,syn", "nwot,synflow"),
        ("correlate --benchmark nasbench101", "nasbench101 "),
        ("list opti", "optimizers "),
        ("list optimizers dart", "darts "),
        ("draw nasbench3", "nasbench301 "),
        ("draw run/", "run/nasbench301/digits/darts/1 "),
        ("draw nasbench201 --what sup", "supernet "),
        ("evaluation.genotype=run/", "evaluation.genotype=run/nasbench301/digits/darts/1 "),
    ],
)
def test_what_may_follow(line, expected, folder):
    assert expected in _found(line)


@pytest.mark.parametrize("line", ["--seed ", "nothing-like-it", "search.epochs=", "--config no/where"])
def test_what_cannot_be_known_is_not_guessed(line, folder):
    assert _found(line) == []


def test_candidates_begin_with_what_is_written_and_are_all_there():
    assert _found("--config published/") == [f"{name} " for name in shipped_configs() if "/" in name]
    assert all(word.startswith("search.arch") for word in _found("search.arch"))
    assert _found("compare --methods rs,") and "rs,rs" not in _found("compare --methods rs,")


def test_nothing_heavy_is_imported(folder):
    code = "import sys; from naslib.cli import main; main(['completion', '--words', 'optimizer=da'])\n"
    code += "main(['completion', 'bash']); print([n for n in ('torch', 'numpy', 'networkx') if n in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("optimizer=darts \n") and done.stdout.endswith("[]\n")


def test_another_shell_is_refused(capsys):
    assert main(["completion", "zhs"]) == 2
    assert "there is no 'zhs'; did you mean 'zsh'? (one of bash, zsh, fish)" in capsys.readouterr().err


def _environment(folder: Path) -> dict[str, str]:
    kept = {key: os.environ[key] for key in ("LANG", "OMP_NUM_THREADS") if key in os.environ}
    return {**kept, "PATH": f"{folder / 'bin'}:/usr/bin:/bin", "HOME": str(folder), "TERM": "xterm"}


def _shell(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def test_bash_has_the_candidates(folder):
    lines = ("naslib comple", "naslib --config darts.yaml optimizer=pc_", "naslib draw ", "naslib list ta")
    ask = 'ask() { COMP_LINE="$1" COMP_POINT=${#1}; _naslib; printf "<%s>" "${COMPREPLY[@]}"; echo; }\n'
    script = SCRIPTS["bash"] + ask + "".join(f"ask '{line}'\n" for line in lines)
    done = subprocess.run(
        [_shell("bash"), "-c", script], cwd=folder, env=_environment(folder), capture_output=True, text=True
    )
    lines = done.stdout.splitlines()
    assert lines[:2] == ["<completion >", "<pc_darts >"], done.stderr  # after `=` bash completes a word of its own
    assert "<run/nasbench301/digits/darts/1 >" in lines[2] and lines[3] == "<tasks >"


def test_fish_has_the_candidates(folder):
    script = "naslib completion fish | source\n" + "".join(
        f"echo (complete -C '{line}')\n" for line in ("naslib comple", "naslib optimizer=pc_", "naslib list ta")
    )
    done = subprocess.run(
        [_shell("fish"), "-N", "-c", script], cwd=folder, env=_environment(folder), capture_output=True, text=True
    )
    assert done.stdout.splitlines() == ["completion", "optimizer=pc_darts", "tasks"], done.stderr


@pytest.mark.parametrize(
    ("name", "begin"),
    [
        ("bash", 'bind "set enable-bracketed-paste off"; eval "$(naslib completion bash)"; PS1=; echo rea"dy"\n'),
        ("zsh", 'autoload -U compinit; compinit -u -D; eval "$(naslib completion zsh)"; PS1=; echo rea"dy"\n'),
    ],
)
def test_the_tab_key_in_a_shell(name, begin, folder):
    options = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-i"]}[name]
    shell = Terminal([_shell(name), *options], 200, folder, _environment(folder))
    shell.type(begin)
    assert shell.wait_for("ready"), repr(shell.text)
    for typed, expected in [
        ("naslib optimizer=pc_\t", "darts"),
        ("naslib search.warmup_e\t", "pochs="),
        ("naslib draw run/nas\t", "bench301/digits/darts/1"),
    ]:
        shell.type(typed)
        assert shell.wait_for(expected, 400), repr(shell.text)
        shell.type("\x15")  # the line is given up
    shell.type("exit\n")
    assert shell.end() == 0, repr(shell.text)
