"""torch.compile: a mixture and a sampled path as one graph each, the sample drawn outside, forward and backward."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from small_searches import batches, ready
from small_spaces import ConvSpace
from torch import Tensor
from torch.nn import functional as F

pytestmark = [
    pytest.mark.slow,
    # torch's compiler looks at the grad of all tensors that enter, of which the relaxed weights are no leaves
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"),
]


@pytest.fixture(autouse=True)
def _fresh_compiler() -> Any:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
@pytest.mark.parametrize("name", ["darts", "gdas"])
def test_a_compiled_step_is_the_step(name: str, backend: str) -> None:
    """Whole graphs (`fullgraph=True`): of a mixture all gradients, of a path those of the weights.

    The gradient of a path's gates is a backward of its own, which keeps state of the host and is not compiled.
    """
    torch.manual_seed(0)
    optimizer = ready(name, ConvSpace())
    images, labels = batches(torch.float32)[0]
    network = torch.compile(optimizer.graph, fullgraph=True, backend=backend)
    draws = name == "gdas"
    weights = [*optimizer.weights, *([] if draws else optimizer.architecture_parameters)]

    def gradients(forward: Any, seed: int) -> list[Tensor | None]:
        torch.manual_seed(seed)
        sample = optimizer.sample()
        with optimizer.assigned(sample.detached() if draws else sample):
            loss = F.cross_entropy(forward(images), labels)
        return list(torch.autograd.grad(loss, weights, allow_unused=True))

    for seed in range(2):  # another path, and another graph
        expected, found = gradients(optimizer.graph, seed), gradients(network, seed)
        assert sum(gradient is not None for gradient in expected) >= 4
        for one, other in zip(expected, found, strict=True):
            # what did not run has no gradient, or one of zeros
            if one is None or other is None:
                assert all(value is None or not value.any() for value in (one, other))
            else:
                torch.testing.assert_close(other, one, rtol=1e-3, atol=1e-5)
