"""The search space of NAS-Bench-Macro."""

from __future__ import annotations

from typing import Any

from torch import nn

from naslib.data.info import ImageSize
from naslib.search_spaces.core.mobile.chain import MobileChain, check_sizes, check_task, layer_of
from naslib.search_spaces.core.mobile.codec import ChainCodec
from naslib.search_spaces.core.mobile.layers import MobileHead, MobileStem

from .codec import HEAD, NasBenchMacroCodec, shapes
from .primitives import candidates

_CODEC = NasBenchMacroCodec()


class NasBenchMacroSearchSpace(MobileChain):
    """The space of NAS-Bench-Macro ([Su2021nasbenchmacro]): 8 layers of 3 blocks, 6,561 architectures.

    Stem (3x3), stages of 2, 3 and 3 layers, a 1x1 convolution to 1280 channels, mean, classifier. The first layer of a
    stage halves the image and doubles the channels; there `Identity` is a 1x1 convolution with BN. Architectures are
    given by the benchmark's string of eight digits (0 Identity, 1 MB3_K3, 2 MB6_K5), and `query` answers from
    `nb_macro.npz`.

    Args:
        n_classes: Number of classes or of values.
        in_channels: Channels of the images.
        image_size: Side of the images, or height and width; kernels are compared with it. None leaves that out.
        channels: Of the stem; the benchmark's networks have 32.
        head_channels: Channels of the last convolution; 0 for none.
        dropout: Rate before the classifier.
        task: What it is for.

    Raises:
        ConfigError: If a size is not positive, or images are so small that a part of a kernel never sees them.
    """

    NAME = "nasbench_macro"
    QUERYABLE = True
    TASKS = ("classification", "regression")
    INPUTS = ("image",)
    # the benchmark's own networks have kernels of 5 on features of 4x4
    SPARE = 1

    codec = _CODEC

    def __init__(
        self,
        n_classes: int = 10,
        in_channels: int = 3,
        image_size: ImageSize | None = None,
        channels: int = 32,
        head_channels: int = HEAD,
        dropout: float = 0.0,
        task: str = "classification",
    ) -> None:
        super().__init__("makrograph")
        check_task(self.NAME, task, self.TASKS)
        check_sizes(self.NAME, n_classes=n_classes, in_channels=in_channels, channels=channels)
        self.n_classes = n_classes
        self.in_channels = in_channels
        self.image_size = image_size
        self.channels = channels
        self.head_channels = head_channels
        self.dropout = dropout
        self.task = task
        steps: list[nn.Module] = [MobileStem(in_channels, channels, 1, "re")]
        for number, (C_in, C_out, stride) in enumerate(shapes(channels), start=1):
            shortcut = stride == 1
            steps.append(layer_of(number, candidates(C_in, C_out, stride, shortcut), shortcut))
        steps.append(MobileHead(8 * channels, head_channels, n_classes, "re", dropout))
        self.build_chain(steps, image_size)

    def make_codec(self, names: dict[str, list[str]]) -> ChainCodec:
        """Return the codec of the benchmark."""
        return _CODEC

    def set_spec(self, spec: Any, dataset_api: Any = None) -> None:
        """Make this graph the architecture `spec`: the benchmark's string, a code, or names of blocks.

        A string of digits is an architecture, not its number in the benchmark; a number is an int.

        Args:
            spec: The architecture.
            dataset_api: A benchmark, for architectures that are given by their number in it.

        Raises:
            SpecAlreadySetError: If the modules of an architecture are in place already (also an AssertionError).
            ArchitectureError: If `spec` is not of this space.
        """
        super().set_spec(_CODEC.canonical(spec) if isinstance(spec, str) else spec, dataset_api)

    def check_spec(self, spec: Any, dataset_api: Any = None) -> Any:
        """Return the code of the architecture that `set_spec` would make of `spec`; the graph is not changed.

        Raises:
            ArchitectureError: If `spec` is not of this space.
        """
        return super().check_spec(_CODEC.canonical(spec) if isinstance(spec, str) else spec, dataset_api)
