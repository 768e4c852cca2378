"""Once-for-all: phases, what is drawn in them, the teacher, the sandwich rule, and sorted channels."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
import torch
from small_spaces import ConvSpace, images
from torch import Tensor
from torch.nn import functional as F

from naslib.errors import ConfigError
from naslib.optimizers import OFAOptimizer
from naslib.optimizers.oneshot.methods.ofa.distillation import soft_loss
from naslib.optimizers.oneshot.methods.ofa.phases import default_phases, kind_of, lengths_of, read_phases, sizes_of
from naslib.search_spaces import NATSBenchSizeSearchSpace, OFAMobileNetV3SearchSpace
from naslib.search_spaces.core.assignment import assigned
from naslib.tasks import Regression

TINY: dict[str, Any] = {
    "n_classes": 3,
    "in_channels": 2,
    "kernels": (3, 5),
    "expansions": (2, 3, 4),
    "depths": (1, 2, 3),
    "widths": (4,) * 9,
    "strides": (1, 2, 1, 1, 1, 2),
    "image_size": 8,
    "dropout": 0.0,
}
PHASES = [
    {"epochs": 1},
    {"epochs": 1, "sizes": {"kernel": "all"}},
    {"epochs": 1, "sizes": {"depth": 2, "expansion": 2}, "subnets": 2},
    {"sizes": "all", "subnets": 3},
]


def _made(epoch: int = 0, space: Any = None, **keywords: Any) -> OFAOptimizer:
    torch.manual_seed(0)
    settings: dict[str, Any] = {"epochs": 6, "learning_rate": 0.05, "grad_clip": 0, "phases": PHASES}
    optimizer = OFAOptimizer(**{**settings, **keywords})
    optimizer.adapt_search_space(space if space is not None else OFAMobileNetV3SearchSpace(**TINY))
    optimizer.before_training()
    optimizer.graph.train()
    for number in range(epoch + 1):
        optimizer.new_epoch(number)
    return optimizer


def _batch(seed: int = 1, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    return images(seed=seed, dtype=dtype)


def _drawn(optimizer: OFAOptimizer, n: int = 60) -> dict[str, set[Any]]:
    found: dict[str, set[Any]] = {}
    for _ in range(n):
        for name, value in optimizer._draw(optimizer.rng).items():
            found.setdefault(kind_of(name), set()).add(value)
    return found


# the phases


def test_the_default_phases_are_those_of_the_authors() -> None:
    kinds = sizes_of(_published().decision_space.decisions)
    phases = default_phases(kinds)
    assert [phase.epochs for phase in phases] == [180, 125, 25, 125, 25, 125]
    assert [dict(phase.sizes) for phase in phases] == [
        {}, {"kernel": None}, {"depth": 2}, {"depth": None}, {"expansion": 2}, {"expansion": None},
    ]  # fmt: skip
    assert [phase.subnets for phase in phases] == [1, 1, 2, 2, 4, 4]


def _published() -> OFAMobileNetV3SearchSpace:
    with torch.device("meta"):
        return OFAMobileNetV3SearchSpace()


@pytest.mark.parametrize(
    ("epochs", "lengths"),
    [(605, [180, 125, 25, 125, 25, 125]), (121, [36, 25, 5, 25, 5, 25]), (6, [2, 1, 0, 2, 0, 1]), (1, [0] * 5 + [1])],
)
def test_a_search_divides_in_proportion(epochs: int, lengths: list[int]) -> None:
    phases = default_phases(sizes_of(_published().decision_space.decisions))
    assert lengths_of(phases, epochs) == lengths


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("stage1.block2.kernel", "kernel"),
        ("channels_3", "channels"),
        ("resolution", "resolution"),
        ("layer1/heads", "heads"),
    ],
)
def test_the_kind_of_a_size_is_the_last_word_of_its_label(label: str, kind: str) -> None:
    assert kind_of(label) == kind


def test_phases_open_sizes_from_the_largest() -> None:
    seen = [_drawn(_made(epoch)) for epoch in range(5)]
    assert seen[0] == {"kernel": {5}, "depth": {3}, "expansion": {4}}
    assert seen[1] == {"kernel": {3, 5}, "depth": {3}, "expansion": {4}}
    assert seen[2] == {"kernel": {3, 5}, "depth": {2, 3}, "expansion": {3, 4}}
    assert seen[3] == seen[4] == {"kernel": {3, 5}, "depth": {1, 2, 3}, "expansion": {2, 3, 4}}


def test_each_size_is_drawn_uniformly() -> None:
    """Not the architectures: a stage has each length equally often, though long ones have more forms."""
    optimizer = _made(3)
    counts = Counter(optimizer._draw(optimizer.rng)["stage2.depth"] for _ in range(900))
    assert all(abs(count - 300) < 5 * (900 * 2 / 9) ** 0.5 for count in counts.values()) and len(counts) == 3


def test_one_resolution_in_a_step_and_from_the_beginning() -> None:
    space = OFAMobileNetV3SearchSpace(**{**TINY, "resolutions": (4, 6, 8)})
    optimizer = _made(0, space=space)
    assert _drawn(optimizer)["resolution"] == {4, 6, 8}
    optimizer = _made(3, space=space, sandwich=True)
    for _ in range(10):
        networks = optimizer.networks_of_step()
        assert len(networks) == 5 and len({network["resolution"] for network in networks}) == 1
        assert {network["stage1.depth"] for network in networks[:1]} == {3}
        assert networks[1]["stage1.depth"] == 1 and networks[1]["stage3.block1.expansion"] == 2


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"phases": []}, "phases is a list"),
        ({"phases": [{"epoch": 2}, {}]}, "did you mean 'epochs'"),
        ({"phases": [{}, {"sizes": "all"}]}, "phase 0 needs epochs"),
        ({"phases": [{"epochs": 1}, {"sizes": {"kernel": 0}}]}, "sizes.kernel is 'all' or a number"),
        ({"phases": [{"epochs": 1, "rate": 0}, {"sizes": "all"}]}, "rate is a number larger than 0"),
        ({"phases": [{"sizes": "all"}]}, "needs a first phase"),
        ({"distillation": "in_place"}, "set sandwich=true"),
        ({"distillation": "inplace"}, "did you mean 'in_place'"),
        ({"distillation_weight": -1.0}, "must not be negative"),
        (
            {"phases": [{"epochs": 1}, {"sizes": {"kernels": "all"}}]},
            "no sizes of kind 'kernels'; did you mean 'kernel'",
        ),
    ],
)
def test_wrong_options_are_refused_before_the_search(keywords: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        _made(**keywords)


def test_every_phase_has_a_cosine_of_its_own_rate() -> None:
    phases = [{"epochs": 2}, {"epochs": 2, "sizes": {"kernel": "all"}, "rate": 0.5}, {"sizes": "all", "rate": 0.1}]
    optimizer = _made(phases=phases, learning_rate=0.2)
    schedule = optimizer.build_scheduler(0.02)
    found = []
    for _ in range(5):
        found.append(optimizer.op_optimizer.param_groups[0]["lr"])
        optimizer.op_optimizer.step()
        schedule.step()
    assert found == pytest.approx([0.2, 0.11, 0.1, 0.06, 0.02])
    assert read_phases(phases)[2].rate == 0.1


# the step


def _gradient_by_hand(optimizer: OFAOptimizer, networks: list[Any], batch: Any, told: Any) -> list[Tensor]:
    optimizer.op_optimizer.zero_grad()
    for number, choices in enumerate(networks):
        with assigned(optimizer.assignment_of(optimizer._code(choices))):
            logits = optimizer.graph(batch[0])
        loss = F.cross_entropy(logits, batch[1])
        soft = told(number)
        if soft is not None:
            alone, probabilities = soft
            distance = -(probabilities * logits.log_softmax(1)).sum(1).mean()
            loss = distance if alone else loss + 0.7 * distance
        loss.backward()
    return [torch.zeros_like(w) if w.grad is None else w.grad.clone() for w in optimizer.weights]


def _assert_same(first: list[Tensor], second: list[Tensor]) -> None:
    assert sum(float(gradient.norm()) for gradient in second) > 1e-3
    for a, b in zip(first, second, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


def _own_gradient(optimizer: OFAOptimizer, networks: list[Any], batch: Any, monkeypatch: Any) -> list[Tensor]:
    monkeypatch.setattr(optimizer, "networks_of_step", lambda: networks)
    optimizer.op_optimizer.zero_grad()
    optimizer.training_backward(batch)
    return [torch.zeros_like(w) if w.grad is None else w.grad.clone() for w in optimizer.weights]


def test_a_step_sums_the_gradients_of_networks_that_learn_from_labels_and_teacher(monkeypatch: Any) -> None:
    optimizer = _made(2, distillation_weight=0.7)
    optimizer.graph.double()
    optimizer.teacher.tensors = {
        k: v.double() if v.is_floating_point() else v for k, v in optimizer.teacher.tensors.items()
    }
    batch = _batch(dtype=torch.float64)
    with torch.no_grad():
        for weight in optimizer.weights:
            weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(5)).to(weight))
    networks = optimizer.networks_of_step()
    assert len(networks) == 2
    found = _own_gradient(optimizer, networks, batch, monkeypatch)
    teacher = _made(2, distillation_weight=0.7)  # its weights have not moved since the teacher was noted
    teacher.graph.double()
    state = {name: tensor for name, tensor in optimizer.teacher.tensors.items() if "running" not in name}
    for name, tensor in [*teacher.graph.named_parameters()]:
        tensor.data = state[name]
    with torch.no_grad(), assigned(teacher.assignment_of(teacher._code(_largest(teacher)))):
        probabilities = teacher.graph(batch[0]).softmax(1)
    _assert_same(found, _gradient_by_hand(optimizer, networks, batch, lambda number: (False, probabilities)))


def _largest(optimizer: OFAOptimizer) -> dict[str, Any]:
    decisions = optimizer.paths.supernet.space.decisions
    return {decision.name: max(decision.candidates) for decision in decisions}


def test_in_place_the_others_learn_from_the_largest_alone(monkeypatch: Any) -> None:
    keywords = {"sandwich": True, "distillation": "in_place", "phases": [{"sizes": "all", "subnets": 1}]}
    optimizer = _made(**keywords)
    optimizer.graph.double()
    batch = _batch(dtype=torch.float64)
    networks = optimizer.networks_of_step()
    assert networks[0] == _largest(optimizer) and len(networks) == 3
    found = _own_gradient(optimizer, networks, batch, monkeypatch)
    with torch.no_grad(), assigned(optimizer.assignment_of(optimizer._code(networks[0]))):
        probabilities = optimizer.graph(batch[0]).softmax(1)
    _assert_same(
        found, _gradient_by_hand(optimizer, networks, batch, lambda number: (True, probabilities) if number else None)
    )


def test_without_distillation_all_learn_from_the_labels(monkeypatch: Any) -> None:
    optimizer = _made(3, distillation="none")
    optimizer.graph.double()
    networks, batch = optimizer.networks_of_step(), _batch(dtype=torch.float64)
    assert len(networks) == 3 and not optimizer.teacher.is_known
    found = _own_gradient(optimizer, networks, batch, monkeypatch)
    _assert_same(found, _gradient_by_hand(optimizer, networks, batch, lambda number: None))


def test_what_the_teacher_says_leaves_the_network_as_it_was() -> None:
    optimizer = _made(1)
    before = {name: tensor.clone() for name, tensor in optimizer.graph.state_dict().items()}
    teacher = {name: tensor.clone() for name, tensor in optimizer.teacher.state_dict().items()}
    optimizer._told(_largest(optimizer), _batch())
    after = optimizer.graph.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    moved = [name for name, tensor in optimizer.teacher.state_dict().items() if not torch.equal(tensor, teacher[name])]
    assert moved and all("running" in name or "tracked" in name for name in moved)


def test_soft_losses() -> None:
    logits, told = torch.randn(4, 3, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    by_hand = sum(-float(told[i].softmax(0) @ logits[i].log_softmax(0)) for i in range(4)) / 4
    assert float(soft_loss(logits, told, True)) == pytest.approx(by_hand)
    assert float(soft_loss(logits, told, False)) == pytest.approx(float((logits - told).square().mean()))
    text, told = torch.randn(2, 5, 3), torch.randn(2, 5, 3)
    assert float(soft_loss(text, told, True)) == pytest.approx(
        float(soft_loss(text.flatten(0, 1), told.flatten(0, 1), True))
    )


def test_values_are_taught_by_their_mean_square(monkeypatch: Any) -> None:
    space = OFAMobileNetV3SearchSpace(**{**TINY, "n_classes": 1})
    optimizer = _made(1, space=space, task=Regression())
    inputs, targets = _batch()
    batch = (inputs, targets.float().unsqueeze(1))
    networks = optimizer.networks_of_step()
    seen: list[bool] = []
    import naslib.optimizers.oneshot.methods.ofa.optimizer as module

    monkeypatch.setattr(
        module, "soft_loss", lambda o, t, of_classes: seen.append(of_classes) or soft_loss(o, t, of_classes)
    )
    _own_gradient(optimizer, networks, batch, monkeypatch)
    assert seen == [False]


# the phases begin


def test_sorting_changes_no_network_of_the_open_widths() -> None:
    phases = [{"epochs": 1}, {"epochs": 1, "sizes": {"expansion": 2}}, {"sizes": "all"}]
    torch.manual_seed(0)
    for epoch in (1, 2):
        sorted_ = _made(epoch - 1, phases=phases)
        sorted_.graph.double().eval()
        with torch.no_grad():
            for weight in sorted_.weights:
                weight.add_(0.1 * torch.randn(weight.shape, dtype=torch.float64))
        draws = [sorted_._code(sorted_._draw(Random(seed))) for seed in range(3)]
        before = [_outputs(sorted_, code) for code in draws]
        weights = [weight.clone() for weight in sorted_.weights]
        sorted_.new_epoch(epoch)
        for code, y in zip(draws, before, strict=True):
            torch.testing.assert_close(_outputs(sorted_, code), y, rtol=0, atol=1e-12)
        assert any(not torch.equal(a, b) for a, b in zip(weights, sorted_.weights, strict=True))


@torch.no_grad()
def _outputs(optimizer: OFAOptimizer, code: Any) -> Tensor:
    with assigned(optimizer.assignment_of(code)):
        return optimizer.graph(_batch(dtype=torch.float64)[0])


def test_the_teacher_is_the_largest_network_after_the_first_phase() -> None:
    optimizer = _made(0)
    optimizer.step(_batch(), _batch(2))
    kept = {name: tensor.clone() for name, tensor in optimizer.graph.named_parameters()}
    optimizer.step(_batch(3), _batch(4))
    assert not optimizer.teacher.is_known
    optimizer.new_epoch(1)
    after_phase = dict(optimizer.teacher.tensors)
    assert any(not torch.equal(after_phase[name], tensor) for name, tensor in kept.items())
    optimizer.step(_batch(5), _batch(6))
    optimizer.new_epoch(2)
    names = [name for name, _ in optimizer.graph.named_parameters()]
    assert all(torch.equal(optimizer.teacher.tensors[name], after_phase[name]) for name in names)


def test_spaces_without_sizes_are_trained_by_paths() -> None:
    optimizer = _made(1, space=ConvSpace(), phases=[{"epochs": 1}, {"subnets": 2}])
    assert optimizer.teacher.is_known
    codes = {optimizer._code(network) for _ in range(10) for network in optimizer.networks_of_step()}
    assert len(codes) > 5
    losses = optimizer.step(_batch(), _batch(2))[2:]
    assert all(loss.isfinite() for loss in losses)


def test_the_selection_finds_a_network_of_the_space() -> None:
    optimizer = _made(
        space=NATSBenchSizeSearchSpace(n_classes=3, in_channels=2, channels=(2, 3, 4)),
        phases=[{"epochs": 1}, {"sizes": {"channels": "all"}}],
        population=3, generations=2, parents=2, mutations=1, crossovers=1, recalibration_batches=1,
    )  # fmt: skip
    for epoch in (0, 1):
        optimizer.new_epoch(epoch)
        optimizer.step(_batch(), _batch(2))
    optimizer.select_architecture([_batch(3)], [_batch(4)])
    network = optimizer.get_final_architecture()
    assert optimizer.search_space.decision_space.is_valid(network.get_code())
    assert network.eval()(_batch()[0]).shape == (6, 3)
