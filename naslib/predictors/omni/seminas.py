"""omni_seminas: SemiNAS that also sees proxies and curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from naslib.predictors.neural.seminas import SemiNASPredictor
from naslib.search_spaces.core.codec import Codec
from naslib.search_spaces.core.graph import Graph
from naslib.utils.encodings import EncodingType

from .columns import KnownColumns, Named


def omni_seminas(
    encoding_type: EncodingType | str | None = None,
    ss_type: str | None = None,
    semi: bool = True,
    synthetic_factor: int = 1,
    zero_cost: Named = ("jacov",),
    lce: Sequence[str] = ("sotle",),
    *,
    loss: str = "mse",
    epochs: int | None = None,
    space: Graph | Codec[Any] | None = None,
    seed: int = 0,
    **naslib: Any,
) -> SemiNASPredictor:
    """Return SemiNAS whose predictor sees proxies and curves beside the embedding ([White2021predictors]).

    Args:
        encoding_type: See `SemiNASPredictor`.
        ss_type: See `SemiNASPredictor`.
        semi: See `SemiNASPredictor`.
        synthetic_factor: See `SemiNASPredictor`.
        zero_cost: See `KnownColumns`.
        lce: See `KnownColumns`.
        loss: See `SemiNASPredictor`.
        epochs: See `SemiNASPredictor`.
        space: See `Predictor`.
        seed: See `Predictor`.
        **naslib: Other keywords of NASLib's constructor (`NASLibKeywords`).

    Raises:
        ConfigError: As `SemiNASPredictor` and `KnownColumns`.
    """
    return SemiNASPredictor(
        encoding_type,
        ss_type,
        semi,
        synthetic_factor=synthetic_factor,
        columns=KnownColumns(zero_cost, lce),
        loss=loss,
        epochs=epochs,
        space=space,
        seed=seed,
        **naslib,
    )


# NASLib's name
OmniSemiNASPredictor = omni_seminas
