"""compute_proxy: what it leaves untouched, what it takes, what it refuses; votes; spaces and tasks."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from naslib.errors import ConfigError, DataError, PredictorError, UnknownNameError
from naslib.predictors import PROXIES, compute_proxy
from naslib.predictors.proxies import compute_parts, log_rank_sum, maximizes, placed
from naslib.search_spaces import NasBench201SearchSpace
from naslib.search_spaces.core.fresh_network import fresh_network
from naslib.tasks import Classification, LanguageModelling, Regression, Segmentation
from naslib.utils.seeding import rng_snapshot

CLASSES = 3
CONTRACT = """params flops grad_norm snip grasp synflow logsynflow fisher jacov nwot epe_nas zen plain l2_norm zico
az_nas ntk linear_regions vkdnw swap"""
NAMES = sorted(CONTRACT.split())


def batch(n: int = 8, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, 2, 8, 8, generator=generator), torch.arange(n) % CLASSES]


def network(code: tuple[int, ...] = (2, 0, 3, 3, 2, 4), seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return fresh_network(NasBench201SearchSpace(CLASSES, 2, channels=4, cells_per_stage=1), code)


class Strict(nn.Module):
    """A network with everything that a proxy could leave behind: dropout, batch norm, a frozen layer, a hook."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.act, self.drop = nn.ReLU(inplace=True), nn.Dropout(0.5)
        self.second, self.last = nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, CLASSES)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fails = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.second(self.drop(self.act(self.norm(self.first(x)))))
        if self.fails:
            raise RuntimeError("it fails")
        return self.last(self.pool(self.act(x)).flatten(1))


def strict() -> Strict:
    torch.manual_seed(1)
    made = Strict()
    made.first.bias.requires_grad_(False)
    made.last.weight.grad = torch.full_like(made.last.weight, 7.0)
    made.norm.train(False)
    made.second.register_forward_hook(lambda *_: None)
    return made


def state(module: nn.Module) -> dict[str, Any]:
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return {
        "objects": {name: (id(tensor), tensor.data_ptr(), tensor.dtype) for name, tensor in tensors.items()},
        "values": {name: tensor.detach().clone() for name, tensor in tensors.items()},
        "grads": {name: None if t.grad is None else t.grad.clone() for name, t in tensors.items()},
        "requires": {name: tensor.requires_grad for name, tensor in tensors.items()},
        "modes": {name: child.training for name, child in module.named_modules()},
        "hooks": {n: (len(c._forward_hooks), len(c._forward_pre_hooks)) for n, c in module.named_modules()},
        "rng": rng_snapshot(),
    }


def assert_same(before: Any, after: Any) -> None:
    if isinstance(before, dict):
        assert before.keys() == after.keys()
        for key in before:
            assert_same(before[key], after[key])
    elif isinstance(before, torch.Tensor):
        assert torch.equal(before, after)
    elif isinstance(before, list | tuple):
        assert len(before) == len(after)
        for one, two in zip(before, after, strict=True):
            assert_same(one, two)
    else:
        assert before == after


def test_the_registry_has_the_names_of_the_contract():
    assert PROXIES.names() == NAMES
    assert [name for name in NAMES if not maximizes(name)] == ["ntk"]


@pytest.mark.parametrize("name", NAMES)
def test_a_proxy_is_a_function_of_its_seed_and_touches_nothing(name):
    made, data = strict(), batch()
    inputs = data[0].clone()
    before = state(made)
    with torch.no_grad():
        value = compute_proxy(name, made, Classification(), data, 3)
    assert math.isfinite(value)
    assert isinstance(value, float)
    assert_same(before, state(made))
    assert torch.equal(inputs, data[0])
    torch.rand(3)
    made.train()
    assert compute_proxy(name.upper(), made, Classification(), data, 3) == value
    before, made.fails = state(made), True
    if name not in ("params", "l2_norm"):
        with pytest.raises(RuntimeError, match="it fails"):
            compute_proxy(name, made, Classification(), data, 3)
    assert_same(before, state(made))


def test_every_proxy_of_a_space():
    made, again = network(), network()
    before = state(made)
    for name in NAMES:
        value = compute_proxy(name, made, Classification(), batch(), 0)
        assert math.isfinite(value), name
        assert compute_proxy(name, again, Classification(), batch(), 0) == pytest.approx(value, rel=1e-6), name
    assert_same(before, state(made))


def test_parameters_are_those_of_the_benchmark():
    torch.manual_seed(0)
    made = fresh_network(NasBench201SearchSpace(n_classes=10), (2, 3, 2, 4, 0, 2))
    data = [torch.randn(2, 3, 32, 32), torch.tensor([0, 1])]
    assert compute_proxy("params", made, Classification(), data, 0) == 0.830426  # 72,656 + 650 + 3 * 243,040 + 28,000
    assert compute_proxy("flops", made, Classification(), data, 0) == pytest.approx(117.88352)


def test_what_a_proxy_does_not_take():
    made, data, task = network(), batch(), Classification()
    with pytest.raises(UnknownNameError, match="did you mean 'synflow'"):
        compute_proxy("synflo", made, task, data)
    with pytest.raises(ConfigError, match=r"fisher has no option 'pre'.*'per'.*options: per"):
        compute_proxy("fisher", made, task, data, pre="channel")
    with pytest.raises(ConfigError, match=r"snip has no option 'x' \(options: none\)"):
        compute_proxy("snip", made, task, data, x=1)
    with pytest.raises(DataError, match="the batch does not fit the task Classification"):
        compute_proxy("snip", made, task, [data[0], data[1][:3]])
    with pytest.raises(DataError, match="the list of batches is empty"):
        compute_proxy("snip", made, task, [])
    with pytest.raises(PredictorError, match="must have at least two inputs"):
        compute_proxy("snip", made, task, batch(1))
    assert compute_proxy("synflow", made, task, batch(1)) > 0
    with pytest.raises(PredictorError, match="the network has no module such as"):
        compute_proxy("nwot", nn.Sequential(nn.Flatten(), nn.Linear(128, CLASSES)), task, data)
    with pytest.raises(PredictorError, match="no weights that are trained"):
        compute_proxy("snip", nn.Sequential(nn.Flatten()), task, data)
    with pytest.raises(PredictorError, match="mu and sigma go together"):
        compute_proxy("swap", made, task, data, mu=1.0)
    with pytest.raises(PredictorError, match=r"az_nas compares the features of blocks, and 0"):
        compute_proxy("az_nas", nn.Sequential(nn.Flatten(), nn.Linear(128, CLASSES)), task, data)
    with pytest.raises(PredictorError, match="the network has no module 'cell'"):
        compute_proxy("az_nas", made, task, data, blocks=["cell"])


def test_values_that_are_not_finite_are_errors():
    made, data = network((1,) * 6), batch()  # no operation but `none`: the output is the bias
    assert compute_proxy("snip", made, Classification(), data) == 0.0
    with pytest.raises(PredictorError, match="jacov: the outputs of this network do not depend on its inputs"):
        compute_proxy("jacov", made, Classification(), data)
    flat = nn.Sequential(nn.Flatten(), nn.Linear(128, CLASSES))
    nn.init.zeros_(flat[1].weight)
    with pytest.raises(PredictorError, match="jacov: 8 of 8 inputs have a constant Jacobian"):
        compute_proxy("jacov", flat, Classification(), data)
    nn.init.constant_(flat[1].weight, float("nan"))
    with pytest.raises(PredictorError, match="snip of this network is nan"):
        compute_proxy("snip", flat, Classification(), data)
    deep = nn.Sequential(*(nn.Linear(2, 2) for _ in range(12)))
    for layer in deep:
        nn.init.constant_(layer.weight, 1e30)
    with pytest.raises(PredictorError, match="the flow through this network is inf"):
        compute_proxy("synflow", deep, Classification(), [torch.zeros(2, 2), torch.tensor([0, 1])])


def test_tasks_of_other_targets():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 2, 8, 8, generator=generator)
    torch.manual_seed(0)
    masks = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, CLASSES, 1))
    labels = torch.randint(CLASSES, (4, 8, 8), generator=generator)
    numbers = nn.Sequential(*masks, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    y = torch.randn(4, CLASSES, generator=generator)
    refused = {Segmentation: {"epe_nas", "vkdnw"}, Regression: {"epe_nas"}}
    for task, made, targets in ((Segmentation(), masks, labels), (Regression(), numbers, y)):
        for name in NAMES:
            if name in refused[type(task)]:
                with pytest.raises(PredictorError, match=r"needs one class per input|logits of a classification"):
                    compute_proxy(name, made, task, [x, targets])
            else:
                assert math.isfinite(compute_proxy(name, made, task, [x, targets])), name


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.cell = nn.Embedding(11, 6), nn.LSTM(6, 6, batch_first=True)
        self.hidden, self.act, self.out = nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 11)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.out(self.act(self.hidden(self.cell(self.table(tokens))[0])))


def test_a_language_model():
    torch.manual_seed(0)
    made, tokens = Words(), torch.randint(11, (4, 9), generator=torch.Generator().manual_seed(0))
    data = [tokens[:, :-1], tokens[:, 1:]]
    refused = {"jacov", "epe_nas", "zen", "vkdnw"}
    for name in NAMES:
        if name in refused:
            with pytest.raises(PredictorError, match=r"token|one class per input|logits of a classification"):
                compute_proxy(name, made, LanguageModelling(), data)
        elif name == "az_nas":
            assert compute_parts(name, made, LanguageModelling(), data)["az_nas.expressivity"] > 0
        else:
            assert math.isfinite(compute_proxy(name, made, LanguageModelling(), data)), name


def test_class_weights_and_types():
    made = network().double()
    task = Classification(class_weights=[1.0, 2.0, 3.0], label_smoothing=0.3)
    kept = task.criterion.weight.dtype
    value = compute_proxy("snip", made, task, batch())
    assert value == compute_proxy("snip", made, task, tuple(batch()))
    assert value == compute_proxy("snip", made, task, {"image": batch()[0], "label": batch()[1]})
    assert task.criterion.weight.dtype is kept
    assert value == compute_proxy("snip", made, Classification(class_weights=[1.0, 2.0, 3.0]), batch())


def test_a_list_of_batches_is_read_from_its_first():
    made, task = network(), Classification()
    one, two = batch(seed=0), batch(seed=1)
    assert compute_proxy("snip", made, task, [one, two]) == compute_proxy("snip", made, task, one)
    assert compute_proxy("zico", made, task, [one, two]) != compute_proxy("zico", made, task, one)


def test_a_proxy_of_ones_own():
    def depth(subject, *, scale: float = 1.0):
        return scale * len(subject.weights())

    PROXIES.register("my_depth")(depth)
    try:
        made = network()
        count = sum(p.dim() > 1 for p in made.parameters())
        assert compute_proxy("my_depth", made, Classification(), batch(), scale=2.0) == 2 * count
    finally:
        PROXIES._entries.pop("my_depth")


def test_log_rank_sum():
    scores = np.array([[1.0, 5.0], [2.0, 5.0], [3.0, -1.0], [float("nan"), 9.0]])
    # ranks of the columns: 2 3 4 1 and 2.5 2.5 1 4
    expected = [math.log(2 * 2.5 / 16), math.log(3 * 2.5 / 16), math.log(4 * 1 / 16), math.log(1 * 4 / 16)]
    assert log_rank_sum(scores) == pytest.approx(expected)
    flipped = log_rank_sum(scores[:3, :1], [False])
    assert flipped == pytest.approx([math.log(3 / 3), math.log(2 / 3), math.log(1 / 3)])
    with pytest.raises(PredictorError, match="not of"):
        log_rank_sum(np.zeros(3))


def test_places_among_a_sample():
    sample = np.array([1.0, 3.0, 2.0, 2.0])
    assert placed(1.0, sample) == 1 / 5
    assert placed(2.0, sample) == 2.5 / 5
    assert placed(3.0, sample) == 4 / 5
    assert placed(1.5, sample) == pytest.approx(1.75 / 5)
    assert placed(5.0, sample) == pytest.approx(0.8 + 0.2 * 0.5)  # one range beyond the largest
    assert placed(-1.0, sample) == pytest.approx(0.2 * 0.5)
    assert placed(float("nan"), sample) == 0.0
    values = [placed(value, sample) for value in np.linspace(-50, 50, 400)]
    assert all(a < b for a, b in pairwise(values))
    assert 0 < values[0] < values[-1] < 1
    assert 0 < placed(2.0, np.array([2.0])) < placed(3.0, np.array([2.0])) < 1
