"""Elastic linear layers, embeddings and bare parameters."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.errors import ConfigError

from .in_force import Mixture, Point, Sizes
from .layer import Elastic, Extracted, checked_mix
from .sizes import Size, switched
from .weights import Axes


class ElasticLinear(Elastic, nn.Linear):
    """A linear layer along the last axis; smaller ones have its first inputs and outputs.

    Args:
        in_features: Number of inputs: a number, a value decision, or what is computed from some.
        out_features: Number of outputs, likewise.
        bias: Whether there is a bias; a value decision of 0 and 1 to search it.
        mix: See `Elastic`.

    Raises:
        ConfigError: If a size is no integer from 1 for one of the choices, or `bias` can be more than 0 and 1.
    """

    OUTPUT: ClassVar[tuple[int, int]] = (-1, 0)
    INPUT: ClassVar[tuple[int, int] | None] = (-1, 1)

    def __init__(
        self, in_features: int | Size, out_features: int | Size, bias: bool | Size = True, mix: str = "weights"
    ) -> None:
        sizes = Sizes(out_features=out_features, in_features=in_features)
        super().__init__(sizes.box[1], sizes.box[0], bias is not False)
        if isinstance(bias, Size):
            long = switched(out_features, bias, "bias")
            sizes = Sizes(0, out_features=out_features, in_features=in_features, bias_features=long)
        self.sizes, self.mix = sizes, checked_mix(mix)

    @property
    def SLICES(self) -> dict[str, Axes]:  # type: ignore[override]
        """Outputs and inputs of the weight, and the outputs of the bias, of which there are none without one."""
        return {"weight": {0: 0, 1: 1}, "bias": {0: 2 if len(self.sizes.names) > 2 else 0}}

    def run(self, x: Tensor, sizes: Point) -> Tensor:
        """Apply the slice of some sizes.

        `(..., in_features)` to `(..., out_features)`.
        """
        return F.linear(x, self.slice_of("weight", sizes), self.slice_of("bias", sizes))  # type: ignore[arg-type]

    def run_mixed(self, x: Tensor, mixture: Mixture) -> Tensor:
        """Apply the weighted sum of slices: one product.

        `(..., in_features)` to `(..., out_features)`.
        """
        return F.linear(x, self.mixed_slices("weight", mixture), self.mixed_slices("bias", mixture))  # type: ignore[arg-type]

    def plain(self, sizes: Point, extracted: Extracted) -> nn.Module:
        """Return the `nn.Linear` of some sizes."""
        with torch.device("meta"):
            linear = nn.Linear(sizes[1], sizes[0], False)
        linear.weight = self.kept("weight", sizes, extracted)  # type: ignore[assignment]
        linear.bias = self.kept("bias", sizes, extracted)  # type: ignore[assignment]
        return linear

    def extra_repr(self) -> str:
        """Return what is printed of the layer."""
        return f"{self.sizes}, bias={self.bias is not None}"


class ElasticEmbedding(Elastic, nn.Embedding):
    """An embedding; smaller ones have its first features.

    Args:
        num_embeddings: Number of words.
        embedding_dim: Number of features: a number, a value decision, or what is computed from some.
        padding_idx: Word whose vector is 0 and not trained.
        mix: See `Elastic`; both are the same here.
    """

    SLICES: ClassVar[dict[str, Axes]] = {"weight": {1: 0}}
    OUTPUT: ClassVar[tuple[int, int]] = (-1, 0)

    def __init__(
        self, num_embeddings: int, embedding_dim: int | Size, padding_idx: int | None = None, mix: str = "weights"
    ) -> None:
        sizes = Sizes(embedding_dim=embedding_dim)
        super().__init__(num_embeddings, sizes.box[0], padding_idx)
        self.sizes, self.mix = sizes, checked_mix(mix)

    def run(self, x: Tensor, sizes: Point) -> Tensor:
        """Look words up in the slice of some sizes.

        Numbers of words of any shape, `(...)`, to `(..., width)`.
        """
        return F.embedding(x, self.slice_of("weight", sizes), self.padding_idx)  # type: ignore[arg-type]

    def run_mixed(self, x: Tensor, mixture: Mixture) -> Tensor:
        """Look words up in the weighted sum of slices.

        Numbers of words of any shape, `(...)`, to `(..., width)`.
        """
        return F.embedding(x, self.mixed_slices("weight", mixture), self.padding_idx)  # type: ignore[arg-type]

    def plain(self, sizes: Point, extracted: Extracted) -> nn.Module:
        """Return the `nn.Embedding` of some sizes."""
        with torch.device("meta"):
            embedding = nn.Embedding(self.num_embeddings, sizes[0], self.padding_idx)
        embedding.weight = self.kept("weight", sizes, extracted)  # type: ignore[assignment]
        return embedding

    def extra_repr(self) -> str:
        """Return what is printed of the layer."""
        return f"{self.num_embeddings}, {self.sizes}"


class Constant(nn.Module):
    """A parameter as a layer: what is called returns it (a class token, positions).

    Args:
        weight: The parameter.
        std: Standard deviation of the normal distribution that it is drawn from anew; 0 for zeros.
    """

    def __init__(self, weight: nn.Parameter, std: float = 0.02) -> None:
        super().__init__()
        self.weight, self.std = weight, std

    def reset_parameters(self) -> None:
        """Draw the entries anew."""
        nn.init.normal_(self.weight, std=self.std)

    def forward(self) -> Tensor:
        """Return the parameter.

        It has the shape of what it was made with.
        """
        return self.weight


class ElasticParameter(Elastic):
    """A parameter whose shape is made of decisions (a class token, positions); smaller ones are its first entries.

    It is called without an input, and returns the slice in force.

    Args:
        *shape: Length of each axis: a number, a value decision, or what is computed from some.
        std: Standard deviation of the normal distribution that it is drawn from at first; 0 for zeros.
    """

    def __init__(self, *shape: int | Size, std: float = 0.02) -> None:
        super().__init__()
        if not shape:
            raise ConfigError("an elastic parameter needs the length of at least one axis")
        self.sizes, self.mix = Sizes(**{f"axis_{i}": size for i, size in enumerate(shape)}), checked_mix("weights")
        self.std = std
        self.weight = nn.Parameter(torch.empty(self.sizes.box))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the entries anew."""
        if self.std:
            nn.init.normal_(self.weight, std=self.std)
        else:
            nn.init.zeros_(self.weight)

    @property
    def SLICES(self) -> dict[str, Axes]:  # type: ignore[override]
        """All axes of the parameter."""
        return {"weight": {axis: axis for axis in range(self.weight.dim())}}

    def forward(self) -> Tensor:  # type: ignore[override]
        """Return the slice of the sizes in force, or the weighted sum of zero-padded slices.

        It has the shape of the whole parameter, with these sizes.
        """
        found: Any = self.sizes.in_force()
        mixes = isinstance(found, Mixture)
        return self.mixed_slices("weight", found) if mixes else self.slice_of("weight", found)  # type: ignore[return-value]

    def plain(self, sizes: Point, extracted: Extracted) -> nn.Module:
        """Return the parameter of some sizes, as a layer."""
        return Constant(self.kept("weight", sizes, extracted), self.std)  # type: ignore[arg-type]

    def extra_repr(self) -> str:
        """Return what is printed of the layer."""
        return str(self.sizes)
