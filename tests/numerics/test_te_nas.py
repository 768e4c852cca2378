"""TE-NAS: the two measures, what ranks first, rounds of pruning, and going on after an interruption."""

from __future__ import annotations

import io
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from naslib.errors import CheckpointError, ConfigError
from naslib.optimizers import TENASOptimizer
from naslib.optimizers.oneshot.methods.te_nas.measures import (
    SINGULAR,
    Kernels,
    condition_number,
    count_regions,
    crops,
    draw_weights,
    fall_of_kappa,
    tangent_kernels,
)
from naslib.optimizers.oneshot.methods.te_nas.pruning import Inputs, Pruning
from naslib.optimizers.oneshot.methods.te_nas.ranks import Removal, by_rank_sum, rounded
from naslib.search_spaces import (
    NasBench201SearchSpace,
    NasBench301SearchSpace,
    NATSBenchSizeSearchSpace,
    ResNetDagSearchSpace,
)

TINY: dict[str, Any] = {"repeats": 1, "region_images": 40}


def _batch(seed: int, n: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, 8, 8, generator=generator), torch.randint(10, (n,), generator=generator)


def _made(seed: int = 0, space: Any = None, **keywords: Any) -> TENASOptimizer:
    torch.manual_seed(seed)
    optimizer = TENASOptimizer(**{"epochs": 2, **TINY, **keywords})
    optimizer.adapt_search_space(space or NasBench201SearchSpace(channels=2, cells_per_stage=1))
    optimizer.before_training()
    optimizer.graph.train()
    return optimizer


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let removals be told random numbers in place of what they do."""
    for name in ("_fall_of_kappa", "_fall_of_regions"):
        monkeypatch.setattr(TENASOptimizer, name, lambda optimizer, rest, batch: optimizer.rng.random())


# the measures


def test_the_kernel_of_a_linear_layer_is_the_gram_matrix_of_its_inputs() -> None:
    """The gradient of the sum of 3 outputs by W is the input, three times over."""
    x = torch.tensor([[1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    layer = nn.Linear(2, 3).double()
    kernels = tangent_kernels(layer(x), layer.named_parameters())
    assert torch.equal(kernels.weights, 3 * x @ x.T)
    assert torch.equal(kernels.all, 3 * x @ x.T + 3)  # the bias: three ones in each row
    assert condition_number(kernels.weights) == 4.0
    both = torch.linalg.eigvalsh(torch.tensor([[6.0, 3.0], [3.0, 15.0]], dtype=torch.float64))
    assert condition_number(kernels.all) == pytest.approx(float(both[1] / both[0]))


def test_a_singular_kernel_has_the_number_of_the_authors() -> None:
    assert condition_number(torch.ones(3, 3, dtype=torch.float64)) == SINGULAR == 100_000.0
    assert condition_number(torch.full((2, 2), float("nan"), dtype=torch.float64)) == SINGULAR
    regular, singular = torch.diag(torch.tensor([1.0, 4.0]).double()), torch.ones(2, 2).double()
    more = torch.diag(torch.tensor([1.0, 2.0]).double())
    assert fall_of_kappa(Kernels(regular, more), Kernels(more, regular)) == 0.5
    assert fall_of_kappa(Kernels(singular, regular), Kernels(regular, more)) == 0.5  # by all parameters instead


def test_regions_are_patterns_of_rectifiers() -> None:
    network = nn.Sequential(nn.Linear(1, 2), nn.ReLU())
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[1.0], [1.0]]))
        network[0].bias.copy_(torch.tensor([0.0, -1.0]))
    points = torch.tensor([[-2.0], [-1.0], [0.5], [0.6], [2.0], [3.0]])  # kinks at 0 and at 1
    assert count_regions(network, lambda: network(points)) == 3
    assert count_regions(network, lambda: network(points[:4])) == 2


def test_crops_have_a_channel_of_their_own() -> None:
    images = torch.arange(2 * 3 * 5 * 5).reshape(2, 3, 5, 5)
    found = crops(images, 3, 1, 50, Random(0))
    assert found.shape == (50, 1, 3, 3)
    for number, crop in enumerate(found):
        first = int(crop[0, 0, 0])
        assert first // 75 == number % 2  # images in turn
        assert torch.equal(crop[0] - first, torch.arange(3) + 5 * torch.arange(3)[:, None])
    assert len({int(crop[0, 0, 0]) // 25 for crop in found}) == 6  # all channels of both
    with pytest.raises(ConfigError, match="images of 5 x 5 have no crops of 6 x 6"):
        crops(images, 6, None, 1, Random(0))


@pytest.mark.parametrize(("fan", "scale"), [("fan_in", 2 / (64 * 9)), ("fan_out", 2 / (256 * 9))])
def test_weights_are_drawn_with_the_variance_of_their_fan(fan: str, scale: float) -> None:
    network = nn.Sequential(nn.Conv2d(64, 256, 3), nn.BatchNorm2d(256))
    nn.init.constant_(network[1].weight, 3.0)
    draw_weights(network, fan, 1)
    assert float(network[0].weight.detach().var()) == pytest.approx(scale, rel=0.02)
    assert not network[0].bias.any() and bool((network[1].weight == 1).all())
    first = network[0].weight.detach().clone()
    draw_weights(network, fan, 1)
    assert torch.equal(network[0].weight, first)


# ranks


def test_numbers_are_rounded_to_significant_digits() -> None:
    assert rounded(0.0, 3) == 0.0
    assert rounded(0.12345, 3) == pytest.approx(0.123) and rounded(-12345.0, 3) == pytest.approx(-12300.0)


def test_removals_are_ordered_by_the_sum_of_two_dense_ranks() -> None:
    removals = [
        Removal(0, 1, 0.5, 0.3),  # ranks 0 and 2
        Removal(0, 2, 0.1, 0.1),  # 2 and 0
        Removal(1, 1, 0.1, 0.2),  # 2 and 1
        Removal(1, 2, 0.3, 0.1),  # 1 and 0
    ]
    assert by_rank_sum(removals) == [removals[3], removals[0], removals[1], removals[2]]


# rounds


def _rounds(pruning: Pruning, values: dict[tuple[int, int], tuple[float, float]]) -> list[int]:
    counts = []
    while not pruning.is_done:
        counts.append(len(pruning.candidates()))
        for _ in range(counts[-1]):
            found = pruning.next()
            assert found is not None
            pruning.tell(*values.get(found, (0.0, 0.0)))
    return counts


def test_an_edge_loses_an_operation_in_each_round() -> None:
    changes: list[int] = []
    pruning = Pruning([[1, 2, 3, 4], [1, 2, 3]], [], 1, 3, lambda: changes.append(1))
    counts = _rounds(pruning, {(0, 4): (0.9, 0.0), (0, 2): (0.8, 0.0), (0, 1): (0.7, 0.0), (1, 3): (-0.5, 0.5)})
    assert counts == [4 + 3, 3 + 2, 2] and len(changes) == 3
    assert pruning.active == [[3], [3]]  # of equal ones on the second edge the first go, the worst stays
    assert pruning.next() is None


def test_several_operations_go_at_once_but_the_last() -> None:
    pruning = Pruning([[0, 1, 2, 3, 4]], [], 3, 3, lambda: None)
    assert _rounds(pruning, {(0, 0): (-1.0, 1.0)}) == [5, 2] and pruning.active == [[0]]


def test_a_node_loses_the_edges_that_it_does_not_keep() -> None:
    nodes = [Inputs((0, 1, 2), 2), Inputs((3, 4, 5, 6), 2)]
    pruning = Pruning([[1], [2], [3], [1, 5], [2], [3], [4]], nodes, 1, 3, lambda: None)
    counts = _rounds(pruning, {(3, 5): (0.9, 0.0), (1, 2): (0.9, -0.9), (4, 2): (0.5, 0.0), (6, 4): (0.4, 0.0)})
    assert counts == [2, 3, 4]
    assert pruning.active == [[1], [], [3], [1], [], [3], []]


def test_a_search_measures_as_often_as_there_are_operations(quick: None) -> None:
    """NAS-Bench-201: six edges with four operations besides none, then three, then two: 54 removals."""
    optimizer = _made()
    assert [len(ops) for ops in optimizer.pruning.active] == [4] * 6
    steps = 0
    while not optimizer.is_finished:
        optimizer.advance(_batch(0))
        steps += 1
    assert steps == 6 * (4 + 3 + 2)
    final = optimizer.get_final_architecture()
    kept = [ops[0] for ops in optimizer.pruning.active]
    assert sorted(final.get_code()) == sorted(kept) and optimizer.undecided() == ""
    before = [weight.clone() for weight in optimizer.weights]
    optimizer.step(_batch(0), _batch(1))  # nothing is left to be measured
    assert all(torch.equal(a, b) for a, b in zip(before, optimizer.weights, strict=True))


def test_the_supernet_runs_the_mean_of_what_is_left() -> None:
    optimizer = _made()
    sample = optimizer.keeping([[1, 3], [2], [], [1, 2, 3, 4], [4], [3]])
    draws = [sample[name] for name in optimizer.decision_names]
    assert draws[0].on == (1, 3) and draws[0].weights.tolist() == [0, 0.5, 0, 0.5, 0]
    assert draws[1].on == (2,) and draws[1].unit and draws[2].removed
    assert draws[3].weights.tolist() == [0, 0.25, 0.25, 0.25, 0.25]


def test_a_measurement_is_what_it_says() -> None:
    optimizer = _made()
    batch = _batch(0)
    state = optimizer.rng.getstate()
    optimizer.advance(batch)
    (measured,) = optimizer.pruning.measured
    assert measured[:2] == (0, optimizer.pruning.active[0][0])
    optimizer.rng.setstate(state)
    draw_weights(optimizer.graph, "fan_out", optimizer.rng.randrange(2**31))
    rest = optimizer.pruning.without(*measured[:2])
    before, after = optimizer.kernels(optimizer.pruning.active, batch), optimizer.kernels(rest, batch)
    assert measured.kappa == round(fall_of_kappa(before, after), 3)
    assert optimizer.thin is not None
    draw_weights(optimizer.thin.graph, "fan_in", optimizer.rng.randrange(2**31))
    images = crops(batch[0], 3, 1, 40, optimizer.rng)
    first, second = (
        optimizer.regions(optimizer.thin, active, (images, batch[1])) for active in (optimizer.pruning.active, rest)
    )
    assert 1 < first <= 40 and measured.regions == round((first - second) / first, 3)


def test_what_epochs_have_no_steps_for_is_done_at_the_end(quick: None) -> None:
    optimizer = _made(space=NasBench301SearchSpace(channels=2, cells=2, nodes=2), prune_number=6)
    # seven operations besides none on five edges of two cells: all but one go; then three edges into the second node
    assert [len(ops) for ops in optimizer.pruning.active] == [7] * 10 and len(optimizer.pruning.inputs) == 2
    batches = [_batch(seed, 2) for seed in range(2)]
    optimizer.select_architecture(batches, batches)
    assert optimizer.pruning.is_done and sorted(map(len, optimizer.pruning.active)) == [0, 0] + [1] * 8
    final = optimizer.get_final_architecture()
    found = [op for cell in ("normal", "reduce") for op, _ in final.genotype()[cell]]
    assert len(found) == 8 and "none" not in found
    for batches in ([], [_batch(0, 1)]):  # the kernel of a single input is one number, and its condition always 1
        with pytest.raises(ConfigError, match="measures on training batches of two inputs or more, and there are none"):
            _made().select_architecture(batches, batches)


def test_schedules_are_followed(quick: None) -> None:
    def by_epoch(first: int, second: int) -> dict[str, Any]:
        return {"schedule": "piecewise", "values": [first, second], "milestones": [1]}

    optimizer = _made(prune_number=by_epoch(3, 1), repeats=by_epoch(1, 2), region_images=by_epoch(40, 7))
    drawn: list[int] = []
    optimizer._fall_of_regions = lambda rest, batch: drawn.append(1) or 0.5  # type: ignore[method-assign, func-returns-value]
    optimizer.new_epoch(0)
    optimizer.advance(_batch(0))
    assert len(drawn) == 1 and (optimizer.pruning.number, optimizer.region_images) == (3, 40)
    optimizer.new_epoch(1)
    optimizer.advance(_batch(0))
    assert len(drawn) == 1 + 2 and (optimizer.pruning.number, optimizer.region_images) == (1, 7)
    while len(optimizer.pruning.active[0]) == 4:
        optimizer.advance(_batch(0))
    assert [len(ops) for ops in optimizer.pruning.active] == [3] * 6  # one each in this round
    with pytest.raises(ConfigError, match="momentum cannot follow a schedule: nothing is trained"):
        TENASOptimizer(momentum=by_epoch(1, 1))


def test_the_narrow_network_has_the_decisions_of_the_space() -> None:
    optimizer = _made(space=ResNetDagSearchSpace(6, 1, channels=4, blocks=1, nodes=2))
    assert optimizer.thin is not None and optimizer.thin.decision_names == optimizer.decision_names


def test_a_search_goes_on_in_the_middle_of_a_round() -> None:
    straight = _made()
    for ops in straight.pruning.active[1:]:
        del ops[2:]
    for seed in range(4):
        straight.advance(_batch(seed, 2))
    buffer = io.BytesIO()
    torch.save({key: part.state_dict() for key, part in straight.get_checkpointables().items()}, buffer)
    buffer.seek(0)
    resumed = _made(seed=7)
    state = torch.load(buffer, weights_only=True)
    for key, part in resumed.get_checkpointables().items():
        part.load_state_dict(state[key])
    assert resumed.pruning.measured == straight.pruning.measured and len(resumed.pruning.measured) == 4
    for optimizer in (straight, resumed):
        optimizer.step(_batch(20), _batch(99))
    assert resumed.pruning.state_dict() == straight.pruning.state_dict()
    with pytest.raises(CheckpointError, match="prunes 6 decisions, this search space has 2"):
        Pruning([[0], [1]], [], 1, 3, lambda: None).load_state_dict(straight.pruning.state_dict())


# what is refused


def test_sizes_are_refused() -> None:
    with pytest.raises(
        ConfigError, match="the space decides sizes as well; it removes operations from edges one by one"
    ):
        TENASOptimizer().adapt_search_space(NATSBenchSizeSearchSpace(channels=(2, 4)))


@pytest.mark.parametrize("keywords", [{"repeats": 0}, {"prune_number": 0}, {"region_images": 1}, {"region_size": 0}])
def test_impossible_numbers_are_said(keywords: dict[str, int]) -> None:
    (name,) = keywords
    with pytest.raises(ConfigError, match=f"{name} must be at least"):
        TENASOptimizer(**keywords)
