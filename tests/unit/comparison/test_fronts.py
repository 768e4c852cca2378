"""Fronts over seeds: one reference point, hypervolumes, what most seeds attain, files and pictures."""

from __future__ import annotations

import csv
import json
import math
import statistics
from pathlib import Path

import numpy as np
import pytest
from worker_acts import here

from naslib import history
from naslib.cli import compare, seeds
from naslib.cli.command import main
from naslib.comparison import front_pictures
from naslib.comparison.front_pictures import draw_fronts
from naslib.comparison.fronts import fronts_of, volume_table, write_fronts
from naslib.comparison.seeds import read_seeds
from naslib.history import Objective, State, Trial
from naslib.history.load import Trials
from naslib.history.pareto import hypervolume
from naslib.utils import extras

TWO = (Objective("accuracy", True, "%"), Objective("latency", False, "ms"))
PNG = b"\x89PNG\r\n\x1a\n"


def search(*rows: tuple[float, ...] | None, objectives: tuple[Objective, ...] = TWO) -> Trials:
    """Return trials with these values; None: one that has failed."""
    told = [
        Trial(i, (i,), state=State.FAILED if row is None else State.COMPLETE, values=row) for i, row in enumerate(rows)
    ]
    return Trials(told, objectives)


@pytest.fixture
def figures(monkeypatch):
    """Lay pictures out without files, which take most of the time; return them."""
    found = []

    def save(figure, path):
        figure.draw_without_rendering()
        found.append(figure)
        return [path]

    monkeypatch.setattr(front_pictures, "save_figure", save)
    return found


def drawn(path: Path) -> bool:
    return path.with_suffix(".png").read_bytes()[:8] == PNG and path.with_suffix(".svg").stat().st_size > 1000


def test_all_searches_have_one_reference_point_and_volumes_above_it():
    found = fronts_of({"a": {1: search((90, 5), (94, 9)), 2: search((92, 3))}, "b": {1: search((91, 4))}})
    assert found is not None
    # worst of all fronts: 90 % of 90 to 94, 9 ms of 3 to 9; 5 % of the ranges beyond
    assert found.point == pytest.approx([89.8, 9.3])
    a = {1: 0.2 * 4.3 + 4.0 * 0.3, 2: 2.2 * 6.3}
    assert found.volumes["a"] == pytest.approx(a)
    assert found.volumes["b"] == pytest.approx({1: 1.2 * 5.3})
    first, second = found.rows()
    assert (first.method, first.seeds, first.size) == ("a", 2, 1.5)
    assert first.mean == pytest.approx(statistics.fmean(a.values()))
    assert first.std == pytest.approx(statistics.stdev(a.values()))
    assert (second.method, second.std) == ("b", None)
    table = volume_table(found)
    assert "| b | 1 | 6.36 | 6.36 to 6.36 | 1.0 |" in table
    assert "above accuracy 89.8 %, latency 9.3 ms: the worst of all fronts with 5 % slack." in table


def test_a_reference_that_is_given_is_taken():
    found = fronts_of({"a": {1: search((90, 5), (80, 1))}}, (85.0, 10.0))
    assert found is not None and found.volumes["a"][1] == 25.0
    assert "which was given" in found.in_words()


def test_hypervolume_over_evaluations_counts_failed_trials_and_begins_at_nothing():
    found = fronts_of({"a": {1: search(None, (90, 5), (70, 9), (92, 6))}}, (80.0, 10.0))
    assert found is not None
    (curve,) = found.curves("a")
    assert curve.spent.tolist() == [0, 2, 4] and curve.best.tolist() == [0, 50, 58] and curve.end == 4
    assert curve.at(np.array([0.0, 1.0, 2.0, 3.0, 4.0])).tolist() == [0, 0, 50, 50, 58]


def test_a_search_without_a_value_has_the_volume_nothing():
    found = fronts_of({"a": {1: search(None, None), 2: search((90, 5)), 3: search((math.nan, 1))}})
    assert found is not None
    assert found.volumes["a"] == pytest.approx({1: 0.0, 2: 4.5 * 0.25, 3: 0.0})
    assert found.rows()[0].size == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    "trials",
    [
        {"a": {1: search((90,), objectives=TWO[:1])}},  # one objective
        {"a": {1: search((90, 5))}, "b": {1: search((90, 5), objectives=TWO[::-1])}},  # not the same
        {"a": {1: search(None)}},
        {"a": {}},
        {},
    ],
)
def test_what_has_no_fronts_in_common(trials):
    assert fronts_of(trials) is None


def test_without_moocore_there_are_no_volumes_and_the_log_says_so(monkeypatch, caplog):
    def absent(name, *_):
        raise ImportError(name)

    monkeypatch.setattr(extras.importlib, "import_module", absent)
    assert fronts_of({"a": {1: search((90, 5))}}) is None
    assert "there are no hypervolumes" in caplog.text and "naslib[moocore]" in caplog.text


@pytest.mark.parametrize(
    "trials",
    [
        {"a": {1: search((90, 5))}},  # one seed, one point
        {"a": {1: search((90, 5)), 2: search(None), 3: search((90, 5))}},  # equal ones, and one without a value
        {"a": {1: search(None), 2: search(None), 3: search((90, 5))}},  # half of the seeds attain nothing
        {"a": {1: search((0, 0)), 2: search((0, 0))}},
        {"a": {s: search((90 + s, 5 + s), (80, 2)) for s in (1, 2, 3)}, "b": {1: search((90, 5))}},
    ],
)
def test_degenerate_fronts_are_drawn_and_written(trials, tmp_path, figures):
    found = fronts_of(trials)
    assert found is not None
    draw_fronts(found, tmp_path / "fronts")
    assert [axes.get_xlabel() for axes in figures[0].axes] == ["latency [ms], smaller is better", "evaluations"]
    rows = list(csv.DictReader(write_fronts(found, tmp_path / "fronts.csv").read_text().splitlines()))
    assert len(rows) == sum(len(front) for method in trials for front in found.last(method))


def test_of_three_objectives_each_pair_is_drawn_and_the_volume_is_of_all(tmp_path, figures):
    objectives = (*TWO, Objective("params", False, "M"))
    values = np.random.default_rng(0).uniform(1, 9, (2, 30, 3)).tolist()
    found = fronts_of({"a": {s: search(*map(tuple, values[s]), objectives=objectives) for s in (0, 1)}})
    assert found is not None
    merits = np.array(values[0]) * [1, -1, -1]
    assert found.volumes["a"][0] == pytest.approx(hypervolume(merits, found.reference))
    draw_fronts(found, tmp_path / "fronts")
    axes = [(a.get_xlabel().split()[0], a.get_ylabel().split()[0]) for a in figures[0].axes]
    pairs = [("latency", "accuracy"), ("params", "accuracy"), ("params", "latency")]
    assert axes == [*pairs, ("evaluations", "hypervolume")]


WORDS = ["search.epochs=25", "search.objectives=[VAL_ACCURACY, PARAMETERS]"]


def run_folder(folder: Path, trials: Trials, score: float) -> Path:
    folder.mkdir(parents=True)
    about = {"optimizer": "rs", "evaluation_mode": "query", "score": score, "score_name": "accuracy", "score_unit": "%"}
    told = {"objectives": [objective.name for objective in trials.objectives]}
    (folder / "summary.json").write_text(json.dumps({**about, "trials": told}))
    with history.SqliteHistory(folder / history.FILE_NAME) as kept:
        kept.describe(trials.objectives, {})
        kept.add_all(trials)
    return folder


def test_the_table_of_seeds_has_hypervolumes_and_its_files_have_the_reference_point(tmp_path, figures):
    folders = {
        1: run_folder(tmp_path / "1", search((90, 5), (94, 9)), 93.0),
        2: run_folder(tmp_path / "2", search((92, 3)), 94.0),
        3: run_folder(tmp_path / "3", search(None), 10.0),
        4: tmp_path / "4",  # has failed
    }
    result = read_seeds(folders, {4: "it diverged"}, tmp_path)
    volumes = [0.2 * 4.3 + 4.0 * 0.3, 2.2 * 6.3, 0.0]
    assert [run.hypervolume for run in result.runs] == [*map(pytest.approx, volumes), None]
    assert result.spread("hypervolume") == pytest.approx((statistics.fmean(volumes), statistics.stdev(volumes), 3))
    assert [path.name for path in result.write()][3:] == ["fronts.csv", "fronts.svg", "fronts.png"]
    told = json.loads((tmp_path / "seeds.json").read_text())
    assert told["reference_point"] == pytest.approx([89.8, 9.3]) and told["hypervolume"]["n"] == 3
    assert told["objectives"] == [["accuracy", True, "%"], ["latency", False, "ms"]]
    rows = list(csv.DictReader((tmp_path / "seeds.csv").read_text().splitlines()))
    assert [row["hypervolume"] for row in rows] == [*(str(run.hypervolume) for run in result.runs[:3]), ""]
    assert "| 2 | 94.00 | 13.86 |" in result.table() and "| 4 | failed |  |" in result.table()
    assert "above accuracy 89.8 %, latency 9.3 ms: the worst of all fronts with 5 % slack." in result.table()
    assert [axes.get_legend() is not None for axes in figures[0].axes] == [False, True]


def test_seeds_of_one_objective_have_no_hypervolume(tmp_path):
    folders = {1: run_folder(tmp_path / "1", search((90,), objectives=TWO[:1]), 93.0)}
    result = read_seeds(folders, {}, tmp_path)
    assert result.fronts is None and "hypervolume" not in result.table() and len(result.write()) == 3
    assert json.loads((tmp_path / "seeds.json").read_text())["reference_point"] is None


@pytest.mark.slow
def test_seeds_of_a_search_for_two_objectives(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(seeds, "in_processes", here)
    words = ["--config", "random_search.yaml", "--seeds", "1-2", *WORDS, f"out_dir={tmp_path}"]
    assert main([*words, "--reference", "20,null"]) == 0
    parent = tmp_path / "nasbench201" / "digits" / "random_search"
    told = json.loads((parent / "seeds.json").read_text())
    fronts = []
    for seed in (1, 2):
        merits = np.array([(t.values[0], -t.values[1]) for t in history.load(parent / str(seed)) if t.values])
        fronts.append(merits)
    best = [m[[not ((m >= row) & (m != row).any(1, keepdims=True)).all(1).any() for row in m]] for m in fronts]
    sizes = np.concatenate(best)[:, 1]
    reference = (20.0, sizes.min() - 0.05 * (sizes.max() - sizes.min()))
    expected = [hypervolume(merits, reference) for merits in fronts]
    assert told["reference_point"] == pytest.approx([20.0, -reference[1]])
    assert [run["hypervolume"] for run in told["runs"]] == pytest.approx(expected)
    volume = told["hypervolume"]
    assert volume["mean"] == pytest.approx(statistics.fmean(expected)) and volume["n"] == 2
    assert volume["std"] == pytest.approx(statistics.stdev(expected))
    rows = list(csv.DictReader((parent / "seeds.csv").read_text().splitlines()))
    assert [float(row["hypervolume"]) for row in rows] == pytest.approx(expected)
    table = (parent / "seeds.md").read_text()
    assert "| seed | accuracy (%) | hypervolume |" in table and "Hypervolume of 2 objectives above" in table
    assert drawn(parent / "fronts") and table in capsys.readouterr().out
    summary = json.loads((parent / "1" / "summary.json").read_text())["trials"]
    own = hypervolume(fronts[0], [o * v for o, v in zip((1, -1), summary["reference_point"], strict=True)])
    assert summary["hypervolume"] == summary["front"]["hypervolume"] == pytest.approx(own)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seeds", "1-2", "--reference", "1,2"], "search.objectives does not name several"),
        (["--seeds", "1-2", *WORDS, "--reference", "1"], "--reference has 1 values; the objectives are 2"),
        (["--seeds", "1-2", *WORDS, "--reference", "1,much"], "a number or null per objective, such as 85,null"),
        (["--seeds", "1-2", *WORDS, "--reference", "1,inf"], "a number or null per objective"),
        ([*WORDS, "--reference", "1,2"], "--reference compares the fronts of --seeds"),
    ],
)
def test_a_reference_that_cannot_be_meant_is_refused_before_any_run(tmp_path, capsys, words, message):
    assert main(["--config", "random_search.yaml", *words, f"out_dir={tmp_path / 'out'}"]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_comparison_of_searches_for_two_objectives(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(compare, "in_processes", here)
    words = ["compare", "random_search.yaml", "--methods", "rs,nsga2", "--seeds", "1-2", "--out", str(tmp_path / "c")]
    budget = ["--evaluations", "25", WORDS[1]]
    assert main([*words, *budget, "--with", "nsga2", "search.population_size=8"]) == 0
    out = tmp_path / "c"
    rows = list(csv.DictReader((out / "runs.csv").read_text().splitlines()))
    members = list(csv.DictReader((out / "fronts.csv").read_text().splitlines()))
    merits = np.array([(float(row["VAL_ACCURACY"]), -float(row["PARAMETERS"])) for row in members])
    worst, span = merits.min(0), np.ptp(merits, axis=0)
    for row in rows:
        mine = np.array([(r["method"], r["seed"]) == (row["method"], row["seed"]) for r in members])
        assert float(row["hypervolume"]) == pytest.approx(hypervolume(merits[mine], worst - 0.05 * span))
    text = (out / "table.md").read_text()
    assert "| method | seeds | hypervolume: mean ± std |" in text and text in capsys.readouterr().out
    assert drawn(out / "fronts")
