"""DARTS on a network of one's own that is made of NNI's DartsCells: `python examples/darts_cell.py`."""

import sys

from torch import nn

from naslib.defaults.trainer import Trainer
from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import ModuleSearchSpace
from naslib.search_spaces.nni_zoo import DartsCell
from naslib.utils import get_config_from_args, set_seed


class StackedCells(nn.Module):
    """A stem, cells of which those at a third and two thirds halve the image, a classifier."""

    def __init__(self, in_channels=1, channels=8, n_classes=10, n_layers=3, n_nodes=2):
        super().__init__()
        width = 3 * channels
        self.stem = nn.Sequential(nn.Conv2d(in_channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))
        self.cells = nn.ModuleList()
        channels_pp = channels_p = width
        reduction, kinds = False, {}
        for index in range(n_layers):
            reduction_p, reduction = reduction, index in (n_layers // 3, 2 * n_layers // 3)
            channels *= 2 if reduction else 1
            cell = DartsCell(n_nodes, channels_pp, channels_p, channels, reduction_p, reduction)
            cell.decide_like(kinds.setdefault(reduction, cell))  # normal cells are alike, reduction cells as well
            self.cells.append(cell)
            channels_pp, channels_p = channels_p, n_nodes * channels
        self.linear = nn.Linear(channels_p, n_classes)

    def forward(self, x):
        s0 = s1 = self.stem(x)
        for cell in self.cells:
            s0, s1 = s1, cell(s0, s1)
        return self.linear(s1.mean((2, 3)))


config = get_config_from_args(sys.argv[1:] or ["--config", "darts_cell.yaml"])
config.evaluation.update(cells=None, channels=None)  # the module has its own sizes
set_seed(config.seed)
optimizer = DARTSOptimizer(**config.search)
optimizer.adapt_search_space(ModuleSearchSpace(StackedCells))
trainer = Trainer(optimizer, config)
trainer.search()
print(optimizer.get_final_architecture().genotype())
print(f"test accuracy {trainer.evaluate():.2f} %")
