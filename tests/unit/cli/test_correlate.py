"""`naslib correlate`: its numbers, what it keeps, what it refuses."""

from __future__ import annotations

import csv
from pathlib import Path
from random import Random

import numpy as np
import pytest
from data_files import data_file
from scipy.stats import kendalltau, spearmanr

from naslib.benchmarks.results import CURVES, Results, save_results
from naslib.cli.command import main
from naslib.predictors.proxies import ProxyScorer
from naslib.search_spaces import NasBench201SearchSpace

N = 24
SIZES = {"channels": 4, "cells_per_stage": 1}


def table(folder: Path) -> dict[tuple[int, ...], dict[str, float]]:
    """Write a table of NAS-Bench-201 on the digits with made-up numbers, and return them."""
    rng, codec = Random(0), NasBench201SearchSpace(**SIZES)._codec()
    codes = list(dict.fromkeys(code for code in (codec.random(rng) for _ in range(2 * N)) if 2 in code))[:N]
    drawn = np.random.default_rng(0)
    scores = np.asarray([10.0 * code.count(2) + code.count(3) for code in codes])
    curves = {name: np.ones((N, 1, 1)) for name in CURVES}
    curves["valid_score"] = (scores + drawn.normal(0, 1, N))[:, None, None]
    curves["test_score"] = (scores + drawn.normal(0, 5, N)).astype(np.float32)[:, None, None]
    params, macs = drawn.permutation(N) + 1000, drawn.permutation(N) + 1000
    about = {"space": "nasbench201", "dataset": "digits", "score": {"name": "accuracy"}, "space_args": SIZES}
    results = Results(
        codes, np.arange(N), params, macs, np.arange(N), (1,), curves, np.ones((N, 1)), np.full(N, np.nan), about
    )
    save_results(results, folder / "nasbench201_digits.npz")
    rows = zip(codes, curves["test_score"][:, 0, 0], params, strict=True)
    return {code: {"score": float(score), "params": float(size)} for code, score, size in rows}


def words(tmp_path: Path, *more: str) -> list[str]:
    fixed = ["correlate", "--benchmark", "nasbench201", "--dataset", "digits", "--data", str(tmp_path)]
    return [*fixed, "--out", str(tmp_path / "out"), "--batch", "8", *more]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


SMALL = ("--labels", "10", "--test", "7", "--proxies", "synflow,ntk,az_nas", "--seeds", "4")


def test_numbers_and_what_is_kept(tmp_path, capsys, monkeypatch):
    known = table(tmp_path)
    assert main(words(tmp_path, *SMALL, "--predictors", "bayes_lin_reg", "--with-proxies")) == 0
    text = capsys.readouterr().out
    assert "7 architectures ordered by TEST_ACCURACY, 10 labels of VAL_ACCURACY" in text
    found = {row["row"]: row for row in rows(tmp_path / "out" / "runs.csv")}
    names = ["params", "flops", "synflow", "ntk", "az_nas", "bayes_lin_reg", "bayes_lin_reg + proxies"]
    assert list(found) == names
    codes = list(known)
    tested = [codes[place] for place in np.random.default_rng(4).permutation(N)[10:17]]
    truth = [known[code]["score"] for code in tested]
    sizes = [known[code]["params"] for code in tested]
    assert float(found["params"]["spearman"]) == pytest.approx(spearmanr(sizes, truth).statistic)
    scores = {(row["code"], row["proxy"]): row["values"] for row in rows(tmp_path / "out" / "scores.csv")}
    for name, sign in (("synflow", 1), ("ntk", -1)):
        values = [sign * float(scores[" ".join(map(str, code)), name].split()[0]) for code in tested]
        assert float(found[name]["spearman"]) == pytest.approx(spearmanr(values, truth).statistic)
        assert float(found[name]["kendall_tau_b"]) == pytest.approx(kendalltau(values, truth).statistic)
    assert all(len(value.split()) == 5 for (_, name), value in scores.items() if name == "az_nas")
    assert float(found["bayes_lin_reg"]["spearman"]) != float(found["bayes_lin_reg + proxies"]["spearman"])
    lines = text.splitlines()
    assert [line.split(" | ")[0] for line in lines[4:6]] == ["| params", "| flops"]
    for name in ("table.md", "correlations.png", "correlations.svg", "about.json"):
        assert (tmp_path / "out" / name).stat().st_size > 100

    def computes_nothing(*_: object) -> None:
        raise AssertionError("it is computed again")

    before = (tmp_path / "out" / "runs.csv").read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(ProxyScorer, "scores", computes_nothing)
        assert main(words(tmp_path, *SMALL, "--predictors", "bayes_lin_reg", "--with-proxies")) == 0
        assert capsys.readouterr().out == text
    # a run that was killed while it wrote: the line that was cut off is computed anew, the same
    path = tmp_path / "out" / "scores.csv"
    path.write_text(path.read_text(encoding="utf-8")[:-9], encoding="utf-8")
    (tmp_path / "out" / "runs.csv").unlink()
    assert main(words(tmp_path, *SMALL, "--predictors", "bayes_lin_reg", "--with-proxies")) == 0
    assert (tmp_path / "out" / "runs.csv").read_bytes() == before
    capsys.readouterr()
    assert main(words(tmp_path, *SMALL, "--labels", "11")) == 2
    assert "holds correlations of something else (labels: 10 there, 11 now)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--predictors", "ett"), "did you mean 'et'"),
        (("--proxies", "nwot,synflo"), "did you mean 'synflow'"),
        (("--proxies", "nwot,nwot"), "nwot is named twice"),
        (("--predictors", "sotl"), "sotl reads learning curves"),
        (("--test", "2"), "--test must be at least 3, not 2"),
        (("--with-proxies",), "name some of both"),
        (("--predictors", "et,gpwl,gcn", "--proxies", "plain", "--with-proxies"), "gpwl, gcn would not read them"),
        (("--labels", "14", "--test", "11"), "ask for 25 architectures, and the benchmark has 24"),
        (("--metric", "VAL_ACURACY"), "did you mean 'val_accuracy'"),
        (("--source", "table"), "no benchmark file nb201"),
        (("--space-args", "channels"), "--space-args is KEY=VALUE"),
    ],
)
def test_what_is_refused(tmp_path, capsys, more, message):
    table(tmp_path)
    small = () if "--labels" in more else ("--labels", "5", "--test", "5")
    assert main(words(tmp_path, *small, *more)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out" / "runs.csv").exists()


def test_the_proxies_of_a_real_table(tmp_path, capsys):
    path = data_file("nb201_proxies_full.npz")
    if not path.is_file():
        pytest.skip(f"{path.name} is not here")
    command = ["correlate", "--benchmark", "nasbench201", "--dataset", "cifar10", "--data", str(path.parent)]
    command += ["--proxies", "nwot,synflow", "--source", "table", "--test", "2000", "--seeds", "1"]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    found = {row["row"]: float(row["spearman"]) for row in rows(tmp_path / "out" / "runs.csv")}
    # of all 9,445: nwot .811, params .799, synflow .778
    assert found["nwot"] == pytest.approx(0.811, abs=0.03)
    assert found["params"] == pytest.approx(0.799, abs=0.03)
    assert found["synflow"] == pytest.approx(0.778, abs=0.03)
