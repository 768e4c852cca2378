"""A small transformer as a search space: `python examples/own_transformer.py --config darts.yaml search.epochs=5`.

It reads a digit as a sequence of its rows. What is searched: how many layers there are, how many heads each has and how
wide it is inside, whether it attends or convolves, and which of the layers' outputs the classifier reads.
"""

import torch
from torch import nn

from naslib.choices import InputChoice, LayerChoice, RepeatChoice, ValueChoice
from naslib.defaults.trainer import Trainer
from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import ModuleSearchSpace
from naslib.search_spaces.core.elastic import ElasticLinear, ElasticMultiheadAttention
from naslib.utils import get_config_from_args, set_seed

DIM, ROWS = 32, 8


class ConvolvedRows(nn.Conv1d):
    """A convolution along the sequence `(n, rows, dim)`."""

    def forward(self, x):
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class Layer(nn.Module):
    """Mix the rows, then each row by itself."""

    def __init__(self):
        super().__init__()
        attention = ElasticMultiheadAttention(DIM, num_heads=ValueChoice([2, 4]), head_dim=8)
        self.mix = LayerChoice({"attention": attention, "convolution": ConvolvedRows(DIM, DIM, 3, padding=1)})
        hidden = ValueChoice([32, 64, 96])
        self.mlp = nn.Sequential(ElasticLinear(DIM, hidden), nn.GELU(), ElasticLinear(hidden, DIM))
        self.norms = nn.ModuleList(nn.LayerNorm(DIM) for _ in range(2))

    def forward(self, x):
        x = x + self.mix(self.norms[0](x))
        return x + self.mlp(self.norms[1](x))


class RowTransformer(nn.Module):
    """Digits `(n, 1, 8, 8)` to logits `(n, 10)`."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(8, DIM)
        self.positions = nn.Parameter(0.02 * torch.randn(ROWS, DIM))
        self.layers = RepeatChoice(lambda index: Layer(), depths=[1, 2, 3])
        self.read = InputChoice(2)
        self.head = nn.Sequential(nn.LayerNorm(DIM), nn.Linear(DIM, 10))

    def forward(self, x):
        x = self.layers(self.embed(x.squeeze(1)) + self.positions)
        return self.head(self.read([x.mean(1), x.amax(1)]))


config = get_config_from_args()
config.evaluation.update(cells=None, channels=None)  # darts.yaml sizes another space
set_seed(config.seed)
optimizer = DARTSOptimizer(**config.search)
optimizer.adapt_search_space(ModuleSearchSpace(RowTransformer))
trainer = Trainer(optimizer, config)
trainer.search()
print(optimizer.get_final_architecture().genotype())
print(f"test accuracy {trainer.evaluate():.2f} %")
