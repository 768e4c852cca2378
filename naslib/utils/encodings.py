"""EncodingType: how an architecture is turned into numbers for a predictor."""

from __future__ import annotations

from enum import Enum


class EncodingType(Enum):
    """Name an encoding of an architecture; the values are NASLib's, and GRAF is of [Kadlecova2024graf]."""

    ADJACENCY_ONE_HOT = "adjacency_one_hot"
    ADJACENCY_MIX = "adjacency_mix"
    PATH = "path"
    GCN = "gcn"
    BONAS = "bonas"
    SEMINAS = "seminas"
    COMPACT = "compact"
    GRAF = "graf"
