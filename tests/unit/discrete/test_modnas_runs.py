"""MODNAS through the command line, and on published latencies."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from data_files import data_file

from naslib.build import main
from naslib.history import Objective
from naslib.history.fronts import as_values, reference_point
from naslib.history.pareto import hypervolume
from naslib.optimizers import MODNAS
from naslib.search_spaces import NasBench201SearchSpace
from naslib.utils import get_dataset_api

TABLE = data_file("nb201_latency.npz")
NEEDS_TABLE = pytest.mark.skipif(not TABLE.is_file(), reason=f"the table {TABLE} is not there")
_SCORE, _COST = Objective("score"), Objective("cost", False)
SMALL = ["search.num_init=12", "search.hypernetwork_steps=3", "search.ensemble_steps=10", "search.num_candidates=50"]


def test_a_run_leaves_the_front_of_each_device(tmp_path: Path):
    words = ["--config", "modnas.yaml", *SMALL, "search.epochs=24", "search.devices=[parameters]"]
    assert main([*words, f"out_dir={tmp_path}"]) == 0
    (folder,) = (path.parent for path in tmp_path.rglob("summary.json"))
    trials = json.loads((folder / "summary.json").read_text())["trials"]
    api = get_dataset_api("nasbench201", "digits")
    metrics = [api.metric_of(name) for name in ("VAL_ACCURACY", "PARAMETERS", "FLOPS")]
    assert list(trials["devices"]) == ["PARAMETERS", "FLOPS"]
    for place, (name, found) in enumerate(trials["devices"].items(), 1):
        assert found["learned"] == (name == "PARAMETERS")
        for row in (*found["members"], *(row for row in found["proposed"] if row["values"])):
            told = [api.query(tuple(row["code"]), metrics[i], "digits", -1) for i in (0, place)]
            assert row["values"] == pytest.approx(told) and row["genotype"]
        merits = np.array([[m["values"][0], -m["values"][1]] for m in found["members"]])
        reference = reference_point([merits], (_SCORE, _COST))
        assert found["reference_point"] == pytest.approx(as_values(reference, (_SCORE, _COST)))
        assert found["hypervolume"] == pytest.approx(hypervolume(merits, reference)) and found["hypervolume"] > 0
    assert (folder / "devices.png").read_bytes()[:4] == b"\x89PNG" and (folder / "devices.svg").is_file()


@NEEDS_TABLE
def test_an_unknown_device_is_refused_with_the_nearest(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = ["--config", "modnas.yaml", "dataset=cifar10", "search_space_args={}", "search.fidelity=200"]
    words += [f"data={TABLE.parent}", f"out_dir={tmp_path}"]
    assert main([*words, "search.objectives=[VAL_ACCURACY, pixel33]", "--dry-run"]) != 0
    assert "pixel3" in capsys.readouterr().err
    given = "search.objectives=[VAL_ACCURACY, pixel3, fpga]"
    assert main([*words, given, "search.devices=[fbga]", "--dry-run"]) != 0
    assert "'fbga' is none of the costs among the objectives" in capsys.readouterr().err


@NEEDS_TABLE
@pytest.mark.slow
def test_one_run_of_120_evaluations_finds_the_fronts_of_three_devices_and_one_that_it_never_saw():
    from benchmarks.many_devices import Cells

    problem = Cells(str(TABLE.parent), devices=("gold_6226", "pixel2", "fpga"))
    optimizer = MODNAS()
    np.random.seed(0)
    optimizer.adapt_search_space(NasBench201SearchSpace(channels=4, cells_per_stage=1), evaluator=problem)
    for epoch in range(120):
        optimizer.new_epoch(epoch)
    codes = optimizer.told().codes
    shares = [problem.truth(device).share(problem.merits(codes, device)) for device in problem.devices]
    assert min(shares) > 0.89 and np.mean(shares) > 0.92  # as many random cells, of this seed: .78, and .81
    latencies = -problem.merits(optimizer.references, "eyeriss")[:, 1]
    taken = [optimizer.architecture(float(r), latencies.tolist()) for r in np.linspace(0, 1, 24)]
    assert problem.truth("eyeriss").share(problem.merits(taken, "eyeriss")) > 0.7
