"""The examples of every `--help` do what they say: each is run, with the words that make it short."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import naslib

ROOT = Path(naslib.__file__).resolve().parents[1]
TINY = "search.epochs=1 evaluation.epochs=1 search.batch_size=256 evaluation.batch_size=256"
CELLS = f"{TINY} 'search_space_args={{cells: 3, nodes: 2, channels: 4}}' evaluation.channels=4 evaluation.cells=3"
NB201 = f"{TINY} search_space_args.channels=4 search_space_args.cells_per_stage=1"
# What an example is run with besides, the first that fits counts; None where it needs what cannot be here
SHORT: list[tuple[str, str | None]] = [
    ("--config darts.yaml optimizer=gdas", CELLS),
    ("--config darts.yaml search_space=nasbench201 dataset=fashion_mnist", None),  # 60,000 images to download
    ("--config darts.yaml search.epochs=2", f"{CELLS} search.epochs=2"),
    ("--config darts.yaml search.epochs 2", f"{CELLS} --overwrite search.epochs=2"),
    ("--config darts.yaml --resume", CELLS),
    ("--config darts.yaml --eval-only", CELLS),
    ("--config darts.yaml evaluation.genotype=FILE", f"{CELLS} --overwrite"),
    ("--config darts.yaml --seeds", f"{CELLS} out_dir=seeds"),
    ("--config", CELLS),
    ("--print-schema", ""),
    ("data convert", None),  # official files
    ("data list", ""),
    ("bench build", "--architectures 2 search_space_args.channels=4 search.evaluator_args.epochs=1"),
    ("bench merge", ""),
    ("bench latency", "--repeats 2"),
    ("bench info", ""),
    ("correlate --benchmark nasbench201 --dataset cifar10", None),  # the published table
    ("correlate", "--test 4 --seeds 1"),
    ("compare random_search.yaml --methods rs,re --seeds 1-20", None),
    ("compare", "--seeds 1 --evaluations 25 --out compared/{}"),
    ("report run/a run/b", None),  # two runs that a person has named so, and a browser
    ("", ""),
]


def _examples(capsys: pytest.CaptureFixture[str]) -> list[str]:
    from naslib.cli.command import main
    from naslib.cli.subcommands import SUBCOMMANDS

    found = []
    for words in ([], *([name] for name in SUBCOMMANDS)):
        with pytest.raises(SystemExit):
            main([*words, "--help"])
        text = capsys.readouterr().out.replace("\\\n", " ").partition("examples:")[2]
        found += [
            re.split(r"\s{2,}(?!--)", line)[0] for line in re.findall(r"^  naslib (?! )(.+)$", text, re.MULTILINE)
        ]
    return found


@pytest.mark.slow
def test_every_example_runs(tmp_path, capsys):
    examples = _examples(capsys)
    assert len(examples) >= 40
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    environment.pop("NASLIB_DATA", None)
    digit = Image.new("L", (8, 8), 200)
    (tmp_path / "pictures").mkdir()
    for path in ("picture.png", "pictures/one.png"):
        digit.save(tmp_path / path)
    ran, refused = 0, []
    for number, example in enumerate(examples):
        words = shlex.split(example.partition(" > ")[0])
        more = next(short for begin, short in SHORT if example.startswith(begin))
        if more is None or ("DIR" in words and "--missing" not in words and words[0] != "export"):
            continue
        if words[0] == "predict" and "more.npz" in words:
            import numpy as np

            np.savez(tmp_path / "more.npz", x=np.zeros((3, 8, 8), np.uint8))
        run = "run/nasbench301/digits/darts/1"
        named = {"RUN": run, "DIR": "exported" if words[0] == "export" else "."}
        given = [named.get(word, word).replace("=FILE", f"={run}") for word in words]
        if words[:2] == ["bench", "merge"] and "part1.npz" in words:
            for part in ("part1.npz", "part2.npz"):
                shutil.copy(tmp_path / "mine.npz", tmp_path / part)
        command = [sys.executable, "-m", "naslib", *given, *shlex.split(more.replace("{}", str(number)))]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
        ran += 1
        if done.returncode:
            refused.append(f"{shlex.join(command[2:])}: {done.returncode}: {done.stderr[-400:]}")
    assert not refused, "\n".join(refused)
    assert ran >= 30
