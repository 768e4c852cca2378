"""A cost model with its sums corrected by whole networks that were measured."""

from __future__ import annotations

from dataclasses import replace

from naslib.hardware.calibrate import TableCalibration
from naslib.hardware.cost_model import CostModel, CostTerm


def calibrated(model: CostModel, calibration: TableCalibration | None) -> CostModel:
    """Return the model whose architectures cost `scale * sum + shift`; the same without a calibration."""
    if calibration is None:
        return model
    terms = [CostTerm(term.decisions, term.values * calibration.scale) for term in model.terms]
    return replace(model, fixed=calibration.shift, terms=terms)
