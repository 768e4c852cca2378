"""ScheduledDropPath: how the probability of dropping paths follows steps and depth ([Zoph2018nasnet] and its code)."""

from __future__ import annotations

from torch import nn

from naslib.errors import ConfigError, did_you_mean
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import DropPath, set_drop_path_prob
from naslib.utils.log import get_logger

logger = get_logger(__name__)

# By epochs, as the code of DARTS does; by step; by cell; by both
SCHEDULES = ("epochs", "v1", "v2", "v3")
BY_STEP, BY_CELL = ("v1", "v3"), ("v2", "v3")


def check_paths(network: nn.Module, version: str, probability: float) -> None:
    """Raise where paths are to be dropped by step or by cell, and a network has none.

    Args:
        network: What will be trained.
        version: `evaluation.drop_path`.
        probability: `evaluation.drop_path_prob`.

    Raises:
        ConfigError: If it has none.
    """
    if version in ("auto", "epochs") or not probability or cell_depths(network):
        return
    raise ConfigError(
        f"evaluation.drop_path is {version}, and the networks of {type(network).__name__} have no path to drop: leave "
        "it out, or set evaluation.drop_path_prob=0"
    )


def cell_depths(network: nn.Module) -> dict[DropPath, float]:
    """Return for every drop-path the share `(cell + 1) / cells` of the cell that it is in.

    The cells of a graph are the subgraphs at its nodes, in their order, reduction and stem cells among them; of a graph
    without, the edges that have drop-paths in them. A drop-path that is in none of them has depth 1.
    """
    found = {module: 1.0 for module in network.modules() if isinstance(module, DropPath)}
    if not isinstance(network, Graph):
        return found
    nested = [network.nodes[node].get("subgraph") for node in sorted(network.nodes)]
    cells: list[nn.Module] = [cell for cell in nested if isinstance(cell, Graph)]
    if not cells:
        ops = [network.edges[edge].op for edge in sorted(network.edges)]
        cells = [op for op in ops if isinstance(op, nn.Module) and _paths(op)]
    for index, cell in enumerate(cells):
        for path in _paths(cell):
            found[path] = (index + 1) / len(cells)
    return found


def _paths(module: nn.Module) -> list[DropPath]:
    return [inner for inner in module.modules() if isinstance(inner, DropPath)]


class DropPathSchedule:
    """Set the probability of every drop-path of a network before each step.

    With p the probability at the end, `v1` drops `p step / steps` everywhere, `v2` `p (cell + 1) / cells` from the
    first step on, and `v3`, with which NASNet was published, their product `p (cell + 1) / cells step / steps`.
    Steps are those of the whole training, counted from 0. `epochs` is `p epoch / epochs`, times the depth that a
    network was built with.

    Args:
        network: What is trained.
        version: One of `SCHEDULES`; `"auto"`: what the network says (`Graph.drop_path_schedule`), by epochs where the
            number of steps is not known.
        probability: p, in [0, 1).
        epochs: Of the training.
        steps: Of an epoch; None where that is not known.

    Raises:
        ConfigError: For another version, or one that needs steps where their number is not known.
    """

    def __init__(
        self, network: nn.Module, version: str, probability: float, epochs: int, steps: int | None = None
    ) -> None:
        if version not in (*SCHEDULES, "auto"):
            hint = did_you_mean(str(version), SCHEDULES)
            raise ConfigError(f"evaluation.drop_path is auto, {', '.join(SCHEDULES)}, not {version!r}{hint}")
        named = getattr(network, "drop_path_schedule", "epochs")
        self.version = named if version == "auto" and steps else "epochs" if version == "auto" else version
        depths = cell_depths(network)
        if version not in ("auto", "epochs") and probability and not depths:
            logger.warning("evaluation.drop_path is %s, and this network has no path to drop", version)
        if self.version in BY_STEP and not steps:
            raise ConfigError(
                f"evaluation.drop_path {version} goes by the steps of the training, and this loader does not say how "
                "many there are: take epochs or v2"
            )
        self.network, self.probability, self.epochs, self.steps = network, probability, epochs, steps or 0
        by_cell = self.version in BY_CELL
        self._paths = [(path, depth if by_cell else 1.0) for path, depth in depths.items()]
        self._epoch = 0

    def begin_epoch(self, epoch: int, network: nn.Module | None = None) -> None:
        """Set what follows the epochs.

        Args:
            epoch: From 0.
            network: Where it is set, if that is another one than before.
        """
        self._epoch = epoch
        if self.version == "epochs":
            set_drop_path_prob(
                self.network if network is None else network, self.probability * epoch / max(self.epochs, 1)
            )
        else:
            self.before_step(0)

    def before_step(self, step: int) -> None:
        """Set what follows the steps.

        Args:
            step: Of the epoch, from 0.
        """
        if self.version == "epochs":
            return
        reached = 1.0
        if self.version in BY_STEP:
            reached = min(1.0, (self._epoch * self.steps + step) / max(self.epochs * self.steps, 1))
        for path, depth in self._paths:
            path.drop_prob = self.probability * reached * depth
