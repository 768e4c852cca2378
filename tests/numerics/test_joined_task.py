"""Tasks on shares of a batch: batch norm of all ranks, loaders that make a rank's rows, texts, retraining, tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joined_acts
import numpy as np
import pytest
import torch
from joined_searches import differences
from ranks import Ranks
from small_spaces import images
from torch import nn

from naslib.errors import ConfigError
from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import SimpleCellSearchSpace
from naslib.tasks import Classification, LanguageModelling, Regression, Segmentation
from naslib.tasks.accumulation import weigher_of
from naslib.tasks.joined import joined, unjoined
from naslib.tasks.record import describe_task
from naslib.utils.rows import HeldRows, draw_for_rows, holding_rows


@pytest.mark.parametrize("n", [2, 7])
def test_batch_norm_of_all_ranks_and_its_derivatives(two_ranks: Ranks, n: int) -> None:
    wanted = joined_acts.norm_derivatives(n, False)
    found = two_ranks.run(joined_acts.norm_derivatives, n, True)
    np.testing.assert_allclose(np.concatenate([rank["x"] for rank in found]), wanted["x"], atol=1e-12)
    for name in ("mean", "var"):
        np.testing.assert_allclose(found[0][name], wanted[name], atol=1e-13)
        np.testing.assert_array_equal(found[0][name], found[1][name])
    for name in ("weight", "bias", "tangent", "second"):
        np.testing.assert_allclose(found[0][name] + found[1][name], wanted[name], atol=1e-11)


@pytest.mark.parametrize("n", [3, 7])
def test_rows_of_a_loader_that_makes_those_of_its_rank(two_ranks: Ranks, n: int) -> None:
    inputs, targets = images(n, dtype=torch.float32)
    found = two_ranks.run(joined_acts.shared_rows, n)
    assert [rank["local"] for rank in found] == [n - n // 2, n // 2]
    for rank in found:
        assert rank["shape"] == (2, 8, 8)
        np.testing.assert_array_equal(rank["inputs"], inputs.numpy())
        np.testing.assert_array_equal(rank["targets"], targets.numpy())
        np.testing.assert_allclose(rank["outputs"], rank["wanted"], rtol=1e-5)
        assert rank["measured"] == found[0]["measured"]
    right = (found[0]["wanted"].argmax(1) == targets.numpy()).mean()
    assert found[0]["measured"][1] == pytest.approx(100 * right)


def test_a_batch_too_small_is_whole_on_every_rank(two_ranks: Ranks) -> None:
    assert two_ranks.run(joined_acts.rows_run, 3, False) == [[3]] * 2
    assert two_ranks.run(joined_acts.rows_run, 3, True) == [[2], [1]]
    assert two_ranks.run(joined_acts.rows_run, 9, False) == [[5], [4]]


def test_texts_go_on_for_all_ranks(two_ranks: Ranks) -> None:
    first, second = two_ranks.run(joined_acts.passages)
    assert differences(first, second, 0.0) == [] and differences(joined_acts.passages(), first, 1e-12) == []


def test_retraining(two_ranks: Ranks, tmp_path: Path) -> None:
    wanted = joined_acts.retrained({}, 7, str(tmp_path))
    first, second = two_ranks.run(joined_acts.retrained, {"sync_batch_norm": True}, 7, str(tmp_path))
    assert differences(first, second, 0.0) == [] and differences(wanted, first, 1e-10) == []


def test_retraining_in_passes(tmp_path: Path) -> None:
    wanted = joined_acts.retrained({"accumulate": 1}, 7, str(tmp_path))
    found = joined_acts.retrained({"accumulate": 3}, 7, str(tmp_path))
    assert differences(wanted, found, 1e-10) == []


@pytest.mark.parametrize("accumulate", [1, 2])
def test_retraining_with_an_auxiliary_output(two_ranks: Ranks, tmp_path: Path, accumulate: int) -> None:
    first, second = two_ranks.run(joined_acts.with_auxiliary, accumulate, 9, str(tmp_path))
    assert differences(first, second, 0.0) == []
    assert differences(joined_acts.with_auxiliary(1, 9, str(tmp_path)), first, 1e-12) == []


def test_statistics_of_each_ranks_rows_become_their_mean(two_ranks: Ranks) -> None:
    alone = joined_acts.unsynced_statistics()
    first, second = two_ranks.run(joined_acts.unsynced_statistics)
    assert differences(first, second, 0.0) == []
    # means over equal shares are the mean over the batch, which the first layer sees as it is
    np.testing.assert_allclose(first["stem"], alone["stem"], atol=1e-14)
    assert differences(alone, first, 1e-6) != []


@pytest.mark.parametrize("n", [6, 7])
def test_dropout_is_that_of_the_joined_batch(two_ranks: Ranks, n: int) -> None:
    wanted = joined_acts.dropped(n)
    assert 0.2 < (wanted["found"][0] == 0).mean() < 0.6
    for found in two_ranks.run(joined_acts.dropped, n):
        assert differences(wanted, found, 1e-6) == []
    assert differences(wanted, joined_acts.dropped(n, 3), 1e-6) == []


def test_ranks_go_on_with_the_same_random_numbers(two_ranks: Ranks) -> None:
    first, second = two_ranks.run(joined_acts.unequal_draws)
    assert first == second


def test_ranks_that_differ_are_told(two_ranks: Ranks) -> None:
    for message in two_ranks.run(joined_acts.different_weights):
        assert message.startswith("the ranks have different weights and architecture parameters: ")


def test_passes_are_as_many_as_there_are_rows_for(two_ranks: Ranks) -> None:
    assert joined_acts.rows_of_passes(7, 3) == [3, 2, 2] and joined_acts.rows_of_passes(3, 3) == [3]
    assert two_ranks.run(joined_acts.rows_of_passes, 12, 3) == [[4, 4, 4]] * 2
    assert two_ranks.run(joined_acts.rows_of_passes, 9, 3) == [[5, 4]] * 2


def test_what_is_drawn_for_rows_does_not_depend_on_shares() -> None:
    torch.manual_seed(0)
    whole = torch.rand(7, 2)
    pieces = []
    for rows in (HeldRows(0, 4, 7), HeldRows(4, 7, 7)):
        torch.manual_seed(0)
        with holding_rows(rows):
            pieces.append(draw_for_rows((len(rows), 2), lambda shape: torch.rand(*shape)))
    assert torch.equal(torch.cat(pieces), whole)


# what parts weigh


TARGETS = torch.tensor([0, 1, 2, 1, 1])
WEIGHTS: list[tuple[Any, torch.Tensor, float]] = [
    (Classification(), TARGETS, 5.0),
    (Classification(class_weights=[1.0, 3.0, 0.5]), TARGETS, 10.5),
    (Classification(nn.CrossEntropyLoss(torch.tensor([1.0, 3.0, 0.5]), ignore_index=1)), TARGETS, 1.5),
    (Classification(nn.CrossEntropyLoss(reduction="sum")), TARGETS, 0.0),
    (Classification("BCEWithLogitsLoss"), torch.zeros(4, 3), 12.0),
    (Classification("MultiMarginLoss"), TARGETS, 5.0),
    (Classification(), torch.full((4, 3), 1 / 3), 4.0),
    (Regression(), torch.zeros(4, 2), 8.0),
    (Segmentation(ignore_index=2), torch.tensor([[[0, 1], [2, 2]], [[1, 1], [0, 2]]]), 5.0),
]


@pytest.mark.parametrize(("task", "targets", "weight"), WEIGHTS)
def test_what_a_batch_weighs(task: Any, targets: torch.Tensor, weight: float) -> None:
    assert float(weigher_of(task)((torch.zeros(len(targets)), targets))) == weight


class _Own(Classification):
    def loss(self, outputs: Any, batch: Any) -> torch.Tensor:
        return (outputs.logsumexp(1) - 1).square().mean()


class _Weighing(_Own):
    def loss_weight(self, batch: Any) -> float:
        return float(len(batch[0]))


def test_losses_that_nobody_knows_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"the task _Own has a loss of its own; let its method loss_weight"):
        weigher_of(_Own())
    assert weigher_of(_Weighing())((torch.zeros(4), None)) == 4.0
    with pytest.raises(ConfigError, match=r"nobody knows how the loss _loss"):
        weigher_of(Classification(_loss))
    with pytest.raises(ConfigError, match=r"evaluation\.accumulate: a text .* goes on from batch to batch"):
        weigher_of(LanguageModelling(), "evaluation.accumulate")
    with pytest.raises(ConfigError, match=r"search\.accumulate must be 1 or more, got 0"):
        joined(Classification(), accumulate=0)


def _loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return outputs.sum()


def test_a_joined_task_is_the_task_it_was() -> None:
    task = Classification(class_weights=[1.0, 2.0], label_smoothing=0.1)
    assert joined(task) is task
    found = joined(task, accumulate=2)
    assert isinstance(found, Classification) and found.class_weights == (1.0, 2.0)
    assert describe_task(found) == describe_task(task) and repr(found) == repr(task)
    assert type(unjoined(found)) is Classification and type(found.plain()) is type(found)
    assert joined(found) is not found and type(joined(found)) is Classification
    other = joined(Classification(), accumulate=2).with_loss("NLLLoss")
    assert type(other) is type(found) and isinstance(other.criterion, nn.NLLLoss)


def test_passes_are_refused_before_a_search() -> None:
    DARTSOptimizer(accumulate=2).check_task(Classification())
    with pytest.raises(ConfigError, match=r"search\.accumulate: a text of the task LanguageModelling goes on"):
        DARTSOptimizer(accumulate=2).check_task(LanguageModelling())
    with pytest.raises(ConfigError, match=r"search\.accumulate: the task _Own has a loss of its own"):
        DARTSOptimizer(accumulate=2, task=_Own())


def test_what_only_one_pass_depends_on_counts() -> None:
    """The loss of the first pass of two is 3 w, that of the second none of w: the gradient is 1.5."""
    space = SimpleCellSearchSpace(n_classes=3, channels=4)
    optimizer = DARTSOptimizer(accumulate=2)
    optimizer.adapt_search_space(space)
    optimizer.before_training()
    weight = torch.zeros((), requires_grad=True)
    seen: list[int] = []

    def loss(outputs: torch.Tensor, batch: Any) -> torch.Tensor:
        seen.append(len(outputs))
        return 3 * weight if len(seen) == 1 else outputs.sum() * 0

    data = torch.randn(8, 3, 8, 8), torch.zeros(8, dtype=torch.long)
    (found,), _, _ = optimizer.data_gradient(data, [weight], loss)
    assert seen == [4, 4] and float(found) == 1.5
