"""A given architecture from the command line: retrained or looked up, without a search."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from naslib.build import main
from naslib.search_spaces.nasbench201.codec import count_parameters as count_nasbench201
from naslib.search_spaces.nasbench301.codec import DartsCodec, count_parameters
from naslib.training.export import load_network

NORMAL = [("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("skip_connect", 0), ("dil_conv_5x5", 2)]
REDUCE = [("max_pool_3x3", 0), ("max_pool_3x3", 1), ("skip_connect", 2), ("avg_pool_3x3", 0)]
TEXT = f"Genotype(normal={NORMAL}, normal_concat=[3], reduce={REDUCE}, reduce_concat=range(2, 4))"
NB201 = "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|"
SHORT = ["seed=5", "device=cpu", "search.epochs=1", "search.batch_size=256", "evaluation.epochs=1",
         "evaluation.batch_size=256", "dataset=digits"]  # fmt: skip
DARTS = [*SHORT, "search_space=nasbench301", "search_space_args={channels: 4, cells: 2, nodes: 3}",
         "evaluation.cells=3", "evaluation.channels=4"]  # fmt: skip


def run(capsys: Any, *words: str) -> str:
    """Run the command and return what it complains of."""
    status = main(list(words))
    message = capsys.readouterr().err
    assert status == (2 if message else 0) and "Traceback" not in message
    return message


def summary(out: Path, *place: str) -> dict[str, Any]:
    return json.loads(out.joinpath(*place, "summary.json").read_text())


def test_a_genotype_is_retrained_without_a_search(tmp_path: Path, capsys: Any) -> None:
    assert not run(capsys, *DARTS, f"evaluation.genotype={TEXT}", f"out_dir={tmp_path}")
    place = ("nasbench301", "digits", "darts", "5")
    found, folder = summary(tmp_path, *place), tmp_path.joinpath(*place)
    code = DartsCodec(2).canonical(TEXT)
    assert (found["architecture"], found["given_genotype"], found["optimizer"]) == ("given", TEXT, None)
    assert (found["search_epochs"], found["search_seconds"], found["evaluation_mode"]) == (0, 0, "retrain")
    assert found["genotype"] == DartsCodec(2).genotype(code) and found["genotype"]["normal_concat"] == [3]
    size = count_parameters(code, 10, 4, 3, in_channels=1)
    assert found["params_millions"] == pytest.approx(size / 1e6, abs=1e-12)
    assert not list((folder / "search").iterdir()) and not (folder / "arch_weights.pt").exists()
    assert (folder / "normal_cell.png").is_file() and (folder / "eval" / "model_final.pth").is_file()
    assert load_network(folder).predict(torch.zeros(2, 1, 8, 8)).shape == (2,)
    # as any run, it is neither overwritten nor searched on
    assert "already holds a run" in run(capsys, *DARTS, f"evaluation.genotype={TEXT}", f"out_dir={tmp_path}")
    # with --eval-only it is evaluated again, here from the folder itself
    words = [*DARTS, f"evaluation.genotype={folder}", f"out_dir={tmp_path}", "--eval-only"]
    assert not run(capsys, *words)
    assert summary(tmp_path, *place)["test_accuracy"] == found["test_accuracy"]
    assert (folder / "eval.1").is_dir()


@pytest.mark.parametrize(
    ("space", "args"),
    [
        ("nasbench201", "{channels: 4, cells_per_stage: 1}"),
        ("simple_cell", "{channels: 4}"),
        pytest.param("nasbench301", "", marks=pytest.mark.slow),
    ],
)
def test_what_a_run_found_is_trained_as_in_that_run(tmp_path: Path, capsys: Any, space: str, args: str) -> None:
    words = DARTS if not args else [*SHORT, f"search_space={space}", f"search_space_args={args}"]
    words = [*words, "evaluation.mode=retrain"]
    assert not run(capsys, *words, "optimizer=gdas", f"out_dir={tmp_path / 'a'}")
    first = tmp_path / "a" / space / "digits" / "gdas" / "5"
    assert not run(capsys, *words, f"evaluation.genotype={first}", f"out_dir={tmp_path / 'b'}")
    second = tmp_path / "b" / space / "digits" / "darts" / "5"
    before, after = (json.loads((folder / "summary.json").read_text()) for folder in (first, second))
    for key in ("genotype", "test_accuracy", "params_millions", "flops_millions"):
        assert after[key] == before[key], key
    assert (before["architecture"], before["given_genotype"], before["optimizer"]) == ("found", None, "gdas")
    weights = [load_network(folder).state_dict() for folder in (first, second)]
    assert list(weights[0]) == list(weights[1])
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_it_is_resumed(tmp_path: Path, capsys: Any) -> None:
    words = [*DARTS, f"evaluation.genotype={TEXT}", "evaluation.checkpoint_freq=1"]
    assert not run(capsys, *words, "evaluation.epochs=2", f"out_dir={tmp_path / 'through'}")
    assert not run(capsys, *words, "evaluation.epochs=2", f"out_dir={tmp_path / 'twice'}")
    folder = tmp_path / "twice" / "nasbench301" / "digits" / "darts" / "5"
    (folder / "eval" / "model_final.pth").unlink()
    (folder / "eval" / "last_checkpoint").write_text("model_0000000.pth")
    assert not run(capsys, *words, "evaluation.epochs=2", f"out_dir={tmp_path / 'twice'}", "--resume")
    through, resumed = (
        load_network(tmp_path / name / "nasbench301" / "digits" / "darts" / "5").state_dict()
        for name in ("through", "twice")
    )
    assert all(torch.equal(through[name], resumed[name]) for name in through)
    # of another architecture there is nothing to go on with
    other = [word.replace("dil_conv_5x5", "dil_conv_3x3") for word in words]
    assert not run(capsys, *other, "evaluation.epochs=1", f"out_dir={tmp_path / 'twice'}", "--resume")
    assert (folder / "eval.1" / "model_final.pth").is_file()
    assert json.loads((folder / "summary.json").read_text())["genotype"]["normal"][3] == ["dil_conv_3x3", 2]


def test_a_nasbench201_string_is_trained_or_looked_up(tmp_path: Path, capsys: Any, shared_data: Path) -> None:
    words = ["search_space=nasbench201", "device=cpu", "seed=5", f"data={shared_data}", f"evaluation.genotype={NB201}"]
    assert not run(capsys, *words, "dataset=cifar10", "optimizer=re", f"out_dir={tmp_path / 'table'}")
    found = summary(tmp_path / "table", "nasbench201", "cifar10", "re", "5")
    assert (found["evaluation_mode"], found["genotype"], found["architecture"]) == ("query", NB201, "given")
    code = (2, 3, 1, 0, 4, 2)
    assert found["params_millions"] == pytest.approx(count_nasbench201(code) / 1e6, abs=1e-9)
    assert 10 < found["test_accuracy"] < 95
    # by its number, and where the data set is in no table, trained
    index = words[-1].replace(NB201, "6111")
    assert not run(capsys, *words[:-1], index, "dataset=cifar10", f"out_dir={tmp_path / 'index'}")
    best = summary(tmp_path / "index", "nasbench201", "cifar10", "darts", "5")
    assert best["test_accuracy"] == pytest.approx(94.373, abs=1e-3)
    small = ["search_space_args={channels: 2, cells_per_stage: 1}", *SHORT]
    assert not run(capsys, *words[:-1], index, *small, f"out_dir={tmp_path / 'digits'}")
    trained = summary(tmp_path / "digits", "nasbench201", "digits", "darts", "5")
    assert (trained["evaluation_mode"], trained["genotype"]) == ("retrain", best["genotype"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([f"evaluation.genotype={TEXT.replace('dil_conv_5x5', 'dil_conv_7x7')}"], "did you mean 'dil_conv_5x5'"),
        (["evaluation.genotype=no/such/run"], "there is no file or folder no/such/run"),
        (["evaluation.genotype=7"], "number of an architecture in a benchmark"),
        ([f"evaluation.genotype={TEXT}", "evaluation.mode=query"], "benchmark"),
        ([f"evaluation.genotype={TEXT}", "--model-path", "x.pth"], "evaluation.genotype replaces the search"),
        (["--eval-only"], "there is no search in"),
    ],
)
def test_mistakes_are_named_before_any_data_is_loaded(
    tmp_path: Path, capsys: Any, monkeypatch: Any, words: list[str], message: str
) -> None:
    if "--model-path" not in words and "--eval-only" not in words:
        monkeypatch.setattr("naslib.cli.builders.build_dataset", lambda config: pytest.fail("the data was loaded"))
    said = run(capsys, *DARTS, *words, f"out_dir={tmp_path / 'out'}")
    assert message in said and said.count("\n") == 1 and len(said) < 600
    assert not (tmp_path / "out").exists()


def test_dry_run_says_what_would_be_trained(tmp_path: Path, capsys: Any) -> None:
    assert main([*DARTS, f"evaluation.genotype={TEXT}", f"out_dir={tmp_path / 'out'}", "--dry-run"]) == 0
    text = capsys.readouterr().out
    size = count_parameters(DartsCodec(2).canonical(TEXT), 10, 4, 3, in_channels=1)
    assert f"{size / 1e6:.6f} M" in text and "normal: [[sep_conv_3x3, 0]" in text
    assert not (tmp_path / "out").exists()
