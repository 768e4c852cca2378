"""The search spaces of NASNet and of PNAS."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

from torch import nn

from naslib.data.info import ImageSize, plain_size
from naslib.errors import ConfigError, did_you_mean
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core._ops_by_name import op_name
from naslib.search_spaces.core._selection import keep_strongest_edge, select_without_zero
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph, Scope
from naslib.search_spaces.core.literals import plain, read_literal
from naslib.search_spaces.core.ops_named import NONE, Names, checked_names, names_by_op
from naslib.search_spaces.core.schema import DecisionSpace
from naslib.search_spaces.core.statement import state

from .cells import block_node, branches, empty_cell, fix_output
from .codec import BlockCodec, is_written
from .genotype import COMBINATIONS, as_cells
from .macro import BlockMacro, Place, build, resolve_stem, scopes
from .network import BlockNetwork
from .primitives import NASNET, PNAS, make
from .rules import ALL, UNUSED, OutputRule, read_rule

EVALUATION_CELLS_PER_STAGE = 6
EVALUATION_CHANNELS = 32


class NASNetSearchSpace(Graph):
    """The space of [Zoph2018nasnet]: normal and reduction cells of five blocks, each of two operations on two states.

    A block chooses two of the states before it (the outputs of the two cells before, and of the blocks before it), an
    operation on each, and, where `combine` has both, whether the results are added or concatenated. The states that no
    block reads are concatenated. As in DARTS, the search network has an operation from every state to every branch, of
    which an architecture keeps one per branch, and concatenates all blocks; architectures follow the rule.

    Args:
        n_classes: Number of classes, or of values.
        in_channels: Channels of the images.
        auxiliary: Whether the network that is retrained has an auxiliary head (the search network has none).
        channels: Channels of a block in the first stage; each of the two reduction cells doubles them.
        cells_per_stage: Normal cells in each of the three stages.
        blocks: Blocks of a cell.
        primitives: The operations, a list of registered names (`OPERATIONS`); the 13 of the paper if None.
        combine: How blocks combine their branches: `"add"`, `"concat"` (with a 1x1 convolution to the channels of the
            block), or both in a list, as a decision of each block.
        concat: What makes the output of a cell: `"unused"`, the blocks that no other reads, `"all"` blocks, or the same
            states for every architecture, `{"normal": [...], "reduce": [...]}`.
        stem: `"cifar"`, `"imagenet"`, or `"auto"`: the latter from 96 pixels on.
        image_size: Side of the images, or height and width, for `stem="auto"`.
        task: What it is for.

    Raises:
        ConfigError: If a size is not positive, a name is unknown, or there is no head for the task.
    """

    OPTIMIZER_SCOPE = ["n_stage_1", "n_stage_2", "n_stage_3", "r_stage_1", "r_stage_2", "stem"]
    TASKS = ("classification", "regression")
    INPUTS = ("image",)
    ALLOWS_ZERO = False

    NAME: ClassVar[str] = "nasnet"
    CELLS: ClassVar[tuple[str, ...]] = ("normal_cell", "reduction_cell")
    PRIMITIVES: ClassVar[Names] = NASNET
    REDUCTIONS: ClassVar[str] = "added"

    def __init__(
        self,
        n_classes: int = 10,
        in_channels: int = 3,
        auxiliary: bool = True,
        channels: int = 16,
        cells_per_stage: int = 2,
        blocks: int = 5,
        primitives: Sequence[str] | None = None,
        combine: str | Sequence[str] = "add",
        concat: str | Mapping[str, Sequence[int]] = "unused",
        stem: str = "auto",
        image_size: ImageSize = 32,
        task: str = "classification",
    ) -> None:
        super().__init__("makrograph")
        names, combinations, rule = self._check(primitives, combine, concat, blocks, task)
        self.n_classes = n_classes
        self.in_channels = in_channels
        self.auxiliary = auxiliary
        self.channels = channels
        self.cells_per_stage = cells_per_stage
        self.blocks = blocks
        self.primitives = plain(primitives)
        self.combine = plain(combine)
        self.concat = plain(concat)
        self.stem = stem
        self.image_size = plain_size(image_size)
        self.task = task
        self.names_in_genotype = names_by_op(tuple(name for name in names if name != NONE), make)
        macro = BlockMacro(
            cells_per_stage,
            channels,
            in_channels,
            n_classes,
            resolve_stem(stem, image_size),
            reductions=self.REDUCTIONS,
            raw_first_input=False,
            affine=False,
        )
        self.OPTIMIZER_SCOPE = scopes()[:-1] + (["stem"] if macro.stem == "imagenet" else [])
        build(self, macro, _CellMaker(self.CELLS, blocks, names, combinations, rule), rule_width(rule, blocks))
        self.codec = BlockCodec(
            self.NAME, self.present_decisions(), self.CELLS, self.names_in_genotype, blocks, rule, combinations
        )

    def _check(
        self, primitives: Any, combine: Any, concat: Any, blocks: int, task: str
    ) -> tuple[Names, tuple[str, ...], OutputRule]:
        """Return the operations, the combinations and the rule of the output.

        Raises:
            ConfigError: If something is not as it must be; all problems at once.
        """
        problems: list[str] = []
        names = self.PRIMITIVES if primitives is None else checked_names(plain(primitives), "primitives", problems)
        given = [combine] if isinstance(combine, str) else plain(combine)
        combinations = tuple(name for name in COMBINATIONS if isinstance(given, list) and name in given)
        unknown = [name for name in given if name not in COMBINATIONS] if isinstance(given, list) else [given]
        problems += [
            f"combine: there is no combination {name!r}{did_you_mean(str(name), COMBINATIONS)} (known: add, concat)"
            for name in unknown
        ]
        if not combinations and not unknown:
            problems.append("combine needs add, concat or both")
        rule = read_rule(concat, blocks, problems)
        if len(self.CELLS) == 1 and len(set(rule.fixed)) == 2:
            problems.append(f"concat: {self.NAME} has one cell for both strides; give both the same states")
        if blocks < 1:
            problems.append(f"blocks must be at least 1, not {blocks}")
        if task not in self.TASKS:
            problems.append(f"{self.NAME} has no head for {task}, only for {', '.join(self.TASKS)}")
        if problems:
            raise ConfigError(problems)
        return names, combinations, rule

    def arguments_for(self, spec: Any) -> dict[str, Any]:
        """Return the number of blocks and what makes the output, where those of `spec` are others.

        Raises:
            ArchitectureError: If `spec` has the form of a genotype, and is invalid.
        """
        if isinstance(spec, str):
            with suppress(ValueError):
                spec = read_literal(spec)
        if not is_written(spec) or not isinstance(self.codec, BlockCodec):
            return {}
        cells = as_cells(spec, self.codec.operations, len(self.CELLS) == 1, self.codec.rule)
        found: dict[str, Any] = {} if cells.normal.blocks == self.blocks else {"blocks": cells.normal.blocks}

        def holds(rule: OutputRule) -> bool:
            return all(cell.concat == rule.states(number, cell.edges) for number, cell in enumerate(cells))

        if not holds(self.codec.rule):
            named = next((rule.name for rule in (UNUSED, ALL) if holds(rule)), None)
            fixed = {"normal": list(cells.normal.concat), "reduce": list(cells.reduce.concat)}
            found["concat"] = fixed if named is None else named
        return found

    def select_primitive(self, edge_data: EdgeData) -> int:
        """Return the index of the strongest candidate other than Zero."""
        return select_without_zero(edge_data)

    def state_decisions(self, scope: Scope = None) -> DecisionSpace:
        """State one input per branch, and the operation on it by its name in a genotype."""
        names = self.names_in_genotype
        return state(self, scope, kept_edges=1, names=lambda op: names.get(op_name(op), op_name(op)))

    def prepare_discretization(self) -> None:
        """Keep the strongest edge into every branch, by its strongest operation other than Zero."""
        self.update_nodes(keep_strongest_edge, scope=self.OPTIMIZER_SCOPE, single_instances=True)

    def prepare_evaluation(self) -> None:
        """Let the cells give out what the rule says."""
        if isinstance(self.codec, BlockCodec):
            self.codec.follow_rule(self)

    def evaluation_network(
        self,
        cells_per_stage: int | None = None,
        channels: int | None = None,
        auxiliary: bool | None = None,
        drop_path: str = "scheduled",
    ) -> BlockNetwork:
        """Return the network that is retrained for this architecture: fresh weights, affine BN, drop-path.

        Args:
            cells_per_stage: Normal cells per stage, 6 if None.
            channels: Channels of a block in the first stage, 32 if None.
            auxiliary: Whether there is an auxiliary head, as the space was told if None.
            drop_path: `"scheduled"` (ScheduledDropPath: deeper cells drop more) or `"uniform"`.

        Raises:
            ArchitectureError: If this graph is not discrete.
        """
        network = BlockNetwork(
            self.genotype(),
            n_classes=self.n_classes,
            in_channels=self.in_channels,
            cells_per_stage=EVALUATION_CELLS_PER_STAGE if cells_per_stage is None else cells_per_stage,
            channels=EVALUATION_CHANNELS if channels is None else channels,
            auxiliary=self.auxiliary if auxiliary is None else auxiliary,
            stem=self.stem,
            image_size=self.image_size,
            reductions=self.REDUCTIONS,
            drop_path=drop_path,
        )
        network.parse()
        return network.take_given(self)


class PNASSearchSpace(NASNetSearchSpace):
    """The space of [Liu2018pnas]: one cell of five blocks, used with stride 1 and 2, of eight operations.

    Blocks add their branches, and the output of a cell concatenates all of them, as in the published PNASNet-5. The
    rest is as in `NASNetSearchSpace`.

    Args:
        n_classes: Number of classes, or of values.
        in_channels: Channels of the images.
        auxiliary: Whether the network that is retrained has an auxiliary head (the search network has none).
        channels: Channels of a block in the first stage.
        cells_per_stage: Cells in each of the three stages; the first of the second and of the third has stride 2.
        blocks: Blocks of a cell.
        primitives: The operations; the 8 of the paper if None.
        combine: See `NASNetSearchSpace`.
        concat: See `NASNetSearchSpace`.
        stem: See `NASNetSearchSpace`.
        image_size: See `NASNetSearchSpace`.
        task: What it is for.

    Raises:
        ConfigError: As `NASNetSearchSpace`.
    """

    NAME = "pnas"
    CELLS = ("cell",)
    PRIMITIVES = PNAS
    REDUCTIONS = "first"

    def __init__(
        self,
        n_classes: int = 10,
        in_channels: int = 3,
        auxiliary: bool = True,
        channels: int = 16,
        cells_per_stage: int = 2,
        blocks: int = 5,
        primitives: Sequence[str] | None = None,
        combine: str | Sequence[str] = "add",
        concat: str | Mapping[str, Sequence[int]] = "all",
        stem: str = "auto",
        image_size: ImageSize = 32,
        task: str = "classification",
    ) -> None:
        super().__init__(
            n_classes,
            in_channels,
            auxiliary,
            channels,
            cells_per_stage,
            blocks,
            primitives,
            combine,
            concat,
            stem,
            image_size,
            task,
        )


class _CellMaker:
    """Make cells whose edges under search share their entries with the same edge of all other cells of the kind."""

    def __init__(
        self, cells: tuple[str, ...], blocks: int, names: Names, combinations: tuple[str, ...], rule: OutputRule
    ) -> None:
        self.blocks, self.names, self.combinations, self.rule = blocks, names, combinations, rule
        templates = [_searchable_cell(name, blocks) for name in cells]
        self.templates = {False: templates[0], True: templates[-1]}
        self.candidates: dict[tuple[int, int], list[nn.Module]] = {}

    def __call__(self, place: Place) -> Graph:
        cell = self.templates[place.is_reduction].copy()
        cell.set_scope(place.scope)
        for source, _, data in cell.edges(data=True):
            if not data.is_final():
                data.set("op", self.make_candidates(place.channels, 2 if place.is_reduction and source <= 2 else 1))
        for block in range(self.blocks):
            found = [sum if name == "add" else _concatenation(place.channels) for name in self.combinations]
            if found != [sum]:
                cell.nodes[block_node(block)]["comb_op"] = found[0] if len(found) == 1 else found
        if self.rule.fixed:
            states = self.rule.fixed[place.is_reduction]
            fix_output(cell, states, place.widths, place.channels, place.is_reduction)
        return cell

    def make_candidates(self, channels: int, stride: int) -> list[nn.Module]:
        """Return fresh candidates, as copies with new weights: twice as fast as calling the constructors."""
        key = channels, stride
        if key not in self.candidates:
            self.candidates[key] = [make(name, channels, channels, stride, search=True) for name in self.names]
        fresh = copy.deepcopy(self.candidates[key])
        for op in fresh:
            for module in op.modules():
                if isinstance(module, nn.Conv2d):
                    module.reset_parameters()
        return fresh


def rule_width(rule: OutputRule, blocks: int) -> Callable[[Place], int]:
    """Return a function of places that returns the channels of the output of a search network's cell there."""
    return lambda place: place.channels * (len(rule.fixed[place.is_reduction]) if rule.fixed else blocks)


def _concatenation(channels: int) -> nn.Module:
    return ops.Concat1x1(2, channels, affine=False)


def _searchable_cell(name: str, blocks: int) -> Graph:
    cell = empty_cell(name, blocks)
    for _, node, sources in branches(blocks):
        cell.add_edges_from((source, node) for source in sources)
    return cell
