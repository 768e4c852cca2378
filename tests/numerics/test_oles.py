"""OLES: the agreement of gradients, the count of comparisons, what frozen means, and checkpoints."""

from __future__ import annotations

import pytest
import torch
from small_spaces import batch, mlp_space
from torch import nn
from training_runs import differences

from naslib.errors import ConfigError
from naslib.optimizers import DARTSOptimizer, OLESOptimizer
from naslib.optimizers.oneshot.parts import PARTS
from naslib.optimizers.oneshot.parts.operation_early_stopping import gradient_agreement
from naslib.search_spaces import NasBench301SearchSpace
from naslib.search_spaces.core.primitives import FactorizedReduce, MixedOp


def _adapted(seed: int = 0, cls: type = OLESOptimizer, **part) -> OLESOptimizer:
    torch.manual_seed(seed)
    optimizer = cls(learning_rate=0.1, arch_learning_rate=0.05, parts={"operation_early_stopping": part})
    optimizer.adapt_search_space(mlp_space(batch_norm=True))
    return optimizer


def _run(optimizer, steps: range) -> list[torch.Tensor]:
    losses: list[torch.Tensor] = []
    for step in steps:
        train, valid = batch(seed=step, dtype=torch.float32), batch(seed=100 + step, dtype=torch.float32)
        losses += optimizer.step(train, valid)[2:]
    return losses


def test_agreement_is_the_cosine_along_output_channels():
    generator = torch.Generator().manual_seed(0)
    t = [torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((4, 2, 3, 3), (5,))]
    v = [torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((4, 2, 3, 3), (5,))]
    of_kernel = 0.0
    for i in range(2):
        for a in range(3):
            for b in range(3):
                x, y = t[0][:, i, a, b], v[0][:, i, a, b]
                of_kernel += float((x * y).sum() / (x.norm() * y.norm())) / 18
    of_vector = float((t[1] * v[1]).sum() / (t[1].norm() * v[1].norm()))
    assert float(gradient_agreement(t, v)) == pytest.approx((of_kernel + of_vector) / 2, abs=1e-12)
    flat = float((t[0] * v[0]).sum() / (t[0].norm() * v[0].norm()))
    assert abs(of_kernel - flat) > 1e-3  # not the cosine of the flattened tensors
    # a tensor without a gradient is left out, wherever it stands: pairs are by tensor, not by a running index
    assert float(gradient_agreement([None, t[1]], v)) == pytest.approx(of_vector, abs=1e-12)
    assert float(gradient_agreement([t[0], t[1]], [None, v[1]])) == pytest.approx(of_vector, abs=1e-12)
    assert gradient_agreement([None, t[1]], [v[0], None]) is None


def test_both_statistics_of_a_case_worked_out_by_hand():
    """g_t = (3, 4), g_v = (4, -3): at a right angle by the paper; the sum (7, 1) is at 45 degrees to g_t."""
    train, valid = [torch.tensor([3.0, 4.0])], [torch.tensor([4.0, -3.0])]
    assert float(gradient_agreement(train, valid, "paper")) == pytest.approx(0.0, abs=1e-6)
    assert float(gradient_agreement(train, valid, "code")) == pytest.approx(25 / (5 * 50**0.5), abs=1e-6)
    # opposite gradients, and the sum is decided by the larger one
    assert float(gradient_agreement([torch.tensor([2.0, 0.0])], [torch.tensor([-1.0, 0.0])], "code")) == 1.0
    assert float(gradient_agreement([torch.tensor([2.0, 0.0])], [torch.tensor([-3.0, 0.0])], "code")) == -1.0
    # by output channel: (1, 2) with (1, 1) in one column, (0, 1) with (0, -1) in the other
    train, valid = [torch.tensor([[1.0, 0.0], [2.0, 1.0]])], [torch.tensor([[1.0, 0.0], [1.0, -1.0]])]
    assert float(gradient_agreement(train, valid, "paper")) == pytest.approx((3 / 10**0.5 - 1) / 2, abs=1e-6)
    # the sums are (2, 3) and (0, 0): a gradient of zero has the cosine 0
    assert float(gradient_agreement(train, valid, "code")) == pytest.approx((8 / 65**0.5) / 2, abs=1e-6)


def _authors_loop(network, steps: int, window: int, threshold: float, *, clear: bool) -> list[tuple[int, str]]:
    """Search as the authors' script does, by `backward` on a plain module, and return which operation stops when.

    `clear` empties the gradients of the weights before the architecture step, which makes the paper's statistic of it.
    """
    graph, alphas, weights = network.graph, list(network.architectural_weights), list(network.graph.parameters())
    of_weights = torch.optim.SGD(weights, 0.1, momentum=0.9, weight_decay=3e-4)
    of_alphas = torch.optim.Adam(alphas, 0.05, betas=(0.5, 0.999), weight_decay=1e-3)
    operations = {
        f"{name}.{index}": list(op.parameters())
        for name, module in graph.named_modules()
        if isinstance(module, MixedOp)
        for index, op in enumerate(module.primitives)
        if list(op.parameters())
    }
    before: dict[str, list[torch.Tensor]] = {}
    sums, counts, stopped = dict.fromkeys(operations, 0.0), dict.fromkeys(operations, 0), []
    for step in range(steps):
        train, valid = batch(seed=step), batch(seed=100 + step)
        of_alphas.zero_grad()
        if clear:
            of_weights.zero_grad()
        nn.functional.cross_entropy(graph(valid[0]), valid[1]).backward()
        of_alphas.step()
        for name in list(before):
            now = [weight.grad for weight in operations[name]]
            cosines = [torch.cosine_similarity(g, old, dim=0).mean() for g, old in zip(now, before[name], strict=True)]
            sums[name] += float(sum(cosines) / len(cosines))
            counts[name] += 1
            if counts[name] == window:
                if sums[name] / window < threshold:
                    stopped.append((step, name))
                    for weight in operations[name]:
                        weight.requires_grad_(False)
                sums[name], counts[name] = 0.0, 0
        of_weights.zero_grad()
        nn.functional.cross_entropy(graph(train[0]), train[1]).backward()
        nn.utils.clip_grad_norm_(weights, 0.5)
        of_weights.step()
        frozen = {name for _, name in stopped}
        before = {n: [w.grad.clone() for w in group] for n, group in operations.items() if n not in frozen}
    return stopped


@pytest.mark.parametrize(("statistic", "threshold"), [("code", 0.1), ("paper", -0.12)])
def test_the_same_operations_stop_as_in_the_authors_loop(statistic: str, threshold: float):
    torch.set_default_dtype(torch.float64)
    try:
        searches = []
        for _ in range(2):
            torch.manual_seed(0)
            part = {"steps": 5, "threshold": threshold, "statistic": statistic}
            optimizer = OLESOptimizer(
                learning_rate=0.1, arch_learning_rate=0.05, grad_clip=0.5, parts={"operation_early_stopping": part}
            )
            optimizer.adapt_search_space(mlp_space(batch_norm=True))
            searches.append(optimizer)
        ours, reference = searches
        expected = _authors_loop(reference, 42, 5, threshold, clear=statistic == "paper")
        part, found = ours.parts["operation_early_stopping"], []
        for step in range(42):
            known = len(part.frozen)
            ours.step(batch(seed=step), batch(seed=100 + step))
            found += [(step, name) for name in part.frozen[known:]]
        assert found == expected and 2 <= len(found) <= 10
        torch.testing.assert_close(ours.weights, list(reference.graph.parameters()), rtol=0, atol=1e-9)
    finally:
        torch.set_default_dtype(torch.float32)


def test_skip_connections_are_not_judged_even_if_they_have_weights():
    torch.manual_seed(0)
    optimizer = OLESOptimizer(parts={"operation_early_stopping": {"steps": 1, "threshold": 1.0}})
    optimizer.adapt_search_space(NasBench301SearchSpace(n_classes=3, channels=4, cells=3, nodes=1))
    images = torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 0])
    for _ in range(2):
        optimizer.step(images, images)
    part = optimizer.parts["operation_early_stopping"]
    ops = [m for m in optimizer.graph.modules() if isinstance(m, MixedOp)]
    skips = [op for mixed in ops for op in mixed.primitives if isinstance(op, FactorizedReduce)]
    assert len(skips) == 4 and all(p.requires_grad for op in skips for p in op.parameters())  # two reduction cells
    assert len(part.frozen) == 4 * len(ops)  # two separable and two dilated convolutions on each edge


def test_exactly_as_many_comparisons_are_averaged_as_are_asked_for(monkeypatch):
    """The authors' counter adds 21 values and divides by 20: agreements of .39 are .4095 then, and nothing stops."""
    monkeypatch.setattr(
        "naslib.optimizers.oneshot.parts.operation_early_stopping.gradient_agreement", lambda *_: torch.tensor(0.39)
    )
    optimizer = _adapted()
    part = optimizer.parts["operation_early_stopping"]
    assert (part.steps, part.threshold) == (20, 0.4)
    _run(optimizer, range(20))  # the first architecture step has no weight step before it: 19 comparisons
    assert part.frozen == [] and set(part._counts.values()) == {19}
    _run(optimizer, range(20, 21))
    assert len(part.frozen) == 12 and part._counts == {}  # two linear candidates on three edges of two cells


@pytest.mark.parametrize("statistic", ["code", "paper"])
def test_the_gradients_compared_are_those_of_the_last_weight_step_and_of_this_validation_batch(statistic: str):
    optimizer = _adapted(statistic=statistic)
    optimizer.grad_clip = 0.01  # small enough to matter to a norm, not to a cosine
    train, valid = batch(seed=1, dtype=torch.float32), batch(seed=2, dtype=torch.float32)
    optimizer.step(train, valid)
    part = optimizer.parts["operation_early_stopping"]
    kept = {name: [g.clone() for g in gradients] for name, gradients in part._train.items()}
    total = torch.cat([g.flatten() for gradients in kept.values() for g in gradients]).norm()
    assert total <= 0.0101  # after clipping
    weights = {name: list(group) for name, group in part._operations().items()}
    assert set(kept) == set(weights) and len(kept) == 12
    loss = nn.functional.cross_entropy(optimizer.graph(valid[0]), valid[1])
    flat = [w for group in weights.values() for w in group]
    gradients = iter(torch.autograd.grad(loss, flat))
    expected = {
        name: gradient_agreement(kept[name], [next(gradients) for _ in group], statistic)
        for name, group in weights.items()
    }
    optimizer.step(batch(seed=3, dtype=torch.float32), valid)
    for name, value in expected.items():
        torch.testing.assert_close(part._sums[name], value, rtol=1e-4, atol=1e-5)


def _stopped(optimizer, chosen: list[int]) -> list[str]:
    part = optimizer.parts["operation_early_stopping"]
    names = [list(part._operations())[index] for index in chosen]
    for name in names:
        part._freeze(name)
    part._train = {name: g for name, g in part._train.items() if name not in names}
    return names


def test_a_frozen_operation_is_not_moved_and_its_statistics_go_on():
    """Momentum and weight decay would move weights whose gradient is zero: it must be None."""
    optimizer = _adapted(steps=1000)
    _run(optimizer, range(3))  # there is momentum
    names = _stopped(optimizer, [0, 5])
    part = optimizer.parts["operation_early_stopping"]
    before = {name: [w.detach().clone() for w in group] for name, group in part._operations().items()}
    norms = [m for m in optimizer.graph.modules() if isinstance(m, nn.BatchNorm1d)]
    statistics = [norm.running_mean.clone() for norm in norms]
    _run(optimizer, range(3, 6))
    for name, group in part._operations().items():
        for old, new in zip(before[name], group, strict=True):
            assert torch.equal(old, new) is (name in names)
            assert (new.grad is None) is (name in names)
    assert all(not torch.equal(old, norm.running_mean) for old, norm in zip(statistics, norms, strict=True))
    assert not set(names) & set(part._train)


def test_a_resumed_search_freezes_again_and_goes_on_bit_identically(tmp_path):
    straight = _adapted(steps=3, threshold=-0.1, statistic="paper")
    _run(straight, range(8))
    frozen = list(straight.parts["operation_early_stopping"].frozen)
    assert 0 < len(frozen) < 12
    state = {key: item.state_dict() for key, item in straight.get_checkpointables().items()}
    torch.save(state, tmp_path / "state.pth")
    resumed = _adapted(seed=5, steps=3, threshold=-0.1, statistic="paper")
    _stopped(resumed, [3])  # of another search: to be trained again
    state = torch.load(tmp_path / "state.pth", weights_only=True)
    for key, item in resumed.get_checkpointables().items():
        item.load_state_dict(state[key])
    part = resumed.parts["operation_early_stopping"]
    for name, group in part._operations().items():
        assert all(weight.requires_grad is (name not in frozen) for weight in group)
    expected, found = _run(straight, range(8, 14)), _run(resumed, range(8, 14))
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
    assert part.frozen == straight.parts["operation_early_stopping"].frozen
    for key, item in straight.get_checkpointables().items():
        assert not differences(resumed.get_checkpointables()[key].state_dict(), item.state_dict())


def test_what_was_frozen_is_trained_again_in_the_architecture_found():
    optimizer = _adapted()
    _stopped(optimizer, list(range(12)))
    final = optimizer.get_final_architecture()
    assert all(p.requires_grad for p in final.parameters())
    assert all(p.requires_grad for p in final.evaluation_network().parameters())
    assert not all(p.requires_grad for p in optimizer.graph.parameters())


def test_bad_values_and_the_second_order_raise():
    with pytest.raises(ConfigError, match="steps"):
        PARTS.build("operation_early_stopping", steps=0)
    with pytest.raises(ConfigError, match=r"statistic must be one of code, paper, not 'papr'.*did you mean 'paper'"):
        PARTS.build("operation_early_stopping", statistic="papr")
    assert PARTS.build("operation_early_stopping").statistic == "code"
    optimizer = DARTSOptimizer(unrolled=True, parts={"operation_early_stopping": {}})
    with pytest.raises(ConfigError, match="operation_early_stopping"):
        optimizer.adapt_search_space(mlp_space())
