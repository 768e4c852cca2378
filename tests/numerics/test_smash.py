"""SMASH: encodings, generated weights, what is drawn, the ranking, and going on after an interruption."""

from __future__ import annotations

import io
import itertools
import math
from collections import Counter
from random import Random
from typing import Any

import pytest
import torch
from part_figures import PARTS_KEYWORDS
from torch import Tensor
from torch.nn import functional as F
from training_runs import config_for

from naslib.config.config import config_to_yaml
from naslib.defaults.trainer import Trainer
from naslib.errors import CheckpointError, ConfigError, UnsupportedBySpaceError
from naslib.evaluators import SupernetEvaluator
from naslib.hardware.metrics import macs
from naslib.history import Trial
from naslib.optimizers import SMASHOptimizer
from naslib.optimizers.oneshot.methods.smash.hypernetwork import HyperNetwork
from naslib.optimizers.oneshot.methods.smash.ranking import Ranking
from naslib.optimizers.oneshot.methods.smash.sampling import BankSampler
from naslib.optimizers.oneshot.paths.scoring import PathScorer
from naslib.search_spaces import MemoryBankSearchSpace, NasBench201SearchSpace
from naslib.search_spaces.core.fresh_network import fresh_network
from naslib.search_spaces.memory_bank.primitives import PlainMemoryOp, normalized
from naslib.search_spaces.memory_bank.shapes import OpShape, banks_of
from naslib.utils.seeding import set_seed

SIZES: dict[str, Any] = {"n_classes": 3, "in_channels": 1, "unit": 2, "channels": (4, 4), "banks": 3}
SIZES |= {"kernels": (3, 5), "dilations": 2, "groups": (1, 2), "ops": (1, 2, 3)}
TINY: dict[str, Any] = {"hyper_growth": 3, "hyper_layers": (2, 2), "n_random": 4, "n_perturbed": 3, "n_chain": 3}


def _batches(n: int, seed: int) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 1, 8, 8, generator=generator)
    labels = x.mean(dim=(1, 2, 3)).mul(20).clamp(-1, 1).round().long() + 1
    return list(zip(x.split(8), labels.split(8), strict=True))


TRAIN, VALID = _batches(48, 0), _batches(24, 1)


def _made(seed: int = 0, space: Any = None, **keywords: Any) -> SMASHOptimizer:
    torch.manual_seed(seed)
    optimizer = SMASHOptimizer(**{"epochs": 4, **TINY, **keywords})
    optimizer.adapt_search_space(space if space is not None else MemoryBankSearchSpace(**SIZES))
    optimizer.before_training()
    optimizer.graph.train()
    return optimizer


# encodings


def test_an_encoding_by_hand() -> None:
    """Two slices of an operation that reads banks 0 and 2 of one unit, one of an operation that reads bank 1."""
    optimizer = _made(compression=1)
    encoding = optimizer.source.encoding
    first = OpShape(1, 0b101, 0b010, 2, 3, 2, 5, 1, 2)
    second = OpShape(1, 0b010, 0b110, 1, 3, 1, 3, 1, 1)
    planes = encoding.encode([[first], [second]])
    # reads and writes of three banks, two blocks, units 1 and 2, widths 1, 2 and 4, then kernel 3 or 5 and dilation
    # 1 or 2 of both axes, groups 1 and 2, and where an operation begins
    assert planes.shape == (3 + 3 + 2 + 2 + 3 + 4 + 4 + 2 + 1, 6, 3) and encoding.rows == 2 * 3
    expected = torch.full_like(planes, -1.0)
    expected[0, :2, 0] = expected[2, :2, 1] = 1  # the width is 2, and so is what is read: two rows
    for channel in (3 + 1, 6 + 0, 8 + 0, 10 + 1, 13 + 0, 15 + 1, 17 + 1, 19 + 0, 21 + 1):
        expected[channel, :2, :2] = 1
    expected[23, :2, 0] = 1
    for channel in (1, 3 + 1, 3 + 2, 6 + 1, 8 + 0, 10 + 0, 13 + 0, 15 + 0, 17 + 0, 19 + 0, 21 + 0, 23):
        expected[channel, :1, 2] = 1
    assert torch.equal(planes, expected)


@pytest.mark.parametrize("compression", [1, 2])
def test_there_are_as_many_encodings_as_networks(compression: int) -> None:
    space = MemoryBankSearchSpace(
        unit=1, channels=(2,), banks=2, bank=(1, 2), ops=(1, 2), units=(1, 2), kernels=(3,), dilations=1, groups=1
    )
    op = 3 * 3 * 2
    assert space.decision_space.size() == 2 * (op + op**2) == 684
    optimizer = _made(space=space, compression=compression)
    found = set()
    for code in optimizer.paths.iterate():
        with optimizer.assigned(optimizer.assignment_of(code)):
            planes = optimizer.source.encoding.encode(optimizer.source.network())
        found.add((planes.shape, planes.numpy().tobytes()))
    assert len(found) == 684


# weights


def test_generated_weights_have_the_shapes_of_the_operations_and_lie_where_the_encoding_says() -> None:
    optimizer = _made()
    source, paths = optimizer.source, optimizer.paths
    seen = Counter[tuple[int, ...]]()
    for seed in range(60):
        draws = paths.random(Random(seed)) if seed % 2 else optimizer.drawn()
        with optimizer.assigned(optimizer.assignment_of(draws)), torch.no_grad():
            network, weights = source.network(), source.generate(training=False)
        assert [len(block) for block in network] == [len(block) for block in weights]
        for shape, weight in zip(itertools.chain(*network), itertools.chain(*weights), strict=True):
            n_in = shape.bank * len(banks_of(shape.reads))
            between = min(max(n_in // shape.width, 1) * shape.width, 4 * shape.width, n_in)
            assert weight.shape == (2 * between, 2 * n_in, 1, 1) and weight.isfinite().all() and weight.norm() > 0
            seen[weight.shape] += 1
    assert len(seen) >= 7


def test_a_weight_is_where_its_rows_and_slices_are() -> None:
    encoding = _made().source.encoding  # two units of two channels per slice
    network = [[OpShape(1, 0b111, 0b001, 1, 3, 1, 3, 1, 1)], [OpShape(2, 0b011, 0b001, 2, 3, 1, 3, 1, 1)]]
    assert [[tuple(span) for span in block] for block in encoding.spans(network)] == [[(0, 2, 3)], [(2, 2, 4)]]
    made = torch.arange(2 * 4 * 6 * 4).reshape(2, 4, 6, 4)
    (first,), (second,) = encoding.weights(made, network)
    assert first.shape == (6, 6, 1, 1) and second.shape == (8, 8, 1, 1)
    for weight, start in ((first, 0), (second, 2)):
        for out, into in itertools.product(range(weight.shape[0]), range(weight.shape[1])):
            assert weight[out, into, 0, 0] == made[out % 2, into % 4, out // 2, start + into // 4]


def test_the_hypernetwork_is_as_large_as_its_layers_say() -> None:
    network = HyperNetwork(30, 128, growth=10, layers=(8, 10, 4))
    first = 9 * 30 * 7
    one = sum(9 * (37 + 10 * i) * 10 for i in range(8)) + 9 * 117 * 58
    two = sum(9 * (58 + 10 * i) * 10 for i in range(10)) + 9 * 158 * 79
    three = sum(9 * (79 + 10 * i) * 10 for i in range(4)) + 119 * 128
    assert sum(p.numel() for p in network.parameters()) == first + one + two + three
    assert network(torch.randn(2, 30, 8, 5)).shape == (2, 128, 8, 5)


def test_the_hypernetwork_by_hand() -> None:
    torch.manual_seed(0)
    network = HyperNetwork(3, 4, growth=2, layers=(1, 1)).double()
    x = torch.randn(1, 3, 4, 5, dtype=torch.float64)
    (a,), (b,) = network.stages
    conv = lambda y, layer, pad: F.conv2d(y, layer.weight / layer.weight.square().sum().sqrt(), padding=pad)  # noqa: E731
    leak = lambda y: torch.where(y > 0, y, 0.02 * y)  # noqa: E731
    y = torch.cat((x, conv(x, network.first, 1)), 1)
    y = torch.cat((y, conv(leak(y), a, 1)), 1)
    y = conv(leak(y), network.transitions[0], 1)
    assert y.shape[1] == (3 + 7 + 2) // 2
    y = torch.cat((y, conv(leak(y), b, 1)), 1)
    torch.testing.assert_close(network(x), conv(leak(y), network.last, 0), rtol=0, atol=1e-12)


@torch.no_grad()
def test_the_supernet_computes_what_the_architecture_computes_with_generated_weights() -> None:
    optimizer = _made()
    optimizer.graph.eval()
    code = optimizer.drawn()
    optimizer.use(code)
    weights = [w for block in _generated(optimizer, code) for w in block]
    optimizer.outcome = optimizer.scores_of(code)
    final = optimizer.get_final_architecture().eval()
    ops = [m for m in final.modules() if isinstance(m, PlainMemoryOp)]
    assert len(ops) == len(weights)
    for op, weight in zip(ops, weights, strict=True):
        assert torch.equal(op.reduce.weight, weight)
    x = VALID[0][0]
    torch.testing.assert_close(final(x), optimizer.graph(x), rtol=0, atol=1e-6)
    assert not any("generator" in name for name, _ in final.named_modules())


def _generated(optimizer: SMASHOptimizer, code: Any) -> list[list[Tensor]]:
    with optimizer.assigned(optimizer.assignment_of(code)), torch.no_grad():
        return optimizer.source.generate(training=False)


# training


def test_a_step_trains_all_of_the_hypernetwork_and_what_is_shared() -> None:
    optimizer = _made()
    made = list(optimizer.source.parameters())
    groups = optimizer.op_optimizer.param_groups
    assert {id(p) for p in groups[1]["params"]} == {id(p) for p in made}
    assert [group["weight_decay"] for group in groups] == [1e-4, 0.0]
    assert all(group["betas"] == (0.5, 0.999) and group["eps"] == 1e-4 for group in groups)
    assert (
        sum(len(group["params"]) for group in groups) == len(optimizer.weights) == len([*optimizer.graph.parameters()])
    )
    before = [weight.detach().clone() for weight in optimizer.weights]
    optimizer.new_epoch(0)
    optimizer.step(TRAIN[0], VALID[0])
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in made)
    assert all(not torch.equal(a, b) for a, b in zip(before, optimizer.weights, strict=True))
    names = [name for name, _ in optimizer.graph.named_parameters()]
    assert not any("reduce" in name for name in names)  # nothing that is never used


def test_the_hypernetwork_has_no_weight_decay_whatever_the_schedule_of_the_others() -> None:
    optimizer = _made(weight_decay={"schedule": "piecewise", "values": [1e-4, 0.3], "milestones": [1]})
    for epoch, decay in enumerate((1e-4, 0.3)):
        optimizer.new_epoch(epoch)
        assert [group["weight_decay"] for group in optimizer.op_optimizer.param_groups] == [decay, 0.0]
    for key in ("n_random", "n_perturbed", "n_chain", "perturb_rate", "chain_temperature"):
        with pytest.raises(ConfigError, match=f"{key} cannot follow a schedule: it is read once, after the last"):
            SMASHOptimizer(**{key: {"schedule": "linear", "from": 1, "to": 1}})


def test_every_step_draws_another_network_and_noise_and_the_schedule_grows() -> None:
    optimizer = _made(epochs=8)
    seen = []
    for epoch in range(8):
        optimizer.new_epoch(epoch)
        assert optimizer.growth == min(1.0, epoch / 4)
        for _ in range(3):
            optimizer.step(TRAIN[0], VALID[0])
            seen.append((optimizer.path, optimizer.noise))
    assert len(set(seen)) == 24 == len({noise for _, noise in seen})


def test_the_noise_is_one_of_the_step_in_training_and_always_the_same_elsewhere() -> None:
    optimizer = _made()
    code = optimizer.drawn()
    with optimizer.assigned(optimizer.assignment_of(code)), torch.no_grad():
        optimizer.noise = 5
        first, measured = optimizer.source.generate(True), optimizer.source.generate(False)
        optimizer.noise = 6
        second, again = optimizer.source.generate(True), optimizer.source.generate(False)
    assert torch.equal(measured[0][0], again[0][0]) and not torch.equal(first[0][0], second[0][0])


def test_the_score_of_an_architecture_is_a_function_of_its_code() -> None:
    optimizer = _made()
    for _ in range(3):
        optimizer.step(TRAIN[0], VALID[0])
    codes = [optimizer.drawn() for _ in range(6)]
    scorer = PathScorer(optimizer, TRAIN, VALID)
    scores = [scorer.on_all(code) for code in codes]
    optimizer.noise = 99
    torch.manual_seed(123)
    assert [scorer.on_all(code) for code in reversed(codes)] == scores[::-1]
    labels = torch.cat([y for _, y in VALID])
    optimizer.use(codes[0])
    optimizer.graph.eval()
    with torch.no_grad():
        hits = torch.cat([optimizer.graph(x) for x, _ in VALID]).argmax(1).eq(labels)
    assert scores[0] == pytest.approx(100 * hits.double().mean().item())


# what is drawn


@pytest.mark.parametrize("growth", [0.0, 1.0])
def test_networks_are_drawn_as_the_authors_draw_them(growth: float) -> None:
    space = MemoryBankSearchSpace()
    sampler, rng = BankSampler(space), Random(0)
    kernels, lengths, over, decisions = set(), set(), 0, space.decision_space
    for _ in range(200):
        found = sampler.draw(rng, growth)
        assert decisions.is_valid(decisions.code_of(found))
        for block, channels in enumerate(space.channels, start=1):
            bank, n_ops = found[f"block_{block}/bank"], found[f"block_{block}/ops"]
            held, read = channels // (8 * bank), 0
            lengths.add(n_ops)
            for number in range(1, n_ops + 1):
                op = {key: found[f"block_{block}/op_{number}/{key}"] for key in ("reads", "writes", "units", "rows")}
                assert max(banks_of(op["reads"])) < held  # nothing that is empty is read
                new = [index for index in banks_of(op["writes"]) if index >= held]
                assert new == list(range(held, held + len(new))) and len(new) <= op["units"]
                least = min(op["units"], held + min(op["units"], 4 - held))
                assert least <= op["writes"].bit_count() <= max(held // 2, least)
                kernels.add(space.fields[op["rows"]][0])
                held, read = held + len(new), read + op["reads"].bit_count()
            over += read > (0.5 + 0.5 * growth) * 4 * 4
    assert over == 0 and kernels == ({3} if growth == 0 else {3, 5, 7}) and lengths >= {2, 3, 4}


def test_widths_and_writes_have_the_probabilities_of_the_authors() -> None:
    space = MemoryBankSearchSpace(banks=6, channels=(32,), bank=1, units=(1, 2, 3, 4), ops=1, unit=8)
    sampler, rng = BankSampler(space), Random(1)
    draws = [sampler._draw_op(rng, 1, 4, 4, 1.0) for _ in range(20_000)]
    of_two = Counter(op["units"] for op in draws if op["reads"].bit_count() == 2)
    weights = {units: 1 / (0.01 + 10 * abs(units - 2)) for units in (1, 2, 3, 4)}
    for units, weight in weights.items():
        assert of_two[units] / of_two.total() == pytest.approx(weight / sum(weights.values()), abs=0.01)
    of_one = Counter(op["writes"].bit_count() for op in draws if op["units"] == 1)  # one, or half of the four: two
    assert of_one[2] / of_one.total() == pytest.approx(math.exp(-1) / (1 + math.exp(-1)), abs=0.015)


def test_a_perturbation_changes_each_element_with_its_probability_and_reads_nothing_empty() -> None:
    optimizer = _made(perturb_rate=0.05)
    optimizer.rng.seed(4)
    code = optimizer.drawn()
    space = optimizer.paths.supernet.space
    others = [optimizer.perturbed(code) for _ in range(400)]
    before = space.choices(code)
    name, n = "block_1/op_1/rows", 3
    changed = sum(space.choices(other)[name] != before[name] for other in others) / len(others)
    assert changed == pytest.approx(0.05 * (n - 1) / n, abs=0.03)
    assert 0.2 < sum(other == code for other in others) / len(others) < 0.9
    for other in others:
        choices = space.choices(other)
        for block in (1, 2):
            held = set(range(4 // (2 * choices[f"block_{block}/bank"])))
            for number in range(1, choices[f"block_{block}/ops"] + 1):
                assert {*banks_of(choices[f"block_{block}/op_{number}/reads"])} <= held
                held |= {*banks_of(choices[f"block_{block}/op_{number}/writes"])}


# the ranking


class _Numbers:
    """Networks that are numbers: drawn in order, perturbed by adding, with their own quality."""

    def __init__(self, qualities: dict[int, float]) -> None:
        self.qualities, self.made, self.bases, self.fail_at = qualities, 0, [], -1

    def draw(self) -> tuple[int, ...]:
        self.made += 1
        return (self.made,)

    def perturb(self, code: tuple[int, ...]) -> tuple[int, ...]:
        self.bases.append(code[0])
        return self.draw()

    def measure(self, code: tuple[int, ...]) -> float:
        if code[0] == self.fail_at:
            self.fail_at = -1
            raise KeyboardInterrupt
        return self.qualities.get(code[0], 0.0)


def test_the_ranking_has_three_phases() -> None:
    numbers = _Numbers({3: 5.0, 7: 6.0, 8: 9.0, 12: 10.0, 13: 10.0})
    ranking = Ranking(n_random=5, n_perturbed=4, n_chain=5, temperature=0.0)
    best = ranking.run(numbers.measure, numbers.draw, numbers.perturb, Random(0))
    assert ranking.total == len(ranking.measured) == numbers.made == 14
    # the best random network is the base of all perturbations; the chain begins with the best of both, and moves only
    # to what is better
    assert numbers.bases == [3] * 4 + [8, 8, 8, 12, 12]
    assert best == (12,) and [code for _, code in ranking.measured] == [(i,) for i in range(1, 15)]


def test_the_defaults_are_those_of_the_authors() -> None:
    optimizer = SMASHOptimizer()
    assert optimizer.ranking.sizes == (500, 100, 100) and optimizer.ranking.total == 700
    assert (optimizer.perturb_rate, optimizer.ranking.temperature, optimizer.compression) == (0.05, 0.0, 2)
    assert (optimizer.hyper_growth, optimizer.hyper_layers) == (10, (8, 10, 4))


def test_a_chain_with_a_temperature_takes_what_is_worse_now_and_then() -> None:
    accepted = 0
    for seed in range(400):
        numbers = _Numbers({1: 2.0, 2: 1.0})
        ranking = Ranking(1, 0, 1, temperature=0.5)
        assert ranking.run(numbers.measure, numbers.draw, numbers.perturb, Random(seed)) == (1,)
        accepted += ranking.base == (2,)
    assert accepted / 400 == pytest.approx(math.exp(-1.0 / 0.5), abs=0.05)


@pytest.mark.parametrize("fail_at", [2, 5, 6, 8, 10, 11, 14])
def test_a_ranking_goes_on_where_it_was_interrupted(fail_at: int) -> None:
    qualities = {i: float(i * 7 % 11) for i in range(1, 20)}
    straight, whole = _Numbers(qualities), Ranking(5, 4, 5, 0.3)
    expected = whole.run(straight.measure, straight.draw, straight.perturb, Random(3))
    numbers, rng = _Numbers(qualities), Random(3)
    first = Ranking(5, 4, 5, 0.3)
    numbers.fail_at = fail_at
    with pytest.raises(KeyboardInterrupt):
        first.run(numbers.measure, numbers.draw, numbers.perturb, rng)
    second = Ranking(5, 4, 5, 0.3)
    second.load_state_dict(first.state_dict())
    assert second.run(numbers.measure, numbers.draw, numbers.perturb, rng) == expected
    assert second.state_dict() == whole.state_dict() and numbers.bases == straight.bases
    with pytest.raises(CheckpointError, match="has ranked 14 networks, this search ranks 3"):
        Ranking(1, 1, 1, 0.0).load_state_dict(whole.state_dict())


def test_a_search_goes_on_in_the_middle_of_training_and_of_ranking(monkeypatch: pytest.MonkeyPatch) -> None:
    straight = _made()
    straight.new_epoch(2)
    for batch in TRAIN[:3]:
        straight.step(batch, VALID[0])
    saved = _saved(straight)
    straight.step(TRAIN[3], VALID[1])
    straight.select_architecture(TRAIN, VALID)

    resumed = _loaded(saved, seed=50)
    resumed.step(TRAIN[3], VALID[1])
    for a, b in zip(straight.weights, resumed.weights, strict=True):
        assert torch.equal(a, b)
    calls = 0
    original = PathScorer.on_all

    def interrupted(scorer: PathScorer, code: Any) -> float:
        nonlocal calls
        calls += 1
        if calls == 7:
            raise KeyboardInterrupt
        return original(scorer, code)

    monkeypatch.setattr(PathScorer, "on_all", interrupted)
    with pytest.raises(KeyboardInterrupt):
        resumed.select_architecture(TRAIN, VALID)
    again = _loaded(_saved(resumed), seed=51)
    again.select_architecture(TRAIN, VALID)
    assert calls == 1 + 10  # each of the ten is measured once, the interrupted one twice
    assert again.ranking.state_dict() == straight.ranking.state_dict()
    assert again.get_final_architecture().genotype() == straight.get_final_architecture().genotype()
    again.step(TRAIN[0], VALID[0])
    assert again.ranking.measured == [] and again.outcome is None  # of other weights


def _saved(optimizer: SMASHOptimizer) -> bytes:
    buffer = io.BytesIO()
    torch.save({key: part.state_dict() for key, part in optimizer.get_checkpointables().items()}, buffer)
    return buffer.getvalue()


def _loaded(saved: bytes, seed: int) -> SMASHOptimizer:
    optimizer = _made(seed)
    state = torch.load(io.BytesIO(saved), weights_only=True)
    for key, part in optimizer.get_checkpointables().items():
        part.load_state_dict(state[key])
    return optimizer


def test_the_evaluator_scores_networks_with_generated_weights(tmp_path: Any) -> None:
    few = {**SIZES, "channels": (4,), "ops": (1,)}  # a picture is drawn of every decision
    set_seed(0)
    config = config_for(tmp_path, epochs=1)
    config.optimizer = "smash"
    config.search.update(TINY)
    optimizer = SMASHOptimizer(**TINY)
    optimizer.adapt_search_space(MemoryBankSearchSpace(**few), config.dataset)
    Trainer(optimizer, config, train_loader=TRAIN, valid_loader=VALID, test_loader=VALID).search()
    (tmp_path / "config.yaml").write_text(config_to_yaml(config))
    assert len(optimizer.ranking.measured) == 10
    space = MemoryBankSearchSpace(**few)
    evaluator = SupernetEvaluator(space, TRAIN, VALID, objectives=["accuracy"], run=str(tmp_path))
    for number, (quality, code) in enumerate(optimizer.ranking.measured):
        assert evaluator.evaluate(Trial(number, code)).values[0] == pytest.approx(quality)


# what is refused


@pytest.mark.parametrize("part", sorted(PARTS_KEYWORDS))
def test_parts_are_refused(part: str) -> None:
    with pytest.raises(ConfigError, match=f"{part} does not fit SMASHOptimizer: its operations are layers"):
        SMASHOptimizer(parts={part: dict(PARTS_KEYWORDS[part])}).check_combination()


@pytest.mark.parametrize(
    "option",
    [{"checkpoint_cells": True}, {"native": "off"}, {"grad_clip": 1e9}, {"amp": True}],
)
def test_options_change_no_more_than_rounding(option: dict[str, Any]) -> None:
    losses = []
    for keywords in ({}, option):
        optimizer = _made(**keywords)
        optimizer.new_epoch(0)
        losses.append([float(loss) for batch in TRAIN[:2] for loss in optimizer.step(batch, VALID[0])[2:]])
    assert losses[1] == pytest.approx(losses[0], rel=2e-2 if "amp" in option else 1e-4)


def test_other_spaces_are_refused_with_the_reason() -> None:
    with pytest.raises(UnsupportedBySpaceError, match="nasbench201 has none: take the space memory_bank"):
        SMASHOptimizer().adapt_search_space(NasBench201SearchSpace(channels=4, cells_per_stage=1))


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"n_random": 0}, "n_random must be at least 1, not 0"),
        ({"n_chain": -1}, "n_chain must be at least 0, not -1"),
        ({"perturb_rate": 0.0}, "perturb_rate is a probability above 0, not 0.0"),
        ({"chain_temperature": -1.0}, "chain_temperature must not be negative"),
        ({"hyper_layers": 3}, r"hyper_layers is a list of numbers of layers, such as \[8, 10, 4\], not 3"),
        ({"hyper_layers": [2, 0]}, r"hyper_layers are integers from 1, not \[2, 0\]"),
        ({"compression": 0}, "compression must be at least 1, not 0"),
    ],
)
def test_impossible_numbers_are_said(keywords: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        SMASHOptimizer(**keywords)


def test_a_normalized_weight_has_length_one() -> None:
    weight = normalized(torch.tensor([[3.0, 0.0], [0.0, 4.0]], dtype=torch.float64))
    assert torch.equal(weight, torch.tensor([[0.6, 0.0], [0.0, 0.8]], dtype=torch.float64))


@pytest.mark.parametrize("metric", ["params", pytest.param("macs", marks=pytest.mark.slow)])
def test_the_ranking_keeps_to_limits(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random networks, perturbations and the chain: all are within, also where the largest ranks best."""
    space = MemoryBankSearchSpace(**SIZES)
    count = {"params": _weights, "macs": lambda network: macs(network, (1, 8, 8))}[metric]

    def size_of(code: Any) -> float:
        return count(fresh_network(space, code))

    free = _made()
    bound = sorted(size_of(free.drawn()) for _ in range(10))[4]
    measured: list[float] = []

    def largest(scorer: PathScorer, code: Any, given: Any) -> float:
        measured.append(size_of(code))
        return measured[-1]

    monkeypatch.setattr(PathScorer, "_quality", largest)
    optimizer = _made(limits={metric: bound}, n_random=3, n_perturbed=2, n_chain=2, perturb_rate=0.9)
    optimizer.step(TRAIN[0], VALID[0])
    assert size_of(optimizer.get_final_architecture().get_code()) <= bound, "before the ranking"
    measured.clear()
    optimizer.select_architecture(TRAIN, VALID)
    assert len(measured) == 7 and max(measured) <= bound
    assert size_of(optimizer.get_final_architecture().get_code()) == max(measured)


def _weights(network: Any) -> float:
    return sum(weight.numel() for weight in network.parameters()) / 1e6
