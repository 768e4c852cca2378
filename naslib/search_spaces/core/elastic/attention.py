"""Multi-head self-attention whose embedding, number of heads and size of heads are decisions."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.errors import ConfigError

from .in_force import Mixture, Point, Sizes
from .layer import Elastic, Extracted, checked_mix
from .relative import relative_vectors, rotated
from .sizes import Size, as_size, switched
from .weights import Axes

_EMBED, _HEADS, _HEAD_DIM = range(3)


class SelfAttention(nn.Module):
    """Multi-head self-attention; the heads need not be as wide together as the embedding.

    Args:
        embed_dim: Size of the embedding.
        num_heads: Number of heads.
        head_dim: Size of each head.
        qkv_bias: Whether queries, keys and values have a bias.
        proj_bias: Whether the output has a bias.
        dropout: Share of the attention weights that is dropped in training.
        causal: Whether a position attends to itself and those before it only.
        relative: Largest distance of relative positions (`ElasticMultiheadAttention`); 0 for none.
        rotary: Entries of a head that are turned by the position (`rotated`); 0 for none.

    Attributes:
        relative_keys: `(2, 2 * relative + 2, head_dim)`: vectors of distances, or None.
        relative_values: The same.
        qkv: Queries, keys and values of all heads, in this order, in one linear layer.
        proj: From the heads to the embedding.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        head_dim: int,
        qkv_bias: bool = True,
        proj_bias: bool = True,
        dropout: float = 0.0,
        causal: bool = False,
        relative: int = 0,
        rotary: int = 0,
    ) -> None:
        super().__init__()
        self.num_heads, self.head_dim = num_heads, head_dim
        self.dropout, self.causal, self.rotary = dropout, causal, rotary
        self.qkv = nn.Linear(embed_dim, 3 * num_heads * head_dim, qkv_bias)
        self.proj = nn.Linear(num_heads * head_dim, embed_dim, proj_bias)
        self.relative_keys = _table(relative, head_dim)
        self.relative_values = _table(relative, head_dim)

    def reset_parameters(self) -> None:
        """Draw the vectors of distances anew; the linear layers do so themselves."""
        _draw(self.relative_keys, self.relative_values)

    def forward(self, x: Tensor) -> Tensor:
        """Attend.

        Args:
            x: `(..., n, embed_dim)`.
        """
        heads = (self.num_heads, self.head_dim)
        tables = self.relative_keys, self.relative_values
        how = Masks(self.causal, self.dropout if self.training else 0.0, self.rotary)
        return self.proj(attend(self.qkv(x), heads, self.head_dim**-0.5, tables, how))


class Masks(NamedTuple):
    """What an attention does besides.

    Attributes:
        causal: Whether later positions are left out.
        dropout: Share of the weights that is dropped.
        rotary: Entries of queries and keys that are turned by the position.
    """

    causal: bool
    dropout: float
    rotary: int


def _table(relative: int, head_dim: int) -> nn.Parameter | None:
    """Return vectors of relative positions, drawn anew."""
    return nn.Parameter(0.02 * torch.randn(2, 2 * relative + 2, head_dim)) if relative else None


def _draw(*tables: nn.Parameter | None) -> None:
    for table in tables:
        if table is not None:
            nn.init.normal_(table, std=0.02)


def attend(
    qkv: Tensor,
    heads: tuple[int, int],
    scale: Tensor | float,
    relative: tuple[Tensor | None, Tensor | None],
    how: Masks,
) -> Tensor:
    """Return the values of all heads, `(..., n, num_heads * head_dim)`, weighted by the softmax of `scale * q k^T`.

    Written out: the fused kernels of the CPU cannot be differentiated twice, which second-order searches do.

    Args:
        qkv: `(..., n, 3 * num_heads * head_dim)`: queries, keys and values.
        heads: Their number and size.
        scale: What the products are multiplied by.
        relative: Vectors of relative positions that are added to the keys, and to the values (`relative_vectors`).
        how: What else is done.
    """
    query, key, value = qkv.unflatten(-1, (3, *heads)).movedim(-3, 0).transpose(-3, -2).unbind(0)
    if how.rotary:
        query, key = rotated(query, how.rotary), rotated(key, how.rotary)
    query = query * scale
    scores = query @ key.transpose(-2, -1)
    keys, values = (None if table is None else relative_vectors(table, qkv.shape[-2]) for table in relative)
    if keys is not None:
        scores = scores + torch.einsum("...hnd,nmd->...hnm", query, keys)
    if how.causal:
        n = scores.shape[-1]
        later = torch.ones(n, n, dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(later, float("-inf"))
    weights = F.dropout(scores.softmax(-1), how.dropout, how.dropout > 0.0)
    output = weights @ value
    if values is not None:
        output = output + torch.einsum("...hnm,nmd->...hnd", weights, values)
    return output.transpose(-3, -2).flatten(-2)


class ElasticMultiheadAttention(Elastic):
    """Multi-head self-attention; smaller ones have the first heads, of these the first entries.

    Every projection is one weight of the largest size. With mixed weights the projections are the weighted sums of
    their zero-padded slices, and the products of queries and keys are scaled by the weighted mean of `head_dim ** -.5`:
    one attention, which is not linear in its weights, so that it is no sum of outputs; but with all weight on one size
    it is that size.

    Args:
        embed_dim: Size of the embedding: a number, a value decision, or what is computed from some.
        num_heads: Number of heads, likewise.
        head_dim: Size of each head, likewise; None for the embedding divided by the heads.
        qkv_bias: Whether queries, keys and values have a bias; a value decision of 0 and 1 to search it.
        proj_bias: Whether the output has a bias, likewise.
        dropout: Share of the attention weights that is dropped in training.
        causal: Whether a position attends to itself and those before it only.
        relative: Largest distance between the rows and columns of patches up to which vectors are learned that are
            added to keys and values, the same for all heads ([Chen2021autoformer]); 0 for none.
        mix: See `Elastic`.
        rotary: Entries of a head that are turned by the position (`rotated`); 0 for none.

    Raises:
        ConfigError: If `head_dim` is None and some number of heads does not divide the embedding, if a bias can be more
            than 0 and 1, or `rotary` is odd, more than a head has, or goes with heads of several sizes.
    """

    OUTPUT: ClassVar[tuple[int, int]] = (-1, _EMBED)
    INPUT: ClassVar[tuple[int, int] | None] = (-1, _EMBED)

    qkv_bias: nn.Parameter | None
    proj_bias: nn.Parameter | None

    def __init__(
        self,
        embed_dim: int | Size,
        num_heads: int | Size,
        head_dim: int | Size | None = None,
        qkv_bias: bool | Size = True,
        proj_bias: bool | Size = True,
        dropout: float = 0.0,
        causal: bool = False,
        relative: int = 0,
        mix: str = "weights",
        rotary: int = 0,
    ) -> None:
        super().__init__()
        sizes = _attention_sizes(embed_dim, num_heads, head_dim)
        self.sizes, self.mix = _with_biases(sizes, qkv_bias, proj_bias), checked_mix(mix)
        self.dropout, self.causal, self.rotary = dropout, causal, _checked_rotary(rotary, sizes)
        embed, heads, size = sizes.box
        self.qkv_weight = nn.Parameter(torch.empty(3, heads, size, embed))
        self.qkv_bias = nn.Parameter(torch.empty(3, heads, size)) if qkv_bias is not False else None
        self.proj_weight = nn.Parameter(torch.empty(embed, heads, size))
        self.proj_bias = nn.Parameter(torch.empty(embed)) if proj_bias is not False else None
        self.relative = relative
        self.relative_keys, self.relative_values = _table(relative, size), _table(relative, size)
        self.reset_parameters()

    @property
    def SLICES(self) -> dict[str, Axes]:  # type: ignore[override]
        """What each axis of a parameter is as long as; a bias that is searched has sizes of its own, 0 without it."""
        names = self.sizes.names
        qkv_bias = names.index("qkv_bias_heads") if "qkv_bias_heads" in names else _HEADS
        proj_bias = names.index("proj_bias_features") if "proj_bias_features" in names else _EMBED
        return {
            "qkv_weight": {1: _HEADS, 2: _HEAD_DIM, 3: _EMBED},
            "qkv_bias": {1: qkv_bias, 2: _HEAD_DIM},
            "proj_weight": {0: _EMBED, 1: _HEADS, 2: _HEAD_DIM},
            "proj_bias": {0: proj_bias},
            "relative_keys": {2: _HEAD_DIM},
            "relative_values": {2: _HEAD_DIM},
        }

    def reset_parameters(self) -> None:
        """Draw the weights as linear layers do that begin as Xavier says; biases are 0."""
        nn.init.xavier_uniform_(self.qkv_weight.data.flatten(0, 2))
        nn.init.xavier_uniform_(self.proj_weight.data.flatten(1))
        for bias in (self.qkv_bias, self.proj_bias):
            if bias is not None:
                nn.init.zeros_(bias)
        _draw(self.relative_keys, self.relative_values)

    def run(self, x: Tensor, sizes: Point) -> Tensor:
        """Attend with the slice of some sizes.

        `x` is `(n, tokens, width)`, and so is the result.
        """
        found: Any = {name: self.slice_of(name, sizes) for name in self.SLICES}
        return self._attend(x, found, sizes[_HEADS], sizes[_HEAD_DIM], sizes[_HEAD_DIM] ** -0.5)

    def run_mixed(self, x: Tensor, mixture: Mixture) -> Tensor:
        """Attend with the weighted sums of slices.

        `x` is `(n, tokens, width)`, and so is the result.
        """
        found: Any = {name: self.mixed_slices(name, mixture) for name in self.SLICES}
        scale = mixture.mean(_HEAD_DIM, lambda size: size**-0.5)
        return self._attend(x, found, mixture.box[_HEADS], mixture.box[_HEAD_DIM], scale)

    def _attend(self, x: Tensor, found: dict[str, Any], heads: int, size: int, scale: Tensor | float) -> Tensor:
        of_qkv, of_proj = found["qkv_bias"], found["proj_bias"]
        qkv = F.linear(x, found["qkv_weight"].flatten(0, 2), None if of_qkv is None else of_qkv.flatten())
        tables = found["relative_keys"], found["relative_values"]
        how = Masks(self.causal, self.dropout if self.training else 0.0, self.rotary)
        values = attend(qkv, (heads, size), scale, tables, how)
        return F.linear(values, found["proj_weight"].flatten(1), of_proj)

    def plain(self, sizes: Point, extracted: Extracted) -> nn.Module:
        """Return the `SelfAttention` of some sizes."""
        embed, heads, size = sizes[:3]
        with torch.device("meta"):
            plain = SelfAttention(
                *(embed, heads, size, False, False, self.dropout, self.causal, self.relative), rotary=self.rotary
            )
        plain.relative_keys = self.kept("relative_keys", sizes, extracted)
        plain.relative_values = self.kept("relative_values", sizes, extracted)
        for layer, name, dims in ((plain.qkv, "qkv", (0, 2)), (plain.proj, "proj", (1, -1))):
            weight: Any = self.kept(f"{name}_weight", sizes, extracted)
            layer.weight = nn.Parameter(weight.detach().flatten(*dims), weight.requires_grad)
            bias = self.kept(f"{name}_bias", sizes, extracted)
            if bias is not None:
                layer.bias = nn.Parameter(bias.detach().flatten(), bias.requires_grad)
        return plain

    def extra_repr(self) -> str:
        """Return what is printed of the layer."""
        return f"{self.sizes}, dropout={self.dropout}, causal={self.causal}, relative={self.relative}"


def _with_biases(sizes: Sizes, qkv_bias: bool | Size, proj_bias: bool | Size) -> Sizes:
    """Return the sizes of an attention and of those of its biases that are searched."""
    found: dict[str, Any] = dict(zip(sizes.names, sizes.sizes, strict=True))
    if isinstance(qkv_bias, Size):
        found["qkv_bias_heads"] = switched(sizes.sizes[_HEADS], qkv_bias, "qkv_bias")
    if isinstance(proj_bias, Size):
        found["proj_bias_features"] = switched(sizes.sizes[_EMBED], proj_bias, "proj_bias")
    return sizes if len(found) == len(sizes.names) else Sizes(0, **found)


def _checked_rotary(rotary: int, sizes: Sizes) -> int:
    heads = sizes.values("head_dim")
    if rotary and (len(heads) > 1 or rotary % 2 or not 0 < rotary <= heads[0]):
        raise ConfigError(
            f"rotary = {rotary}: an even number of the entries of a head is turned, and all heads have one size; here "
            f"they have {' or '.join(map(str, heads))} entries"
        )
    return rotary


def _attention_sizes(embed_dim: int | Size, num_heads: int | Size, head_dim: int | Size | None) -> Sizes:
    if head_dim is not None:
        return Sizes(embed_dim=embed_dim, num_heads=num_heads, head_dim=head_dim)
    for embed, heads in Sizes(embed_dim=embed_dim, num_heads=num_heads).points():
        if embed % heads:
            raise ConfigError(
                f"{heads} heads do not divide an embedding of {embed} evenly: give head_dim, or values that go together"
            )
    return Sizes(embed_dim=embed_dim, num_heads=num_heads, head_dim=as_size(embed_dim) // num_heads)
