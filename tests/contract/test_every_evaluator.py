"""Every black-box search with every evaluator, from the config to the architecture that was found.

Each pair ends with a network of its own, or is refused before there is a run folder, with the reason.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from every_black_box import METHODS as METHODS_OF_TRIALS
from every_black_box import OWN_SPACES

from naslib.build import main
from naslib.evaluators import EVALUATORS
from naslib.history import State, load
from naslib.search_spaces import NasBench201SearchSpace

# Every method that searches this space
METHODS = [name for name in METHODS_OF_TRIALS if "nasbench201" in OWN_SPACES.get(name, ("nasbench201",))]
# Those that train for several numbers of epochs; what trains nothing is nothing for them
MULTI_FIDELITY = {"asha", "bohb", "hyperband", "sh"}
TRAINS_NOTHING = {"mepa", "predictor", "proxy", "supernet"}
PAIRS = [(name, evaluator) for evaluator in EVALUATORS.names() for name in METHODS]
REFUSED = {(name, evaluator) for name, evaluator in PAIRS if name in MULTI_FIDELITY and evaluator in TRAINS_NOTHING}

COMMON = ["dataset=digits", "seed=1", "device=cpu", "threads=1", "search_space=nasbench201", "search.epochs=5"]
TABLE = ["search_space_args={channels: 8, cells_per_stage: 1}"]  # those of the table that comes with naslib
TINY = ["search_space_args={channels: 4, cells_per_stage: 1}", "evaluation.mode=retrain", "evaluation.epochs=1"]
TINY += ["evaluation.batch_size=512", "evaluation.cutout=false"]
WORDS = {
    "table": [*TABLE, "search.fidelity=9", "evaluation.mode=query"],
    "predictor": [*TABLE, *TINY[1:], "search.evaluator_args={table: 20, dataset: digits}"],
    "proxy": [*TINY, "search.batch_size=16", "search.evaluator_args={proxy: synflow}"],
    "train": [*TINY, "search.batch_size=512", "search.evaluator_args={epochs: 2}"],
    "supernet": [*TINY, "search.batch_size=256"],
    "mepa": [*TINY, "search.batch_size=256", "search.evaluator_args={shared_steps: 1, valid_batches: 1}"],
}


def test_the_product_is_as_large_as_it_is_said_to_be() -> None:
    assert sorted(WORDS) == sorted(EVALUATORS.names()) == ["mepa", "predictor", "proxy", "supernet", "table", "train"]
    assert len(METHODS) >= 17 and set(METHODS) >= MULTI_FIDELITY
    assert len(PAIRS) == 6 * len(METHODS) and len(REFUSED) == 4 * 4


@pytest.fixture(scope="module")
def supernet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a search that has trained a supernet for an epoch."""
    out = tmp_path_factory.mktemp("supernet")
    few = ["search.epochs=1", "search.num_samples=2", "search.sample_batches=1", "search.num_finalists=1"]
    assert main([*COMMON, *TINY, "optimizer=random_nas", "search.batch_size=256", *few, f"out_dir={out}"]) == 0
    (folder,) = {path.parent for path in out.rglob("config.yaml")}
    return folder


def words_of(name: str, evaluator: str, supernet: Path | None, out: Path) -> list[str]:
    given = [] if supernet is None else [f"search.evaluator_args={{run: {supernet}}}"]
    return [*COMMON, *WORDS[evaluator], *given, f"optimizer={name}", f"search.evaluator={evaluator}", f"out_dir={out}"]


@pytest.mark.parametrize(
    ("name", "evaluator"),
    [
        pytest.param(*pair, marks=() if pair[1] == "table" else pytest.mark.slow)
        for pair in PAIRS
        if pair not in REFUSED
    ],
)
def test_it_finds_the_best_of_its_trials(
    name: str, evaluator: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    run = request.getfixturevalue("supernet") if evaluator == "supernet" else None
    assert main(words_of(name, evaluator, run, tmp_path)) == 0
    (path,) = tmp_path.rglob("summary.json")
    summary, trials = json.loads(path.read_text()), load(path.parent)
    assert len(trials) == summary["trials"]["count"] == 5 and summary["score"] is not None
    done = [trial for trial in trials if trial.state is State.COMPLETE]
    top = max(trial.fidelity for trial in done)
    sign = 1 if trials.objectives[0].maximize else -1
    best = max((trial for trial in done if trial.fidelity == top), key=lambda trial: sign * trial.values[0])
    assert summary["trials"]["best_values"] == list(best.values) and summary["trials"]["best_fidelity"] == top
    found = trials[summary["trials"]["best"]]
    codec = NasBench201SearchSpace(channels=4, cells_per_stage=1)._codec()
    assert found.values == best.values and summary["genotype"] == json.loads(json.dumps(codec.genotype(found.code)))


@pytest.mark.parametrize(
    ("name", "evaluator"),
    [pytest.param(*pair, marks=pytest.mark.slow if pair[1] == "supernet" else ()) for pair in sorted(REFUSED)],
)
def test_what_trains_nothing_is_nothing_for_several_fidelities(
    name: str, evaluator: str, tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    run = request.getfixturevalue("supernet") if evaluator == "supernet" else None
    out = tmp_path / "out"
    assert main(words_of(name, evaluator, run, out)) == 2
    assert "the longest training has 0" in capsys.readouterr().err and not out.exists()
