"""Formats: the files that an exported network can have, by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from naslib.errors import ConfigError, did_you_mean

# Name: the file
FORMATS = {
    "network.py": "network.py",
    "safetensors": "weights.safetensors",
    "onnx": "network.onnx",
    "pt2": "network.pt2",
}
QUANTIZED = ("int8",)
_ALSO = {"source": "network.py", "py": "network.py", **{file: name for name, file in FORMATS.items()}}


def chosen_formats(names: str | Iterable[str] | None) -> tuple[str, ...]:
    """Return names of formats in their order; all of them for None.

    Args:
        names: Names, or names separated by commas; the names of files will do.

    Raises:
        ConfigError: If there is none of that name, or none is named.
    """
    if names is None:
        return tuple(FORMATS)
    words: Sequence[str] = names.split(",") if isinstance(names, str) else list(names)
    given = [word.strip() for word in words if word.strip()]
    found = {_ALSO.get(word, word) for word in given}
    for word in given:
        if _ALSO.get(word, word) not in FORMATS:
            raise ConfigError(
                f"there is no format {word!r}{did_you_mean(word, [*FORMATS, *_ALSO])} (formats: {', '.join(FORMATS)})"
            )
    if not found:
        raise ConfigError(f"name a format (formats: {', '.join(FORMATS)})")
    return tuple(name for name in FORMATS if name in found)


def check_quantization(name: str | None) -> None:
    """Raise for a form of quantised numbers that there is not.

    Raises:
        ConfigError: Naming those that there are.
    """
    if name is not None and name not in QUANTIZED:
        raise ConfigError(
            f"there is no quantisation {name!r}{did_you_mean(name, QUANTIZED)} (there is: {', '.join(QUANTIZED)})"
        )
