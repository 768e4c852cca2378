"""Whoever runs from Python gets the folder that the command leaves: the same files, the same keys, the same events."""

from __future__ import annotations

import json
import re

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from naslib.build import main
from naslib.defaults.trainer import Trainer
from naslib.history import load
from naslib.optimizers import GDASOptimizer, RandomSearch, RegularizedEvolution
from naslib.search_spaces import NasBench201SearchSpace
from naslib.search_spaces.core.query_metrics import Metric
from naslib.training.export import load_network
from naslib.utils import get_config_from_args, get_dataset_api, set_seed

TINY = [
    "dataset=digits", "seed=5", "device=cpu", "threads=1", "search_space=nasbench201",
    "search_space_args={channels: 4, cells_per_stage: 1}", "search.batch_size=512", "evaluation.batch_size=512",
    "evaluation.epochs=1", "evaluation.cutout=false",
]  # fmt: skip
RUNS = {
    "weight_sharing": (GDASOptimizer, [*TINY, "optimizer=gdas", "search.epochs=1", "evaluation.mode=retrain"]),
    "trained_trials": (
        RegularizedEvolution,
        [
            *TINY, "optimizer=re", "search.epochs=3", "search.population_size=2", "search.sample_size=1",
            "search.evaluator=train", "search.evaluator_args={epochs: 1}", "evaluation.mode=retrain",
        ],
    ),
    "several_objectives": (
        RandomSearch,
        [
            *TINY, "optimizer=random_search", "search.epochs=40", "search.fidelity=-1",
            "search.objectives=[VAL_ACCURACY, PARAMETERS]", "search_space_args={channels: 8, cells_per_stage: 1}",
        ],
    ),
    "table": (RandomSearch, ["--config", "random_search.yaml", "search.epochs=50"]),
}  # fmt: skip
# What every run leaves, and what each kind leaves besides
ALWAYS = {
    "config.yaml", "log.log", "environment.json", "errors.json", "genotype.json", "summary.json", "cell.png",
    "cell.svg", "search/model_final.pth", "search/last_checkpoint", "tensorboard/events",
}  # fmt: skip
RETRAINED = {
    "eval/model_final.pth", "eval/last_checkpoint", "eval/network.json", "eval/history.json", "confusion_matrix.png",
    "confusion_matrix.svg",
}  # fmt: skip
BESIDES = {
    "weight_sharing": RETRAINED | {"arch_weights.pt", "arch_weights.json", "arch_weights.png", "arch_weights.svg"},
    "trained_trials": RETRAINED | {"history.sqlite"},
    "several_objectives": {"history.sqlite", "front.png", "front.svg"},
    "table": {"history.sqlite"},
}
CLOCKS = {"search_seconds", "evaluation_seconds", "total_seconds", "run_folder"}
# The command seeds its evaluation of its own, so that --eval-only repeats it
MEASURED = {"score", "test_scores", "test_accuracy", "test_top5", "per_class", "confusion_matrix"}


def names(folder):
    """Return the files of a run; numbers of event files, and checkpoints on the way, depend on the clock."""
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    found = {re.sub(r"tensorboard/events\..*", "tensorboard/events", name) for name in found}
    return {name for name in found if not re.search(r"model_\d|sqlite-|\.lock", name)}


def keys(value):
    """Return the shape of a JSON value: keys at every level, kinds of what they hold."""
    if isinstance(value, dict):
        return {key: keys(item) for key, item in value.items()}
    return type(value).__name__ if isinstance(value, list | str) else "number"


def read(folder, name):
    return json.loads((folder / name).read_text())


def tags(folder):
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    found = events.Tags()
    return set(found["scalars"]), set(found["images"])


def by_hand(optimizer_class, words):
    """Run what a script of one's own would: a space, an optimizer, a Trainer."""
    config = get_config_from_args(words)
    set_seed(config.seed)
    space = NasBench201SearchSpace(n_classes=10, in_channels=1, **config.search_space_args)
    optimizer = optimizer_class(**config.search)
    api = None
    if config.evaluation.mode != "retrain":
        api = get_dataset_api("nasbench201", config.dataset)
    optimizer.adapt_search_space(space, config.dataset, dataset_api=api)
    trainer = Trainer(optimizer, config)
    trainer.search()
    trainer.evaluate(dataset_api=api)
    return trainer


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=[pytest.mark.slow] * (kind in ("trained_trials", "several_objectives")))
        for kind in RUNS
    ],
)
def test_python_and_the_command_leave_the_same(tmp_path, kind):
    optimizer_class, words = RUNS[kind]
    assert main([*words, f"out_dir={tmp_path / 'command'}"]) == 0
    trainer = by_hand(optimizer_class, [*words, f"out_dir={tmp_path / 'python'}"])
    ours = trainer.folder
    theirs = tmp_path / "command" / ours.relative_to(tmp_path / "python")
    assert names(ours) == names(theirs) == ALWAYS | BESIDES[kind]
    for name in sorted(names(ours)):
        if name.endswith(".json") and name != "arch_weights.json":
            assert keys(read(ours, name)) == keys(read(theirs, name)), name
    told, other = read(ours, "summary.json"), read(theirs, "summary.json")
    for key in set(told) - CLOCKS - MEASURED - {"trials"}:
        assert told[key] == other[key], key
    for same in ("genotype.json", "cell.svg"):
        assert (ours / same).read_bytes() == (theirs / same).read_bytes()
    echoes = [(folder / "config.yaml").read_text().splitlines()[1:] for folder in (ours, theirs)]
    lines = [[line for line in echo if "out_dir" not in line] for echo in echoes]
    assert lines[0] == lines[1]
    assert tags(ours) == tags(theirs)
    scalars, images = tags(ours)
    assert "evaluation/test_score" in scalars and "pictures/cell" in images
    if kind == "weight_sharing" or kind == "trained_trials":
        assert "pictures/confusion_matrix" in images and load_network(ours).class_names == list("0123456789")
    if kind != "weight_sharing":
        assert [t.code for t in load(ours)] == [t.code for t in load(theirs)] and told["trials"] is not None
    if kind == "several_objectives":
        assert "pictures/front" in images and told["trials"]["objectives"] == ["VAL_ACCURACY", "PARAMETERS"]
        assert trainer.optimizer.objectives[1].name == Metric.PARAMETERS.name


@pytest.mark.slow
def test_an_evaluation_that_is_repeated_or_resumed_counts_the_same(tmp_path):
    words = [*RUNS["weight_sharing"][1], f"out_dir={tmp_path}"]
    assert main(words) == 0
    folder = tmp_path / "nasbench201" / "digits" / "gdas" / "5"
    first = read(folder, "summary.json")
    assert sum(map(sum, first["confusion_matrix"])) == 359 and len(first["per_class"]) == 10
    picture = (folder / "confusion_matrix.svg").read_bytes()
    for word in ("--eval-only", "--resume"):
        assert main([*words, word]) == 0
        again = read(folder, "summary.json")
        assert {key: again[key] for key in MEASURED} == {key: first[key] for key in MEASURED}
        assert (folder / "confusion_matrix.svg").read_bytes() == picture
    assert read(folder / "eval.1", "summary.json") == first
    assert (folder / "eval.1" / "confusion_matrix.svg").read_bytes() == picture
