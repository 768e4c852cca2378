"""Whether a search space was made for the images that it is to be trained on."""

from __future__ import annotations

from typing import Any

from naslib.errors import ConfigError


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
