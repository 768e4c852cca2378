"""Whether a search space was made for the images that it is to be trained on."""

from __future__ import annotations

from typing import Any

from naslib.errors import ConfigError
from naslib.tasks import ClassTask
from naslib.utils.log import get_logger

logger = get_logger(__name__)
# From how many times the items of the smallest class on a largest one is worth a word.
_UNEVEN = 10


def check_fits(space: Any, info: Any, task: Any = None) -> None:
    """Raise before the first step where a space has no place for a data set.

    Args:
        space: A search space; what it does not say about its sizes (`in_channels`, `n_classes`) is not checked.
        info: The data set (`DatasetInfo`), None where nothing is known of it.
        task: What is learned, if its number of outputs is another than that of the classes.

    Raises:
        ConfigError: If the channels of the images are others, there are more classes than outputs, or the space's own
            `check_image_size` says so; says how to make the space instead.
    """
    channels, classes = getattr(space, "in_channels", None), getattr(space, "n_classes", None)
    if info is None:
        return
    name = type(space).__name__
    problems = []
    if isinstance(channels, int) and channels != info.in_channels:
        problems.append(
            f"{name} takes images of {channels} channels, those of {info.name!r} have {info.in_channels}; "
            f"make it with in_channels={info.in_channels}"
        )
    wanted = getattr(task, "output_size", None) or info.num_classes
    if isinstance(classes, int) and classes < wanted:
        problems.append(
            f"{name} has {classes} outputs, {info.name!r} has {wanted} classes; make it with n_classes={wanted}"
        )
    if problems:
        raise ConfigError(problems)
    if getattr(info, "image_size", None) is not None and hasattr(space, "check_image_size"):
        space.check_image_size(info.image_size)


def warn_of_imbalance(task: Any, info: Any) -> None:
    """Say which classes have many more training items than others, where the loss weighs them alike.

    Args:
        task: What is learned.
        info: The data set (`DatasetInfo`), None where nothing is known of it.
    """
    counts = list(getattr(info, "class_counts", ()))
    if not isinstance(task, ClassTask):
        return
    if task.class_weights is not None:
        logger.info("the loss weighs classes: %s", _listed(task.class_weights, info))
        return
    present = [count for count in counts if count]
    if len(present) < 2 or max(present) < _UNEVEN * min(present):
        return
    most, least = counts.index(max(present)), counts.index(min(present))
    what = "pixels" if info.task == "segmentation" else "items"
    logger.warning(
        "data set %r: class %r has %d training %s, class %r %d, %.0f times fewer: task_args.class_weights=balanced "
        "lets every class weigh alike in the loss",
        info.name, info.class_names[most], counts[most], what, info.class_names[least], counts[least],
        counts[most] / counts[least],
    )  # fmt: skip


def _listed(weights: Any, info: Any) -> str:
    names = getattr(info, "class_names", None) or range(len(weights))
    shown = [f"{name} {weight:.4g}" for name, weight in zip(names, weights, strict=False)]
    return ", ".join(shown[:10]) + (f" and {len(shown) - 10} more" if len(shown) > 10 else "")
