"""What a run from Python leaves, that nothing is overwritten, and that the command finds its way in the same folder."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch
from small_spaces import mlp_space
from torch import nn
from training_runs import CLASSES, WIDTH, config_for, differences, load, loaders, small_trainer

from naslib.build import build_trainer, main
from naslib.config.loader import load_config
from naslib.config.run_folder import describe_state
from naslib.defaults.trainer import Trainer
from naslib.errors import CheckpointError, RunFolderError
from naslib.optimizers import DARTSOptimizer, GDASOptimizer
from naslib.training.checkpoint import get_last_checkpoint
from naslib.utils import get_config_from_args
from naslib.utils.seeding import rng_snapshot

OF_SEARCH = {
    "config.yaml", "log.log", "environment.json", "errors.json", "genotype.json", "summary.json", "cell.png",
    "cell.svg", "arch_weights.pt", "arch_weights.json", "arch_weights.png", "arch_weights.svg",
    "search/model_final.pth", "search/last_checkpoint",
}  # fmt: skip
OF_EVALUATION = {"eval/model_final.pth", "eval/last_checkpoint", "eval/network.json", "eval/history.json"}
# What differs between two runs of the same thing
CLOCKS = {"search_seconds", "evaluation_seconds", "total_seconds", "run_folder"}
TINY = [
    "dataset=digits", "search_space=nasbench201", "search_space_args={channels: 4, cells_per_stage: 1}", "seed=5",
    "device=cpu", "search.epochs=1", "search.batch_size=512", "evaluation.epochs=1", "evaluation.batch_size=512",
    "evaluation.mode=retrain", "optimizer=gdas",
]  # fmt: skip


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in names(folder)}


def summary(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text())


def choose(optimizer, number: int) -> None:
    """Let every decision be for one candidate."""
    for alpha in optimizer.architectural_weights:
        alpha.data.zero_()[number] = 9.0


# what is left


def test_own_space_own_loaders_and_a_config_made_by_hand(tmp_path):
    trainer = small_trainer(tmp_path, epochs=1)
    assert not names(tmp_path)
    trainer.search()
    assert names(tmp_path) >= OF_SEARCH
    assert any(name.startswith("tensorboard/events") for name in names(tmp_path))
    first = summary(tmp_path)
    assert first == trainer.summary and first["test_accuracy"] is None and first["evaluation_mode"] is None
    accuracy = trainer.evaluate()
    assert names(tmp_path) >= OF_SEARCH | OF_EVALUATION
    then = summary(tmp_path)
    assert then["test_accuracy"] == accuracy and then["evaluation_mode"] == "retrain"
    assert then["genotype"] == first["genotype"] == json.loads((tmp_path / "genotype.json").read_text())["genotype"]
    assert then["genotype"] == trainer.architecture.genotype()
    assert then["optimizer"] == "darts" and then["search_space"] == "Graph" and then["own_loaders"] is True
    assert then["total_seconds"] >= then["search_seconds"] + then["evaluation_seconds"]
    log = (tmp_path / "log.log").read_text()
    assert "darts on Graph, data set digits (own loaders), seed 99, cpu" in log and "INFO" in log
    assert "searched 1 epochs" in log and "test accuracy" in log
    text = (tmp_path / "config.yaml").read_text()
    assert "#   search_space: naslib.search_spaces.core.graph.Graph, not nasbench201" in text
    assert "#   dataset: batches of the script's own loaders" in text and "optimizer:" in text
    assert load_config(tmp_path / "config.yaml") == load_config(trainer.config)


def test_values_that_yaml_has_no_form_for_are_said_in_words(tmp_path):
    config = config_for(tmp_path, epochs=0)
    config.device = torch.device("cpu")
    config.search["loss_criteria"] = nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = DARTSOptimizer()
    optimizer.adapt_search_space(mlp_space(WIDTH, CLASSES))
    Trainer(optimizer, config, **loaders()).search()
    text = (tmp_path / "config.yaml").read_text()
    assert "device: cpu" in text and "CrossEntropyLoss(" in text and "label_smoothing=0.1" in text


def test_what_the_search_leaves_draws_no_random_numbers(tmp_path, monkeypatch):
    trainer = small_trainer(tmp_path, optimizer=GDASOptimizer(epochs=1), epochs=1)
    before = []
    leave = trainer._leave_outcome
    monkeypatch.setattr(trainer, "_leave_outcome", lambda: (before.append(rng_snapshot()), leave()))
    draws = trainer.optimizer.get_final_architecture
    monkeypatch.setattr(trainer.optimizer, "get_final_architecture", lambda: (torch.rand(3), draws())[1])
    trainer.search()
    assert repr(before[0]) == repr(rng_snapshot())


def test_logging_is_as_it_was(tmp_path):
    logger, seen = logging.getLogger("naslib"), []

    class Seen(logging.Handler):
        def emit(self, record):
            seen.append(record)

    root, handler = logging.getLogger(), Seen()
    root.addHandler(handler)
    before = (logger.level, logger.propagate, list(logger.handlers))
    logger.setLevel(logging.WARNING)
    try:
        trainer = small_trainer(tmp_path, epochs=1)
        trainer.search(after_epoch=lambda epoch: logger.warning("of the caller"))
        assert (logger.level, logger.propagate, logger.handlers) == (logging.WARNING, *before[1:])
    finally:
        root.removeHandler(handler)
        logger.setLevel(before[0])
    assert [record.getMessage() for record in seen] == ["of the caller"]
    text = (tmp_path / "log.log").read_text()
    assert "of the caller" in text and "searched 1 epochs" in text


def test_a_writer_of_ones_own_is_used_and_not_closed(tmp_path):
    class Writer:
        tags, closed = [], False

        def add_scalar(self, tag, value, step):
            self.tags.append(tag)

        def flush(self):
            return

    trainer = small_trainer(tmp_path, epochs=1)
    trainer.search(summary_writer=Writer())
    trainer.evaluate()
    assert {"search/train_loss"} <= set(Writer.tags) and any(tag.startswith("eval") for tag in Writer.tags)
    assert not (tmp_path / "tensorboard").exists()


# nothing is overwritten


def test_a_second_search_is_refused(tmp_path):
    small_trainer(tmp_path, epochs=1).search()
    before = contents(tmp_path)
    with pytest.raises(RunFolderError, match=r"already holds a run \(its search is complete, .*resume_from=") as error:
        small_trainer(tmp_path, epochs=1).search()
    assert isinstance(error.value, FileExistsError) and contents(tmp_path) == before
    trainer = small_trainer(tmp_path, epochs=2)
    trainer.search(resume_from=get_last_checkpoint(trainer.config))
    assert len(trainer.search_trajectory.train_acc) == 2 and summary(tmp_path)["search_epochs"] == 2


def test_a_search_that_left_no_result_may_begin_again(tmp_path):
    with pytest.raises(TypeError):
        small_trainer(tmp_path, own={"train_loader": 3}).search()
    (tmp_path / "notes.txt").write_text("a file of one's own")
    small_trainer(tmp_path, epochs=1).search()
    assert (tmp_path / "notes.txt").is_file() and names(tmp_path) >= OF_SEARCH


def test_the_same_optimizer_searching_once_more_moves_its_first_run_aside(tmp_path):
    folder = tmp_path / "run"
    trainer = small_trainer(folder, epochs=1)
    trainer.search()
    before = contents(folder)
    trainer.search()
    moved = contents(tmp_path / "run.1")
    assert moved == before and names(folder) >= OF_SEARCH
    assert contents(folder)["search/model_final.pth"] != before["search/model_final.pth"]


def test_a_second_evaluation_moves_the_first_aside(tmp_path):
    trainer = small_trainer(tmp_path, epochs=1)
    trainer.search()
    trainer.evaluate()
    first, weights = summary(tmp_path), (tmp_path / "eval" / "model_final.pth").read_bytes()
    small_trainer(tmp_path, epochs=1).evaluate(retrain=False)
    assert summary(tmp_path / "eval.1") == first
    assert (tmp_path / "eval.1" / "model_final.pth").read_bytes() == weights
    assert summary(tmp_path)["evaluation_mode"] == "keep"


def test_a_given_architecture_leaves_what_was_found(tmp_path):
    trainer = small_trainer(tmp_path, epochs=1)
    trainer.search()
    found = (tmp_path / "genotype.json").read_bytes()
    found_op = trainer.summary["genotype"][0]["op"]
    choose(trainer.optimizer, 0 if found_op == "Identity" else 2)
    given = trainer.optimizer.get_final_architecture()
    assert given.genotype()[0]["op"] != found_op
    trainer.evaluate(best_arch=given)
    assert (tmp_path / "genotype.json").read_bytes() == found
    assert summary(tmp_path)["architecture"] == "given" and summary(tmp_path)["genotype"] == given.genotype()
    alone = small_trainer(tmp_path / "alone", epochs=1)
    alone.evaluate(best_arch=given)
    assert json.loads((tmp_path / "alone" / "genotype.json").read_text())["genotype"] == given.genotype()


@pytest.mark.parametrize("other", [False, True])
def test_a_longer_search_keeps_the_evaluation_of_the_same_architecture_only(tmp_path, other):
    trainer = small_trainer(tmp_path, epochs=1)
    trainer.search(after_epoch=lambda epoch: choose(trainer.optimizer, 0))
    accuracy, old = trainer.evaluate(), summary(tmp_path)
    longer = small_trainer(tmp_path, epochs=2)
    longer.search(get_last_checkpoint(longer.config), after_epoch=lambda epoch: choose(longer.optimizer, 2 * other))
    then = summary(tmp_path)
    assert then["search_epochs"] == 2 and (tmp_path / "eval.1").exists() == other
    if other:
        assert then["genotype"] != old["genotype"] and then["test_accuracy"] is then["evaluation_mode"] is None
        assert summary(tmp_path / "eval.1") == old
    else:
        assert then["genotype"] == old["genotype"] and then["test_accuracy"] == accuracy
        assert {**old, **{key: then[key] for key in ("search_epochs", "search_seconds", "total_seconds")}} == then


# going on, from Python and from the command


def test_the_words_of_the_command_line_are_followed_in_python(tmp_path):
    words = [*TINY, f"out_dir={tmp_path}"]

    def run(*more: str) -> Trainer:
        trainer = build_trainer(get_config_from_args([*words, *more]))
        trainer.search()
        trainer.evaluate()
        return trainer

    def weights(name: str) -> dict:
        return load(folder / name / "model_final.pth")["model"]

    folder = Path(run().config.save)
    searched, trained, log = weights("search"), weights("eval"), (folder / "log.log").read_text()
    with pytest.raises(RunFolderError, match=r"\(finished\)"):
        get_config_from_args(words)
    assert run("--resume").search_trajectory.runtime  # that of the checkpoint
    assert differences(weights("search"), searched) == [] and differences(weights("eval"), trained) == []
    assert not (folder / "eval.1").exists() and (folder / "log.log").read_text().startswith(log)
    run("--eval-only")
    assert differences(weights("eval.1"), trained) == [] and differences(weights("search"), searched) == []
    assert "nothing is searched" in (folder / "log.log").read_text()
    assert len(json.loads((folder / "errors.json").read_text())["train_acc"]) == 1
    with pytest.raises(CheckpointError, match="--eval-only: there is no search in"):
        build_trainer(get_config_from_args([*words, "seed=6", "--eval-only"])).search()


def test_the_command_goes_on_with_a_run_from_python(tmp_path, capsys):
    words = [*TINY, f"out_dir={tmp_path}"]
    trainer = build_trainer(get_config_from_args(words))
    trainer.search()
    folder = Path(trainer.config.save)
    assert main(words) == 2
    assert "(its search is complete, its evaluation not begun)" in capsys.readouterr().err
    assert main([*words, "--resume"]) == 0
    assert summary(folder)["test_accuracy"] is not None and summary(folder)["genotype"] == trainer.summary["genotype"]
    assert main(words) == 2
    assert "(finished)" in capsys.readouterr().err


def test_how_far_a_run_has_come(tmp_path):
    (tmp_path / "eval").mkdir()
    assert describe_state(tmp_path) == "unfinished"
    (tmp_path / "summary.json").write_text(json.dumps({"evaluation_mode": None}))
    assert describe_state(tmp_path) == "its search is complete, its evaluation not begun"
    (tmp_path / "eval" / "model_0000000.pth").write_text("")
    assert describe_state(tmp_path) == "its search is complete, its evaluation unfinished"
    (tmp_path / "summary.json").write_text(json.dumps({"evaluation_mode": "query"}))
    assert describe_state(tmp_path) == "finished"
