"""How the predictors of a search read architectures, settled when a space is adapted."""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

from naslib.errors import ConfigError, UnsupportedBySpaceError
from naslib.predictors import PREDICTORS
from naslib.predictors.base import as_encoding
from naslib.search_spaces.core.codec import Codec
from naslib.search_spaces.core.graph import Graph
from naslib.utils.encodings import EncodingType
from naslib.utils.log import get_logger

from .rounds import FEWEST_LABELS

logger = get_logger(__name__)

# Encodings that are no row of numbers
_OF_GRAPHS = (EncodingType.GCN, EncodingType.BONAS, EncodingType.SEMINAS)


class ModelReading(NamedTuple):
    """What a search needs to know of its predictors.

    Attributes:
        encoding: How architectures become numbers; None for the predictors' own way.
        fewest: Labels that they need at least.
    """

    encoding: str | None
    fewest: int


def reading_of(predictor_type: str, encoding_type: str, codec: Codec[Any], space: Graph) -> ModelReading:
    """Return how predictors of a type read the architectures of a space.

    Predictors of graphs or sequences have an encoding of their own; a space without `encoding_type` is read one-hot,
    and the log says so.

    Raises:
        ConfigError: If the predictor or the encoding cannot be had, or it reads learning curves, which what a search
            asks for has not yet.
    """
    plain = PREDICTORS.get(predictor_type)(space=space)
    kind: EncodingType | None = None
    if plain.DEFAULT_ENCODING not in _OF_GRAPHS:
        kind = as_encoding(encoding_type)
        try:
            codec.encode_batch([codec.random(Random(0))], kind, space)
        except UnsupportedBySpaceError as error:
            logger.info("the model reads architectures one-hot: %s", error)
            kind = EncodingType.ADJACENCY_ONE_HOT
    if plain.get_data_reqs()["requires_partial_lc"]:
        raise ConfigError(
            f"search.predictor_type: {predictor_type!r} reads learning curves of the architectures that it "
            "predicts, and those a search asks for have none yet"
        )
    return ModelReading(None if kind is None else kind.value, max(FEWEST_LABELS, plain.MIN_LABELS))
