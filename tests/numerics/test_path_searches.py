"""SPOS, FairNAS, one-shot NAS and SETN: what each trains in a step, and how each finds its architecture."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

import pytest
import torch
from small_spaces import batch, mlp_space
from torch import nn

from naslib.errors import ConfigError
from naslib.optimizers import FairNASOptimizer, OneShotNASOptimizer, SETNOptimizer, SPOSOptimizer
from naslib.optimizers.oneshot.methods.fair_nas import fair_choices
from naslib.optimizers.oneshot.methods.oneshot_train import path_dropout
from naslib.optimizers.oneshot.paths.evolution import Evolution, EvolutionSettings
from naslib.optimizers.oneshot.paths.scoring import PathScorer
from naslib.optimizers.oneshot.paths.selection import evolution_selection
from naslib.optimizers.oneshot.paths.sizes import SizeLimits, mac_table, parameter_table
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace, SimpleCellSearchSpace
from naslib.search_spaces.core.flops import count_macs
from naslib.search_spaces.nasbench201.codec import NasBench201Codec
from naslib.search_spaces.nasbench301.codec import DartsCodec

SMALL = {"population": 6, "generations": 3, "parents": 3, "mutations": 2, "crossovers": 2}


def nb201() -> NasBench201SearchSpace:
    return NasBench201SearchSpace(n_classes=4, channels=4, cells_per_stage=1)


def nb301() -> NasBench301SearchSpace:
    return NasBench301SearchSpace(n_classes=4, channels=4, cells=3, nodes=2)


def images(seed: int, n: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, 8, 8, generator=generator), torch.randint(4, (n,), generator=generator)


def flat(seed: int, n: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    return batch(n, seed=seed, dtype=torch.float32)


def adapted(cls, space=None, **kwargs):
    torch.manual_seed(0)
    optimizer = cls(**kwargs)
    optimizer.adapt_search_space(mlp_space() if space is None else space)
    return optimizer


# evolution


def _fitness(code) -> float:
    target = (3, 1, 4, 2, 0, 3)
    return sum(a == b for a, b in zip(code, target, strict=True)) + code[0] / 100


def test_evolution_finds_the_maximum_of_a_known_fitness_with_few_evaluations():
    evaluated = Counter()
    evolution = Evolution(NasBench201Codec(), EvolutionSettings(), Random(0))
    for _ in range(20):
        codes = evolution.ask()
        assert len(codes) == 50
        evaluated.update(codes)
        evolution.tell(codes, [_fitness(code) for code in codes])
    assert evolution.best == (3, 1, 4, 2, 0, 3) and evolution.history[0][0] == _fitness(evolution.best)
    assert max(evaluated.values()) == 1 and sum(evaluated.values()) == 1000  # of 15,625
    assert evolution.history == sorted(evolution.history, key=lambda pair: -pair[0])


class _Recorded:
    """Genetics that remember who the parents were."""

    def __init__(self) -> None:
        self.n, self.mutated, self.crossed = 0, [], []

    def random(self, rng):
        self.n += 1
        return (self.n, 0)

    def perturb(self, code, rate, rng):
        self.mutated.append(code)
        self.n += 1
        return (self.n, 1)

    def crossover(self, first, second, rng):
        self.crossed.append((first, second))
        self.n += 1
        return (self.n, 2)


def test_a_generation_has_mutations_crossovers_and_random_ones_of_the_best_of_all_history():
    genetics = _Recorded()
    evolution = Evolution(genetics, EvolutionSettings(10, 5, 3, 4, 2), Random(0))
    first = evolution.ask()
    assert [kind for _, kind in first] == [0] * 10
    evolution.tell(first, [float(number) for number, _ in first])
    second = evolution.ask()
    assert Counter(kind for _, kind in second) == {1: 4, 2: 2, 0: 4}
    evolution.tell(second, [-1.0] * 10)  # worse: the parents are still those of the first generation
    evolution.ask()
    parents = {*genetics.mutated, *(parent for pair in genetics.crossed for parent in pair)}
    assert parents == {(10, 0), (9, 0), (8, 0)}


def test_parents_are_drawn_uniformly_and_independently():
    genetics = _Recorded()
    evolution = Evolution(genetics, EvolutionSettings(900, 3, 3, 300, 600), Random(3))
    first = evolution.ask()
    evolution.tell(first, [float(number) for number, _ in first])
    evolution.ask()
    best = [(number, 0) for number in (900, 899, 898)]
    assert Counter(genetics.mutated).keys() == set(best)
    assert all(abs(count - 100) < 5.5 * (300 * 2 / 9) ** 0.5 for count in Counter(genetics.mutated).values())
    pairs = Counter(genetics.crossed)
    assert pairs.keys() == {(a, b) for a in best for b in best}  # both may be the same
    assert all(abs(count - 600 / 9) < 5.5 * (600 * 8 / 81) ** 0.5 for count in pairs.values())


def test_genes_are_drawn_anew_with_the_rate_of_the_settings():
    rates = []

    class Rated(_Recorded):
        def perturb(self, code, rate, rng):
            rates.append(rate)
            return super().perturb(code, rate, rng)

    evolution = Evolution(Rated(), EvolutionSettings(4, 3, 2, 3, 0, mutation_rate=0.37), Random(0))
    first = evolution.ask()
    evolution.tell(first, [0.0] * 4)
    evolution.ask()
    assert rates == [0.37] * 3


def test_the_smallest_and_the_largest_settings():
    least = {"population": 1, "generations": 1, "parents": 1, "mutations": 0, "crossovers": 0}
    for rate in (0, 1):
        EvolutionSettings(**least, mutation_rate=rate)
    EvolutionSettings(population=4, mutations=2, crossovers=2)
    for name, low in least.items():
        with pytest.raises(ConfigError, match=rf"{name} must be at least {low}, not {low - 1}"):
            EvolutionSettings(**{**least, name: low - 1})
    for rate in (-1e-9, 1 + 1e-9):
        with pytest.raises(ConfigError, match="mutation_rate"):
            EvolutionSettings(mutation_rate=rate)


def test_of_equals_the_earlier_one_is_the_better():
    evolution = Evolution(_Recorded(), EvolutionSettings(4, 3, 2, 1, 1), Random(0))
    evolution.tell([(3,), (8,), (9,)], [5.0, 7.0, 5.0])
    evolution.tell([(4,), (1,)], [7.0, 5.0])
    assert evolution.history == [(7.0, (8,)), (7.0, (4,)), (5.0, (3,)), (5.0, (9,)), (5.0, (1,))]
    assert evolution.best == (8,)


def test_what_is_not_allowed_is_asked_once_and_made_up_for():
    asked = Counter()

    def allowed(code):
        asked[code] += 1
        return code[0] % 2 == 0

    class Digits(_Recorded):
        def random(self, rng):
            return (rng.randrange(40),)

    evolution = Evolution(Digits(), EvolutionSettings(10, 3, 2, 0, 0), Random(0), allowed)
    codes = evolution.ask()
    assert len(codes) == len(set(codes)) == 10 and all(code[0] % 2 == 0 for code in codes)
    assert max(asked.values()) == 1 and len(asked) > 10


def test_crossovers_that_are_seen_give_way_to_random_ones_after_ten_attempts_each():
    class Stuck(_Recorded):
        def crossover(self, first, second, rng):
            self.crossed.append((first, second))
            return first

    genetics = Stuck()
    evolution = Evolution(genetics, EvolutionSettings(6, 3, 2, 1, 4), Random(0))
    first = evolution.ask()
    evolution.tell(first, [0.0] * 6)
    assert Counter(kind for _, kind in evolution.ask()) == {1: 1, 0: 5}
    assert len(genetics.crossed) == 40


def test_duplicates_are_attempts_and_an_exhausted_space_ends():
    class Tiny(_Recorded):
        def random(self, rng):
            return (rng.randrange(4),)

        def perturb(self, code, rate, rng):
            self.n += 1
            return code

    genetics = Tiny()
    evolution = Evolution(genetics, EvolutionSettings(6, 3, 2, 5, 0), Random(0))
    first = evolution.ask()
    assert sorted(first) == [(0,), (1,), (2,), (3,)]
    evolution.tell(first, [0.0] * 4)
    assert evolution.ask() == [] and genetics.n == 50  # ten attempts per mutation


def test_evolution_keeps_to_what_is_allowed_without_asking_for_it():
    evolution = Evolution(DartsCodec(2), EvolutionSettings(), Random(1), lambda code: sum(code[1::2]) < 20)
    for _ in range(3):
        codes = evolution.ask()
        assert codes and all(sum(code[1::2]) < 20 for code in codes)
        evolution.tell(codes, [float(sum(code[1::2])) for code in codes])
    assert evolution.history[0][0] == 19


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"population": 0}, "population"), ({"mutations": 40}, "fit"), ({"mutation_rate": 1.5}, "mutation_rate")],
)
def test_impossible_evolutions_are_config_errors(settings: dict, message: str):
    for cls in (SPOSOptimizer, FairNASOptimizer):
        with pytest.raises(ConfigError, match=message):
            cls(**settings)


# sizes


@pytest.mark.parametrize("space", [nb201, nb301, SimpleCellSearchSpace, mlp_space])
def test_the_size_of_a_path_is_that_of_the_derived_network(space):
    optimizer = adapted(SPOSOptimizer, space())
    rng = Random(4)
    path = optimizer.path
    parameters = parameter_table(optimizer)
    macs = mac_table(optimizer, (3, 8, 8)) if space is not mlp_space else None
    assert optimizer.path == path
    for _ in range(2):
        code = optimizer.paths.random(rng)
        optimizer.outcome = optimizer.scores_of(code)
        derived = optimizer.get_final_architecture()
        assert parameters.of(code) * 1e6 == pytest.approx(sum(p.numel() for p in derived.parameters()))
        if macs is not None:
            assert macs.of(code) == pytest.approx(count_macs(derived, (3, 8, 8)))


def test_limits_are_checked_before_anything_is_measured():
    optimizer = adapted(SPOSOptimizer, nb201())
    scorer = PathScorer(optimizer, (), [images(0)])
    rng = Random(0)
    codes = [optimizer.paths.random(rng) for _ in range(6)]
    tables = {"max_params": parameter_table(optimizer), "max_macs": mac_table(optimizer, (3, 8, 8))}
    for name, table in tables.items():
        sizes = [table.of(code) for code in codes]
        bound = sorted(sizes)[2] + 1e-9
        limits = SizeLimits(optimizer, **({"max_params": None, "max_macs": None} | {name: bound}), scorer=scorer)
        assert [limits.allow(code) for code in codes] == [size <= bound for size in sizes]
        assert limits.smallest[name] == pytest.approx(sorted(sizes)[3])
    limits = SizeLimits(optimizer, 1e-6, None, scorer)
    scorer.on_all = lambda code: pytest.fail("measured")
    with pytest.raises(ConfigError, match=r"limits.*max_params"):
        evolution_selection(scorer, optimizer.paths, rng, EvolutionSettings(**SMALL), None, limits)


# SPOS


def test_spos_evolves_with_recalibrated_batch_norm_and_leaves_the_supernet_as_it_was():
    optimizer = adapted(SPOSOptimizer, nb201(), recalibration_batches=3, max_params=0.01, **SMALL)
    optimizer.graph.train()
    for index in range(4):
        optimizer.step(images(index), images(9))
    train, valid = [images(20), images(21)], [images(30, 20), images(31, 20)]
    before = {key: value.clone() for key, value in optimizer.graph.state_dict().items()}
    measured: dict[tuple, float] = {}
    original = PathScorer._quality

    def spy(self, code, batches):
        assert code not in measured and self.recalibration == 3
        measured[code] = original(self, code, batches)
        return measured[code]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PathScorer, "_quality", spy)
        optimizer.select_architecture(train, valid)
        optimizer.select_architecture(train, valid)  # once
    after = optimizer.graph.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items()) and optimizer.graph.training
    assert len(measured) == 18 and all(parameter_table(optimizer).of(code) <= 0.01 for code in measured)
    best = optimizer.get_final_architecture().get_code()
    assert measured[best] == max(measured.values()) and optimizer.path == best


# FairNAS


def test_every_candidate_is_once_in_the_models_of_a_step():
    rng = Random(0)
    for _ in range(20):
        models = fair_choices([5, 5, 5], rng)
        assert len(models) == 5
        assert all(sorted(column) == [0, 1, 2, 3, 4] for column in zip(*models, strict=True))
    first = Counter(fair_choices([4, 4], rng)[0] for _ in range(3200))
    assert len(first) == 16 and max(abs(count - 200) for count in first.values()) < 60  # independent permutations
    models = fair_choices([5, 2], rng)
    assert sorted(Counter(model[1] for model in models).values()) == [2, 3]


def test_fair_nas_updates_every_candidate_exactly_once_per_step_by_the_summed_gradient():
    optimizer = adapted(FairNASOptimizer, momentum=0.0, weight_decay=0.0, grad_clip=0, learning_rate=0.1)
    reference = adapted(FairNASOptimizer)
    calls = Counter()
    for place, edge in enumerate(optimizer.graph._edges_in_scope("cell", private_edge_data=True)):
        for index, op in enumerate(edge.data.op.primitives):
            op.register_forward_hook(lambda *_, at=(place, index): calls.update([at]))
    rng = Random()
    data = flat(1)
    optimizer.begin_step(data)
    rng.setstate(optimizer.rng.getstate())
    optimizer.weight_step(data)
    assert calls == {(place, index): 1 for place in range(6) for index in range(3)}
    models = fair_choices([3, 3, 3], rng)
    for choices in models:
        reference.use_choices(choices)
        nn.functional.cross_entropy(reference.graph(data[0]), data[1]).backward()
    for new, old in zip(optimizer.weights, reference.weights, strict=True):
        torch.testing.assert_close(new, old - 0.1 * old.grad)
        assert old.grad.any()


def test_fair_nas_selects_by_evolution():
    optimizer = adapted(FairNASOptimizer, mlp_space(batch_norm=True), **SMALL)
    for index in range(3):
        optimizer.step(flat(index), flat(9))
    assert optimizer.paths.choices(optimizer.path) == optimizer.path  # an architecture, not the last model of the step
    optimizer.select_architecture([], [flat(5, 40)])
    values = {}
    scorer = PathScorer(optimizer, (), [flat(5, 40)])
    for code in [(a, b, c) for a in range(3) for b in range(3) for c in range(3)]:
        values[code] = scorer.on_all(code)
    chosen = tuple(int(scores.argmax()) for scores in optimizer.outcome)
    assert values[chosen] >= sorted(values.values())[-10]


# one-shot NAS


def test_path_dropout_rates():
    rng = Random(0)
    kept = [path_dropout(range(6), 0.3, 1.0, rng) for _ in range(4000)]
    assert min(map(len, kept)) == 1
    drop = 0.3 ** (1 / 6)
    counts = Counter(path for paths in kept for path in paths)
    expected = 1 - drop + drop**6 / 6  # or alone in the rescue of a node without inputs
    for path in range(6):
        assert abs(counts[path] / 4000 - expected) < 4 * math.sqrt(expected * (1 - expected) / 4000)
    assert path_dropout(range(6), 0.3, 0.0, rng) == list(range(6))
    half = sum(len(path_dropout(range(6), 0.3, 0.5, rng)) for _ in range(4000)) / 24_000
    assert abs(half - (1 - drop / 2)) < 0.01


def test_one_shot_sums_what_was_kept_the_same_in_both_cells():
    optimizer = adapted(OneShotNASOptimizer, epochs=4, drop_rate=0.5)
    assert [p.tail for p in optimizer.places] == [2, 3, 3]
    optimizer.new_epoch(3)
    assert optimizer.strength == 1.0
    x, _ = flat(0)
    several = 0
    for _ in range(8):
        optimizer.prepare_step()
        kept = [draw.on if draw.unit else () for draw in optimizer.standing().values()]
        assert kept[0] and (kept[1] or kept[2])  # each node has an input
        several += len(kept[0]) > 1
        torch.testing.assert_close(optimizer.graph(x), _by_hand(optimizer, kept, x))
    assert several
    optimizer.new_epoch(0)
    optimizer.prepare_step()
    assert [draw.on for draw in optimizer.standing().values()] == [(0, 1, 2)] * 3


def _by_hand(optimizer, kept, x: torch.Tensor) -> torch.Tensor:
    macro = optimizer.graph

    def edge(cell, at, position, value):
        ops = cell.edges[at].op.primitives
        return sum((ops[k](value) for k in kept[position]), torch.zeros_like(value))

    value = macro.edges[1, 2].op(x)
    for cell in (macro.edges[2, 3].op, macro.edges[3, 4].op):
        value = edge(cell, (1, 3), 1, value) + edge(cell, (2, 3), 2, edge(cell, (1, 2), 0, value))
    return macro.edges[4, 5].op(value)


def test_one_shot_drops_no_zero_and_selects_a_single_path():
    optimizer = adapted(OneShotNASOptimizer, nb201(), epochs=2, num_samples=6, sample_batches=1, num_finalists=2)
    optimizer.new_epoch(0)
    optimizer.step(images(0), images(1))
    optimizer.begin_step(images(1))
    assert all(draw.on == (0, 2, 3, 4) for draw in optimizer.standing().values())  # without Zero
    optimizer.select_architecture([], [images(5, 20)])
    assert optimizer.get_final_architecture().get_code() == optimizer.path
    assert all(len(draw.on) == 1 for draw in optimizer.standing().values())
    with pytest.raises(ConfigError, match="drop_rate"):
        OneShotNASOptimizer(drop_rate=1.0)


# SETN


def test_setn_trains_weights_on_a_path_and_alpha_by_the_mixture():
    optimizer = adapted(SETNOptimizer, learning_rate=0.1, momentum=0.0, weight_decay=0.0, grad_clip=0)
    reference = adapted(SETNOptimizer)
    optimizer.step(flat(1), flat(2))
    reference.use(optimizer.path)
    nn.functional.cross_entropy(reference.graph(flat(1)[0]), flat(1)[1]).backward()
    for new, old in zip(optimizer.weights, reference.weights, strict=True):
        torch.testing.assert_close(new, old if old.grad is None else old - 0.1 * old.grad)
    assert sum(old.grad is None for old in reference.weights) == 2 * 4 * sum(k == 2 for k in optimizer.path) + (
        2 * 2 * sum(k != 2 for k in optimizer.path)
    )  # per decision and cell: two layers, or one of them, with weight and bias

    # alpha's gradient, at the weights after their step
    other = adapted(SETNOptimizer)
    other.graph.load_state_dict(optimizer.graph.state_dict())
    with other.assigned(other.mixture()):
        gradient, _, _ = other.architecture_gradient(flat(1), flat(2))
    for found, alpha in zip(optimizer.architectural_weights, gradient, strict=True):
        torch.testing.assert_close(found.grad, alpha)


def test_setn_draws_paths_in_which_every_node_has_an_input():
    optimizer = adapted(SETNOptimizer, nb201())
    seen = set()
    for _ in range(200):
        optimizer.prepare_step()
        a12, a13, a14, a23, a24, a34 = optimizer.path
        assert a12 != 1 and {a13, a23} != {1} and {a14, a24, a34} != {1}
        seen.add(optimizer.path)
    assert len(seen) > 190 and any(1 in path for path in seen)


def test_setn_measures_the_most_likely_architectures():
    optimizer = adapted(SETNOptimizer, nb201(), num_samples=4)
    with torch.no_grad():
        for alpha in optimizer.architectural_weights:
            alpha.copy_(torch.tensor([0.0, -9.0, 2.0, 1.0, -8.0]))
        optimizer.architectural_weights[0][3] = 1.5
        optimizer.architectural_weights[5][3] = 1.2
    assert optimizer.candidates()[0] == (2,) * 6 and optimizer.candidates()[1] == (3, 2, 2, 2, 2, 2)
    assert optimizer.candidates()[2] == (2, 2, 2, 2, 2, 3) and len(optimizer.candidates()) == 4
    p = [alpha.detach().softmax(-1) for alpha in optimizer.architectural_weights]
    expected = math.log(p[0][3]) + sum(math.log(row[2]) for row in p[1:])
    assert optimizer.log_probabilities([(3, 2, 2, 2, 2, 2)])[0] == pytest.approx(expected, rel=1e-5)
    optimizer.select_architecture([], [images(5, 20)])
    assert optimizer.get_final_architecture().get_code() in optimizer.candidates()


def test_setn_samples_where_the_space_is_too_large():
    optimizer = adapted(SETNOptimizer, nb301(), num_samples=5, pool=40)
    rng = Random()
    rng.setstate(optimizer.rng.getstate())
    codes = list(dict.fromkeys(optimizer.paths.random(rng) for _ in range(40)))
    values = dict(zip(codes, optimizer.log_probabilities(codes), strict=True))
    assert optimizer.candidates() == sorted(codes, key=lambda code: -values[code])[:5]
