"""The examples of every `--help` do what they say: each is run, with the words that make it short."""

from __future__ import annotations

import re
import shlex
import shutil

import pytest
from PIL import Image

from naslib.cli.command import main
from naslib.cli.subcommands import SUBCOMMANDS

TINY = "search.epochs=1 evaluation.epochs=1 search.batch_size=256 evaluation.batch_size=256"
CELLS = f"{TINY} 'search_space_args={{cells: 3, nodes: 2, channels: 4}}' evaluation.channels=4 evaluation.cells=3"
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
    ("export RUN --quantize", "--overwrite"),  # the first example has exported it already
    ("report run/a run/b", None),  # two runs that a person has named so, and a browser
    ("", ""),
]


def _examples(capsys: pytest.CaptureFixture[str]) -> list[str]:
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
def test_every_example_runs(tmp_path, capsys, monkeypatch):
    examples = _examples(capsys)
    assert len(examples) >= 40
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NASLIB_DATA", raising=False)
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
        command = [*given, *shlex.split(more.replace("{}", str(number)))]
        try:
            status = main(command)
        except SystemExit as end:
            status = int(end.code or 0)
        error = capsys.readouterr().err
        ran += 1
        if status:
            refused.append(f"{shlex.join(command)}: {status}: {error[-400:]}")
    assert not refused, "\n".join(refused)
    assert ran >= 30
