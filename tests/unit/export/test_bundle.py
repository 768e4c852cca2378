"""export_network: what is in the folder computes what the network computes, and nothing appears by halves."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from training_runs import config_for

import naslib
from naslib.defaults.trainer import Trainer
from naslib.errors import CheckpointError, ConfigError, RunFolderError
from naslib.export.bundle import Bundle, export_network
from naslib.export.subject import subject_of
from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import SimpleCellSearchSpace


@pytest.fixture(scope="module")
def bundle(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return export_network(run_folder, tmp_path_factory.mktemp("out") / "net", formats="network.py,safetensors,pt2")


def test_every_file_is_there_and_said_in_the_manifest(bundle: Bundle, run_folder: Path) -> None:
    files = {path.name for path in bundle.folder.iterdir()}
    expected = {"weights.safetensors", "network.pt2", "preprocessing.json", "classes.json", "README.md", "export.json"}
    assert files == expected | {"network.py"}
    manifest = json.loads((bundle.folder / "export.json").read_text())
    assert manifest["run"] == str(run_folder.resolve()) and manifest["files"].keys() == files - {"export.json"}
    for name, entry in manifest["files"].items():
        content = (bundle.folder / name).read_bytes()
        assert entry == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert list(bundle.folder.parent.iterdir()) == [bundle.folder]  # nothing temporary is left
    assert len({path.stat().st_mode for path in bundle.folder.iterdir()}) == 1  # who reads the card reads the weights
    assert not bundle.failed


def test_weights_are_those_of_the_network_with_metadata(bundle: Bundle, run_folder: Path) -> None:
    network = naslib.load_network(run_folder)
    with safe_open(bundle.folder / "weights.safetensors", "pt") as file:
        metadata = file.metadata()
    digest = hashlib.sha256(json.dumps(json.loads((run_folder / "summary.json").read_text())["genotype"],
                                       sort_keys=True).encode()).hexdigest()  # fmt: skip
    assert metadata == {
        "format": "pt", "library": "naslib", "space": "simple_cell", "genotype_hash": digest[:16],
        "task": "Classification",
    }  # fmt: skip
    weights = load_file(bundle.folder / "weights.safetensors")
    floats = [weight.numel() for weight in weights.values() if weight.is_floating_point()]
    state = network.network.state_dict().values()
    assert sum(floats) == sum(value.numel() for value in state if value.is_floating_point())


def test_the_source_computes_the_same_bits(bundle: Bundle, run_folder: Path) -> None:
    names: dict = {"__name__": "network"}
    exec((bundle.folder / "network.py").read_text(), names)
    mine = names["Network"]().eval()
    mine.load_state_dict(load_file(bundle.folder / "weights.safetensors"))
    inputs = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        assert torch.equal(mine(inputs), naslib.load_network(run_folder)(inputs))


def test_the_card_says_what_the_run_says(bundle: Bundle, run_folder: Path) -> None:
    card = (bundle.folder / "README.md").read_text()
    summary = json.loads((run_folder / "summary.json").read_text())
    parameters = sum(p.numel() for p in naslib.load_network(run_folder).parameters())
    for words in (
        "Training part: 1,438 items; test part: 359 items",
        f"| accuracy | {summary['test_accuracy']:.2f} % |",
        f"* Parameters: {parameters:,}",
        f"* Multiply-accumulates per input: {summary['flops_millions']:.4f} M",
        "method: darts, epochs: 1; seed 1",
        hashlib.sha256((run_folder / "config.yaml").read_bytes()).hexdigest()[:12],
        "Outputs: 10: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
        'torch.export.load("network.pt2")',
    ):
        assert words in card
    assert card.startswith("---\nlibrary_name: naslib\n") and "## Limits" in card
    for path in bundle.folder.glob("network*.pt2"):
        assert f"| {path.name} | {path.stat().st_size:,} | {hashlib.sha256(path.read_bytes()).hexdigest()} |" in card


def test_an_exported_network_is_not_overwritten(run_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "net"
    first = export_network(run_folder, target, formats="safetensors")
    assert set(first.written) == {"weights.safetensors", "preprocessing.json", "classes.json"}
    before = (target / "README.md").read_bytes()
    with pytest.raises(RunFolderError, match=r"--overwrite moves it to .*net\.1"):
        export_network(run_folder, target, formats="safetensors")
    assert (target / "README.md").read_bytes() == before
    export_network(run_folder, target, formats="safetensors", overwrite=True)
    assert (tmp_path / "deep" / "net.1" / "README.md").read_bytes() == before
    foreign = tmp_path / "mine"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("dear")
    with pytest.raises(RunFolderError, match="is no exported network"):
        export_network(run_folder, foreign, overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == {"deep", "mine"}


def test_what_breaks_leaves_nothing(run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise OSError("no space left on device")

    monkeypatch.setattr("naslib.export.bundle.write_card", broken)
    with pytest.raises(OSError, match="no space"):
        export_network(run_folder, tmp_path / "a" / "net", formats="safetensors")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_exported_is_said_before_anything_is_written(run_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no run folder"):
        export_network(run_folder / "no" / "such", tmp_path / "net")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="holds no trained network"):
        export_network(tmp_path / "empty", tmp_path / "net")
    with pytest.raises(ConfigError, match="there is no format 'onx'; did you mean 'onnx'"):
        export_network(run_folder, tmp_path / "net", formats="pt2,onx")
    with pytest.raises(ConfigError, match="there is no quantisation 'int4'; did you mean 'int8'"):
        export_network(run_folder, tmp_path / "net", quantize="int4")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="is a file"):
        export_network(run_folder, tmp_path / "file")
    with pytest.raises(RunFolderError, match="is not a folder that can be written to"):
        export_network(run_folder, tmp_path / "file" / "net")
    with pytest.raises(ConfigError, match="say where the network goes"):
        export_network(nn.Linear(2, 2))
    with pytest.raises(ConfigError, match="give example_inputs="):
        export_network(nn.Linear(2, 2), tmp_path / "net")
    with pytest.raises(ConfigError, match="int8 needs the training data"):
        export_network(nn.Linear(2, 2), tmp_path / "net", example_inputs=torch.zeros(1, 2), quantize="int8")
    assert {path.name for path in tmp_path.iterdir()} == {"empty", "file"}


def test_without_onnx_the_other_files_are_written(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = "onnx is not installed: pip install 'naslib[onnx]'"
    monkeypatch.setattr("naslib.export.bundle.missing_library", lambda: reason)
    monkeypatch.setattr("naslib.export.bundle.program_of", lambda *_: pytest.fail("nothing wants a program"))
    with pytest.raises(ConfigError, match=r"onnx cannot be written: onnx is not installed: pip install 'naslib\[onnx"):
        export_network(run_folder, tmp_path / "net", formats="onnx")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    monkeypatch.setattr("naslib.export.bundle.missing_library", lambda: reason)
    done = export_network(Twins(), tmp_path / "net", example_inputs=torch.zeros(1, 4))
    assert done.left_out["network.onnx"] == reason and done.failed == ()
    assert "network.pt2" in done.written and reason in (tmp_path / "net" / "README.md").read_text()


def test_onnx_takes_batches_of_any_size_by_name(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    layer = nn.Linear(3, 2)
    done = export_network(layer, tmp_path / "net", formats="onnx", example_inputs=torch.zeros(1, 3))
    assert re.fullmatch(
        r"opset 20; onnxruntime differs by [\d.e+-]+ on batches of 1 and 5", done.written["network.onnx"]
    )
    model = onnx.load(done.folder / "network.onnx")
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 20)]
    session = runtime.InferenceSession(done.folder / "network.onnx")
    assert session.get_inputs()[0].name == "inputs" and session.get_outputs()[0].name == "outputs"
    for n in (1, 2, 9):
        inputs = torch.randn(n, 3)
        found = torch.from_numpy(session.run(["outputs"], {"inputs": inputs.numpy()})[0])
        torch.testing.assert_close(found, layer(inputs).detach(), rtol=1e-5, atol=1e-6)
    card = (done.folder / "README.md").read_text()
    assert (
        'session = onnxruntime.InferenceSession("network.onnx")' in card and "weights.safetensors" not in done.written
    )


class Twins(nn.Module):
    """Two layers with one weight, and a branch that depends on values where it is asked for."""

    def __init__(self, branches: bool = False) -> None:
        super().__init__()
        self.first, self.second, self.branches = nn.Linear(4, 4), nn.Linear(4, 4), branches
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        """Return `(n, 4)`."""
        x = self.first(x)
        return self.second(x.relu() if self.branches and bool(x.sum() > 0) else x)


def test_a_module_of_ones_own_and_tensors_that_are_shared(tmp_path: Path) -> None:
    module = Twins()
    inputs = torch.randn(3, 4)
    done = export_network(
        module, tmp_path / "net", formats=["safetensors", "pt2"], example_inputs=inputs, class_names="abcd"
    )
    weights = load_file(done.folder / "weights.safetensors")
    assert torch.equal(weights["first.weight"], weights["second.weight"])
    again = Twins()
    again.load_state_dict(weights)
    assert torch.equal(again(inputs), module(inputs)) and module.training
    assert json.loads((done.folder / "classes.json").read_text()) == ["a", "b", "c", "d"]
    assert json.loads((done.folder / "preprocessing.json").read_text())["kind"] == "unknown"
    assert "what it was trained on is not known here" in (done.folder / "README.md").read_text()


def test_int8_of_a_module_with_data_of_ones_own(tmp_path: Path) -> None:
    module = Twins().eval()
    inputs = torch.randn(256, 4)
    done = export_network(
        module, tmp_path / "net", formats="pt2", example_inputs=inputs, quantize="int8", calibration=inputs
    )
    assert [row.file for row in done.forms] == ["network.pt2", "network_int8.pt2"]
    assert all(row.score is None for row in done.forms) and "not measured" in done.table
    small = torch.export.load(str(done.folder / "network_int8.pt2"))
    bits = [value for value in small.state_dict.values() if value.dtype == torch.int8]
    assert [tuple(value.shape) for value in bits] == [(4, 4)]  # the shared weight once
    with torch.no_grad():
        assert float((small.module()(inputs) - module(inputs)).abs().max()) < 0.1


def test_a_network_that_a_format_cannot_hold(tmp_path: Path) -> None:
    done = export_network(
        Twins(branches=True), tmp_path / "net", example_inputs=torch.randn(2, 4), formats="pt2,safetensors"
    )
    assert done.failed == ("network.pt2",) and done.left_out["network.pt2"].startswith("torch.export cannot follow")
    assert re.search(r"data-dependent", done.left_out["network.pt2"])
    assert {path.name for path in done.folder.iterdir()} == {"weights.safetensors", "README.md", "export.json",
                                                             "preprocessing.json"}  # fmt: skip


def test_a_loaded_network_is_exported_as_its_run_is(run_folder: Path, tmp_path: Path) -> None:
    network = naslib.load_network(run_folder)
    state = torch.get_rng_state()
    subject = subject_of(network)
    assert subject.inputs.shape == (2, 1, 8, 8) and subject.input_name == "images" and subject.output_name == "logits"
    done = export_network(network, tmp_path / "net", formats="safetensors")
    first = load_file(done.folder / "weights.safetensors")
    second = export_network(run_folder, tmp_path / "run", formats="safetensors").folder / "weights.safetensors"
    assert all(torch.equal(first[name], value) for name, value in load_file(second).items())
    assert json.loads((done.folder / "export.json").read_text())["run"] is None
    assert torch.equal(torch.get_rng_state(), state)  # nothing is drawn from the global generators


def test_a_run_on_loaders_of_ones_own(tmp_path: Path) -> None:
    pictures = TensorDataset(torch.rand(16, 2, 6, 8), torch.arange(16) % 3)
    loaders = dict.fromkeys(("train_loader", "valid_loader", "test_loader"), DataLoader(pictures, batch_size=8))
    optimizer = DARTSOptimizer()
    optimizer.adapt_search_space(SimpleCellSearchSpace(3, 2, channels=4), "own")
    trainer = Trainer(optimizer, config_for(tmp_path / "run", epochs=1), **loaders)
    trainer.search()
    trainer.evaluate()
    done = export_network(tmp_path / "run", formats="network.py,safetensors")
    assert done.folder == (tmp_path / "run").resolve() / "export" and not done.left_out
    content = json.loads((done.folder / "preprocessing.json").read_text())
    assert content["kind"] == "unknown" and content["input"]["shape"] == ["batch", 2, 6, 8]
    card = (done.folder / "README.md").read_text()
    assert "* Data set: loaders of the user" in card and "it takes what these yield" in card
    assert not (done.folder / "classes.json").exists()
    with pytest.raises(ConfigError, match="trained on loaders of one's own"):
        export_network(tmp_path / "run", tmp_path / "small", quantize="int8")
    assert not (tmp_path / "small").exists()
