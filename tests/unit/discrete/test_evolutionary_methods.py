"""Genetic CNN, hierarchical evolution, TPE, NSGA-II and the search for a front, each step by step."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import optuna
import pytest
from black_box import EveryKind, Scores, adapted, drive, values_of

from naslib.errors import ArchitectureError, ConfigError
from naslib.history.pareto import hypervolume
from naslib.optimizers.discrete.genetic import GeneticCNN
from naslib.optimizers.discrete.genetic.optimizer import selection_weights, stages_of
from naslib.optimizers.discrete.hierarchical import HierarchicalEvolution
from naslib.optimizers.discrete.hierarchical.optimizer import levels_of, trivial_code
from naslib.optimizers.discrete.model_based.improvement import non_dominated, scalarised, volume_gains
from naslib.optimizers.discrete.nsga2 import NSGA2
from naslib.optimizers.discrete.pareto_search import ParetoSearch
from naslib.optimizers.discrete.steps import Steps
from naslib.optimizers.discrete.tpe import TPE
from naslib.optimizers.discrete.tpe.distributions import Distributions
from naslib.optimizers.discrete.tpe.optimizer import share_of_good
from naslib.optimizers.discrete.variation import crossed, known, varied
from naslib.predictors import PREDICTORS
from naslib.search_spaces import HierarchicalSearchSpace, NasBench201SearchSpace
from naslib.search_spaces.core.decisions import Decision
from naslib.search_spaces.core.known_codec import KnownCodec
from naslib.search_spaces.core.schema import DecisionSpace

STEPS = Steps(EveryKind().decision_space)

# variation


def test_every_gene_changes_to_another_value_or_none_does():
    space, rng = STEPS.space, Random(0)
    for code in list(space.iterate())[::7]:
        assert varied(STEPS, code, lambda index, part: False, rng) == code
        other = varied(STEPS, code, lambda index, part: True, rng)
        assert space.is_valid(other) and other[0] != code[0]
        assert all(one == 1 - two for one, two in zip(other[5:], code[5:], strict=True))
        assert other[3:5] != code[3:5] and other[3] < other[4]


def test_the_rate_of_changes_is_that_of_the_genes():
    rng, code = Random(1), (0, 1, 0, 0, 1, 0, 0, 0)
    changed = Counter()
    for _ in range(4000):
        other = varied(STEPS, code, lambda index, part: rng.random() < 0.1, rng)
        changed.update(gene for gene in (0, 5, 6, 7) if other[gene] != code[gene])
    # four standard deviations of a binomial
    assert all(abs(changed[gene] - 400) < 4 * 19 for gene in (0, 5, 6, 7))


def test_a_crossover_exchanges_whole_groups():
    first, second, groups = (0, 1, 1, 0, 1, 0, 0, 1), (2, -1, -1, 2, 3, 1, 1, 0), [[0, 1, 2], [3], [4]]
    rng = Random(0)
    assert crossed(STEPS, first, second, groups, 0.0, rng) == (first, second)
    assert crossed(STEPS, first, second, groups, 1.0, rng) == (second, first)
    seen = {crossed(STEPS, first, second, groups, 0.5, rng) for _ in range(200)}
    assert len(seen) == 8
    for one, other in seen:  # each group is whole, and what one has the other has not
        for start, stop in ((0, 3), (3, 5), (5, 8)):
            assert {one[start:stop], other[start:stop]} == {first[start:stop], second[start:stop]}


def test_what_the_parent_of_a_group_does_not_decide_is_that_of_the_other():
    first, second = (0, 2, 1, 0, 1, 0, 0, 0), (2, -1, -1, 2, 3, 1, 1, 1)
    groups = [[0], [1], [2], [3], [4]]
    children = {child for _ in range(300) for child in crossed(STEPS, first, second, groups, 0.5, Random(_))}
    assert all(STEPS.space.is_valid(child) for child in children)
    assert {child[1:3] for child in children if child[0] == 0} == {(2, 1)}


# Genetic CNN


def test_selection_is_proportional_to_what_is_above_the_worst():
    assert selection_weights([1.0, 2.0, 4.0]) == [0.0, 0.25, 0.75]
    assert selection_weights([3.0, 3.0]) == [0.5, 0.5]


def test_without_variation_a_generation_is_a_sample_by_fitness_without_the_worst():
    optimizer = adapted(GeneticCNN, population_size=40, crossover_prob=0.0, mutation_prob=0.0)
    asked = drive(optimizer, 80)
    first, second = asked[:40], asked[40:]
    worst = min(values_of(code)[0] for code in first)
    assert {*second} <= {*first} and all(values_of(code)[0] > worst for code in second)
    drawn = Counter(second)
    weights = dict.fromkeys(first, 0.0)
    for code, weight in zip(first, selection_weights([values_of(code)[0] for code in first]), strict=True):
        weights[code] += weight
    expected = sum(values_of(code)[0] * weight for code, weight in weights.items())
    spread = sum(weight * (values_of(code)[0] - expected) ** 2 for code, weight in weights.items()) ** 0.5
    mean = sum(values_of(code)[0] * count for code, count in drawn.items()) / 40
    assert abs(mean - expected) < 4 * spread / 40**0.5


def test_who_has_not_changed_is_evaluated_again_or_keeps_what_it_has():
    again = drive(adapted(GeneticCNN, population_size=8), 64)
    assert len({*again}) < 64
    optimizer, carried = adapted(GeneticCNN, population_size=8, reevaluate=False), 0
    for count in range(1, 41):
        drive(optimizer, count)
        carried += len(optimizer.generation.population)
        members = [*optimizer.generation.population, *optimizer.generation.told]
        assert all(member.merits == (values_of(member.code)[0],) for member in members)
    assert carried > 0


def test_stages_are_graphs_or_the_nodes_of_the_only_one():
    names = ["stage_1/1-2", "stage_1/1-3", "stage_2/1-2"]
    two = DecisionSpace([Decision(name, "op", ("a", "b")) for name in names])
    assert stages_of(two) == [[0, 1], [2]]
    names = ["cell/1-2", "cell/1-3", "cell/2-3", "cell/3:comb_op"]
    one = DecisionSpace([Decision(name, "op", ("a", "b")) for name in names])
    assert stages_of(one) == [[0], [1, 2, 3]]


# hierarchical evolution


@pytest.fixture(scope="module")
def hierarchical() -> HierarchicalEvolution:
    optimizer = HierarchicalEvolution(initial_mutations=5, population_size=3)
    np.random.seed(0)
    optimizer.adapt_search_space(HierarchicalSearchSpace(channels=4), evaluator=Scores())
    return optimizer


def test_motifs_are_below_the_cell_and_trivial_means_identities(hierarchical: HierarchicalEvolution):
    space = hierarchical.codec.decision_space
    motifs, cell = levels_of(space)
    assert [len(motif) for motif in motifs] == [6] * 6 and [len(indices) for indices in cell] == [10]
    choices = space.choices(trivial_code(Steps(space)))
    assert {choice for name, choice in choices.items() if name.startswith("motif")} == {"identity"}
    assert {choice for name, choice in choices.items() if name.startswith("cell")} == {"motif_1"}


def test_a_mutation_draws_the_level_then_the_motif_then_the_edge(hierarchical: HierarchicalEvolution):
    space = hierarchical.codec.decision_space
    trivial, where = trivial_code(Steps(space)), Counter()
    for _ in range(2000):
        other = hierarchical.mutated(trivial)
        (gene,) = [index for index, (one, two) in enumerate(zip(trivial, other, strict=True)) if one != two]
        where[space.names[gene].partition("/")[0]] += 1
    assert abs(where["cell"] - 1000) < 4 * 22.4
    assert all(abs(where[f"motif_{number}"] - 1000 / 6) < 4 * 12.4 for number in range(1, 7))


def test_the_population_begins_with_mutated_trivial_ones_and_loses_nobody():
    optimizer = adapted(HierarchicalEvolution, population_size=4, tournament=1.0, initial_mutations=0)
    asked = drive(optimizer, 12)
    assert asked[:4] == [trivial_code(STEPS)] * 4 and len(optimizer.population) == 12
    # the whole population is in the tournament: each child is a neighbour of the best of all before it
    for number in range(4, 12):
        best = max(asked[:number], key=lambda code: values_of(code)[0])
        assert values_of(best)[0] == max(values_of(code)[0] for code in asked[:number])
        assert asked[number] in STEPS.space.neighbours(best) or asked[number][0] != best[0]


def test_what_is_drawn_because_no_mutation_is_allowed_is_nobodys_child():
    optimizer = adapted(HierarchicalEvolution, population_size=2, tournament=1.0, initial_mutations=1)
    drive(optimizer, 2)
    optimizer._steps.space.canonical = _refuse  # as constraints may that allow nothing near
    try:
        (trial,) = optimizer.ask(1)
    finally:
        del optimizer._steps.space.canonical
    assert trial.parent is None and STEPS.space.is_valid(trial.code)
    (child,) = optimizer.ask(1)
    assert child.parent in (0, 1)


def _refuse(code: object) -> None:
    raise ArchitectureError("too many edges")


# TPE


def test_parameters_and_codes_are_the_same_thing():
    distributions = Distributions(STEPS, optuna)
    for code in STEPS.space.iterate():
        values, kinds = distributions.parameters_of(code)
        assert distributions.suggest(optuna.trial.FixedTrial(values)) == code and values.keys() == kinds.keys()
    assert isinstance(kinds["cell/in"], optuna.distributions.CategoricalDistribution)
    many = Steps(DecisionSpace([Decision("in", "inputs", tuple(range(12)), n_chosen=6)]))  # 924 sets: scores
    code = (0, 2, 3, 7, 8, 11)
    values, kinds = Distributions(many, optuna).parameters_of(code)
    assert Distributions(many, optuna).suggest(optuna.trial.FixedTrial(values)) == code
    assert all(isinstance(kind, optuna.distributions.FloatDistribution) for kind in kinds.values())


def test_the_study_is_told_what_the_search_is_told():
    optimizer = adapted(TPE, evaluator=Scores(2), n_startup=3)
    asked = drive(optimizer, 12)
    optimizer.ask(1)
    complete = [t for t in optimizer._study.trials if t.state is optuna.trial.TrialState.COMPLETE]
    assert [tuple(t.values) for t in complete] == [(values_of(c)[0], -values_of(c)[1]) for c in asked]
    assert [share_of_good(n) for n in (1, 10, 11, 250, 1000)] == [1, 1, 2, 25, 25]


# several objectives


def test_children_of_nsga2_come_from_the_better_of_two():
    optimizer = adapted(NSGA2, population_size=6, evaluator=Scores(2))
    drive(optimizer, 30)
    keys = [(-rank, float(crowded)) for rank, crowded in [(0, np.inf), (0, 1.0), (1, np.inf), (1, 0.5)]]
    drawn = Counter(optimizer._winner(keys) for _ in range(4000))
    # of four in order, the k-th best wins (2 (4 - k) + 1) / 16 of all tournaments
    for place, share in enumerate((7, 5, 3, 1)):
        assert abs(drawn[place] - 4000 * share / 16) < 4 * 32


def test_the_gain_of_a_point_is_the_hypervolume_that_it_adds():
    rng = np.random.default_rng(0)
    front, points = rng.random((6, 2)), rng.random((30, 2)) * 1.3 - 0.2
    reference = np.array([0.1, 0.2])
    before = hypervolume(front, tuple(reference))
    expected = [hypervolume(np.vstack([front, point]), tuple(reference)) - before for point in points]
    assert volume_gains(front, points, reference) == pytest.approx(expected, abs=1e-12)
    assert non_dominated(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.5, -1.0], [2.0, 0.5]])) == [1, 4]


def test_the_scalarisation_by_hand():
    # away from (1, 1) by 1 and 0.5 of the range, weighted by a half each: max .5, sum .75
    found = scalarised(np.array([[0.0, 0.5]]), np.ones(2), np.zeros(2), np.array([0.5, 0.5]))
    assert found == pytest.approx([-(0.5 + 0.05 * 0.75)])


def test_the_search_for_a_front_finds_it_sooner_than_chance():
    codes = list(STEPS.space.iterate())
    merits = np.array([(values_of(code)[0], -values_of(code)[1]) for code in codes])
    reference = tuple(merits.min(0) - 1)
    whole = hypervolume(merits, reference)
    optimizer = adapted(ParetoSearch, evaluator=Scores(2), num_init=10, k=5, num_candidates=30)
    drive(optimizer, 60)
    assert len({member.code for member in optimizer.record.front.members}) == len(optimizer.record.front)
    assert hypervolume(optimizer.record.front.merits(), reference) > 0.99 * whole


def test_a_reference_point_of_another_length_is_refused():
    with pytest.raises(ConfigError, match="reference_point has 1 values; the objectives are score, cost"):
        adapted(ParetoSearch, evaluator=Scores(2), reference_point=[50.0])


@pytest.mark.parametrize(
    ("kind", "kwargs", "match"),
    [
        (GeneticCNN, {"gene_prob": 2.0}, r"gene_prob must be in \[0, 1\], not 2"),
        (NSGA2, {"population_size": 1}, "population_size must be at least 2, not 1"),
        (NSGA2, {"crossover_prob": -1.0}, r"crossover_prob must be in \[0, 1\]"),
        (HierarchicalEvolution, {"tournament": 0.0}, r"tournament is a share of the population, in \(0, 1\], not 0"),
        (TPE, {"n_startup": 0}, "n_startup and n_candidates must be at least 1"),
        (ParetoSearch, {"k": 0}, "k must be at least 1, not 0"),
    ],
)
def test_values_out_of_range_are_refused(kind, kwargs, match):
    with pytest.raises(ConfigError, match=match):
        kind(**kwargs)


def test_the_models_of_a_front_are_read_as_those_of_one_objective(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = NasBench201SearchSpace(channels=4, cells_per_stage=1)
    of_graphs, of_curves = ParetoSearch(predictor_type="gpwl"), ParetoSearch(predictor_type="lcsvr")
    of_graphs.adapt_search_space(cell, evaluator=Scores(2))
    assert of_graphs._encoding is None  # their own
    with pytest.raises(ConfigError, match="'lcsvr' reads learning curves of the architectures that it predicts"):
        of_curves.adapt_search_space(cell, evaluator=Scores(2))
    monkeypatch.setattr(PREDICTORS.get("grid_gp"), "MIN_LABELS", 6)
    optimizer = adapted(ParetoSearch, evaluator=Scores(2), num_init=2, k=2, num_candidates=10)
    drive(optimizer, 5)
    assert not optimizer.state.queue  # all were random: there are fewer than six labels
    drive(optimizer, 7)
    assert len(optimizer.state.queue) == 1


def test_what_is_nearest_is_drawn_and_is_not_the_parent() -> None:
    whole = NasBench201SearchSpace()._codec()
    parent, others = (2,) * 6, [(3, *(2,) * 5), (4, *(2,) * 5)]
    codec, rng = KnownCodec(whole, [parent, *others, (0,) * 6]), Random(0)
    child = (1, *(2,) * 5)  # unknown; three of the known ones differ from it in one operation
    assert codec.nearest(child) == sorted([parent, *others]) and codec.nearest(parent) == [parent]
    assert {known(codec, child, rng) for _ in range(100)} == {parent, *others}
    assert {known(codec, child, rng, parent) for _ in range(100)} == {*others}
    assert parent not in {known(codec, (2, 2, 2, 2, 2, 3), rng, parent) for _ in range(100)}  # it is the nearest alone
    assert known(whole, child, rng, parent) == child
