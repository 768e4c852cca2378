"""`--seeds`: the runs, the table, going on, and what is refused."""

from __future__ import annotations

import csv
import json
import os
import re
import statistics
import sys
from pathlib import Path

import pytest
import seed_lines_shown
from terminal import Terminal, states
from worker_acts import here

import naslib
from naslib.cli import seeds
from naslib.cli.command import main
from naslib.cli.seed_lines import last_line
from naslib.comparison.seeds import SeedRun, SeedsResult, spread
from naslib.config.cli import CommandLine, get_config_from_args
from naslib.config.loader import load_config
from naslib.errors import ConfigError, NonFiniteLossError, RunFolderError
from naslib.utils.lock import RunLock

ROOT = Path(__file__).resolve().parents[3]
SEARCH = ["--config", "random_search.yaml", "search.epochs=20"]


@pytest.fixture
def words(tmp_path, monkeypatch):
    """Return the words of a command whose runs are done in this process."""
    monkeypatch.setattr(seeds, "in_processes", here)
    monkeypatch.setattr(seeds, "_PATIENCE", 0.0)
    return [*SEARCH, f"out_dir={tmp_path / 'out'}"]


def _parent(tmp_path) -> Path:
    return tmp_path / "out" / "nasbench201" / "digits" / "random_search"


def test_the_runs_are_those_of_single_seeds_and_the_table_is_of_their_summaries(words, tmp_path, capsys):
    assert main([*words, "--seeds", "1-2,4"]) == 0
    said = capsys.readouterr()
    parent = _parent(tmp_path)
    summaries = {seed: json.loads((parent / str(seed) / "summary.json").read_text()) for seed in (1, 2, 4)}
    scores = [summary["score"] for summary in summaries.values()]
    told = json.loads((parent / "seeds.json").read_text())
    assert told["seeds"] == [1, 2, 4] and told["score_name"] == "accuracy" and told["maximize"] is True
    assert told["score"] == {"mean": statistics.fmean(scores), "std": statistics.stdev(scores), "n": 3}
    assert [run["score"] for run in told["runs"]] == scores
    rows = list(csv.DictReader((parent / "seeds.csv").read_text().splitlines()))
    assert [(int(row["seed"]), float(row["score"]), row["state"]) for row in rows] == [
        (seed, score, "finished") for seed, score in zip((1, 2, 4), scores, strict=True)
    ]
    table = (parent / "seeds.md").read_text()
    assert table in said.out
    mean, std = statistics.fmean(scores), statistics.stdev(scores)
    assert f"| mean ± std | {mean:.2f} ± {std:.2f} |" in table and "sample (n - 1)" in table
    assert f"| 4 | {scores[2]:.2f} |" in table
    for number, seed in enumerate((1, 2, 4), start=1):  # a line when it begins, and one when it ends
        assert f"seed {seed} begins\n" in said.err and f"seed {seed} ({number}/3, " in said.err
    # the same as the command with --seed
    assert main([*SEARCH, f"out_dir={tmp_path / 'single'}", "--seed", "2"]) == 0
    single = json.loads((tmp_path / "single/nasbench201/digits/random_search/2/summary.json").read_text())
    assert (single["score"], single["genotype"]) == (summaries[2]["score"], summaries[2]["genotype"])


def test_finished_seeds_are_kept_and_the_others_go_on(words, tmp_path, capsys, monkeypatch):
    assert main([*words, "--seeds", "1-2"]) == 0
    parent = _parent(tmp_path)
    (parent / "2" / "summary.json").unlink()  # as one that was killed before its end
    before = (parent / "1" / "summary.json").read_bytes()
    history = (parent / "2" / "errors.json").read_bytes()
    capsys.readouterr()
    assert main([*words, "--seeds", "1-3"]) == 2  # nothing is said about what is there
    message = capsys.readouterr().err
    for part in (f"{parent / '1'} (finished)", f"{parent / '2'} (unfinished)", "--resume", "--overwrite", "out_dir="):
        assert part in message
    assert "\n" not in message.strip() and not (parent / "3").exists()
    done = []
    monkeypatch.setattr(seeds, "do_quietly", lambda work: done.append(work.command.seed) or seeds_do(work))
    assert main([*words, "--seeds", "1-3", "--resume"]) == 0
    assert done == [2, 3] and "kept, as it is finished: seed 1" in capsys.readouterr().err
    assert (parent / "1" / "summary.json").read_bytes() == before
    assert (parent / "2" / "errors.json").read_bytes() == history
    assert json.loads((parent / "seeds.json").read_text())["score"]["n"] == 3


seeds_do = seeds.do_quietly


def test_a_finished_seed_whose_config_is_another_one_is_not_kept(words, tmp_path):
    assert main([*words, "--seeds", "1"]) == 0
    longer = [*words, "search.epochs=30", "--seeds", "1", "--resume"]
    assert main(longer) == 0  # as `--resume search.epochs=N` of a single run
    summary = json.loads((_parent(tmp_path) / "1" / "summary.json").read_text())
    assert summary["search_evaluations"] == 30
    read = CommandLine("random_search.yaml", overrides=("search.epochs=30", words[-1]), seed=1, dry_run=True)
    assert seeds.is_done(seeds.read_config(read))
    assert not seeds.is_done(
        seeds.read_config(CommandLine("random_search.yaml", overrides=(words[-1],), seed=1, dry_run=True))
    )


def test_overwrite_moves_all_and_eval_only_evaluates_all_again(words, tmp_path, capsys):
    assert main([*words, "--seeds", "1-2"]) == 0
    parent = _parent(tmp_path)
    found = {seed: json.loads((parent / seed / "summary.json").read_text())["score"] for seed in "12"}
    assert main([*words, "--seeds", "1-2", "--eval-only"]) == 0
    assert {seed: json.loads((parent / seed / "summary.json").read_text())["score"] for seed in "12"} == found
    assert main([*words, "--seeds", "1-2", "--overwrite"]) == 0
    assert (parent / "1.1" / "summary.json").is_file() and (parent / "2.1" / "summary.json").is_file()
    capsys.readouterr()
    assert main([*words, "--seeds", "2-3", "--eval-only"]) == 2
    assert f"--eval-only: there is no search in {parent / '3'}" in capsys.readouterr().err


def test_a_failed_seed_is_named_and_the_others_go_on(words, tmp_path, capsys, monkeypatch):
    def act(work):
        if work.command.seed == 2:
            work.folder.mkdir(parents=True)
            (work.folder / "config.yaml").touch()
            return str(NonFiniteLossError("the loss is NaN\nin step 3"))
        return seeds_do(work)

    monkeypatch.setattr(seeds, "do_quietly", act)
    assert main([*words, "--seeds", "1-3"]) == 1
    said = capsys.readouterr()
    assert "failed: the loss is NaN" in said.err
    assert "| 2 | failed |  |  |" in said.out and "Seed 2 failed: the loss is NaN\n" in said.out
    assert "1 of 3 seeds are not in the mean." in said.out
    told = json.loads((_parent(tmp_path) / "seeds.json").read_text())
    assert told["score"]["n"] == 2 and told["runs"][1]["trouble"] == "the loss is NaN\nin step 3"


def test_what_stops_all_seeds_before_they_begin_is_one_message(words, tmp_path, capsys):
    assert main([*words, "--seeds", "1-3", "search.evaluator=train", "search.batch_size=100000"]) == 2
    message = capsys.readouterr().err
    assert "batch" in message.splitlines()[-1] and "Traceback" not in message
    assert not (tmp_path / "out").exists()


def test_a_dry_run_says_what_would_be_done_with_each(words, tmp_path, capsys):
    assert main([*words, "--seeds", "1"]) == 0
    capsys.readouterr()
    for option, state in (([], "finished; a run needs --resume"), (["--resume"], "finished; is kept")):
        assert main([*words, "--seeds", "1-2", "--jobs", "2", "--dry-run", *option]) == 0
        text = capsys.readouterr().out
        assert f"{_parent(tmp_path) / '1'}: {state}" in text and f"{_parent(tmp_path) / '2'}: begins" in text
        assert "seeds          2, 2 at a time" in text and "search_space: nasbench201" in text
    assert not (_parent(tmp_path) / "2").exists()


def test_a_seed_that_another_process_works_on_is_refused(words, tmp_path, monkeypatch, capsys):
    def locked(folder):
        if Path(folder).name == "2":
            raise RunFolderError("a run is working in 2")

    monkeypatch.setattr(seeds, "check_unlocked", locked)
    assert main([*words, "--seeds", "1-2", "--resume"]) == 2
    assert "a run is working in 2" in capsys.readouterr().err and not (tmp_path / "out").exists()
    with RunLock(tmp_path / "free"):
        pass


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--seeds", "1-3", "--seed", "4"], "--seeds names all seeds: leave --seed out"),
        (["--seeds", "1-3", "seed=4"], "--seeds names all seeds: leave seed= out"),
        (["--seeds", "1-3", "seed", "4"], "--seeds names all seeds: leave seed= out"),
        (["--seeds", "1-3", "--model-path", "x.pth"], "--model-path is the checkpoint of one seed"),
        (["--seeds", "1-3", "--overwrite", "--resume"], "--overwrite starts anew"),
        (["--seeds", "3-1"], "goes backwards; write 1-3"),
        (["--seeds", "1,1"], "seed 1 is named twice"),
        (["--seeds", "one"], "such as 1-5 or 1,2,7-9; not 'one'"),
        (["--seeds", "1-999999999"], "more than 10,000 seeds"),
        (["--seeds", "1-3", "--jobs", "0"], "--jobs must be 1 or more, not 0"),
        (["--jobs", "2"], "give --seeds 1-5, say"),
        (["--seeds", "1-3", "optimizer=dart"], "did you mean 'darts'"),
        (["--seeds"], "--seeds"),
    ],
)
def test_what_cannot_be_meant_is_refused(words, tmp_path, capsys, more, message):
    assert main([*words, *more]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1 and not (tmp_path / "out").exists()


def test_from_python(tmp_path, monkeypatch):
    monkeypatch.setattr(seeds, "in_processes", here)
    given = ["search.epochs=20", f"out_dir={tmp_path}"]
    result = naslib.run_seeds("random_search.yaml", [3, 1], overrides=given)
    assert list(result.scores) == [3, 1] and result.failed == {}
    assert result.mean == statistics.fmean(result.scores.values())
    assert result.std == statistics.stdev(result.scores.values())
    config = load_config("random_search.yaml", given)
    again = naslib.run_seeds(config, "1,3", resume=True)  # nothing is left to do
    assert again.scores == {1: result.scores[1], 3: result.scores[3]}
    assert (result.folder / "seeds.md").read_text() == again.table()
    config.save = str(tmp_path / "mine")
    with pytest.raises(ConfigError, match=r"every seed has its own: set config\.out_dir"):
        naslib.run_seeds(config, "1-2")


def test_a_script_with_one_config_does_not_take_several_seeds():
    with pytest.raises(ConfigError, match=r"naslib\.run_seeds does them in Python"):
        get_config_from_args(["--config", "darts.yaml", "--seeds", "1-2"])


def test_spread_is_that_of_a_sample():
    assert spread([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]) == (5.0, (32 / 7) ** 0.5, 8)
    assert spread([3.0]) == (3.0, None, 1) and spread([]) == (None, None, 0)


def test_the_words_for_one_seed_and_for_none():
    one = SeedsResult([SeedRun(1, "1", "finished", 0.51234)], "mse", "", False, Path())
    assert "| mean ± std | 0.5123 |  |  |" in one.table() and "one seed has no standard deviation" in one.table()
    none = SeedsResult([SeedRun(1, "1", "unfinished")], "score", "", True, Path())
    assert "No seed has a score." in none.table() and none.mean is None and none.std is None


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_on_a_terminal_running_seeds_show_what_they_are_at(tmp_path):
    program = str(Path(seed_lines_shown.__file__))
    terminal = Terminal([sys.executable, program, str(tmp_path)], 80, tmp_path, {**os.environ, "PYTHONPATH": str(ROOT)})
    assert terminal.end() == 0, terminal.text
    shown = states(terminal.text)
    assert max(map(len, shown)) <= 79
    for number, seed in enumerate((1, 2, 3)):
        assert any(state.startswith(f"seed {seed}: search epoch {number}/3, and a lot") for state in shown)
    assert any(re.fullmatch(r"seed 1 \(2/4, \d+ s\) failed: the loss is NaN", state) for state in shown)
    assert "kept, as it is finished: seed 9" in shown


def test_the_last_line_of_a_log(tmp_path):
    log = tmp_path / "log.log"
    assert last_line(log) == ""
    log.write_text("[11/30 18:22:05 INFO a] epoch 1\n[11/30 18:22:06 INFO b] summary\n  genotype       |x~0|\n")
    assert last_line(log) == "summary"
