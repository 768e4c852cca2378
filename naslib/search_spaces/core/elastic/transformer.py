"""One layer of a transformer, of elastic layers."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from naslib.errors import ConfigError
from naslib.search_spaces.core.ops_basic import DropPath

from .attention import ElasticMultiheadAttention
from .linear import ElasticLinear
from .norm import ElasticLayerNorm
from .sizes import Size


class BlockSizes(NamedTuple):
    """The sizes of a layer; each is a number, a value decision, or what is computed from some.

    Attributes:
        embed: Features of a token.
        heads: Number of heads.
        head_dim: Size of a head; the heads need not be as wide together as the embedding.
        hidden: Features between the two linear layers.
        bias: Whether linear layers and attention have biases; a value decision of 0 and 1 to search it.
    """

    embed: int | Size
    heads: int | Size
    head_dim: int | Size
    hidden: int | Size
    bias: bool | Size = True


class BlockKind(NamedTuple):
    """What kind of layer it is.

    Attributes:
        causal: Whether a token attends to itself and those before it only.
        relative: Largest distance between patches for which there are vectors; 0 for none.
        rotary: Entries of a head that are turned by the position; 0 for none.
        parallel: Whether attention and linear layers read the same tokens, and are added together, rather than the
            linear layers what attention has changed.
        dropout: Share of attention weights and of features that is dropped in training.
        mix: See `Elastic`.
    """

    causal: bool = False
    relative: int = 0
    rotary: int = 0
    parallel: bool = False
    dropout: float = 0.0
    mix: str = "weights"


class TransformerBlock(nn.Module):
    """Attention, and two linear layers with GELU between them, each behind a layer norm and beside the identity.

    Args:
        sizes: Its sizes.
        kind: What kind it is.

    Attributes:
        drop_path: Drops the two branches for whole items, where a training sets its probability.

    Raises:
        ConfigError: If a size is no integer from 1 for one of the choices.
    """

    def __init__(self, sizes: BlockSizes, kind: BlockKind = BlockKind()) -> None:  # noqa: B008
        super().__init__()
        embed, bias, mix = sizes.embed, sizes.bias, kind.mix
        self.parallel = kind.parallel
        self.attention_norm = ElasticLayerNorm(embed)
        self.attention = ElasticMultiheadAttention(
            *(embed, sizes.heads, sizes.head_dim),
            qkv_bias=bias,
            proj_bias=bias,
            dropout=kind.dropout,
            causal=kind.causal,
            relative=kind.relative,
            rotary=kind.rotary,
            mix=mix,
        )
        self.linear_norm = ElasticLayerNorm(embed)
        self.linear = nn.Sequential(
            ElasticLinear(embed, sizes.hidden, bias, mix), nn.GELU(), ElasticLinear(sizes.hidden, embed, bias, mix)
        )
        self.dropout = nn.Dropout(kind.dropout)
        self.drop_path = DropPath(nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        """Change the tokens.

        `(n, tokens, embed)` in and out.
        """
        attended = x + self.drop_path(self.dropout(self.attention(self.attention_norm(x))))
        read = x if self.parallel else attended
        return attended + self.drop_path(self.dropout(self.linear(self.linear_norm(read))))


def checked_dropout(share: float) -> float:
    """Return a share of features that are dropped.

    Raises:
        ConfigError: If it is none.
    """
    if not 0.0 <= share < 1.0:
        raise ConfigError(f"dropout is a share from 0, less than 1, not {share}")
    return share


def set_dropout(network: nn.Module, share: float) -> None:
    """Set the dropout of features, and of attention weights, of all layers in a network, in place.

    Args:
        network: With `TransformerBlock`s, elastic or extracted.
        share: In [0, 1).
    """
    for block in network.modules():
        if isinstance(block, TransformerBlock):
            block.dropout.p = share
            block.attention.dropout = share
