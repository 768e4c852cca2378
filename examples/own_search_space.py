"""A search space of your own in some 20 lines: `python examples/own_search_space.py --config darts.yaml`."""

from torch import nn

from naslib.defaults.trainer import Trainer
from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces.core import Graph
from naslib.search_spaces.core.primitives import Identity, ReLUConvBN, SepConv, Sequential, Stem
from naslib.utils import get_config_from_args, set_seed


def set_candidates(edge, channels=16):
    edge.data.set("op", [Identity(), ReLUConvBN(channels, channels, 3), SepConv(channels, channels, 3, 1, 1)])


class TwoBlocks(Graph):
    """A stem, two blocks with three decisions each, a classifier."""

    OPTIMIZER_SCOPE = "block"

    def __init__(self, n_classes=10, in_channels=1, channels=16):
        super().__init__("two_blocks")
        block = Graph(name="block", scope="block")
        block.add_nodes_from([1, 2, 3])
        block.add_edges_densly()
        self.add_nodes_from([1, 2, 3, 4, 5])
        self.add_edges_from([(i, i + 1) for i in range(1, 5)])
        self.edges[1, 2].set("op", Stem(in_channels, channels))
        self.edges[2, 3].set("op", block)
        self.edges[3, 4].set("op", block.copy())  # a copy shares its decisions, not its weights
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, n_classes)]
        self.edges[4, 5].set("op", Sequential(*head))
        self.update_edges(set_candidates, scope="block", private_edge_data=True)


config = get_config_from_args()
config.evaluation.update(cells=None, channels=None)  # darts.yaml sizes another space
set_seed(config.seed)
optimizer = DARTSOptimizer(**config.search)
optimizer.adapt_search_space(TwoBlocks())
trainer = Trainer(optimizer, config)
trainer.search()
print(optimizer.get_final_architecture().genotype())
print(f"test accuracy {trainer.evaluate():.2f} %")
