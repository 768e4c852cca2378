"""A module of a person's own, with choices of every kind, some of them inside of others."""

from __future__ import annotations

from torch import Tensor, nn

from naslib.choices import InputChoice, LayerChoice, RepeatChoice, ValueChoice
from naslib.search_spaces import ModuleSearchSpace
from naslib.search_spaces.core.decisions import Code
from naslib.search_spaces.core.elastic import ElasticConv2d, ElasticLinear
from naslib.search_spaces.core.primitives import AvgPool, Identity, MaxPool, ReLUConvBN, Sequential, Stem
from naslib.search_spaces.core.schema import DecisionSpace

from . import Entry

WIDTH = 4


def conv(kernel: int) -> nn.Module:
    """Return a convolution that keeps shapes, followed by a norm."""
    return nn.Sequential(nn.Conv2d(WIDTH, WIDTH, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(WIDTH))


class Block(nn.Module):
    """A layer that is called twice, with a choice inside of a candidate."""

    def __init__(self) -> None:
        super().__init__()
        inner = LayerChoice([conv(1), conv(5)])
        self.layer = LayerChoice([conv(3), nn.Identity(), nn.Sequential(nn.ReLU(), inner)])

    def forward(self, x: Tensor) -> Tensor:
        """Images `(n, 4, h, w)` in and out."""
        return x + self.layer(self.layer(x).relu())


class Net(nn.Module):
    """Two blocks of one decision, a chain, inputs of three kinds, a width."""

    def __init__(self, n_classes: int = 4, in_channels: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(in_channels, WIDTH, 3, padding=1), nn.BatchNorm2d(WIDTH))
        self.shared = nn.ModuleList(LayerChoice({"three": conv(3), "one": conv(1)}, "shared") for _ in range(2))
        self.chain = RepeatChoice(Block, [1, 2])
        self.any = InputChoice(3, n_chosen=None)
        self.two = InputChoice(3, n_chosen=2)
        self.one = InputChoice(2)
        width = ValueChoice([2, 4])
        self.last = ElasticConv2d(WIDTH, width, 1)
        self.head = ElasticLinear(width, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images `(n, channels, h, w)` to `(n, classes)`."""
        first = self.stem(x)
        second = self.shared[1](self.shared[0](first).relu())
        third = self.chain(second)
        x = self.any([first, second, third]) + self.two([first, second, third]) + self.one([second, third])
        return self.head(self.last(x).mean((2, 3)))


class Layers(nn.Module):
    """Operations alone, some inside of others, one layer after the other in a `Sequential`."""

    def __init__(self, n_classes: int = 4, in_channels: int = 3) -> None:
        super().__init__()
        self.body = nn.Sequential(
            Stem(in_channels, 8), self.layer(), nn.ReLU(inplace=True), self.layer(), nn.AdaptiveAvgPool2d(1)
        )
        self.head = nn.Linear(8, n_classes)

    @staticmethod
    def layer() -> nn.Module:
        """Return a choice of three, one of which chooses of three."""
        inner = LayerChoice([AvgPool(8, 3, 1), MaxPool(8, 3, 1), ReLUConvBN(8, 8, 3, affine=False)])
        return LayerChoice([Identity(), ReLUConvBN(8, 8, 1, affine=False), Sequential(inner)])

    def forward(self, x: Tensor) -> Tensor:
        """Images `(n, channels, h, w)` to `(n, classes)`."""
        return self.head(self.body(x).flatten(1))


class Inputs(nn.Module):
    """Inputs alone: any of three, two of three, one of three."""

    def __init__(self, n_classes: int = 4, in_channels: int = 3) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Stem(in_channels, 4), ReLUConvBN(4, 4, 3), ReLUConvBN(4, 4, 3)])
        self.choices = nn.ModuleList([InputChoice(3, None), InputChoice(3, 2), InputChoice(3, 1)])
        self.head = nn.Linear(4, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images `(n, channels, h, w)` to `(n, classes)`."""
        outputs = []
        for layer in self.layers:
            x = layer(x)
            outputs.append(x)
        any_of, two, one = (choice(outputs) for choice in self.choices)
        return self.head((any_of + two * one.sigmoid()).mean((2, 3)))


# The layer of a block: 2 by itself, 2 with what is inside of the third; chains of one and of two blocks; two widths
SIZE = 2 * (4 + 4**2) * 2**3 * 3 * 2 * 2


def neighbours(space: DecisionSpace, code: Code) -> int:
    """Return how many neighbours there are: one for each other choice, times the ways to decide what it brings."""
    choices = space.choices(code)
    ways = {"Sequential": 2}  # the choice inside of the third layer
    total = 0
    for decision in space.active(code):
        n = len(decision.candidates)
        if decision.name.endswith(".layer"):
            total += sum(ways.get(name, 1) for name in decision.candidates if name != choices[decision.name])
        elif decision.name == "chain.depth":
            total += 4 if choices[decision.name] == 1 else 1  # of a second block: three layers, one of them with two
        else:
            total += n if decision.n_chosen is None else decision.n_chosen * (n - decision.n_chosen)
    return total


def neighbours_of_layers(space: DecisionSpace, code: Code) -> int:
    """Return how many: of the two layers, each the other candidates, times 3 where that brings a choice of three."""
    choices = space.choices(code)
    total = 0
    for layer in ("body.1", "body.3"):
        total += 1 + 3 if choices[layer] != "Sequential" else 2 + 2
    return total


ENTRIES = {
    "own_module": Entry(
        lambda n_classes, in_channels: ModuleSearchSpace(lambda: Net(n_classes, in_channels)),
        size=SIZE,
        neighbours=neighbours,
        refused={
            "darts_pt": "a size that is taken out leaves its weights to the others",
            "gsparsity": "looks at operations, and the space decides sizes as well",
            "one_shot": "a network has one of the sizes",
            "p_darts": "the values of a size share one weight and cannot leave the supernet",
            "pc_darts": "it would narrow what is inside of a narrowed candidate once more",
        },
    ),
    "own_inputs": Entry(
        lambda n_classes, in_channels: ModuleSearchSpace(lambda: Inputs(n_classes, in_channels)),
        size=2**3 * 3 * 3,
        refused={
            "gsparsity": "looks at operations on edges",
            "lambda_darts": "needs a cell that the network has at least twice",
            "p_darts": "which inputs are added up is one decision",
        },
    ),
    "own_layers": Entry(
        lambda n_classes, in_channels: ModuleSearchSpace(lambda: Layers(n_classes, in_channels)),
        size=(2 + 3) ** 2,
        neighbours=neighbours_of_layers,
        refused={
            "gsparsity": "takes each candidate for itself, and some have decisions of their own inside",
            "lambda_darts": "needs a cell that the network has at least twice",
            "p_darts": "a decision inside of a candidate would leave the supernet with it",
            "pc_darts": "it would narrow what is inside of a narrowed candidate once more",
        },
    ),
}  # fmt: skip
