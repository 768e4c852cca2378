"""Codes of the once-for-all MobileNetV3 as its authors write them: `{ks: [...], e: [...], d: [...], r: [...]}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.elastic.sizes import as_size
from naslib.search_spaces.core.literals import plain, shortened
from naslib.search_spaces.core.spelled_codec import Spelling

STAGES = 5
# Of the stages: whether channels are weighed
HAS_SE = (False, True, False, True, True)
RESOLUTION = "resolution"


def depth_label(stage: int) -> str:
    """Return the name of the decision on the number of blocks of a stage, from 1."""
    return f"stage{stage}.depth"


def kernel_label(stage: int, block: int) -> str:
    """Return the name of the decision on the kernel of a block, both from 1."""
    return f"stage{stage}.block{block}.kernel"


def expansion_label(stage: int, block: int) -> str:
    """Return the name of the decision on the expansion of a block, both from 1."""
    return f"stage{stage}.block{block}.expansion"


class SubnetSettings(Spelling):
    """Kernels and expansions of all blocks of the longest network, the lengths of the stages, and the resolution.

    `ks` and `e` have one entry per block, stage by stage, `d` one per stage, `r` one, which may be left out; one number
    stands for all. What is said of blocks that a shorter stage does not have is passed over; it is written as 0.

    Args:
        depths: The lengths that a stage can have.
        resolutions: The sides of images that are decided, None where they are not.
        image_size: Their side where it is not decided.
    """

    def __init__(self, depths: Sequence[int], resolutions: Sequence[int] | None, image_size: Any) -> None:
        self.depths = tuple(depths)
        self.resolutions = resolutions
        self.image_size = plain(image_size)

    @property
    def blocks(self) -> list[tuple[int, int]]:
        """Stage and number of every block of the longest network, both from 1."""
        return [(stage, block) for stage in range(1, STAGES + 1) for block in range(1, max(self.depths) + 1)]

    def read(self, spec: Any) -> Mapping[str, Any] | None:
        """Return the candidates by decision; see the parent.

        Raises:
            ArchitectureError: If there are other numbers of entries, or another resolution than the network has.
        """
        if not isinstance(spec, Mapping) or not {"ks", "e", "d"} <= {*spec}:
            return None
        unknown = sorted({*spec} - {"ks", "e", "d", "r", "w", "wid", "image_size"})
        if unknown or spec.get("w") or spec.get("wid"):
            what = unknown[0] if unknown else "w"
            raise ArchitectureError(f"an architecture of ofa_mobilenetv3 is ks, e, d and r; it has no {what!r}")
        lengths = self._entries("d", spec["d"], STAGES)
        kernels = self._entries("ks", spec["ks"], len(self.blocks))
        expansions = self._entries("e", spec["e"], len(self.blocks))
        found = {depth_label(stage): length for stage, length in enumerate(lengths, start=1)}
        for (stage, block), kernel, expansion in zip(self.blocks, kernels, expansions, strict=True):
            if block <= lengths[stage - 1]:
                found |= {kernel_label(stage, block): kernel, expansion_label(stage, block): expansion}
        resolution = spec.get("r", spec.get("image_size"))
        return found | self._resolution(resolution)

    def write(self, choices: Mapping[str, Any]) -> dict[str, Any]:
        """Return the four lists."""
        return {
            "ks": [choices.get(kernel_label(*block), 0) for block in self.blocks],
            "e": [choices.get(expansion_label(*block), 0) for block in self.blocks],
            "d": [choices[depth_label(stage)] for stage in range(1, STAGES + 1)],
            "r": [choices.get(RESOLUTION, self.image_size)],
        }

    def _entries(self, name: str, given: Any, number: int) -> list[Any]:
        entries = list(given) if isinstance(given, list | tuple) else [given] * number
        if len(entries) != number or not all(type(entry) in (int, float) for entry in entries):
            raise ArchitectureError(
                f"{name} of an architecture of ofa_mobilenetv3 is {number} numbers (or one for all), not "
                f"{shortened(given)}"
            )
        return entries

    def _resolution(self, given: Any) -> dict[str, Any]:
        if isinstance(given, list | tuple):
            if len(given) != 1:
                raise ArchitectureError(
                    f"r of an architecture of ofa_mobilenetv3 is one number, not {shortened(given)}"
                )
            given = given[0]
        if self.resolutions is not None:
            if given is None:
                raise ArchitectureError(f"r is missing: one of {', '.join(map(str, self.resolutions))}")
            return {RESOLUTION: given}
        if given is not None and given != self.image_size:
            raise ArchitectureError(
                f"r is {given}, and this network runs at {self.image_size}: the space decides resolutions with "
                f"search_space_args={{resolutions: [{given}, ...]}}"
            )
        return {}


def count_parameters(
    settings: Mapping[str, Any],
    n_classes: int = 1000,
    in_channels: int = 3,
    widths: Sequence[int] = (16, 16, 24, 40, 80, 112, 160, 960, 1280),
) -> int:
    """Return the number of parameters of a network, in closed form.

    Args:
        settings: `ks`, `e`, `d`, entries of all blocks of the longest network each.
        n_classes: Number of classes.
        in_channels: Channels of the images.
        widths: Channels of the stem, the first block, the stages, and the last two convolutions, as they are.
    """
    stem, first, *stages, expanded, mixed = widths
    total = in_channels * 9 * stem + 2 * stem  # convolution and norm
    total += 9 * stem + 2 * stem + stem * first + 2 * first  # the first block widens nothing
    blocks, reads = len(settings["ks"]) // len(stages), first
    for stage, (width, length) in enumerate(zip(stages, settings["d"], strict=True)):
        for block in range(int(length)):
            kernel = int(settings["ks"][stage * blocks + block])
            hidden = multiple_of_8(reads * settings["e"][stage * blocks + block])
            total += reads * hidden + 2 * hidden + hidden * kernel**2 + 2 * hidden + hidden * width + 2 * width
            if HAS_SE[stage]:
                squeezed = multiple_of_8(hidden // 4)
                total += (hidden + 1) * squeezed + (squeezed + 1) * hidden
            reads = width
    return total + reads * expanded + 2 * expanded + expanded * mixed + (mixed + 1) * n_classes


def multiple_of_8(number: float) -> int:
    """Return the nearest multiple of 8, at least 8 and never less than 90 % of the number."""
    return int(as_size(number).rounded(8).largest)
