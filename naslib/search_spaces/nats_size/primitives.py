"""Cells and blocks of NATS-Bench whose channels are decisions."""

from __future__ import annotations

from torch import Tensor, nn

from naslib.search_spaces.core.elastic import ElasticBatchNorm2d, ElasticConv2d, ElasticShortcut, Size


def relu_conv_bn(inputs: int | Size, outputs: int | Size, stride: int = 1, mix: str = "weights") -> nn.Sequential:
    """Return ReLU, a 3x3 convolution and batch norm.

    Args:
        inputs: Number of input channels.
        outputs: Number of output channels.
        stride: Of the convolution.
        mix: See `Elastic`.
    """
    conv = ElasticConv2d(inputs, outputs, 3, stride, 1, bias=False, mix=mix)
    return nn.Sequential(nn.ReLU(), conv, ElasticBatchNorm2d(outputs, mix=mix))


class SizeCell(nn.Module):
    """The cell of the size space, the best of the topology space on CIFAR-100: 3x3 convolutions and one shortcut.

    Node 1 is a convolution of the input, node 2 the sum of convolutions of the input and of node 1, node 3 the sum of
    the input and of convolutions of nodes 1 and 2.

    Args:
        inputs: Number of input channels.
        outputs: Number of output channels.
        mix: See `Elastic`.
    """

    def __init__(self, inputs: int | Size, outputs: int | Size, mix: str = "weights") -> None:
        super().__init__()
        self.edge_0_1 = relu_conv_bn(inputs, outputs, mix=mix)
        self.edge_0_2 = relu_conv_bn(inputs, outputs, mix=mix)
        self.edge_1_2 = relu_conv_bn(outputs, outputs, mix=mix)
        self.edge_0_3 = nn.Identity() if inputs is outputs else ElasticShortcut(inputs, outputs, mix)
        self.edge_1_3 = relu_conv_bn(outputs, outputs, mix=mix)
        self.edge_2_3 = relu_conv_bn(outputs, outputs, mix=mix)

    def forward(self, x: Tensor) -> Tensor:
        """Return the last node.

        `(n, c_in, h, w)` to `(n, c_out, h, w)`.
        """
        first = self.edge_0_1(x)
        second = self.edge_0_2(x) + self.edge_1_2(first)
        return self.edge_0_3(x) + self.edge_1_3(first) + self.edge_2_3(second)


class SizeBlock(nn.Module):
    """The residual block between stages: two convolutions, the first of stride 2, beside an average and a convolution.

    Windows of the average at the border of an image of odd size are smaller.

    Args:
        inputs: Number of input channels.
        outputs: Number of output channels.
        mix: See `Elastic`.
    """

    def __init__(self, inputs: int | Size, outputs: int | Size, mix: str = "weights") -> None:
        super().__init__()
        self.conv_a = relu_conv_bn(inputs, outputs, 2, mix)
        self.conv_b = relu_conv_bn(outputs, outputs, mix=mix)
        self.downsample = nn.Sequential(
            nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False),
            ElasticConv2d(inputs, outputs, 1, bias=False, mix=mix),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return `(n, c_out, h / 2, w / 2)`, rounded up."""
        return self.downsample(x) + self.conv_b(self.conv_a(x))
