"""Damaged files of a run: one flipped bit is found wherever it is read, and never called good."""

from __future__ import annotations

import json
import logging
import zipfile
from pathlib import Path

import pytest
import torch
from training_runs import differences, load, small_trainer

from naslib.config.loader import load_config
from naslib.defaults.trainer import Trainer
from naslib.errors import CheckpointError, NonFiniteLossError
from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import SimpleCellSearchSpace
from naslib.training.checkpoint import (
    CheckpointManager,
    DamagedCheckpoint,
    get_last_checkpoint,
    read_checkpoint,
    read_newest,
)
from naslib.training.export import load_network
from naslib.training.phase import Phase
from naslib.training.pictures import draw_arch_weights
from naslib.utils.text import differences as differing
from naslib.utils.text import listed, shorten


def _state(value: float = 0.0):
    return {"model": {"w": torch.full((300,), value)}, "run": {"epoch": 1}}


def flip(path: Path, offset: int, bit: int = 0) -> None:
    """Flip one bit of a file."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 1 << bit
    path.write_bytes(bytes(data))


def tensor_offset(path: Path) -> int:
    """Return a place within the largest tensor of a checkpoint."""
    with zipfile.ZipFile(path) as archive:
        entry = max(archive.infolist(), key=lambda e: e.file_size if "/data/" in e.filename else 0)
        header = path.read_bytes()[entry.header_offset : entry.header_offset + 30]
    name, extra = int.from_bytes(header[26:28], "little"), int.from_bytes(header[28:30], "little")
    return entry.header_offset + 30 + name + extra + entry.file_size // 2


def flip_tensor(path: Path) -> None:
    flip(path, tensor_offset(path), bit=3)


def test_a_flipped_bit_of_a_tensor_is_found(tmp_path):
    path = CheckpointManager(tmp_path).save_epoch(_state(1.5), 0)
    flip_tensor(path)
    assert not torch.equal(load(path)["model"]["w"], _state(1.5)["model"]["w"])  # torch says nothing
    with pytest.raises(DamagedCheckpoint, match=r"model_0000000.pth is damaged: .*checksum"):
        read_checkpoint(path)


def test_any_flipped_bit_is_found_or_harmless(tmp_path):
    path = CheckpointManager(tmp_path).save_epoch(_state(1.5), 0)
    whole, good = path.read_bytes(), read_checkpoint(path)
    found = 0
    for offset in range(0, len(whole), 7):
        flip(path, offset, offset % 8)
        try:
            assert differences(read_checkpoint(path), good) == []
        except DamagedCheckpoint:
            found += 1
        path.write_bytes(whole)
    assert found > len(whole) / 7 / 3  # the rest is padding, dates and the like


def test_checksums_are_written_whatever_the_process_chose(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        path = CheckpointManager(tmp_path).save_epoch(_state(), 0)
        assert torch.serialization.get_crc32_options() is False
    finally:
        torch.serialization.set_crc32_options(True)
    assert read_checkpoint(path)["run"] == {"epoch": 1}


def test_falls_back_to_the_one_before_not_to_a_later_one(tmp_path, caplog):
    manager = CheckpointManager(tmp_path)
    paths = [manager.save_epoch(_state(epoch), epoch) for epoch in range(4)]
    flip_tensor(paths[2])
    with caplog.at_level(logging.WARNING, "naslib"):
        path, state = read_newest(paths[2])
    assert path == paths[1] and state["model"]["w"][0] == 1
    assert "model_0000002.pth is damaged" in caplog.text and "falling back to the previous one" in caplog.text
    copied = tmp_path / "copied.pth"  # under a name of its own
    copied.write_bytes(paths[2].read_bytes())
    assert read_newest(copied)[0] == paths[3]
    flip_tensor(paths[0])
    flip_tensor(paths[1])
    assert read_newest(paths[2])[0] == paths[3]
    assert manager.newest_good() == paths[3]
    flip_tensor(paths[3])
    with pytest.raises(CheckpointError, match="no other checkpoint is there") as error:
        read_newest(tmp_path)
    assert manager.newest_good() is None and len(str(error.value)) < 1000


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"model_0000007.pth", "names model_0000007.pth, which is not there"),
        (b"mo\xe4el_0000001.pth", "is damaged"),
        (b"nodel_0000001.pth", "is damaged"),
        (b"../../elsewhere.pth", "is damaged"),
        (b"", "is damaged"),
        (None, "is missing"),
    ],
)
def test_a_damaged_pointer_is_said_and_the_newest_readable_is_used(tmp_path, caplog, content, said):
    manager = CheckpointManager(tmp_path)
    paths = [manager.save_epoch(_state(epoch), epoch) for epoch in range(3)]
    if content is None:
        (tmp_path / "last_checkpoint").unlink()
    else:
        (tmp_path / "last_checkpoint").write_bytes(content)
    flip_tensor(paths[2])
    with caplog.at_level(logging.WARNING, "naslib"):
        path, _ = read_newest(tmp_path)
    assert path == paths[1]
    assert f"last_checkpoint {said}" in caplog.text


def test_a_pointer_that_lags_behind_is_followed_and_said(tmp_path, caplog):
    manager = CheckpointManager(tmp_path)
    paths = [manager.save_epoch(_state(epoch), epoch) for epoch in range(3)]
    with caplog.at_level(logging.WARNING, "naslib"):
        assert manager.newest() == paths[2] and not caplog.text
        (tmp_path / "last_checkpoint").write_text("model_0000000.pth")
        assert manager.newest() == paths[0]
    assert "names model_0000000.pth though model_0000002.pth is newer" in caplog.text


def test_a_resumed_search_goes_on_from_the_one_before(tmp_path, caplog):
    small_trainer(tmp_path / "a").search()
    small_trainer(tmp_path / "b").search()
    for name in ("model_final.pth", "model_0000002.pth"):
        flip_tensor(tmp_path / "b" / "search" / name)
    trainer = small_trainer(tmp_path / "b")
    with caplog.at_level(logging.WARNING, "naslib"):
        trainer.search(resume_from=get_last_checkpoint(trainer.config))
    assert "falling back to the previous one, model_0000001.pth" in caplog.text
    assert differences(*(load(tmp_path / run / "search" / "model_final.pth") for run in "ab")) == []


def test_evaluation_and_one_shot_accuracy_find_it_too(tmp_path, caplog):
    small_trainer(tmp_path).search()
    path = tmp_path / "search" / "model_final.pth"
    flip_tensor(path)
    for use in ("found_architecture", "evaluate_oneshot"):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "naslib"):
            getattr(small_trainer(tmp_path), use)(str(path))
        assert "model_final.pth is damaged" in caplog.text, use


def test_the_trained_network_is_verified(tmp_path):
    evaluation = {"epochs": 1, "batch_size": 400, "cutout": False}
    search = {"epochs": 1, "batch_size": 400}
    config = load_config({"dataset": "digits", "device": "cpu", "search": search, "evaluation": evaluation})
    config.save = str(tmp_path)
    optimizer = DARTSOptimizer(learning_rate=0.1)
    space = SimpleCellSearchSpace(n_classes=10, in_channels=1, channels=4)
    optimizer.adapt_search_space(space, "digits")
    trainer = Trainer(optimizer, config)
    trainer.evaluate(best_arch=trainer.optimizer.get_final_architecture())
    load_network(tmp_path)
    record, final = tmp_path / "eval" / "network.json", tmp_path / "eval" / "model_final.pth"
    whole, weights = record.read_bytes(), final.read_bytes()
    for offset in range(0, len(whole), 41):
        flip(record, offset)
        if json_or_none(record) != json.loads(whole):
            with pytest.raises(CheckpointError, match=r"--eval-only|cannot be imported|another version"):
                load_network(tmp_path)
        record.write_bytes(whole)
    flip_tensor(final)
    with pytest.raises(DamagedCheckpoint, match="--resume"):
        load_network(tmp_path)
    final.write_bytes(weights)
    load_network(tmp_path)


def json_or_none(path: Path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None


def test_the_record_of_the_architecture_parameters(tmp_path, caplog):
    small_trainer(tmp_path, epochs=1).search()
    assert draw_arch_weights(tmp_path)
    flip_tensor(tmp_path / "arch_weights.pt")
    with caplog.at_level(logging.WARNING, "naslib"):
        assert draw_arch_weights(tmp_path) == []
    assert "arch_weights.pt is damaged" in caplog.text


# what is said of a loss that is not finite


class Diverging(DARTSOptimizer):
    """DARTS whose loss of the weights or of the architecture stops being finite in the second epoch."""

    def __init__(self, what: str) -> None:
        super().__init__(learning_rate=0.1, arch_learning_rate=0.05)
        self.what, self.steps = what, 0

    def step(self, data_train, data_val):
        logits, logits_valid, loss, loss_valid = super().step(data_train, data_val)
        self.steps += 1
        if self.steps == 8:
            if self.what == "weights":
                loss = loss * float("nan")
            elif self.what == "architecture":
                loss_valid = loss_valid * float("inf")
        return logits.nan_to_num(0.0), logits_valid.nan_to_num(0.0), loss, loss_valid


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("weights", r"^search: the training loss \(of the weights\) became .* epoch 1, step 2 "),
        ("architecture", r"^search: the validation loss \(of the architecture\) became .* epoch 1, step 2 "),
    ],
)
def test_the_message_says_which_phase_and_names_a_good_checkpoint(tmp_path, what, said):
    with pytest.raises(NonFiniteLossError, match=said + r".*search/model_0000000.pth"):
        small_trainer(tmp_path, optimizer=Diverging(what)).search()


def test_a_damaged_or_nan_checkpoint_is_not_called_good(tmp_path):
    def damage(epoch: int) -> None:
        if epoch == 0:
            flip_tensor(tmp_path / "search" / "model_0000000.pth")

    with pytest.raises(NonFiniteLossError, match="last good checkpoint is none"):
        small_trainer(tmp_path, optimizer=Diverging("weights")).search(after_epoch=damage)
    manager = CheckpointManager(tmp_path / "other")
    good = manager.save_epoch(_state(1.0), 0)
    manager.save_epoch(_state(float("nan")), 1)
    manager.save_epoch({**_state(1.0), "architectural_weights": {"0": torch.tensor([float("nan")])}}, 2)
    assert manager.newest_good() == good
    removed = manager.save_epoch({**_state(1.0), "architectural_weights": {"0": torch.tensor([-float("inf")])}}, 3)
    assert manager.newest_good() == removed


def test_nan_parameters_are_not_saved(tmp_path):
    class Item:
        def __init__(self, value: float) -> None:
            self.value = value

        def state_dict(self):
            return {"w": torch.tensor([self.value])}

    objects = {"model": Item(1.0), "architectural_weights": Item(2.0)}
    phase = Phase(tmp_path, lambda: objects)
    path = phase.save_epoch(0)
    objects["architectural_weights"].value = float("nan")
    with pytest.raises(NonFiniteLossError, match=r"^search: architectural weights became NaN .*model_0000000.pth"):
        phase.save_epoch(1)
    assert phase.manager.candidates() == [path]


def test_retraining_says_so(tmp_path):
    trainer = small_trainer(tmp_path, epochs=1)
    trainer.search()
    architecture = trainer.found_architecture()
    architecture.get_loss_fn = lambda: lambda logits, labels: logits.sum() * float("nan")
    with pytest.raises(NonFiniteLossError, match=r"^retraining: the training loss became .* epoch 0, step 0 .* none"):
        trainer.evaluate(best_arch=architecture)


# messages stay short


def test_short_messages(tmp_path):
    assert shorten("a" * 500).startswith("aaa") and len(shorten("a" * 500)) == 80 and shorten("short") == "short"
    assert listed("abcdefg", 3) == "a, b, c and 4 more" and listed("ab") == "a, b"
    assert differing({"a": [1, {"b": 2}], "c": 1}, {"a": [1, {"b": 3}], "d": 1}, "x") == [
        ("x.a[1].b", 2, 3), ("x.c", 1, None), ("x.d", None, 1),
    ]  # fmt: skip
    assert differing((1, 2), (1, 2, 3), "x") == [("x", (1, 2), (1, 2, 3))]


def test_a_checkpoint_of_other_decisions_is_refused_and_one_without_their_labels_is_read(tmp_path):
    small_trainer(tmp_path, epochs=1).search()
    state = load(tmp_path / "search" / "model_final.pth")
    labels = state["run"]["fingerprint"]["decisions"]
    assert len(labels) == len(set(labels)) and all("/" in label for label in labels)
    state["run"]["fingerprint"]["decisions"] = [labels[1], labels[0], *labels[2:]]
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=rf"decisions\[0\] is '{labels[1]}' in the checkpoint"):
        small_trainer(tmp_path, epochs=1).search(resume_from=str(tmp_path / "other.pth"))
    del state["run"]["fingerprint"]["decisions"]  # as in checkpoints of earlier versions
    torch.save(state, tmp_path / "other.pth")
    small_trainer(tmp_path, epochs=1).search(resume_from=str(tmp_path / "other.pth"))


def test_mismatches_are_no_dumps(tmp_path):
    small_trainer(tmp_path, epochs=1).search()
    path = tmp_path / "search" / "model_final.pth"
    for key, value in (("search_space", "x" * 5000), ("space arguments", {f"k{i}": i for i in range(900)})):
        state = load(path)
        state["run"]["fingerprint"][key] = value
        torch.save(state, tmp_path / "other.pth")
        with pytest.raises(CheckpointError, match="of another run") as error:
            small_trainer(tmp_path).search(resume_from=str(tmp_path / "other.pth"))
        assert len(str(error.value)) < 800 + len(str(tmp_path))
    state = load(path)
    state["model"] = {f"layer{i}.weight": torch.zeros(1) for i in range(500)}
    state |= {f"surplus{i}": 1 for i in range(500)}
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"surplus0, .*and 49. more") as error:
        small_trainer(tmp_path).search(resume_from=str(tmp_path / "other.pth"))
    assert len(str(error.value)) < 500 + len(str(tmp_path))
    state = {key: value for key, value in state.items() if not key.startswith("surplus")}
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="does not fit at 'model'") as error:
        small_trainer(tmp_path).search(resume_from=str(tmp_path / "other.pth"))
    assert len(str(error.value)) < 900 + len(str(tmp_path))
