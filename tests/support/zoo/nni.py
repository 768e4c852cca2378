"""NNI's zoo: DartsCell, and the micro and macro spaces of ENAS."""

from __future__ import annotations

from math import comb, prod

from torch import Tensor, nn

from naslib.search_spaces import ModuleSearchSpace
from naslib.search_spaces.nni_zoo import (
    DartsCell,
    DartsCellSearchSpace,
    ENASMacroLayer,
    ENASMacroSearchSpace,
    ENASMicroLayer,
    ENASMicroSearchSpace,
)

from . import Entry


class Layers(nn.Module):
    """A person's own module of the zoo's layers: two cells that are alike, a reduction layer, a macro layer."""

    def __init__(self, n_classes: int = 4, in_channels: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, 6, 3, padding=1)
        self.first = DartsCell(2, 6, 6, 4, False, False)
        self.second = DartsCell(2, 6, 8, 4, False, False).decide_like(self.first)
        self.halved = ENASMicroLayer(1, 8, 8, 8, True)
        self.last = ENASMacroLayer("last", ["halved"], 8, 8)
        self.classify = nn.Linear(8, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        s0 = s1 = self.stem(x)
        for cell in (self.first, self.second):
            s0, s1 = s1, cell(s0, s1)
        both = self.halved(s1, s1)
        return self.classify(self.last(list(both)).mean((2, 3)))


# Cells of two nodes: two inputs of 2, of 3, and one of seven operations on each
_DARTS = prod(comb(earlier, 2) * 7**2 for earlier in (2, 3))
# Layers of two nodes: each of two branches has one input of 2, of 3, and one of five operations
_MICRO = prod((earlier * 5) ** 2 for earlier in (2, 3))

ENTRIES = {
    "darts_cell": Entry(
        lambda **sizes: DartsCellSearchSpace(channels=4, cells=3, nodes=2, **sizes), size=_DARTS**2
    ),
    "enas_micro": Entry(
        lambda **sizes: ENASMicroSearchSpace(channels=4, layers=2, nodes=2, **sizes),
        size=_MICRO**2,
        refused={"gsparsity": "combinations at nodes"},
    ),
    # layer i has six operations, and i skips
    "enas_macro": Entry(
        lambda **sizes: ENASMacroSearchSpace(channels=4, layers=4, **sizes),
        size=6**4 * 2**6,
        refused={"lambda_darts": "needs a cell that the network has at least twice"},
    ),
    # two cells of one decision each, a layer of one node, a macro layer of one skip
    "zoo_layers": Entry(
        lambda **sizes: ModuleSearchSpace(lambda: Layers(**sizes)),
        size=_DARTS * (2 * 5) ** 2 * 6 * 2,
        refused={"gsparsity": "combinations at nodes"},
    ),
}  # fmt: skip
