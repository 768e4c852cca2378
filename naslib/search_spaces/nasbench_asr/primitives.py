"""Operations of NAS-Bench-ASR, on features `(n, channels, t)`."""

from __future__ import annotations

from torch import Tensor, nn

from naslib.search_spaces.core.ops_base import AbstractPrimitive
from naslib.search_spaces.core.types import EdgeLike

# No activation is larger than this
CEILING = 20.0
# A convolution sees at most so many frames of the future
CONTEXT = 4
_EPSILON = 1e-3


def paddings(kernel_size: int, dilation: int, stride: int) -> tuple[int, int]:
    """Return how many zeros stand before and after a sequence, such that little of the future is seen.

    Args:
        kernel_size: Of the convolution.
        dilation: Likewise.
        stride: Likewise.
    """
    after = CONTEXT // stride
    if after >= kernel_size * dilation - stride:
        return 0, kernel_size * dilation - stride
    return (kernel_size - 1) * dilation - after, after


class ClippedConv(AbstractPrimitive):
    """Pad, convolve, ReLU up to 20: a candidate of a cell, or the layer before a block of cells.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        kernel_size: Of the convolution.
        dilation: Likewise.
        stride: Likewise.
        groups: Likewise.
        dropout: Probability that an output is dropped.
    """

    def __init__(
        self,
        C_in: int,
        C_out: int,
        kernel_size: int,
        dilation: int = 1,
        stride: int = 1,
        groups: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(locals())
        self.pad = nn.ConstantPad1d(paddings(kernel_size, dilation, stride), 0.0)
        self.conv = nn.Conv1d(C_in, C_out, kernel_size, stride, dilation=dilation, groups=groups)
        self.dropout = nn.Dropout(dropout)
        self._name = f"conv{kernel_size}" + (f"d{dilation}" if dilation > 1 else "")

    @property
    def get_op_name(self) -> str:
        """The benchmark's name."""
        return self._name

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Apply the operation.

        `(n, C_in, t)` to `(n, C_out, t')`, shorter by the stride.
        """
        return self.dropout(self.conv(self.pad(x)).clamp(0.0, CEILING))


class ClippedLinear(AbstractPrimitive):
    """A linear layer at each frame, ReLU up to 20.

    Args:
        C: Channels of inputs and outputs.
        dropout: Probability that an output is dropped.
    """

    def __init__(self, C: int, dropout: float = 0.0) -> None:
        super().__init__(locals())
        self.linear = nn.Linear(C, C)
        self.dropout = nn.Dropout(dropout)

    @property
    def get_op_name(self) -> str:
        """The benchmark's name."""
        return "linear"

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Apply the operation.

        `(n, channels, t)` keeps its shape.
        """
        outputs = self.linear(x.transpose(1, 2)).clamp(0.0, CEILING)
        return self.dropout(outputs).transpose(1, 2)


class FrameNorm(AbstractPrimitive):
    """Normalise each frame over its channels.

    Args:
        channels: Of the features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(locals())
        self.norm = nn.LayerNorm(channels, eps=_EPSILON)

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Apply the layer.

        `(n, channels, t)` keeps its shape.
        """
        return self.norm(x.transpose(1, 2)).transpose(1, 2)


class SpeechHead(AbstractPrimitive):
    """An LSTM and a linear layer; outputs of each frame, or from the average over frames.

    Args:
        C_in: Channels of the features.
        n_outputs: Outputs for each frame, or each sequence.
        hidden: Size of the LSTM; 0 for none.
        frames: Whether each frame has outputs of its own.
    """

    def __init__(self, C_in: int, n_outputs: int, hidden: int, frames: bool) -> None:
        super().__init__(locals())
        self.frames = frames
        self.lstm = nn.LSTM(C_in, hidden, batch_first=True) if hidden else None
        self.linear = nn.Linear(hidden or C_in, n_outputs)

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Return the outputs.

        `(n, C_in, t)` to `(n, t, n_outputs)` for each frame, else to `(n, n_outputs)`.
        """
        features = x.transpose(1, 2)
        if self.lstm is not None:
            features, _ = self.lstm(features)
        return self.linear(features if self.frames else features.mean(1))
