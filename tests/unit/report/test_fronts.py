"""Fronts on the page: of one run with its hypervolume, of several over each other, and degenerate ones."""

from __future__ import annotations

import re
import statistics
from pathlib import Path

import numpy as np
import pytest
from page_reader import Page
from report_runs import write_run

from naslib.cli.command import main
from naslib.errors import ConfigError
from naslib.history import Objective, SqliteHistory, State, Trial
from naslib.report import write_report
from naslib.report.charts.fronts import FrontsOfGroup, front_chart
from naslib.utils import extras

TWO = (Objective("accuracy", True, "%"), Objective("latency", False, "ms"))
THREE = (*TWO, Objective("params", False, "M"))
Values = tuple[float, ...]


def write_search(
    root: Path, seed: int, *rows: Values | None, objectives: tuple[Objective, ...] = TWO, optimizer: str = "rs"
) -> Path:
    """Write a run folder of a search whose trials have these values; None: one that failed."""
    folder = write_run(root, seed, optimizer, errors=None, arch_weights=None)
    with SqliteHistory(folder / "history.sqlite") as history:
        history.describe(objectives, {})
        for number, row in enumerate(rows):
            state = State.FAILED if row is None else State.COMPLETE
            history.add(Trial(number, (0, number % 5, 1, 1, 1, 1), 2, state, row, 2.0))
    return folder


def read(runs: Path, tmp_path: Path, **options: object) -> Page:
    page = Page.read(write_report(runs, tmp_path / "page.html", measure=False, **options))  # type: ignore[arg-type]
    assert page.problems == []
    return page


def test_the_front_of_one_run_with_its_hypervolume_over_trials(tmp_path: Path):
    page = read(write_search(tmp_path, 1, (90, 5), None, (94, 9), (80, 9)), tmp_path)
    # above 90 - .05 * 4 and 9 + .05 * 4: .2 * 4.2 + 4 * .2
    assert "2 trials are on the front: no other is as good in both objectives" in page.text
    assert "Hypervolume 1.64 above accuracy 89.8 %, latency 9.2 ms." in page.text
    assert [row[1] for row in page.table("Hypervolume over trials")[1:]] == ["0.84", "0.84", "1.64", "1.64"]


def test_the_reference_of_one_run_may_be_given(tmp_path: Path):
    page = read(write_search(tmp_path, 1, (90, 5), (94, 9)), tmp_path, reference=(80.0, 10.0))
    assert "Hypervolume 54 above accuracy 80 %, latency 10 ms." in page.text


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([None, None], "No trial has a value of every objective: there is no front."),
        ([(90, 5)], "1 trial is on the front: no other is as good in both objectives and better in one. Hypervolume "),
        ([(90, 5), (90, 5)], "1 trial is on the front"),
        ([(90, float("nan")), (80, 5)], "1 trial is on the front"),
        ([(0, 0), None], "1 trial is on the front"),
    ],
)
def test_degenerate_fronts_of_one_run(tmp_path: Path, rows: list[Values | None], said: str):
    assert said in read(write_search(tmp_path, 1, *rows), tmp_path).text


def test_fronts_of_several_runs_lie_over_each_other_above_one_point(tmp_path: Path):
    root = tmp_path / "run"
    write_search(root, 1, (90, 5), (94, 9))
    write_search(root, 2, (92, 3), (91, 9))
    write_search(root, 1, (91, 4), optimizer="nsga2")
    page = read(root, tmp_path)
    assert "above one point for all runs, accuracy 89.8 %, latency 9.3 ms: the worst of all fronts" in page.text
    rows = {row[0]: row[1:] for row in page.table("Hypervolume: mean")[1:]}
    values = [0.2 * 4.3 + 4.0 * 0.3, 2.2 * 6.3]
    mean, std = statistics.fmean(values), statistics.stdev(values)
    assert rows["rs"] == ["2", f"{mean:.4g} ± {std:.2g}", "2.06", "13.86", "1.5"]
    assert rows["nsga2"] == ["1", "6.36", "6.36", "6.36", "1"]
    assert "Accuracy in % against latency in ms: thin for each run, thick what half of a group's runs" in page.text
    over = page.table("Hypervolume over trials")
    at = over[0].index("nsga2 (1 run)")
    assert over[1][at] == "6.36" and over[2][3 - at] == f"{mean:.4g}"


def test_three_objectives_have_three_pictures_and_one_volume(tmp_path: Path):
    root = tmp_path / "run"
    write_search(root, 1, (90, 5, 1), (94, 9, 2), objectives=THREE)
    write_search(root, 2, (92, 3, 3), objectives=THREE)
    page = read(root, tmp_path, reference=(80.0, 10.0, 4.0))
    for pair in ("Accuracy in % against latency", "Accuracy in % against params", "Latency in ms against params"):
        assert f"{pair} in" in page.text
    # 10 * 5 * 3 and 14 * 1 * 2, of which 10 * 1 * 2 in common; 12 * 7 * 1
    volumes = [150 + 28 - 20, 84]
    assert page.table("Hypervolume: mean")[1][2] == f"{statistics.fmean(volumes):.4g} ± {statistics.stdev(volumes):.2g}"


def test_runs_for_other_objectives_and_without_values_are_said(tmp_path: Path):
    root = tmp_path / "run"
    write_search(root, 1, (90, 5))
    write_search(root, 2, None)
    write_search(root, 1, (90, 5), objectives=TWO[::-1], optimizer="re")
    page = read(root, tmp_path)
    assert "re searched for other objectives, and are left out where they did." in page.text
    assert page.table("Hypervolume: mean")[1][:2] == ["rs", "2"]  # a run without values has the volume 0
    assert page.table("Hypervolume: mean")[1][3] == "0"


def test_runs_of_one_objective_have_no_fronts(tmp_path: Path):
    root = tmp_path / "run"
    for seed in (1, 2):
        write_search(root, seed, (90,), objectives=TWO[:1])
    assert not any(title == "Fronts" for _, title in read(root, tmp_path).headings)


def test_a_reference_of_another_length_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = write_search(tmp_path, 1, (90, 5))
    with pytest.raises(ConfigError, match="a reference point has a value for each objective"):
        write_report(folder, tmp_path / "page.html", measure=False, reference=(1.0,))
    assert main(["report", str(folder), "--no-measure", "--reference", "1,2,3"]) == 2
    assert "a value for each objective (accuracy, latency), not 3 of them" in capsys.readouterr().err


def test_without_moocore_the_page_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root = tmp_path / "run"
    for seed in (1, 2):
        write_search(root, seed, (90, 5))

    def absent(name: str, *_: object) -> None:
        raise ImportError(name)

    monkeypatch.setattr(extras.importlib, "import_module", absent)
    assert "pip install 'naslib[moocore]'" in read(root, tmp_path).text
    one = write_search(tmp_path / "one", 1, (90, 5))
    assert "1 trial on the front. There is no hypervolume" in read(one, tmp_path).text


def test_the_edge_of_a_front_stands_at_its_values():
    group = FrontsOfGroup("a", 0, [np.array([[-5.0, 90.0], [-9.0, 94.0]])], ["a, seed 1"])
    svg = front_chart("fronts", "latency", "accuracy", [group], (-10.0, 80.0), (False, True))
    path = next(d for d, kind in re.findall(r'<path d="([^"]+)" class="([^"]+)"', svg) if kind.startswith("line"))
    points = [tuple(map(float, pair.split())) for pair in re.split("[ML]", path)[1:]]
    assert len(points) == 5
    xs, ys = zip(*points, strict=True)
    # from 5 ms at the bottom up to 90 %, right to 9 ms, up to 94 %, right to the reference
    assert xs[0] == xs[1] < xs[2] == xs[3] < xs[4]
    assert ys[0] > ys[1] == ys[2] > ys[3] == ys[4]
    assert (xs[2] - xs[1]) / (xs[4] - xs[1]) == pytest.approx(4 / 5, abs=1e-2)
    assert (ys[0] - ys[1]) / (ys[0] - ys[3]) == pytest.approx(10 / 14, abs=1e-2)
