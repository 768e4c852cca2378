"""Episodes and the few-shot task: distances by hand, intervals by formula, and what an episode is drawn from."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from naslib.data import EpisodeLoader, load_data
from naslib.data.batch_loader import ImageBank
from naslib.data.loaders import build_eval_loaders, build_search_loaders
from naslib.data.pipeline import BatchPipeline
from naslib.errors import ConfigError, DataError
from naslib.tasks import FewShot, build_task
from naslib.tasks.few_shot import prototype_logits, support_rows
from naslib.training.evaluate import test as measure

SIZES: dict[str, Any] = {"ways": 3, "shots": 2, "queries": 4, "episodes": 5, "test_episodes": 7}


def episode(seed: int = 0, d: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    """Return embeddings `(14, d)` and targets of three ways, two shots, eight queries."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.tensor([-1, -1, -2, -2, -3, -3, 0, 1, 2, 2, 1, 0, 0, 1])
    return torch.randn(14, d, generator=generator, dtype=torch.float64), targets


def by_hand(embeddings: np.ndarray, targets: np.ndarray, temperature: float) -> tuple[float, float]:
    """Return loss and accuracy of an episode, one query after the other."""
    losses, hits = [], []
    for place in np.flatnonzero(targets >= 0):
        distances = []
        for c in range(3):
            mean = embeddings[targets == -1 - c].mean(axis=0)
            distances.append(float(((embeddings[place] - mean) ** 2).sum()) / temperature)
        nearest = min(range(3), key=distances.__getitem__)
        shift = min(distances)
        total = sum(math.exp(shift - x) for x in distances)
        losses.append(distances[targets[place]] - shift + math.log(total))
        hits.append(nearest == targets[place])
    return float(np.mean(losses)), float(np.mean(hits))


@pytest.mark.parametrize("temperature", [1.0, 3.5])
def test_loss_and_accuracy_are_those_of_the_nearest_prototype(temperature: float):
    task, (outputs, targets) = FewShot(temperature=temperature), episode()
    loss, accuracy = by_hand(outputs.numpy(), targets.numpy(), temperature)
    assert float(task.loss(outputs, (outputs, targets))) == pytest.approx(loss, abs=1e-12)
    share, square, count = task.statistics(outputs, (outputs, targets))
    assert (float(share), float(square), count) == (accuracy, accuracy**2, 1.0)


def test_logits_do_not_know_the_order_of_the_support_set():
    outputs, targets = episode()
    support, classes = outputs[:6], -1 - targets[:6]
    order = torch.tensor([5, 2, 0, 4, 1, 3])
    first = prototype_logits(support, classes, outputs[6:])
    torch.testing.assert_close(prototype_logits(support[order], classes[order], outputs[6:]), first)


def test_the_interval_is_that_of_the_mean_over_episodes():
    task = FewShot()
    shares = [0.25, 0.5, 1.0, 0.75]
    sums = [sum(shares), sum(s * s for s in shares), len(shares)]
    mean, interval = task.summarize(sums)
    assert mean == pytest.approx(62.5)
    assert interval == pytest.approx(100 * 1.96 * np.std(shares, ddof=1) / 2)
    assert task.summarize([0.5, 0.25, 1]) == (50.0, None)


def test_a_network_can_ask_for_the_support_set_while_it_runs():
    task, (inputs, targets) = FewShot(), episode()
    seen = []

    def network(x: torch.Tensor) -> torch.Tensor:
        seen.append(support_rows())
        return x

    task.forward(network, (inputs, targets))
    assert seen == [6] and support_rows() == 0


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        ([0, 1, 0], "no support set"),
        ([-1, -2, -1], "no query"),
        ([-1, -3, 0], r"support set are \[0, 2\]; expected 0 to 1"),
        ([-1, -2, 2], r"queries are of the classes \[2\]"),
        ([-1, 0, -2], "does not come first"),
    ],
)
def test_what_is_no_episode(targets: list[int], said: str):
    task = FewShot()
    batch = task.to_device((torch.randn(3, 1, 4, 4), torch.tensor(targets)), torch.device("cpu"))
    (problem,) = task.batch_problems(batch)
    assert re.search(said, problem)
    assert task.output_problems(torch.randn(2, 5), batch) and not task.output_problems(torch.randn(3, 5), batch)


def loader(**changes: Any) -> EpisodeLoader:
    data = load_data("few_shot", **{**SIZES, **changes})
    found = build_search_loaders(data, batch_size=64, train_portion=0.5, seed=3).train
    assert isinstance(found, EpisodeLoader)
    return found


def test_an_episode_is_of_its_sizes_and_no_example_is_a_query():
    episodes = loader()
    assert len(episodes) == 5
    labels = episodes.bank.label_array
    for number in range(5):
        images, targets = episodes.episode(2, number)
        assert list(targets) == [-1, -1, -2, -2, -3, -3, *[0] * 4, *[1] * 4, *[2] * 4]
        assert len(set(images.tolist())) == 18 and set(images) <= set(episodes.indices)
        ways = np.where(targets < 0, -1 - targets, targets)
        of_way = [set(labels[images[ways == way]].tolist()) for way in range(3)]
        assert all(len(found) == 1 for found in of_way) and len(set.union(*of_way)) == 3
        assert set.union(*of_way) <= {0, 1, 2, 3, 4}  # the others are tested


def test_episodes_are_a_function_of_epoch_and_number():
    one, other = loader(), loader()
    first = list(one.batches(1))
    rest = list(other.batches(1, start=3))
    assert all(torch.equal(a, b) for x, y in zip(first[3:], rest, strict=True) for a, b in zip(x, y, strict=True))
    assert not np.array_equal(one.episode(0, 0)[0], one.episode(1, 0)[0])
    fixed = one.as_eval()
    assert all(torch.equal(a[0], b[0]) for a, b in zip(fixed.batches(0), fixed.batches(4), strict=True))


def test_every_class_is_drawn_as_often_as_every_other():
    episodes = loader(ways=2, shots=1, queries=1, episodes=1000)
    labels = episodes.bank.label_array
    counts = Counter(int(labels[i]) for n in range(1000) for i in episodes.episode(0, n)[0][:2])
    # 400 of each of five, with a deviation of sqrt(1000 .4 .6)
    assert set(counts) == {0, 1, 2, 3, 4} and all(abs(count - 400) < 4 * math.sqrt(240) for count in counts.values())


def test_the_test_is_of_other_classes_and_the_same_every_time():
    data = load_data("few_shot", **SIZES, test_classes=["2", "7", "9"])
    assert set(data.train.label_array) == {0, 1, 3, 4, 5, 6, 8} and set(data.test.label_array) == {2, 7, 9}
    assert len(data.train) + len(data.test) == 1797
    pair = [build_eval_loaders(data, batch_size=1, seed=4).test for _ in range(2)]
    assert len(pair[0]) == 7
    for (x, y), (again, _) in zip(*pair, strict=True):
        assert torch.equal(x, again) and len(x) == 18 and int((y < 0).sum()) == 6
    scale = data.train.images.double() / data.info.scale  # statistics of the classes that are seen
    assert data.info.mean[0] == pytest.approx(float(scale.mean()), abs=1e-6)


def test_a_network_that_knows_the_classes_is_always_right():
    data = load_data("few_shot", **SIZES)
    tests = build_eval_loaders(data, batch_size=1, seed=4).test
    memory = {x.numpy().tobytes(): label for x, label in zip(_inputs(data.test, data), data.test.labels, strict=True)}

    class Knows(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.one_hot(torch.stack([memory[i.numpy().tobytes()] for i in x]), 10).float()

    found = measure(Knows(), tests, FewShot(), torch.device("cpu"))
    assert found.by_name() == {"accuracy": 100.0, "interval": 0.0} and found.count == 7


def _inputs(part: Any, data: Any) -> torch.Tensor:
    bank = ImageBank(part)
    pipeline = BatchPipeline(data.info, None, device=torch.device("cpu"), channels_last=False)
    return pipeline(bank.raw)


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"ways": 6}, DataError, "have 6 ways, and its test part 5 of 10 classes"),
        ({"ways": 5, "test_classes": 7}, DataError, "training part 3 of 10"),
        ({"queries": 200}, DataError, r"takes 2 \+ 200 images of a class, and 'digits' has fewer of 0 \(178\)"),
        ({"ways": 1}, ConfigError, "ways must be at least 2"),
        ({"shots": 0}, ConfigError, "shots must be at least 1"),
        ({"test_classes": 10}, ConfigError, "leave a part without any"),
        ({"test_classes": 1.5}, ConfigError, "a number of classes, or a list of their names, not 1.5"),
        ({"test_classes": ["7", "11"]}, ConfigError, "no class '11'"),
        ({"of": "few_shot"}, ConfigError, "made of another data set"),
        ({"of": "digits_angle"}, ConfigError, "no single class"),
        ({"of": "digts"}, Exception, "did you mean 'digits'"),
    ],
)
def test_what_cannot_be_had(arguments: dict[str, Any], error: type[Exception], said: str):
    with pytest.raises(error, match=said):
        load_data("few_shot", **{**SIZES, **arguments})


def test_too_few_images_in_a_part_are_an_error_before_the_search():
    data = load_data("few_shot", **{**SIZES, "queries": 100})
    with pytest.raises(DataError, match=r"2 \+ 100 images of a class, and the train part has fewer of 0 \(89\), 1"):
        build_search_loaders(data, batch_size=64, train_portion=0.5, seed=3)


def test_the_task_by_name_and_its_sizes():
    task = build_task("few_shot", {"temperature": 2.0, "output_size": 16})
    assert isinstance(task, FewShot) and (task.temperature, task.output_size) == (2.0, 16)
    with pytest.raises(ConfigError, match="temperature must be above 0"):
        FewShot(temperature=0)
    outputs, targets = episode()
    assert float(task.loss(outputs[:4], (outputs[:4], targets[:4]))) == 0.0  # nothing is asked for


def test_an_embedding_has_a_length() -> None:
    with pytest.raises(ConfigError, match="output_size is the length of an embedding, at least 1, not 0"):
        FewShot(output_size=0)
