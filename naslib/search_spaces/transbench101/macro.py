"""The macro space of TransNAS-Bench-101."""

from __future__ import annotations

from typing import Any

from torch import nn

from naslib.data.info import ImageSize
from naslib.errors import ArchitectureError, UnsupportedBySpaceError
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.graph import Graph

from .macro_codec import TransBench101MacroCodec
from .primitives import BasicBlock, build_chain, check_sizes, classes_of


class TransBench101SearchSpaceMacro(Graph):
    """The macro space of TransNAS-Bench-101 ([Duan2021transnas]): where channels double and where the image halves.

    Four to six modules of two residual blocks; one to three of them double the channels, one to four halve the image.
    The graph is empty until `set_spec` builds a network.

    Args:
        n_classes: Number of classes or of values; or, as in NASLib, the name of a data set: that of a task of the
            benchmark has its classes, any other one 10.
        in_channels: Channels of the images.
        channels: Channels after the stem; 64 in the benchmark.
        task: See `TransBench101SearchSpaceMicro`.
        patches: Likewise.
        dense: Likewise.
        image_size: Likewise.

    Raises:
        ConfigError: If the arguments do not go together, or there is no head for the task.
    """

    QUERYABLE = True
    TASKS = ("classification", "regression", "segmentation")
    INPUTS = ("image",)
    NO_SUPERNET = "its architectures differ in the width and the resolution of every module"

    codec = TransBench101MacroCodec()

    def __init__(
        self,
        n_classes: int | str = 10,
        in_channels: int = 3,
        channels: int = 64,
        task: str = "classification",
        patches: int = 1,
        dense: bool = False,
        image_size: ImageSize = 32,
    ) -> None:
        super().__init__("makrograph")
        check_sizes("transbench101_macro", self.TASKS, task, channels, patches, dense)
        self.n_classes, self.in_channels, self.channels = classes_of(n_classes), in_channels, channels
        self.task, self.patches, self.dense, self.image_size = task, patches, dense, image_size

    def build_modules(self, code: Code) -> None:
        """Build the network of a code in this graph; `set_spec` calls it.

        Args:
            code: A canonical code.
        """
        modules: list[nn.Module] = []
        width = self.channels
        for digit in (digit for digit in code if digit):
            out, stride = (2 * width if digit in (2, 4) else width), (2 if digit in (3, 4) else 1)
            modules.append(ops.Sequential(BasicBlock(width, out, stride), BasicBlock(out, out)))
            width = out
        build_chain(self, modules, width, self)

    def evaluation_network(
        self, cells: int | None = None, channels: int | None = None, auxiliary: bool | None = None
    ) -> Graph:
        """Return the network that is retrained for this architecture, with fresh weights.

        Args:
            cells: The architecture says how many modules there are.
            channels: Channels after the stem, those of the search if None.
            auxiliary: There is no auxiliary head.

        Raises:
            ArchitectureError: If no architecture is set.
            UnsupportedBySpaceError: For an auxiliary head, or a number of cells.
        """
        if auxiliary or cells is not None:
            what = "auxiliary head" if auxiliary else "number of cells other than that of the architecture"
            raise UnsupportedBySpaceError(f"the networks of TransNAS-Bench-101 have no {what}")
        if self._code is None:
            raise ArchitectureError("this graph is no architecture yet; set one by set_spec")
        sizes: dict[str, Any] = {"task": self.task, "patches": self.patches, "dense": self.dense}
        fresh = TransBench101SearchSpaceMacro(
            self.n_classes, self.in_channels, channels or self.channels, image_size=self.image_size, **sizes
        )
        fresh.set_spec(self._code)
        fresh.parse()
        return Graph.evaluation_network(fresh.take_given(self))
