"""What cannot be transformed: every reason is an error before anything is returned."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from morphism_networks import IMAGES, image_network, largest_difference
from torch import Tensor, nn

from naslib.errors import ConfigError, MorphismError, NASLibError
from naslib.morphism import deepen, deepenable, widen, widenable


class _Stated(nn.Module):
    """A forward that states the number of channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(144, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x).reshape(-1, 144))


class _Scaled(nn.Module):
    """A forward that counts channels at run time."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return self.head(x.mean((2, 3)) / x.shape[1])


class _Auxiliary(nn.Module):
    """A head that runs in training alone."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head, self.aux = nn.Conv2d(3, 4, 3), nn.Linear(4, 2), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).mean((2, 3))
        return self.head(x) + self.aux(x) if self.training else self.head(x)


class _Tied(nn.Module):
    """One weight that is a table of words and the layer that names them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.table = nn.Linear(4, 6), nn.Embedding(9, 6)

    def forward(self, words: Tensor) -> Tensor:
        return nn.functional.linear(self.table(words) + self.first(torch.ones(4)), self.table.weight)


class _Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.cell, self.last = nn.Linear(5, 4), nn.LSTM(4, 3, batch_first=True), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.cell(self.first(x))[0])


class _Outputs(nn.Module):
    """Several outputs, of which one is what an inner layer says."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.hidden, self.last = nn.Linear(5, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.first(x)
        return {"features": features, "scores": self.last(torch.relu(self.hidden(features)))}


ROWS = torch.randn(3, 5, generator=torch.Generator().manual_seed(2))
PICTURES = IMAGES.float()


@pytest.mark.parametrize(
    ("network", "layer", "width", "inputs", "words"),
    [
        (_Stated(), "conv", 6, PICTURES, "states sizes"),
        (_Scaled(), "conv", 6, PICTURES, "would say something else"),
        (_Auxiliary(), "conv", 6, PICTURES, "runs in training alone"),
        (_Tied(), "first", 8, torch.tensor([[1, 2]]), "summed over in one place"),
        (_Recurrent(), "first", 6, torch.randn(2, 7, 5), "it enters the recurrent layer 'cell'"),
        (_Outputs(), "first", 6, ROWS, "an output of the network"),
        (_Outputs(), "last", 6, ROWS, "an output of the network"),
        (nn.Sequential(nn.Conv2d(3, 3, 1), nn.Identity()), "0", 4, PICTURES, "an output of the network"),
        (nn.Sequential(nn.Linear(5, 4), nn.Softmax(1), nn.Linear(4, 2)), "0", 6, ROWS, "weighed against each other"),
        (nn.Sequential(nn.Linear(5, 4), nn.RNNCell(4, 4), nn.Linear(4, 2)), "0", 6, ROWS, None),
    ],
)
def test_reasons(network: nn.Module, layer: str, width: int, inputs: Tensor, words: str | None):
    if words is None:  # made of matrices and tanh: followed like any other
        assert largest_difference(network, widen(network, layer, width, inputs=inputs), inputs) < 1e-5
        return
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(MorphismError, match=words):
        widen(network, layer, width, inputs=inputs)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_what_did_not_run_is_named():
    network = _Auxiliary()
    assert widenable(network, PICTURES)["aux"].reason == "its weight is not used on these inputs"
    with pytest.raises(MorphismError, match="not used on these inputs"):
        widen(network, "aux", 4, inputs=PICTURES)
    with pytest.raises(MorphismError, match="not called on these inputs"):
        deepen(network, "aux", inputs=PICTURES)


def test_an_inner_output_is_widened_where_only_the_scores_are_bound():
    network = _Outputs()
    new = widen(network, "hidden", 9, inputs=ROWS)
    one, other = network.eval()(ROWS), new.eval()(ROWS)
    assert torch.allclose(one["scores"], other["scores"], atol=1e-6) and torch.equal(one["features"], other["features"])


def test_added_to_the_input_units_stay():
    class Added(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(x + self.conv(x))

    with pytest.raises(MorphismError, match="numbers of a fixed size in add"):
        widen(Added(), "conv", 5, inputs=PICTURES)


def test_inputs_are_found_or_asked_for():
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(5, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor, scale: Tensor) -> Tensor:
            return self.last(torch.relu(self.first(x)) * scale)

    pair = Pair()
    with pytest.raises(MorphismError, match=r"inputs=TENSOR or a tuple"):
        widen(pair, "first", 6)
    scale = torch.tensor(2.0)
    for inputs in ((ROWS, scale), {"x": ROWS, "scale": scale}):
        assert largest_difference(pair, widen(pair, "first", 6, inputs=inputs), ROWS, scale) < 1e-5
    network = image_network()
    network.train()
    assert widen(network, "0", 12).training and largest_difference(network, widen(network, "0", 12), IMAGES) < 1e-12


def test_a_weight_that_is_computed_is_refused():
    network = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(5, 4)), nn.ReLU(), nn.Linear(4, 2))
    with pytest.raises(MorphismError, match="no parameter of its own"):
        widen(network, "0", 6, inputs=ROWS)


def test_no_relu_is_put_where_values_can_be_negative():
    network = image_network(nn.Upsample(scale_factor=2, mode="bicubic"), nn.Conv2d(8, 8, 3))
    with pytest.raises(MorphismError, match="does not come from a ReLU"):
        deepen(network, "4", place="before", inputs=IMAGES)


def test_the_order_in_memory_does_not_matter():
    network = image_network(nn.Conv2d(8, 8, 3)).to(memory_format=torch.channels_last)
    images = IMAGES.contiguous(memory_format=torch.channels_last)
    assert largest_difference(network, widen(network, "0", 11, inputs=images), images) < 1e-12
    assert largest_difference(network, deepen(network, "0", inputs=images), images) < 1e-12


def test_a_module_that_is_no_layer_names_those_in_it():
    network = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()), nn.Conv2d(4, 2, 1))
    with pytest.raises(MorphismError, match=r"'0' is a Sequential.*in it are 0\.0"):
        widen(network, "0", 6)


def test_inputs_on_which_a_network_does_not_run_are_named():
    network = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2))
    for wrong in (torch.randn(2, 6), "a", {"y": ROWS}):
        for change in (
            lambda wrong=wrong: widen(network, "0", 6, inputs=wrong),
            lambda wrong=wrong: widenable(network, wrong),
        ):
            with pytest.raises(MorphismError, match="Sequential does not run on these inputs: "):
                change()


@pytest.mark.parametrize("noise", [-1, float("nan"), "a", True])
def test_noise_that_is_no_share(noise: Any):
    network = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2))
    for change in (lambda: widen(network, "0", 6, noise=noise), lambda: deepen(network, "0", noise=noise)):
        with pytest.raises(NASLibError, match=rf"noise is a share .*not {noise!r}"):
            change()


@pytest.mark.parametrize("size", [2, 0, "3", 3.0, True])
def test_a_kernel_without_a_middle(size: Any):
    with pytest.raises(ConfigError, match=rf"an odd number of pixels, not {size!r}"):
        deepen(image_network(), "0", kernel_size=size, inputs=IMAGES)


def test_nothing_is_put_after_a_whole_network():
    with pytest.raises(MorphismError, match=r"'' is Sequential itself.*such as '0'"):
        deepen(image_network(), "", activation=None, inputs=IMAGES)


def test_recurrent_layers_are_refused_in_every_type_of_numbers():
    for network, rows in ((_Recurrent(), torch.randn(2, 7, 5)), (_Recurrent().double(), torch.randn(2, 7, 5).double())):
        assert widenable(network, rows)["first"].reason == "it enters the recurrent layer 'cell', which is not followed"


def test_the_reason_of_a_layer_that_is_not_followed_is_its_own():
    images = torch.randn(2, 3, 4, 4)
    network = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ConvTranspose2d(8, 8, 2, groups=4), nn.Conv2d(8, 2, 1))
    found = widenable(network, images)
    assert found["0"].reason == "a transposed convolution in groups in '1' is not followed"
    assert (
        found["1"].reason == "its units are of a fixed size: a transposed convolution in groups in '1' is not followed"
    )


def test_what_torch_reads_out_of_a_layer_keeps_its_place():
    network = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True).double().eval()
    words = torch.randn(2, 5, 8, dtype=torch.float64)
    with pytest.raises(
        MorphismError, match=r"'Sequential' object has no attribute 'weight'.*reads what is in the layer"
    ):
        deepen(network, "linear1", norm=False, inputs=words)
    assert largest_difference(network, widen(network, "linear1", 17, inputs=words), words) < 1e-12


def test_batch_norm_that_reads_no_rows_is_said_before():
    network = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    words = torch.tensor([[1, 2, 3]])
    assert "norm=False" in str(deepenable(network, words)["1"].reason)
    assert deepenable(network, words, norm=False)["1"].reason is None
    assert largest_difference(network, deepen(network, "1", norm=False, inputs=words), words) < 1e-6
