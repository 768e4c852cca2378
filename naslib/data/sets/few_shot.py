"""Episodes of any data set in memory, with other classes to test on than to learn from."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from naslib.data.channels import channel_statistics
from naslib.data.image_data import ImageData, ImageSet, joined
from naslib.data.registry import DATASETS, load_data
from naslib.errors import ConfigError, DataError, did_you_mean


@DATASETS.register("few_shot")
def load_few_shot(
    data_dir: Path | None,
    seed: int,
    *,
    of: str = "digits",
    of_args: dict[str, Any] | None = None,
    ways: int = 5,
    shots: int = 1,
    queries: int = 15,
    test_classes: int | list[str] | None = None,
    episodes: int = 100,
    test_episodes: int = 200,
) -> ImageData:
    """Load another data set for learning from few examples: its task is `few_shot`, and a batch is one episode.

    The classes are divided: episodes of search and training are of some, those of the test of the others, so that what
    is tested are classes that nobody has seen. Training and test images of the data set are taken together.

    Args:
        data_dir: Where the files of that data set lie.
        seed: Of no effect.
        of: The data set: a registered one of images or sequences with classes, or a path.
        of_args: Its keywords.
        ways: Classes in an episode.
        shots: Examples of each.
        queries: Images of each that are asked for.
        test_classes: How many, the last ones, are tested; or their names. Half of them if None.
        episodes: In an epoch of training or validation.
        test_episodes: In the test.

    Raises:
        ConfigError: For sizes that cannot be, an unknown class, or a data set without classes or not in memory.
        DataError: If one of the parts has fewer classes than an episode, or a class fewer images than it takes.
    """
    sizes = {"shots": shots, "queries": queries, "episodes": episodes, "test_episodes": test_episodes}
    problems = [f"dataset_args.{name} must be at least 1, got {value}" for name, value in sizes.items() if value < 1]
    if ways < 2:
        problems.append(f"dataset_args.ways must be at least 2, got {ways}")
    if of.lower() == "few_shot":
        problems.append("dataset_args.of: few_shot is made of another data set, such as digits")
    if problems:
        raise ConfigError(problems)
    data = load_data(of, data_dir=data_dir, seed=seed, **(of_args or {}))
    info = data.info
    if info.task not in ("classification", "sequence_classification") or info.multi_label:
        raise ConfigError(f"dataset_args.of: an item of {of!r} has no single class ({info.task})")
    if not isinstance(data.train, ImageSet) or not isinstance(data.test, ImageSet):
        raise ConfigError(f"dataset_args.of: {of!r} is read from disk as it is used; episodes need it in memory")
    both = joined([data.train, data.test])
    tested = _tested(test_classes, info.class_names)
    labels = both.label_array
    is_test = np.isin(labels, tested)
    for part, classes in (("test", len(tested)), ("training", info.num_classes - len(tested))):
        if classes < ways:
            raise DataError(
                f"episodes of {of!r} have {ways} ways, and its {part} part {classes} of {info.num_classes} classes: "
                "lower dataset_args.ways, or divide the classes otherwise (dataset_args.test_classes)"
            )
    counts = np.bincount(labels, minlength=info.num_classes)
    few = [f"{info.class_names[c]} ({counts[c]})" for c in np.flatnonzero(counts < shots + queries)]
    if few:
        raise DataError(
            f"an episode takes {shots} + {queries} images of a class, and {of!r} has fewer of {', '.join(few)}: lower "
            "dataset_args.shots or dataset_args.queries"
        )
    train, test = (both.take(np.flatnonzero(chosen)) for chosen in (~is_test, is_test))
    mean, std = (info.mean, info.std)
    if info.kind == "image":  # of the classes that are seen
        mean, std = channel_statistics(train.images, info.scale)
    found = dataclasses.replace(
        info, name=f"{info.name} in episodes", task="few_shot", mean=mean, std=std, ways=ways, shots=shots,
        queries=queries, episodes=episodes, test_episodes=test_episodes,
    )  # fmt: skip
    return ImageData(found, train, test)


def _tested(wanted: int | list[str] | None, names: tuple[str, ...]) -> list[int]:
    """Return the numbers of the classes that are tested.

    Raises:
        ConfigError: If there are not so many, or a name is of none.
    """
    if wanted is None:
        wanted = len(names) // 2
    if type(wanted) is int:
        if not 0 < wanted < len(names):
            raise ConfigError(f"dataset_args.test_classes: {wanted} of {len(names)} classes leave a part without any")
        return list(range(len(names) - wanted, len(names)))
    if isinstance(wanted, bool) or not isinstance(wanted, list | tuple) or not wanted:
        raise ConfigError(f"dataset_args.test_classes: a number of classes, or a list of their names, not {wanted!r}")
    given = [str(name) for name in wanted]
    unknown = [name for name in given if name not in names]
    if unknown:
        raise ConfigError(
            [f"dataset_args.test_classes: no class {n!r}{did_you_mean(n, names)} ({', '.join(names)})" for n in unknown]
        )
    return sorted({names.index(name) for name in given})
