"""benchmarks.smash and benchmarks.te_nas: what the tables say of their files, and one training of the bank."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau, spearmanr

from benchmarks import smash, te_nas


def test_the_table_of_smash_is_that_of_its_file(capsys: pytest.CaptureFixture[str]) -> None:
    with smash.FILE.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    trained = np.array([(float(row["trained_1"]) + float(row["trained_2"])) / 2 for row in rows])
    scores = np.array([float(row["smash"]) for row in rows])
    assert len(rows) >= 20 and len({row["genotype"] for row in rows}) == len(rows)
    assert smash.main(["--show"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("| SMASH score"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1] == f"{scores.mean():.1f} %"
    assert cells[2].split()[0] == f"{spearmanr(scores, trained)[0]:.2f}"
    assert cells[3].split()[0] == f"{kendalltau(scores, trained)[0]:.2f}"


def test_resampled_correlations_are_those_of_scipy() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.integers(5, size=12).astype(float), rng.normal(size=12)
    index = rng.integers(12, size=(5, 12))
    rho, tau = smash._resampled(first, second, index)
    for number, rows in enumerate(index):
        assert rho[number] == pytest.approx(spearmanr(first[rows], second[rows])[0])
        assert tau[number] == pytest.approx(kendalltau(first[rows], second[rows])[0])


def test_a_network_of_the_bank_learns() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(64) % 2
    images = torch.randn(64, 1, 8, 8, generator=generator) + 3.0 * labels.view(-1, 1, 1, 1)
    batches = [(images[i : i + 16], labels[i : i + 16]) for i in range(0, 64, 16)]
    code = smash.optimizer_for(1, 0).drawn()
    assert smash.trained_accuracy(code, batches, batches, 2, 0) > 90
    assert smash.parameters_of(code) > 1000


def test_the_table_of_te_nas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(te_nas, "FILE", tmp_path / "te_nas.csv")
    rows = [(1, 16, 1, 1000, "|a~0|", 93.5, 12, 100.0), (2, 16, 1, 1000, "|b~0|", 92.5, 1012, 120.0)]
    rows.append((1, 16, 3, 1000, "|c~0|", 90.0, 5012, 300.0))
    with te_nas.FILE.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([te_nas.FIELDS, *rows])
    lines = te_nas.table().splitlines()
    assert lines[2] == r"| 1 | `\|a~0\|` | 93.50 | 12 | 100 |"
    assert lines[-1] == "| mean | | 93.00 ± 0.71 | | |"
    assert te_nas.table({**te_nas.SETTINGS, "repeats": 3}).splitlines()[-1] == "| mean | | 90.00 | | |"
