"""Recurrent cells as recipes."""

from __future__ import annotations

from naslib.search_spaces import NasBenchNLPSearchSpace

from . import Entry, all_methods, text

ENTRIES = {
    "nasbench_nlp": Entry(
        lambda n_classes, in_channels: NasBenchNLPSearchSpace(n_classes, in_channels, embedding=6, hidden=8, layers=2),
        size=None,  # nobody has counted the cells
        batch=text,
        task="language_modelling",
        neighbours=None,
        refused=all_methods("its cells are recipes of any graph, and no network has them all"),
        channels=(),
    ),
}
