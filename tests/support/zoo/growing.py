"""Plain convolutional networks that grow."""

from __future__ import annotations

from naslib.search_spaces import EASConvNetSearchSpace

from . import Entry, all_methods

ENTRIES = {
    "eas_cnn": Entry(
        lambda **sizes: EASConvNetSearchSpace(
            image_size=8, blocks=2, depth=2, widths=(2, 4, 6), kernels=(1, 3), dense=2, units=(4, 8), **sizes
        ),
        size=(3 * 2 + (3 * 2) ** 2) ** 2 * (2 + 2**2),
        neighbours=None,  # a layer more has every width and kernel
        refused=all_methods("its networks grow one from another, and no network has them all"),
    ),
}
