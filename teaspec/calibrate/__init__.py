"""Coefficients for a model: pairs collected on real generations, fitted, judged, drawn and written into a spec."""

from __future__ import annotations

from teaspec.calibrate.collect import DataCollectionHook, collecting
from teaspec.calibrate.estimator import TeaCacheCoefficientEstimator
from teaspec.calibrate.fit import Fit, estimate_teacache_coefficients, fit_pairs
from teaspec.calibrate.measure import calculate_relative_l1
from teaspec.calibrate.pairs import Pairs, Trajectory

__all__ = [
    "DataCollectionHook",
    "Fit",
    "Pairs",
    "TeaCacheCoefficientEstimator",
    "Trajectory",
    "calculate_relative_l1",
    "collecting",
    "estimate_teacache_coefficients",
    "fit_pairs",
]
