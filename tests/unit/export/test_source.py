"""The source of a network: what it may need, what it leaves out, what it refuses."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.errors import ExportError
from naslib.export._folding import Folder, bound_names, without_dead_stores
from naslib.export._printing import module_text
from naslib.export.source import network_source, state_dict_for_source, write_source
from naslib.search_spaces import ModuleSearchSpace, NasBench201SearchSpace, NasBench301SearchSpace
from naslib.search_spaces.core.batch_norm import use_batch_statistics
from tests.support.own_modules import row_net

ROOT = Path(__file__).resolve().parents[3]


def _images(n: int = 8, side: int = 16) -> Tensor:
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(0))


def _found(space: Any, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    space.sample_random_architecture(rng=seed)
    space.compile()
    space.parse()
    return space


class Block(nn.Module):
    """A residual block of a person's own. It is taken as it is written."""

    def __init__(self, width: int, slope: float, pool: bool) -> None:
        super().__init__()
        self.slope, self.pool = slope, pool
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.dropout = 0.25

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.norm(self.conv(x)), self.slope)
        y = F.dropout(y, self.dropout, self.training)
        if self.pool:
            return F.max_pool2d(x + y, 2)
        return x + y


class Own(nn.Module):
    """Blocks, a scale that is a parameter, a mask that is a buffer, tied layers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.blocks = nn.ModuleList([Block(4, 0.1, False), Block(4, 0.2, False), Block(4, 0.1, True)])
        self.scale = nn.Parameter(torch.ones(4, 1, 1))
        self.register_buffer("mask", torch.tensor([1.0, 0.0, 1.0, 1.0]), persistent=False)
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4, bias=False)
        self.second.weight = self.first.weight
        self.unused = nn.Linear(100, 100)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x) * self.scale
        for block in self.blocks:
            x = block(x)
        return self.second(self.first(x.mean((2, 3)) * self.mask))


def test_a_module_of_ones_own_is_written_with_its_parameters_buffers_and_ties() -> None:
    torch.manual_seed(0)
    network = Own().eval()
    source = write_source(network, inputs=_images(), docstring="What I found.")
    tree = ast.parse(source.text)
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    assert list(classes) == ["Block", "Block2", "Network"]  # of the test in the forward one branch is left
    assert "self.unused" not in source.text and '"""What I found."""' in source.text
    state = state_dict_for_source(network)
    assert state.keys() == source.names.keys()
    assert set(state) == {name for name in network.state_dict() if not name.startswith("unused")} | {"mask"}
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items() if name in state)
    written = source.build()
    assert written.second.weight is written.first.weight
    assert torch.equal(written.mask, torch.tensor([1.0, 0.0, 1.0, 1.0]))
    assert sum(p.numel() for p in written.parameters()) == sum(
        p.numel() for name, p in network.named_parameters() if not name.startswith("unused")
    )


def test_choices_that_are_made_leave_no_trace() -> None:
    space = _found(ModuleSearchSpace(row_net), seed=1)
    rows = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
    text = network_source(space.eval(), inputs=rows)
    assert "Choice" not in text and "import naslib" not in text
    plain = space.get_final_architecture().eval()
    assert network_source(plain, inputs=rows).count("class ") == text.count("class ")


@pytest.mark.slow
def test_a_resnet_of_torchvision_is_written() -> None:
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    network = torchvision.models.resnet18(num_classes=7).eval()
    source = write_source(network, inputs=_images(8, 64))
    assert source.names.keys() == network.state_dict().keys()  # names stay what they are
    assert sum(p.numel() for p in source.build().parameters()) == 11_180_103
    assert "torchvision" not in source.text.split('"""')[2]


def test_the_auxiliary_head_is_left_out() -> None:
    space = _found(NasBench301SearchSpace(n_classes=4, channels=4, cells=3, nodes=2))
    network = space.evaluation_network(cells=3, channels=4, auxiliary=True).eval()
    inputs = _images(8, 32)
    source = write_source(network, inputs=inputs)
    without = space.evaluation_network(cells=3, channels=4, auxiliary=False)
    assert len(source.names) == len(without.state_dict()) < len(network.state_dict())
    assert "uxiliary" not in source.text and "DropPath" not in source.text
    with torch.no_grad():
        assert torch.equal(source.build()(inputs), network(inputs))


def test_a_network_that_normalises_by_the_batch_goes_on_doing_so() -> None:
    network = use_batch_statistics(_found(NasBench201SearchSpace(n_classes=4, channels=4, cells_per_stage=1))).eval()
    source = write_source(network, inputs=_images())
    assert "track_running_stats=False" in source.text
    assert not any("running" in name for name in source.names)


def test_equal_cells_in_a_row_are_a_loop() -> None:
    space = NasBench201SearchSpace(n_classes=4, channels=4, cells_per_stage=4)
    space.set_spec((2, 0, 1, 3, 4, 2))
    space.compile()
    space.parse()
    text = network_source(space.eval(), inputs=_images())
    assert text.count("[Cell(4) for _ in range(4)]") == 1 and text.count("[Cell(16) for _ in range(4)]") == 1
    assert text.count("class Cell(nn.Module)") == 1 and "x = self.cells_3(x)" in text
    # by hand: |nor_conv_3x3~0|+|skip_connect~0|none~1|... in the codes of the contract: edge (1,2) is nor_conv_3x3
    cell = text[text.index("class Cell(") : text.index("class ResNet")]
    assert "x3 = x + self.edge_2_3(x2)" in cell and "return self.edge_2_4(x2) + self.edge_3_4(x3)" in cell


def test_the_file_runs_where_naslib_is_not(tmp_path: Path) -> None:
    network = _found(NasBench301SearchSpace(n_classes=4, channels=4, cells=3, nodes=2)).eval()
    inputs = _images()
    source = write_source(network, inputs=inputs)
    (tmp_path / "network.py").write_text(source.text)
    with torch.no_grad():
        torch.save({"weights": source.state_dict(), "x": inputs, "y": network(inputs)}, tmp_path / "saved.pt")
    program = (
        "import sys\n"
        "sys.modules['naslib'] = None\n"
        "import torch\n"
        "from network import Network\n"
        "saved = torch.load('saved.pt', weights_only=True)\n"
        "network = Network()\n"
        "network.load_state_dict(saved['weights'])\n"
        "with torch.no_grad():\n"
        "    assert torch.equal(network.eval()(saved['x']), saved['y'])\n"
        "print(sorted(name for name in sys.modules if name.split('.')[0] == 'naslib'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['naslib']"


class Noted(nn.Module):
    """Remembers what it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.client = object()

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) * len(str(self.client))


def _hooked() -> nn.Module:
    layer = nn.Linear(3, 3)
    layer.register_forward_hook(lambda module, given, output: output * 2)
    return nn.Sequential(layer)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (lambda: nn.Sequential(nn.Linear(3, 3), Noted()), ["the network.1", "Noted.client", "object"]),
        (_hooked, ["the network.0", "Linear", "hooks"]),
        (lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 3))), ["parametrizations"]),
    ],
    ids=["attribute", "hook", "parametrization"],
)
def test_what_cannot_be_written_is_named(network: Any, words: list[str]) -> None:
    with pytest.raises(ExportError) as raised:
        write_source(network(), inputs=torch.randn(2, 3))
    assert all(word in str(raised.value) for word in words)


class Single(nn.Module):
    """Gives something else in each of its instances."""

    def forward(self, x: Tensor) -> Tensor:
        return x + id(self) // 16 % 9973


def test_what_gives_something_else_is_no_export() -> None:
    with pytest.raises(ExportError, match="gives other outputs than the network for a batch of 1"):
        write_source(nn.Sequential(Single(), nn.Linear(3, 3)), inputs=torch.randn(2, 3))


def test_inputs_that_nobody_knows_are_asked_for() -> None:
    with pytest.raises(ExportError, match="give inputs="):
        write_source(nn.Linear(3, 3))
    with pytest.raises(ExportError, match="class_name is the name of a class"):
        write_source(nn.Linear(3, 3), class_name="my network", inputs=torch.randn(2, 3))


def test_a_layer_of_torch_is_a_network_too() -> None:
    text = network_source(
        nn.Sequential(nn.Linear(3, 2), nn.ReLU(inplace=True)), class_name="Two", inputs=torch.ones(2, 3)
    )
    assert text == (
        '"""The network Sequential."""\n\nfrom torch import nn\n\n\nclass Two(nn.Sequential):\n'
        '    """The network Sequential.\n\n    Input: `(n, 3)`.\n    Parameters: 8.\n    """\n\n'
        "    def __init__(self):\n        super().__init__(nn.Linear(3, 2), nn.ReLU(inplace=True))\n"
    )


# the printer and what it is given


@pytest.mark.parametrize(
    "path",
    ["search_spaces/core/plan.py", "search_spaces/core/elastic/attention.py", "tasks/task.py", "export/source.py"],
)
def test_what_is_printed_means_the_same(path: str) -> None:
    tree = ast.parse((ROOT / "naslib" / path).read_text())
    assert _undocumented(ast.parse(module_text(tree.body))) == _undocumented(tree)


def _undocumented(tree: ast.Module) -> str:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            node.body[0] = ast.Pass()
    return ast.dump(tree)


@pytest.mark.parametrize(
    "line",
    [
        "x = a[:, : n + 1, ::2]", "y = -(x**2) ** 0.5 + 2**-1", "z = (a + b) * c - (d - e)", "f = (lambda x: x)(3)",
        "t = (1,)", "a, b = b, a", "g = not (a and b) or c", "h = (a if b else c) + 1", "k = f(*a, **b)",
        's = "it\'s"', "d = {**a, 1: (2, 3)}", "n = 1 if x is not None and y < 3 <= z else -1", "m = a @ b @ c",
        "r = [x for x in range(3) if x]", "w = sum(x for x in y)", 'v = f"{x} of {y!r:>4}"', "u = (-1) ** n",
    ],
)  # fmt: skip
def test_an_expression_is_printed_as_formatters_have_it(line: str) -> None:
    assert module_text(ast.parse(line).body) == line + "\n"


def _folded(source: str, owner: nn.Module) -> str:
    tree = ast.parse(source).body[0]
    assert isinstance(tree, ast.FunctionDef)
    folder = Folder(owner, {"mask"}, {"LIMIT": 3}, bound_names(tree))
    tree.body = without_dead_stores(folder.body(tree.body))
    return module_text(tree.body)


def test_what_is_known_before_it_runs_is_decided() -> None:
    owner = nn.Module()
    owner.wide, owner.bn, owner.mask, owner.conv = True, None, None, nn.Identity()
    assert _folded("def f(self, x):\n    return self.bn(x) if self.bn is not None else x", owner) == "return x\n"
    assert _folded("def f(self, x):\n    if self.conv is None or LIMIT > 4:\n        x = 1\n    return x", owner) == (
        "return x\n"
    )
    kept = "return x if self.mask is None else x * self.mask\n"
    assert _folded(f"def f(self, x):\n    {kept}", owner) == kept  # some method sets it
    training = "if self.training:\n    return self.conv(x)\nreturn x\n"
    body = "\n".join(f"    {line}" for line in training.splitlines())
    assert _folded(f"def f(self, x):\n{body}", owner) == training
    loop = "state = None\nfor y in x:\n    if state is None:\n        state = y\n    state = state + y\nreturn state\n"
    body = "\n".join(f"    {line}" for line in loop.splitlines())
    assert _folded(f"def f(self, x):\n{body}", owner) == loop  # a loop may set it
